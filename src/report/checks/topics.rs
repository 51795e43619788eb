//! Explanations of warning codes, reasons of invalid runs, table columns and drop locations.

use crate::report::checks::warning_codes;

pub(crate) struct Topic {
    /// What it is: `warning`, `invalid reason`, `column`, `place` or `exit code`.
    pub kind: &'static str,
    pub name: String,
    pub title: &'static str,
    pub text: String,
}

macro_rules! rows {
    ($list:ident; $($name:literal $title:literal, $text:literal;)*) => {
        const $list: &[(&str, &str, &str)] = &[$(($name, $title, $text)),*];
    };
}

// Columns of the table: title, meaning, long text.
rows! { COLUMNS;
    "bytes" "payload bytes of a datagram", "Without headers. A mix of sizes has its name.";
    "engine" "how datagrams were sent and received", "As TX/RX where the two differ.";
    "asked" "the requested rate", "`max`, a rate, or a share of what max delivered.";
    "way" "direction of a blast", "→ is forward, from here to the sink; ← is reverse.";
    "delivered" "unique datagrams received per second",
        "Datagrams that were due in the window, over the window. † marks datagrams that stayed in \
         super-packets from end to end; see segments_never_cut.";
    "sent" "datagrams sent per second", "Shown where the receiving side is not known.";
    "answered/s" "requests answered per second", "Replies that match a request in time.";
    "±" "spread of the trials", "Half the range of the trials, over their median.";
    "Gbit/s" "payload bits per second", "Of delivered datagrams, without headers.";
    "lost" "share of sent datagrams that were not received",
        "The line `ledger` has the places. Above latency columns it is that of the paced cell.";
    "no reply" "share of requests without a reply in time", "Timeouts over requests.";
    "errors" "share of answers that are errors",
        "Of the protocol, or by --error and --expect; the line `ledger` has their names.";
    "missed" "share of the schedule that was never sent",
        "Due times long past when the generator reached them; they are never sent in a burst.";
    "CPU tx/rx" "CPU use of senders and receivers", "100 % is one CPU. `–` is unknown.";
    "CPU" "CPU use of the workers", "100 % is one CPU.";
    "server CPU" "CPU use of the server's processes",
        "Of --server-pid or --server-unit; 100 % is one CPU. The line `server` has their threads, \
         memory and drops.";
    "p50" "median latency",
        "From the time a datagram was due until it, or its reply, was received. ∞: it falls among \
         lost datagrams. <20 µs is an upper limit: two clocks are known only within a bound.";
    "p99" "99th percentile of the latency", "One in 100 datagrams was slower. See p50.";
    "p99.9" "99.9th percentile of the latency", "One in 1000 was slower. See p50.";
    "max" "longest latency", "* marks a maximum that includes stalls; see stalls.";
}

// Places of the ledger: name in the document, meaning, long text.
rows! { PLACES;
    "receive_buffer" "dropped at the receiver's full socket buffer",
        "The receiver did not read fast enough. From sk_drops (SO_MEMINFO); exact.";
    "backlog" "dropped at the full backlog queue of a CPU",
        "From /proc/net/softnet_stat. See netdev_max_backlog.";
    "device" "dropped by the receiver's network device",
        "From rx_dropped in /proc/net/dev, without the drops of a full backlog.";
    "qdisc" "dropped by the sender's queueing discipline",
        "From the statistics of the qdiscs (rtnetlink), without refused sends.";
    "tx_device" "dropped by the sender's network device",
        "From tx_dropped in /proc/net/dev, without refused sends.";
    "checksum" "dropped for a wrong checksum", "From InCsumErrors in /proc/net/snmp and snmp6.";
    "no_port" "arrived where no socket was bound", "From NoPorts in /proc/net/snmp and snmp6.";
    "rx_ip" "dropped by the receiver's IP layer",
        "From InHdrErrors, InAddrErrors, InDiscards and InNoRoutes in /proc/net/snmp, snmp6 and \
         netstat, and IPReversePathFilter in netstat.";
    "reassembly" "fragments were missing",
        "From ReasmFails (/proc/net/snmp, snmp6) and FRAG (sockstat, sockstat6); estimated.";
    "tx_ip" "dropped by the sender's IP layer",
        "From OutDiscards, FragFails and OutNoRoutes in /proc/net/snmp and snmp6.";
    "neighbour" "the next hop's address was not resolved",
        "ARP or neighbour discovery got no answer (neighbour state, rtnetlink); estimated.";
    "xdp_ring" "dropped at a ring of the engine xdp",
        "The receiver, or the thread that a reply was passed to, did not read fast enough, or a \
         frame of the sender was rejected. From XDP_STATISTICS and udperf's own count; exact.";
    "refused" "the system refused the send",
        "would_block (EAGAIN), no_buffers (ENOBUFS), unreachable, too_big (EMSGSIZE), other. A \
         refused datagram was not sent and is not lost: attempted = sent + refused.";
}

pub(crate) fn topics() -> Vec<Topic> {
    let warnings = warning_codes::all().map(|code| {
        let text = format!("Severity: {}. {}", code.severity.word(), code.text);
        ("warning", code.name, code.title, text)
    });
    let reasons = warning_codes::INVALID.iter();
    let reasons = reasons.map(|one| ("invalid reason", one.name, one.title, one.text.to_owned()));
    let rows = [("column", COLUMNS), ("place", PLACES)].into_iter().flat_map(|(kind, rows)| {
        rows.iter().map(move |&(name, title, text)| (kind, name, title, text.to_owned()))
    });
    let all = warnings.chain(reasons).chain(rows);
    all.map(|(kind, name, title, text)| Topic { kind, name: name.to_owned(), title, text })
        .collect()
}
