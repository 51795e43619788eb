//! Reads the command line: optional values after a space, and pointers for flags of other tools.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{Arg, Command as Program, CommandFactory, Parser};

use super::Cli;

/// Flags of iperf3 and dnsperf that udperf lacks, with the flag or command to use. From iperf3(1)
/// and dnsperf(1).
const HABITS: [(&str, &str); 10] = [
    ("-s", "udperf has no -s: use `udperf sink` to receive, or name the server as TARGET of load"),
    ("-c", "udperf has no -c: use `udperf blast HOST`; clients of dnsperf are --streams"),
    ("-i", "udperf has no -i: each cell is one interval; use a short --time and --trials"),
    ("-u", "udperf has no -u: it always uses UDP"),
    ("-O", "udperf has no -O: use --warmup DUR"),
    ("-A", "udperf has no -A: use --pin TX:RX"),
    ("--cport", "udperf has no --cport: use --port-range A-B"),
    ("-Z", "udperf has no -Z: choose a way of sending by --engine, such as gso/batch"),
    ("-V", "udperf has no -V here: all details are in the document (--json)"),
    ("-d", "udperf has no -d: use --preset dns --names FILE (dnsperf), or --bidir (iperf2)"),
];

/// Parses the arguments of this process; exits with code 2 if they are wrong.
pub(crate) fn parse() -> Cli {
    let words: Vec<OsString> = std::env::args_os().collect();
    try_parse(&words).unwrap_or_else(|error| error.exit())
}

/// Parses these words. If they are wrong as typed, `--flag WORD` is read as `--flag=WORD` for flags
/// with an optional value, the last one first, so that no other argument becomes a file.
fn try_parse(words: &[OsString]) -> Result<Cli, Error> {
    let error = match Cli::try_parse_from(words) {
        Err(error) if error.use_stderr() => error,
        done => return done,
    };
    let mut joined = words.to_vec();
    for at in optional_values(words) {
        let value = joined.remove(at);
        joined[at - 1].push("=");
        joined[at - 1].push(value);
        if let Ok(cli) = Cli::try_parse_from(&joined) {
            return Ok(cli);
        }
    }
    Err(with_pointer(error))
}

/// Where words follow a flag with an optional value, and may be that value; the last one first.
fn optional_values(words: &[OsString]) -> Vec<usize> {
    let program = Cli::command();
    let command = words.iter().find_map(|word| program.find_subcommand(word));
    let args = command.into_iter().flat_map(Program::get_arguments);
    let optional = args.filter(|arg| arg.is_require_equals_set()).filter_map(Arg::get_long);
    let flags: Vec<_> = optional.map(|long| format!("--{long}")).collect();
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let is_value = |word: &OsString| word == "-" || !word.to_string_lossy().starts_with('-');
    let has_flag = |at: &usize| flags.iter().any(|flag| words[at - 1] == flag.as_str());
    (1..end).rev().filter(has_flag).filter(|at| is_value(&words[*at])).collect()
}

fn with_pointer(mut error: Error) -> Error {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return error;
    };
    if let Some((_, tip)) = HABITS.iter().find(|(habit, _)| flag == habit) {
        let tips = vec![(*tip).into()];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Command;
    use super::*;

    fn parsed(words: &str) -> Result<Command, Error> {
        let words = ["udperf"].into_iter().chain(words.split(' '));
        try_parse(&words.map(Into::into).collect::<Vec<_>>()).map(|cli| cli.command)
    }

    #[test]
    fn optional_values_may_follow_a_space() {
        for (words, json, markdown) in [
            ("bench --json o.json", "o.json", None),
            ("bench --json", "-", None),
            ("bench --json -", "-", None),
            ("bench --json --quiet", "-", None),
            ("bench --json o.json --markdown - -q", "o.json", Some("-")),
            ("blast --json lab7", "-", None),
            ("blast lab7 --json", "-", None),
            ("blast lab7 --json o.json", "o.json", None),
            ("blast --json o.json lab7", "o.json", None),
        ] {
            let Ok(Command::Measure(command)) = parsed(words) else { panic!("{words}") };
            let output = &command.cells().output;
            assert_eq!(output.common.json.as_deref(), Some(Path::new(json)), "{words}");
            assert_eq!(output.markdown.as_deref(), markdown.map(Path::new), "{words}");
        }
        assert!(parsed("bench -J o.json").is_err(), "-J takes no word, as in iperf3");
        assert!(parsed("--json bench").is_err());
        let Ok(Command::Report(args)) = parsed("report --json a.json b.json") else { panic!() };
        assert_eq!(args.files.len(), 2, "neither is overwritten");
    }

    #[test]
    fn flags_of_other_tools_get_a_pointer() {
        for (words, tip) in [
            ("-s", "udperf sink"),
            ("blast lab7 -i 1", "--trials"),
            ("blast lab7 --cport 9", "--port-range"),
            ("load lab7 -d q.txt", "--names"),
            ("blast lab7 -b 0", "--rate max"),
            ("blast lab7 -b 1G/32", "--rate 1Gbit --pace burst:32"),
        ] {
            let error = parsed(words).unwrap_err().to_string();
            assert!(error.contains(tip), "{words}: {error}");
        }
    }
}
