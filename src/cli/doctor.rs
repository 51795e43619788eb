//! `udperf doctor`.

use super::args::DoctorArgs;
use super::error::{CliError, Exit};
use super::output::{color, print};
use crate::report::{self, Wants};
use crate::run::{self, Depth};

/// Examines the host and shows what was found.
pub(crate) fn run(args: &DoctorArgs) -> Result<Exit, CliError> {
    let mut facts = run::survey(Depth::Full);
    facts.device = run::default_device();
    let wants = Wants {
        socket_buffer: args.socket_buffer,
        threads: usize::from(args.threads),
        ..Wants::default()
    };
    let findings = report::findings(&facts, wants);
    print(&report::doctor(&findings, &facts, color(args.color)))
}
