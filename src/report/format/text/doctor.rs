//! The text of `doctor`: what this host does to measurements, and how to fix it.

use super::style::{Color, Style, Styler, wrap};
use super::table::{Grid, Title};
use crate::document::{Capability, DoctorCheck, DoctorDocument, Host};

/// Columns of the text. Arbitrary: what every terminal has.
const WIDTH: usize = 80;

/// Columns of the subject: the longest one and two blanks.
const SUBJECT: usize = 16;

/// Columns before the text of a check: indent, mark, blank, subject.
const INDENT: usize = 4 + SUBJECT;

fn mark(grade: &str) -> (&'static str, Color) {
    match grade {
        "good" => ("✓", Color::Good),
        "note" => ("•", Color::Note),
        "warn" => ("!", Color::Warning),
        _ => ("✗", Color::Bad),
    }
}

/// The content of the text without its layout.
pub(in crate::report) struct DoctorOutline {
    pub(in crate::report) title: String,
    /// That of the verdict.
    pub(in crate::report) grade: &'static str,
    pub(in crate::report) verdict: String,
    /// The checks, and the capabilities of the host.
    pub(in crate::report) grids: [Grid; 2],
}

pub(in crate::report) fn doctor_outline(document: &DoctorDocument) -> DoctorOutline {
    let columns = |titles: &[&str]| titles.iter().map(|text| Title::new(text, true)).collect();
    let row = |check: &DoctorCheck| {
        let (effect, fix) = (check.effect.clone(), check.fix.clone());
        let [effect, fix] = [effect, fix].map(Option::unwrap_or_default);
        let mark = mark(&check.grade).0.to_owned();
        vec![mark, check.subject.clone(), check.found.clone(), effect, fix]
    };
    let capability = |can: &Capability| {
        let mark = mark(if can.available { "good" } else { "warn" }).0;
        vec![mark.to_owned(), can.name.clone(), can.detail.clone()]
    };
    let (grade, verdict) = verdict(&document.checks);
    let checks = Grid {
        columns: columns(&["", "check", "found", "effect", "fix"]),
        rows: document.checks.iter().map(row).collect(),
    };
    let capabilities = Grid {
        columns: columns(&["", "capability", "detail"]),
        rows: capabilities(document).iter().map(capability).collect(),
    };
    DoctorOutline { title: title(document), grade, verdict, grids: [checks, capabilities] }
}

/// Capabilities of the host; none where the path was checked.
fn capabilities(document: &DoctorDocument) -> &[Capability] {
    if document.path.is_some() { &[] } else { &document.head.host.capabilities }
}

fn title(document: &DoctorDocument) -> String {
    let host = &document.head.host;
    match &document.path {
        None => identity(host),
        Some(path) => {
            let from = host.hostname.as_deref().unwrap_or("this host");
            format!("Path from {from} to {}", path.address)
        }
    }
}

/// The whole report: the host or the path, each check, capabilities of the host, one verdict.
pub(crate) fn doctor(document: &DoctorDocument, style: Style) -> String {
    let (styler, checks) = (Styler { color: style.color }, &document.checks);
    let mut lines = vec![styler.paint(Color::Title, &title(document)), String::new()];
    let indented = |color: Color, text: &str| " ".repeat(INDENT) + &styler.paint(color, text);
    for check in checks {
        lines.push(item(&check.grade, &check.subject, &check.found, styler));
        let effect = wrap(check.effect.as_deref().unwrap_or_default(), WIDTH - INDENT, 0);
        let effect = effect.iter().filter(|line| !line.is_empty());
        lines.extend(effect.map(|line| indented(Color::Quiet, line)));
        // Not wrapped, so that commands can be copied.
        lines.extend(check.fix.iter().map(|fix| indented(Color::Accent, &format!("$ {fix}"))));
    }
    let capabilities = capabilities(document);
    if !capabilities.is_empty() {
        lines.extend([String::new(), styler.paint(Color::Title, "Capabilities")]);
    }
    for can in capabilities {
        let grade = if can.available { "good" } else { "warn" };
        lines.push(item(grade, &can.name, &can.detail, styler));
    }
    let (grade, verdict) = verdict(checks);
    lines.push(String::new());
    lines.extend(styler.paint_lines(mark(grade).1, wrap(&verdict, WIDTH, 0)));
    lines.join("\n") + "\n"
}

fn identity(host: &Host) -> String {
    let parts = [&host.hostname, &host.kernel, &host.cpu_model];
    let known: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
    if known.is_empty() { "Unknown host".to_owned() } else { known.join(", ") }
}

fn item(grade: &str, subject: &str, text: &str, styler: Styler) -> String {
    let (mark, color) = mark(grade);
    let text = wrap(text, WIDTH - INDENT, 0).join(&format!("\n{:INDENT$}", ""));
    format!("  {} {subject:<SUBJECT$}{text}", styler.paint(color, mark))
}

fn verdict(checks: &[DoctorCheck]) -> (&'static str, String) {
    let count = |grade| checks.iter().filter(|check| check.grade == grade).count();
    match (count("bad"), count("warn"), count("note")) {
        (0, 0, 0) => ("good", "Fit to measure.".to_owned()),
        (0, 0, _) => ("good", "Fit to measure; note the items marked •.".to_owned()),
        (0, warn, _) => {
            let items = if warn == 1 { "item marked ! distorts" } else { "items marked ! distort" };
            let text =
                format!("Fit to measure with care: {warn} {items} figures; fix if possible.");
            ("warn", text)
        }
        _ => ("bad", "Not fit to measure: fix the items marked ✗ first.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Head;
    use crate::host::HostFacts;
    use crate::report::checks::host_checks::tests::good_host;
    use crate::report::checks::host_checks::{HostRequirements, check_host};
    use crate::report::{host, hostile, schema};

    #[test]
    fn checks_have_lines_fixes_and_a_verdict() {
        let shown = |facts: &HostFacts| {
            let checks = check_host(facts, HostRequirements::DEFAULT);
            let checks = checks.iter().map(Into::into).collect();
            let head = Head { host: host(facts), ..Head::default() };
            let document = DoctorDocument { head, checks, path: None };
            schema::read_back(&document, schema::DOCTOR);
            let page = hostile::page(&document);
            assert!(document.checks.iter().all(|check| page.contains(&check.subject)), "{page}");
            doctor(&document, Style { color: false, width: WIDTH, verbose: false })
        };
        let text = shown(&good_host());
        assert!(text.starts_with("bench, Linux 6.18.44, AMD EPYC\n\n  ✓ build "), "{text}");
        assert!(text.ends_with("\nFit to measure.\n"), "{text}");
        assert!(text.contains("\nCapabilities\n  ✓ plain           works\n"), "{text}");
        let limited = HostFacts {
            rmem_max: Some(212_992),
            virtualization: Some("KVM".into()),
            isolated_cpus: Some(vec![1]),
            container: Some("docker".into()),
            ..good_host()
        };
        let text = shown(&limited);
        for part in [
            "\n  ! receive buffer  net.core.rmem_max is 208 KiB, but 4 MiB are requested\n",
            "\n                    $ sysctl -w net.core.rmem_max=4194304\n",
            "\nFit to measure with care: 1 item marked ! distorts figures; fix if possible.\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let is_wide = |line: &&str| line.chars().count() > WIDTH && !line.contains("$ ");
        assert_eq!(text.lines().find(is_wide), None);
        assert!(text.lines().all(|line| line == line.trim_end()));
        let text = shown(&HostFacts::default());
        assert!(text.starts_with("Unknown host\n"));
        assert!(text.ends_with("\nFit to measure; note the items marked •.\n"), "{text}");
    }
}
