//! The text of `selftest`: one line for each check, and a verdict.

use super::style::{Color, Style, Styler, counted, wrap};
use super::table::{Grid, Title};
use crate::document::{SelftestCheck, SelftestDocument};
use crate::unit::show_nanos;

/// Columns between the mark and the findings: the longest id and engine, and two blanks each.
const ID: usize = 16;
const ENGINE: usize = 11;

const fn mark(ok: Option<bool>) -> (&'static str, Color) {
    match ok {
        Some(true) => ("✓", Color::Good),
        Some(false) => ("✗", Color::Bad),
        None => ("?", Color::Warning),
    }
}

/// What a check found, beside what it expected unless both are the same words.
fn finding(check: &SelftestCheck) -> String {
    let SelftestCheck { expected, seen, note, .. } = check;
    let found = match (seen == expected, seen.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("{seen}, as expected"),
        (false, _) => format!("{seen}; expected {expected}"),
    };
    let parts = [found, note.clone().unwrap_or_default()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Whether an error ended the check before it had values to compare.
fn could_not_run(check: &SelftestCheck) -> bool {
    check.ok.is_none() && check.expected.is_empty() && check.seen.is_empty()
}

/// Whether all reports were true, by how many checks.
pub(in crate::report) fn verdict(document: &SelftestDocument) -> (Option<bool>, String) {
    let count = |ok| document.checks.iter().filter(|check| check.ok == ok).count() as u64;
    let [failed, open, passed] = [Some(false), None, Some(true)].map(count);
    let not_run = document.checks.iter().filter(|check| could_not_run(check)).count() as u64;
    let undecided = open - not_run;
    let time = show_nanos(document.elapsed_ns);
    let after = if document.interrupted { "; interrupted" } else { "" };
    let open = match undecided {
        0 => String::new(),
        count => format!("; {} undecided", counted(count, "check")),
    };
    match failed {
        0 if not_run > 0 => {
            let (all, not_run) = (counted(passed, "check"), counted(not_run, "check"));
            (None, format!("{not_run} could not run; {all} passed in {time}{open}{after}."))
        }
        0 if passed > 0 => {
            let all = counted(passed, "check");
            (Some(true), format!("Reports are true on this host: {all} in {time}{open}{after}."))
        }
        0 => (None, format!("No check was decided{open}{after}.")),
        failed => {
            let of = counted(failed + passed, "check");
            let advice = match &document.fault {
                Some(fault) => format!("The figures of the check '{fault}' were falsified."),
                None => "Please report this with the output of udperf selftest -J.".to_owned(),
            };
            let text = format!("Reports are not true on this host: {failed} of {of} failed");
            (Some(false), format!("{text}{open}{after}. {advice}"))
        }
    }
}

pub(in crate::report) fn title(document: &SelftestDocument) -> String {
    let host = &document.head.host;
    let parts = [&host.hostname, &host.kernel, &host.cpu_model];
    let known: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
    if known.is_empty() { "Unknown host".to_owned() } else { known.join(", ") }
}

/// The checks as a table.
pub(in crate::report) fn selftest_grid(document: &SelftestDocument) -> Grid {
    let titles = ["", "check", "engine", "expected", "seen", "note"];
    let row = |check: &SelftestCheck| {
        let SelftestCheck { id, engine, ok, expected, seen, note } = check.clone();
        let [engine, note] = [engine, note].map(Option::unwrap_or_default);
        vec![mark(ok).0.to_owned(), id, engine, expected, seen, note]
    };
    Grid {
        columns: titles.iter().map(|text| Title::new(text, true)).collect(),
        rows: document.checks.iter().map(row).collect(),
    }
}

/// The whole report.
pub(crate) fn selftest(document: &SelftestDocument, style: Style) -> String {
    let styler = Styler { color: style.color };
    let mut lines = vec![styler.paint(Color::Title, &title(document)), String::new()];
    let indent = 4 + ID + ENGINE;
    for check in &document.checks {
        let (mark, color) = mark(check.ok);
        let engine = check.engine.as_deref().unwrap_or_default();
        let text = wrap(&finding(check), style.width.saturating_sub(indent), 0);
        let text = text.join(&format!("\n{:indent$}", ""));
        let line =
            format!("  {} {:<ID$}{engine:<ENGINE$}{text}", styler.paint(color, mark), check.id);
        lines.push(line.trim_end().to_owned());
    }
    let (ok, text) = verdict(document);
    lines.push(String::new());
    lines.extend(styler.paint_lines(mark(ok).1, wrap(&text, style.width, 0)));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{hostile, schema};

    fn check(id: &str, ok: Option<bool>, [expected, seen]: [&str; 2]) -> SelftestCheck {
        let note = ok.is_none().then(|| "this host is busy".to_owned());
        let engine = (id == "ledger").then(|| "gso/batch".to_owned());
        let (expected, seen) = (expected.to_owned(), seen.to_owned());
        SelftestCheck { id: id.to_owned(), engine, ok, expected, seen, note }
    }

    #[test]
    fn checks_have_lines_and_a_verdict() {
        let mut document = SelftestDocument {
            checks: vec![
                check("ledger", Some(true), ["sent 9, lost 1"; 2]),
                check("pacing", None, ["5 ms", "7 ms"]),
            ],
            ..SelftestDocument::default()
        };
        let style = Style { color: false, width: 80, verbose: false };
        let text = selftest(&document, style);
        for part in [
            "Unknown host\n\n  ✓ ledger          gso/batch  sent 9, lost 1, as expected\n",
            "\n  ? pacing                     7 ms; expected 5 ms; this host is busy\n",
            "\nReports are true on this host: 1 check in 0 ns; 1 check undecided.\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        document.checks.push(check("gap", None, [""; 2]));
        let text = selftest(&document, style);
        let last = "\n1 check could not run; 1 check passed in 0 ns; 1 check undecided.\n";
        assert!(text.ends_with(last), "{text}");
        document.checks.pop();
        document.checks.push(check("tail", Some(false), ["lost 5", "lost 0"]));
        document.interrupted = true;
        let text = selftest(&document, style);
        assert!(
            text.contains("\n  ✗ tail                       lost 0; expected lost 5\n"),
            "{text}"
        );
        let failed = "not true on this host: 1 of 2 checks failed; 1 check undecided; interrupted.";
        assert!(text.replace('\n', " ").contains(failed), "{text}");
        schema::read_back(&document, schema::SELFTEST);
        let page = hostile::page(&document);
        assert!(document.checks.iter().all(|check| page.contains(&check.seen)), "{page}");
    }
}
