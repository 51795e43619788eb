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
#[must_use]
pub fn doctor(checks: &[HostCheck], host: &HostFacts, color: bool) -> String {
    let styler = Styler { color };
    let mut lines = vec![styler.paint(Color::Title, &identity(host)), String::new()];
    let indented = |color: Color, text: &str| " ".repeat(INDENT) + &styler.paint(color, text);
    for check in checks {
        lines.extend(item(check.grade, check.subject, &check.found, styler));
        let why = wrap(&check.why, WIDTH - INDENT, 0).into_iter().filter(|line| !line.is_empty());
        lines.extend(why.map(|line| indented(Color::Quiet, &line)));
        // Never broken: a command is there to be copied.
        lines.extend(check.fix.iter().map(|fix| indented(Color::Accent, &format!("$ {fix}"))));
    }
    if !host.capabilities.is_empty() {
        lines.extend([String::new(), styler.paint(Color::Title, "Capabilities")]);
    }
    for can in &host.capabilities {
        let grade = if can.available { Grade::Good } else { Grade::Warn };
        lines.extend(item(grade, &can.name, &can.detail, styler));
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

fn item(grade: Grade, subject: &str, text: &str, styler: Styler) -> Vec<String> {
    let (mark, color) = mark(grade);
    let mut lines = wrap(text, WIDTH - INDENT, 0);
    lines.iter_mut().skip(1).for_each(|line| line.insert_str(0, &" ".repeat(INDENT)));
    lines[0].insert_str(0, &format!("  {} {subject:<SUBJECT$}", styler.paint(color, mark)));
    lines
}

fn verdict(checks: &[HostCheck]) -> (Grade, String) {
    let count = |grade| checks.iter().filter(|check| check.grade == grade).count();
    let distort = |count| match count {
        1 => "1 item marked ! distorts".to_owned(),
        count => format!("{count} items marked ! distort"),
    };
    match (count(Grade::Bad), count(Grade::Warn), count(Grade::Note)) {
        (1.., _, _) => (Grade::Bad, "Not fit to measure: fix the items marked ✗ first.".to_owned()),
        (0, warn @ 1.., _) => {
            let care = "Fit to measure with care:";
            (Grade::Warn, format!("{care} {} figures; fix if possible.", distort(warn)))
        }
        (0, 0, 1..) => (Grade::Good, "Fit to measure; note the items marked •.".to_owned()),
        (0, 0, 0) => (Grade::Good, "Fit to measure.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::checks::host_checks::tests::good_host;
    use crate::report::checks::host_checks::{HostRequirements, check_host};

    fn shown(host: &HostFacts, color: bool) -> String {
        doctor(&check_host(host, HostRequirements::default()), host, color)
    }

    #[test]
    fn each_check_has_a_line_and_a_fix() {
        let text = shown(&good_host(), false);
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
        let text = shown(&limited, false);
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
        let colored = shown(&limited, true);
        assert!(colored.contains('\u{1b}') && !text.contains('\u{1b}'));
        assert_eq!(anstream::adapter::strip_str(&colored).to_string(), text);
        for check in check_host(&limited, HostRequirements::default()) {
            assert!(check.subject.chars().count() + 2 <= SUBJECT, "{}", check.subject);
        }
        let text = shown(&HostFacts::default(), false);
        assert!(text.starts_with("Unknown host\n"));
        assert!(text.ends_with("\nFit to measure; note the items marked •.\n"), "{text}");
    }
}
