//! The text of `doctor`: what this host does to measurements, and how to fix it.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::host::HostFacts;
use crate::report::checks::host_checks::{Grade, HostCheck};

/// Columns of the text. Arbitrary: what every terminal has.
const WIDTH: usize = 80;

/// Columns of what was looked at: the longest subject and two blanks.
const SUBJECT: usize = 16;

/// Columns before the text of a finding: indent, mark, blank, subject.
const INDENT: usize = 4 + SUBJECT;

/// How it is painted; all plain where there are no colours.
#[derive(Debug, Clone, Copy, Default)]
struct Paint {
    good: Style,
    note: Style,
    warn: Style,
    bad: Style,
    title: Style,
    faint: Style,
    command: Style,
}

impl Paint {
    fn new(color: bool) -> Self {
        if !color {
            return Self::default();
        }
        let ink = |color: AnsiColor| color.on_default();
        Self {
            good: ink(AnsiColor::Green),
            note: ink(AnsiColor::Blue),
            warn: ink(AnsiColor::Yellow).bold(),
            bad: ink(AnsiColor::Red).bold(),
            title: Style::new().bold(),
            faint: Style::new().dimmed(),
            command: ink(AnsiColor::Cyan),
        }
    }

    const fn of(&self, grade: Grade) -> Style {
        match grade {
            Grade::Good => self.good,
            Grade::Note => self.note,
            Grade::Warn => self.warn,
            Grade::Bad => self.bad,
        }
    }
}

const fn mark(grade: Grade) -> char {
    match grade {
        Grade::Good => '✓',
        Grade::Note => '•',
        Grade::Warn => '!',
        Grade::Bad => '✗',
    }
}

/// The whole report: who this is, each finding, what there is, one verdict.
#[must_use]
pub fn render(findings: &[HostCheck], host: &HostFacts, color: bool) -> String {
    let paint = Paint::new(color);
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_all(&mut out, findings, host, &paint);
    out
}

fn write_all(
    out: &mut String,
    findings: &[HostCheck],
    host: &HostFacts,
    paint: &Paint,
) -> fmt::Result {
    let title = paint.title;
    writeln!(out, "{title}{}{title:#}", identity(host))?;
    writeln!(out)?;
    for finding in findings {
        write_finding(out, finding, paint)?;
    }
    if !host.capabilities.is_empty() {
        writeln!(out, "\n{title}What works here{title:#}")?;
    }
    for can in &host.capabilities {
        let grade = if can.available { Grade::Good } else { Grade::Warn };
        write_line(out, grade, &can.name, &can.detail, paint)?;
    }
    let (grade, verdict) = verdict(findings);
    let style = paint.of(grade);
    writeln!(out)?;
    for line in wrap(&verdict, WIDTH) {
        writeln!(out, "{style}{line}{style:#}")?;
    }
    Ok(())
}

/// Who this is, as far as it is known.
fn identity(host: &HostFacts) -> String {
    let parts = [&host.hostname, &host.kernel, &host.cpu_model];
    let known: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
    if known.is_empty() { "This host does not tell who it is".to_owned() } else { known.join(", ") }
}

fn write_finding(out: &mut String, finding: &HostCheck, paint: &Paint) -> fmt::Result {
    write_line(out, finding.grade, &finding.subject, &finding.found, paint)?;
    let faint = paint.faint;
    for line in wrap(&finding.why, WIDTH - INDENT) {
        writeln!(out, "{:INDENT$}{faint}{line}{faint:#}", "")?;
    }
    if let Some(mend) = &finding.mend {
        // Never broken: a command is there to be copied.
        let command = paint.command;
        writeln!(out, "{:INDENT$}{command}$ {mend}{command:#}", "")?;
    }
    Ok(())
}

/// A mark, what was looked at, and how it is.
fn write_line(
    out: &mut String,
    grade: Grade,
    subject: &str,
    text: &str,
    paint: &Paint,
) -> fmt::Result {
    let (style, mark) = (paint.of(grade), mark(grade));
    write!(out, "  {style}{mark}{style:#} {subject:<SUBJECT$}")?;
    let mut lines = wrap(text, WIDTH - INDENT).into_iter();
    writeln!(out, "{}", lines.next().unwrap_or_default())?;
    for line in lines {
        writeln!(out, "{:INDENT$}{line}", "")?;
    }
    Ok(())
}

/// What all of it comes to.
fn verdict(findings: &[HostCheck]) -> (Grade, String) {
    let count = |grade| findings.iter().filter(|found| found.grade == grade).count();
    let (bad, warn, note) = (count(Grade::Bad), count(Grade::Warn), count(Grade::Note));
    let distort = |count| match count {
        1 => "1 thing marked ! distorts".to_owned(),
        count => format!("{count} things marked ! distort"),
    };
    match (bad, warn, note) {
        (1.., _, _) => {
            (Grade::Bad, "Not fit to measure with: mend what is marked ✗ first.".to_owned())
        }
        (0, 1.., _) => (
            Grade::Warn,
            format!("Fit to measure with care: {} figures; mend what can be.", distort(warn)),
        ),
        (0, 0, 1..) => (Grade::Good, "Fit to measure; keep in mind what is marked •.".to_owned()),
        (0, 0, 0) => (Grade::Good, "Fit to measure.".to_owned()),
    }
}

/// Breaks text between words, no line wider than `width` unless a single word is.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::checks::host_checks::tests::good_host;
    use crate::report::checks::host_checks::{HostRequirements, check_host};

    fn troubled() -> HostFacts {
        HostFacts { rmem_max: Some(212_992), virtualization: Some("KVM".into()), ..good_host() }
    }

    fn shown(host: &HostFacts, color: bool) -> String {
        render(&check_host(host, HostRequirements::default()), host, color)
    }

    #[test]
    fn a_good_host_is_told_so() {
        let text = shown(&good_host(), false);
        assert!(text.starts_with("bench, Linux 6.18.44, AMD EPYC\n\n  ✓ build "), "{text}");
        assert!(text.ends_with("\nFit to measure.\n"), "{text}");
        assert!(text.contains("\nWhat works here\n  ✓ plain           works\n"), "{text}");
    }

    #[test]
    fn what_is_wrong_comes_with_its_command() {
        let text = shown(&troubled(), false);
        assert!(
            text.contains(
                "\n  ! receive buffer  net.core.rmem_max is 208 KiB, and 4 MiB are asked for\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("\n                    $ sysctl -w net.core.rmem_max=4194304\n"),
            "{text}"
        );
        assert!(
            text.ends_with(
                "\nFit to measure with care: 1 thing marked ! distorts figures; mend what can be.\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn lines_are_narrow_and_plain_without_colour() {
        let text = shown(&troubled(), false);
        assert!(!text.contains('\u{1b}'));
        let wide: Vec<_> = text
            .lines()
            .filter(|line| line.chars().count() > WIDTH && !line.contains("$ "))
            .collect();
        assert_eq!(wide, [""; 0]);
        assert!(text.lines().all(|line| line == line.trim_end()));
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let text = shown(&troubled(), true);
        assert!(text.contains('\u{1b}'));
        let mut stripped = String::new();
        for (i, part) in text.split('\u{1b}').enumerate() {
            let rest = if i == 0 { part } else { part.split_once('m').unwrap().1 };
            stripped.push_str(rest);
        }
        assert_eq!(stripped, shown(&troubled(), false));
    }

    #[test]
    fn subjects_fit_their_column() {
        let mut host = troubled();
        host.isolated_cpus = Some(vec![1]);
        host.container = Some("docker".into());
        for finding in check_host(&host, HostRequirements::default()) {
            assert!(finding.subject.chars().count() + 2 <= SUBJECT, "{}", finding.subject);
        }
    }

    #[test]
    fn an_unknown_host_has_a_face_too() {
        let text = shown(&HostFacts::default(), false);
        assert!(text.starts_with("This host does not tell who it is\n"));
        assert!(text.ends_with("\nFit to measure; keep in mind what is marked •.\n"), "{text}");
    }
}
