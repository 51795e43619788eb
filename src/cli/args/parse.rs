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

/// The most words after flags with an optional value that are tried; arbitrary.
const MOST_PAIRS: usize = 4;

/// Parses the arguments of this process; exits with code 2 if they are wrong.
pub(crate) fn parse() -> Cli {
    let words: Vec<OsString> = std::env::args_os().collect();
    try_parse(&words).unwrap_or_else(|error| error.exit())
}

/// Parses these words. If they are wrong as typed, `--flag WORD` is read as `--flag=WORD` for flags
/// with an optional value, so that no word that is an argument already becomes a file.
fn try_parse(words: &[OsString]) -> Result<Cli, Error> {
    let error = match Cli::try_parse_from(words) {
        Err(error) if error.use_stderr() => error,
        done => return done,
    };
    let pairs = optional_pairs(words);
    let joined = (1_usize..1 << pairs.len()).find_map(|mask| {
        let chosen = pairs.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
        let chosen: Vec<usize> = chosen.map(|(_, at)| *at).collect();
        Cli::try_parse_from(join(words, &chosen)).ok()
    });
    joined.ok_or_else(|| with_pointer(error))
}

/// Where a flag with an optional value precedes a word that may be its value; the last one first.
fn optional_pairs(words: &[OsString]) -> Vec<usize> {
    let program = Cli::command();
    let command = words.iter().find_map(|word| program.find_subcommand(word));
    let is_optional = |arg: &Arg| arg.is_require_equals_set();
    let names = |command: &Program| -> Vec<String> {
        let args = command.get_arguments().filter(|arg| is_optional(arg));
        args.filter_map(|arg| arg.get_long().map(|long| format!("--{long}"))).collect()
    };
    let flags = command.map(names).unwrap_or_default();
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let is_value = |word: &OsString| {
        let word = word.to_string_lossy();
        word == "-" || !word.starts_with('-')
    };
    let pairs = (1..end).rev().filter(|&at| {
        is_value(&words[at]) && flags.iter().any(|flag| words[at - 1] == flag.as_str())
    });
    pairs.map(|at| at - 1).take(MOST_PAIRS).collect()
}

/// These words, where the flags at these places have the word after them as their value.
fn join(words: &[OsString], flags: &[usize]) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::with_capacity(words.len());
    for (at, word) in words.iter().enumerate() {
        match joined.last_mut().filter(|_| at > 0 && flags.contains(&(at - 1))) {
            Some(flag) => {
                flag.push("=");
                flag.push(word);
            }
            None => joined.push(word.clone()),
        }
    }
    joined
}

/// The error with a pointer, if a flag of another tool caused it.
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
        let words: Vec<OsString> = words.split(' ').map(Into::into).collect();
        try_parse(&words).map(|cli| cli.command)
    }

    #[test]
    fn optional_values_may_follow_a_space() {
        let bench = |words: &str| {
            let Ok(Command::Bench(args)) = parsed(words) else { panic!("{words}") };
            let path = |path: Option<std::path::PathBuf>| path.unwrap_or_default();
            let (output, is_quiet) = (&args.cells.output, args.cells.output.common.quiet);
            (path(output.common.json.clone()), path(output.markdown.clone()), is_quiet)
        };
        let [none, dash, file] = ["", "-", "o.json"].map(|path| Path::new(path).to_owned());
        assert_eq!(bench("udperf bench --json o.json"), (file.clone(), none.clone(), false));
        assert_eq!(bench("udperf bench --json"), (dash.clone(), none.clone(), false));
        assert_eq!(bench("udperf bench --json -"), (dash.clone(), none.clone(), false));
        assert_eq!(bench("udperf bench --json --quiet"), (dash.clone(), none, true));
        let both = bench("udperf bench --json o.json --markdown - -q");
        assert_eq!(both, (file, dash, true));
        assert!(parsed("udperf bench -J o.json").is_err(), "-J takes no word, as in iperf3");
        assert!(parsed("udperf --json bench").is_err());
    }

    #[test]
    fn no_target_becomes_a_file() {
        for (words, target, json) in [
            ("udperf blast --json lab7", "lab7", "-"),
            ("udperf blast lab7 --json", "lab7", "-"),
            ("udperf blast lab7 --json o.json", "lab7", "o.json"),
            ("udperf blast --json o.json lab7", "lab7", "o.json"),
        ] {
            let Ok(Command::Blast(args)) = parsed(words) else { panic!("{words}") };
            assert_eq!(args.target, target, "{words}");
            assert_eq!(args.cells.output.common.json.as_deref(), Some(Path::new(json)), "{words}");
        }
        // Both were documents to read before: neither is overwritten.
        let Ok(Command::Report(args)) = parsed("udperf report --json a.json b.json") else {
            panic!("two files")
        };
        assert_eq!(args.files.len(), 2);
        assert_eq!(args.output.common.json.as_deref(), Some(Path::new("-")));
    }

    #[test]
    fn flags_of_other_tools_get_a_pointer() {
        for (words, tip) in [
            ("udperf -s", "udperf sink"),
            ("udperf -c lab7", "udperf blast HOST"),
            ("udperf blast lab7 -i 1", "--trials"),
            ("udperf blast lab7 -u", "always uses UDP"),
            ("udperf blast lab7 -O 2", "--warmup"),
            ("udperf blast lab7 -A 1", "--pin"),
            ("udperf blast lab7 --cport 9", "--port-range"),
            ("udperf blast lab7 -Z", "--engine"),
            ("udperf blast lab7 -V", "--json"),
            ("udperf load lab7 -d q.txt", "--names"),
            ("udperf blast lab7 -b 0", "--rate max"),
            ("udperf blast lab7 -b 1G/32", "--rate 1Gbit --pace burst:32"),
        ] {
            let error = parsed(words).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(tip), "{words}: {error}");
        }
    }
}
