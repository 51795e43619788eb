//! Flags of other tools that udperf lacks.

/// Their spellings, and what to use. From iperf3(1), iperf(1) and dnsperf(1).
const HABITS: &[(&[&str], &str)] = &[
    (&["-i"], "it is a flag of commands that measure, sink and echo"),
    (&["-s", "--server"], "use `udperf sink` to receive, or name the server as TARGET of load"),
    (&["-c", "--client"], "use `udperf blast HOST`; clients of dnsperf are --streams"),
    (&["-u", "--udp"], "it always uses UDP"),
    (&["-O", "--omit"], "use --warmup DUR"),
    (&["-A", "--affinity"], "use --pin TX:RX"),
    (&["-R"], "it is a flag of blast: `udperf blast HOST --reverse`"),
    (&["-b", "--bitrate", "--bandwidth"], "use --rate, or -b of commands that measure"),
    (&["-P", "--parallel", "--nstreams"], "use --streams N of commands that measure"),
    (&["-l", "--length", "--len"], "use --size BYTES"),
    (&["-n", "-k", "--bytes", "--blockcount", "--num"], "use --count DATAGRAMS"),
    (&["-w", "--window"], "use --socket-buffer SIZE"),
    (&["-S", "--tos"], "use --dscp"),
    (
        &["-f", "--format"],
        "units follow the size of a figure; the document (--json) has plain ones",
    ),
    (&["-V"], "all details are in the document (--json)"),
    (
        &["-J", "--json-stream"],
        "use --json for the document, or --events for what happens meanwhile",
    ),
    (&["-1", "--one-off"], "use `udperf sink --once`"),
    (&["-D", "--daemon"], "use a service manager, or `udperf sink … &`"),
    (&["-I", "--pidfile"], "use the shell's $! after `udperf sink … &`"),
    (&["-F", "--file"], "payloads from a file are of load: --file, --lines or --pcap"),
    (&["-T", "--title"], "use --threads N for threads (dnsperf); a run has no title"),
    (&["-Z", "--zerocopy"], "choose a way of sending by --engine, such as gso/batch"),
    (&["-C", "-M", "-N", "--congestion", "--set-mss", "--no-delay"], "that is of TCP"),
    (&["--sctp", "--mptcp", "-m"], "it always uses UDP"),
    (&["--cport"], "use --port-range A-B"),
    (&["--logfile"], "write the document to a file by --json=FILE"),
    (&["--get-server-output"], "the report of blast has both ends; `udperf sink` prints its own"),
    (
        &["--connect-timeout", "--rcv-timeout", "--snd-timeout"],
        "blast gives up a silent sink itself",
    ),
    (&["--udp-counters-64bit"], "all counters have 64 bits"),
    (&["--gsro"], "use -e offload"),
    (&["--dont-fragment"], "use --df"),
    (&["--bind-dev"], "use --dev DEV"),
    (&["--full-duplex"], "use --bidir of blast"),
    (&["--trip-times"], "one-way latency is always measured"),
    (&["--histograms"], "use --hdr FILE or --html FILE"),
    (&["-d", "--dualtest"], "use --preset dns --names FILE (dnsperf), or --bidir (iperf2)"),
    (&["-Q"], "use --rate"),
    (&["-q"], "use --outstanding N (dnsperf)"),
];

/// What to use in place of a flag of another tool.
pub(super) fn pointer(flag: &str) -> Option<String> {
    let (_, advice) = HABITS.iter().find(|(flags, _)| flags.contains(&flag))?;
    Some(format!("udperf has no {flag} here: {advice}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn each_spelling_is_once_and_names_flags_that_exist() {
        let mut flags: Vec<_> = HABITS.iter().flat_map(|(flags, _)| *flags).collect();
        let count = flags.len();
        flags.sort_unstable();
        flags.dedup();
        assert_eq!(flags.len(), count);
        let program = Cli::command();
        let all: Vec<_> =
            program.get_subcommands().flat_map(clap::Command::get_arguments).collect();
        for (_, advice) in HABITS {
            let words = advice.split([' ', ',', '`', ';', ':', '(', ')', '=']);
            for long in words.filter_map(|word| word.strip_prefix("--")) {
                assert!(all.iter().any(|arg| arg.get_long() == Some(long)), "{advice}");
            }
        }
    }
}
