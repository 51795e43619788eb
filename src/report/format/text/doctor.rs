//! The text of `doctor`: what this host does to measurements, and how to fix it.

use super::style::{Color, Styler, wrap};
use crate::host::HostFacts;
use crate::report::checks::host_checks::{Grade, HostCheck};

/// Columns of the text. Arbitrary: what every terminal has.
const WIDTH: usize = 80;

/// Columns of the subject: the longest one and two blanks.
const SUBJECT: usize = 16;

/// Columns before the text of a check: indent, mark, blank, subject.
const INDENT: usize = 4 + SUBJECT;

const fn mark(grade: Grade) -> (&'static str, Color) {
    match grade {
        Grade::Good => ("✓", Color::Good),
        Grade::Note => ("•", Color::Note),
        Grade::Warn => ("!", Color::Warning),
        Grade::Bad => ("✗", Color::Bad),
    }
}

/// The whole report: the host, each check, its capabilities, one verdict.
pub(crate) fn doctor(checks: &[HostCheck], host: &HostFacts, color: bool) -> String {
    let styler = Styler { color };
    let mut lines = vec![styler.paint(Color::Title, &identity(host)), String::new()];
    let indented = |color: Color, text: &str| " ".repeat(INDENT) + &styler.paint(color, text);
    for check in checks {
        lines.push(item(check.grade, check.subject, &check.found, styler));
        if check.grade > Grade::Good {
            let effect = wrap(check.code.text, WIDTH - INDENT, 0);
            lines.extend(effect.iter().map(|line| indented(Color::Quiet, line)));
        }
        // Not wrapped, so that commands can be copied.
        lines.extend(check.fix.iter().map(|fix| indented(Color::Accent, &format!("$ {fix}"))));
    }
    if !host.capabilities.is_empty() {
        lines.extend([String::new(), styler.paint(Color::Title, "Capabilities")]);
    }
    for can in &host.capabilities {
        let grade = if can.available { Grade::Good } else { Grade::Warn };
        lines.push(item(grade, &can.name, &can.detail, styler));
    }
    let (grade, verdict) = verdict(checks);
    lines.push(String::new());
    lines.extend(styler.paint_lines(mark(grade).1, wrap(&verdict, WIDTH, 0)));
    lines.join("\n") + "\n"
}

fn identity(host: &HostFacts) -> String {
    let parts = [&host.hostname, &host.kernel, &host.cpu_model];
    let known: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
    if known.is_empty() { "Unknown host".to_owned() } else { known.join(", ") }
}

fn item(grade: Grade, subject: &str, text: &str, styler: Styler) -> String {
    let (mark, color) = mark(grade);
    let text = wrap(text, WIDTH - INDENT, 0).join(&format!("\n{:INDENT$}", ""));
    format!("  {} {subject:<SUBJECT$}{text}", styler.paint(color, mark))
}

fn verdict(checks: &[HostCheck]) -> (Grade, String) {
    let count = |grade| checks.iter().filter(|check| check.grade == grade).count();
    match (count(Grade::Bad), count(Grade::Warn), count(Grade::Note)) {
        (0, 0, 0) => (Grade::Good, "Fit to measure.".to_owned()),
        (0, 0, _) => (Grade::Good, "Fit to measure; note the items marked •.".to_owned()),
        (0, warn, _) => {
            let items = if warn == 1 { "item marked ! distorts" } else { "items marked ! distort" };
            let text =
                format!("Fit to measure with care: {warn} {items} figures; fix if possible.");
            (Grade::Warn, text)
        }
        _ => (Grade::Bad, "Not fit to measure: fix the items marked ✗ first.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::checks::host_checks::tests::good_host;
    use crate::report::checks::host_checks::{HostRequirements, check_host};

    #[test]
    fn checks_have_lines_fixes_and_a_verdict() {
        let shown =
            |host: &HostFacts| doctor(&check_host(host, HostRequirements::DEFAULT), host, false);
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
