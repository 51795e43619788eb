//! Maps a report to an exit code: whether the run is valid, and whether a condition held.

use super::args::RunOutputArgs;
use super::error::{CliError, Exit};
use super::guard::guarded;
use super::output::warn_stderr;
use crate::document::Report;
use crate::report;
use crate::report::checks::validity::{ends_invalid, invalid_lines, judge_with_max_missed};
use crate::run::RunError;

/// Applies `--max-missed` and the gates of the command line to a report.
pub(crate) fn apply(report: &mut Report, output: &RunOutputArgs) {
    if let Some(max_missed) = output.max_missed {
        judge_with_max_missed(report, max_missed);
    }
    if output.is_gated() {
        report.gates = report::gates(report, &output.fail_if);
    }
}

/// Judges the validity of a document by `judge`. If that panics, the document counts as invalid.
pub(crate) fn validity_guarded<D>(
    document: &mut D,
    report: fn(&mut D) -> &mut Report,
    judge: fn(&mut D),
) -> Option<CliError> {
    let judged = guarded("validity", || {
        judge(document);
        Ok(())
    });
    let bug = judged.err()?;
    report(document).valid = false;
    Some(bug)
}

/// Whether a run ended early for a reason that its report gives about the target.
pub(crate) const fn is_of_target(error: &RunError) -> bool {
    matches!(error, RunError::NothingDelivered { .. } | RunError::Stuck { .. })
}

/// Whether the run tested what was asked, and whether a condition held; `name` precedes messages.
pub(crate) fn judge(report: &Report, output: &RunOutputArgs, name: &str) -> Exit {
    let mut exit = Exit::Well;
    for failure in output.fail_if.iter().flat_map(|condition| condition.check(report)) {
        warn_stderr(&format!("--fail-if {name}{failure}"));
        exit = Exit::ConditionHeld;
    }
    if ends_invalid(report, output.is_gated()) {
        // Beside JSON, they are on standard error already.
        if !output.common.json_to_stdout() || output.common.quiet {
            for line in invalid_lines(report) {
                warn_stderr(&format!("{name}{line}"));
            }
        }
        exit = Exit::Invalid;
    }
    exit
}
