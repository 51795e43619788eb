//! `udperf explain`.

use crate::cli::args::ExplainArgs;
use crate::cli::error::{CliError, EXITS, Exit};
use crate::cli::output::print;
use crate::report::checks::topics::{Topic, topics};
use crate::report::format::text::wrap;

/// Columns of the text. Arbitrary: what every terminal has.
const WIDTH: usize = 80;

/// Columns before the long text. Arbitrary.
const INDENT: usize = 2;

/// Prints the long text of each name, or all names in short.
pub(crate) fn run(args: &ExplainArgs) -> Result<Exit, CliError> {
    if args.names.is_empty() {
        return print(&short());
    }
    let texts: Result<Vec<_>, _> = args.names.iter().map(|name| long(name)).collect();
    print(&texts?.join("\n"))
}

fn all() -> Vec<Topic> {
    let exits = EXITS.iter().map(|(exit, title, text)| Topic {
        kind: "exit code",
        name: exit.code().to_string(),
        title,
        text: (*text).to_owned(),
    });
    topics().into_iter().chain(exits).collect()
}

/// A line for each topic, by kind.
fn short() -> String {
    let mut out = String::new();
    let mut kind = "";
    for topic in all() {
        if topic.kind != kind {
            let blank = if kind.is_empty() { "" } else { "\n" };
            kind = topic.kind;
            out += &format!("{blank}{kind}:\n");
        }
        out += &format!("  {:<22} {}\n", topic.name, topic.title);
    }
    out
}

fn long(name: &str) -> Result<String, CliError> {
    let wanted = name.strip_prefix("sink_").unwrap_or(name).to_lowercase();
    if wanted.trim().is_empty() {
        return Ok(short());
    }
    let found = |topic: &Topic| topic.name.to_lowercase() == wanted;
    let texts: Vec<_> = all().into_iter().filter(found).map(|topic| page(&topic)).collect();
    if !texts.is_empty() {
        return Ok(texts.join("\n"));
    }
    let mut near: Vec<(f64, String)> = all()
        .into_iter()
        .map(|topic| (strsim::jaro(&wanted, &topic.name), topic.name))
        .filter(|(likeness, name)| *likeness > NEAR || name.contains(&wanted))
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.truncate(3);
    let names: Vec<_> = near.into_iter().map(|(_, name)| name).collect();
    let hint = match names.is_empty() {
        true => "`udperf explain` lists all names".to_owned(),
        false => format!("did you mean {}?", names.join(", ")),
    };
    let cut = if name.chars().nth(WIDTH).is_some() { "…" } else { "" };
    let name: String = name.chars().take(WIDTH).collect();
    Err(CliError::Contradiction(format!("cannot explain '{name}{cut}': unknown name; {hint}")))
}

/// Likeness from which a name is suggested, arbitrary: as clap does.
const NEAR: f64 = 0.7;

fn page(topic: &Topic) -> String {
    let title = format!("{} {}: {}\n", topic.kind, topic.name, topic.title);
    let lines = wrap(&topic.text, WIDTH - INDENT, 0);
    lines.iter().fold(title, |page, line| format!("{page}{:INDENT$}{line}\n", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manual() -> String {
        let mut out = "# Explanations\n\nWhat `udperf explain NAME` prints. Generated: run \
                       `UDPERF_UPDATE_DOCS=1 cargo test --lib explain` after a change.\n"
            .to_owned();
        let mut kind = "";
        for topic in all() {
            if topic.kind != kind {
                kind = topic.kind;
                out += &format!("\n## {}{}s\n", kind[..1].to_uppercase(), &kind[1..]);
            }
            out += &format!("\n### {}\n\n**{}**\n\n{}\n", topic.name, topic.title, topic.text);
        }
        out
    }

    #[test]
    fn the_manual_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/explain.md");
        if std::env::var_os("UDPERF_UPDATE_DOCS").is_some() {
            std::fs::write(path, manual()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), manual());
    }

    #[test]
    fn names_are_explained_and_unknown_ones_get_suggestions() {
        assert!(long("receive_buffer_loss").unwrap().contains("--socket-buffer"));
        assert!(long("sink_busy_host").unwrap().starts_with("warning busy_host: "));
        assert!(long("CPU TX/RX").unwrap().starts_with("column CPU tx/rx: "));
        assert!(long("5").unwrap().starts_with("exit code 5: "));
        for (asked, meant) in [("recieve_buffer_loss", "receive_buffer_loss"), ("stall", "stalls")]
        {
            let error = long(asked).unwrap_err().to_string();
            assert!(error.contains("did you mean") && error.contains(meant), "{error}");
        }
        assert_eq!([long("").unwrap(), long(" ").unwrap()], [short(), short()]);
        assert!(long(&"x".repeat(100_000)).unwrap_err().to_string().len() < 200);
        assert!(long("§").unwrap_err().to_string().contains("lists all names"));
    }

    #[test]
    fn all_names_are_listed() {
        let text = short();
        assert!(all().iter().all(|topic| text.contains(topic.title)));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
