//! Explanations of warning codes, reasons of invalid runs, table columns and drop locations.

use crate::report::checks::{validity, warning_codes};

/// Something that can be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// What it is: `warning`, `invalid reason`, `column`, `place` or `exit code`.
    pub kind: &'static str,
    /// Its name, as printed in reports.
    pub name: String,
    /// What it means, in a line.
    pub title: &'static str,
    /// The long text.
    pub text: String,
}

/// Codes of `invalid_because`: code, meaning, long text.
const REASONS: &[(&str, &str, &str)] = &[
    (
        validity::NOTHING_MEASURED,
        "the document has no cell",
        "The run ended before its first cell did. Run it again. The exit code is 5.",
    ),
    (
        validity::NOTHING_SENT,
        "nothing was sent",
        "The system refused every send, or every slot of the schedule was missed. The message has \
         the most frequent reason; `refused` of the ledger has all of them. The exit code is 5.",
    ),
    (
        validity::NOTHING_ARRIVED,
        "no datagram arrived",
        "Datagrams were sent and the receiver got none, although no error came back. Check the \
         address, the port and firewalls on the path; `lost_at` of the ledger has the places. The \
         exit code is 5.",
    ),
    (
        validity::NOTHING_ANSWERED,
        "no request was answered",
        "No reply came, or no reply matched a request. A late reply counts as an answer. Check the \
         address, the port, firewalls, --match, and that the server answers such requests. The \
         exit code is 5.",
    ),
    (
        validity::UNREACHABLE,
        "the target was unreachable throughout",
        "ICMP errors or the system reported the target as unreachable, and nothing arrived or was \
         answered. Check the address, the port and the route, and that the server runs. An outage \
         during a run that otherwise worked does not make it invalid. The exit code is 5.",
    ),
    (
        validity::SCHEDULE_MISSED,
        "more of the schedule was missed than --max-missed allows",
        "The load was lower than asked for, so loss and latency are those of a lower rate. Use a \
         lower --rate, more --threads or a host with idle cores; --max-missed sets the limit \
         (default 1 %). The exit code is 5 if it depends on the figures: --fail-if, search, \
         compare, ab.",
    ),
];

/// Columns of the table: title, meaning, long text.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("bytes", "payload bytes of a datagram", "Without headers. A mix of sizes has its name."),
    ("engine", "how datagrams were sent and received", "As TX/RX where the two differ."),
    ("asked", "the rate that was asked for", "`max`, a rate, or a share of what max delivered."),
    ("way", "direction of a blast", "→ is forward, from here to the sink; ← is reverse."),
    (
        "delivered",
        "unique datagrams received per second",
        "Datagrams that were due in the window, over the window. † marks datagrams that stayed in \
         super-packets from end to end; see segments_never_cut.",
    ),
    ("sent", "datagrams sent per second", "Shown where the receiving side is not known."),
    ("answered", "requests answered per second", "Replies that match a request in time."),
    ("±", "spread of the trials", "Half the range of the trials, over their median."),
    ("Gbit/s", "payload bits per second", "Of delivered datagrams, without headers."),
    (
        "lost",
        "share of sent datagrams that were not received",
        "The line `ledger` below the table has the places. Above latency columns it is the loss of \
         the paced cell.",
    ),
    ("no reply", "share of requests without a reply in time", "Timeouts over requests."),
    (
        "missed",
        "share of the schedule that was never sent",
        "Due times that were too far in the past when the generator reached them; they are never \
         sent in a burst.",
    ),
    ("CPU tx/rx", "CPU use of senders and receivers", "100 % is one CPU. `–` is unknown."),
    ("CPU", "CPU use of the workers", "100 % is one CPU."),
    (
        "p50",
        "median latency",
        "From the moment a datagram was due until it was received, or its reply. ∞ means that the \
         percentile falls among lost datagrams. <20 µs is an upper limit: two clocks are known \
         only within a bound.",
    ),
    ("p99", "99th percentile of the latency", "One in 100 datagrams was slower. See p50."),
    ("p99.9", "99.9th percentile of the latency", "One in 1000 was slower. See p50."),
    ("max", "longest latency", "* marks a maximum that includes stalls; see stalls."),
];

/// Places of the ledger: name in the document, meaning, long text.
const PLACES: &[(&str, &str, &str)] = &[
    (
        "receive_buffer",
        "dropped at the receiver's full socket buffer",
        "The receiver did not read fast enough. From sk_drops (SO_MEMINFO); exact.",
    ),
    (
        "backlog",
        "dropped at the full backlog queue of a CPU",
        "From /proc/net/softnet_stat. See netdev_max_backlog.",
    ),
    (
        "device",
        "dropped by the receiver's network device",
        "From rx_dropped in /proc/net/dev, without the drops of a full backlog.",
    ),
    (
        "qdisc",
        "dropped by the sender's queueing discipline",
        "From the statistics of the qdiscs (rtnetlink), without refused sends.",
    ),
    (
        "tx_device",
        "dropped by the sender's network device",
        "From tx_dropped in /proc/net/dev, without refused sends.",
    ),
    ("checksum", "dropped for a wrong checksum", "From InCsumErrors in /proc/net/snmp and snmp6."),
    ("no_port", "arrived where no socket was bound", "From NoPorts in /proc/net/snmp and snmp6."),
    (
        "rx_ip",
        "dropped by the receiver's IP layer",
        "From InHdrErrors, InAddrErrors, InDiscards and InNoRoutes in /proc/net/snmp, snmp6 and \
         netstat, and IPReversePathFilter in netstat.",
    ),
    (
        "reassembly",
        "fragments were missing",
        "From ReasmFails in /proc/net/snmp and snmp6, and FRAG in sockstat and sockstat6; \
         estimated.",
    ),
    (
        "tx_ip",
        "dropped by the sender's IP layer",
        "From OutDiscards, FragFails and OutNoRoutes in /proc/net/snmp and snmp6.",
    ),
    (
        "neighbour",
        "the next hop's address was not resolved",
        "ARP or neighbour discovery got no answer (neighbour state, rtnetlink); estimated.",
    ),
    (
        "refused",
        "the system refused the send",
        "would_block (EAGAIN), no_buffers (ENOBUFS), unreachable, too_big (EMSGSIZE), other. A \
         refused datagram was not sent and is not lost: attempted = sent + refused.",
    ),
];

/// Everything that this layer can explain.
#[must_use]
pub fn topics() -> Vec<Topic> {
    let rows = |kind, rows: &[(&str, &'static str, &str)]| {
        let row = |&(name, title, text): &(&str, &'static str, &str)| Topic {
            kind,
            name: name.to_owned(),
            title,
            text: text.to_owned(),
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    let warnings = warning_codes::all().map(|code| Topic {
        kind: "warning",
        name: code.name.to_owned(),
        title: code.title,
        text: format!("Severity: {}. {}", code.severity.word(), code.text),
    });
    let others = [("invalid reason", REASONS), ("column", COLUMNS), ("place", PLACES)];
    warnings.chain(others.into_iter().flat_map(|(kind, list)| rows(kind, list))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Cell, Exchange};
    use crate::report::fixture;

    #[test]
    fn every_invalid_reason_is_explained() {
        let code = |change: fn(&mut Cell)| {
            let mut cell = fixture::cell("plain", 64, "100k", 100e3);
            fixture::lose(&mut cell, 50_000);
            change(&mut cell);
            validity::invalid_reasons(&fixture::report_of(vec![cell])).remove(0).code
        };
        let codes = [
            validity::invalid_reasons(&fixture::report_of(Vec::new())).remove(0).code,
            code(|cell| cell.ledger.sent = 0),
            code(|_| {}),
            code(|cell| cell.exchange = Some(Exchange { requests: 9, ..Exchange::default() })),
            code(|cell| cell.ledger.refused.unreachable = 9),
            code(|cell| {
                cell.ledger.received = Some(1);
                let schedule = cell.schedule.as_mut().unwrap();
                (schedule.scheduled, schedule.missed) = (10, 5);
            }),
        ];
        let explained: Vec<_> =
            topics().into_iter().filter(|one| one.kind == "invalid reason").collect();
        let names: Vec<_> = explained.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, codes);
    }
}
