//! Checks in network namespaces of their own, against the counters of a firewall and of a queue.

use std::process::{Command, Stdio};

use super::cell::TestContext;
use super::fault::DeliberateFault;
use super::finding::{CheckFinding, CheckResult, SelftestError};
use crate::document::{Cell, Report};
use crate::plan::EnginePair;
use crate::report::read;

/// What the checks need, and the package of Debian that has it.
const PROGRAMS: [(&str, &str); 4] =
    [("unshare", "util-linux"), ("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables")];
/// The port of the receiver, which the rules name. Arbitrary: a namespace of its own has no other.
const PORT: u16 = 7_788;
/// Between the document and what the kernel counted.
const END_OF_DOCUMENT: &str = "\n=====\n";
/// Drops every seventh packet to the receiver, and counts those.
const FIREWALL: &str = "nft 'table ip t { chain c { type filter hook input priority 0; \
                        udp dport 7788 numgen inc mod 7 == 0 counter drop; }; }'";
/// Passes 8 Mbit/s to the receiver, and refuses what does not fit in 20 kB: a sender flat out fills
/// that at once. What probes send passes by.
const QUEUE: &str = "tc qdisc add dev lo root handle 1: htb; \
                     tc class add dev lo parent 1: classid 1:3 htb rate 1gbit quantum 60000; \
                     tc qdisc add dev lo parent 1:3 handle 30: \
                     tbf rate 8mbit burst 5kb limit 20kb; \
                     tc filter add dev lo parent 1: protocol ip u32 match ip dport 7788 0xffff \
                     flowid 1:3";

/// Why the checks cannot be made here; `None`: they can.
pub(crate) fn unavailable() -> Option<String> {
    let runs = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status()
    };
    for (program, package) in PROGRAMS {
        if runs(program, &["-V"]).is_err() {
            return Some(format!("there is no {program}; install {package}, or omit --netns"));
        }
    }
    let made = runs("unshare", &["-n", "true"]);
    let is_made = made.is_ok_and(|status| status.success());
    (!is_made).then(|| {
        "this process may not make network namespaces; run it as root, or omit --netns".to_owned()
    })
}

/// A benchmark flat out over loopback of a new namespace. Returns its document, and what `counters`
/// printed after it.
fn bench(set_up: &str, words: &str, counters: &str) -> Result<(Report, String), SelftestError> {
    let failed = SelftestError::Failed;
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let script = format!(
        "ip link set lo up; {set_up}; \
         \"$UDPERF\" bench -J -q --warmup 0 -r max -l 64 -p {PORT} {words}; \
         printf '{}'; {counters}",
        END_OF_DOCUMENT.replace('\n', "\\n")
    );
    let output = Command::new("unshare")
        .args(["-n", "sh", "-ec", &script])
        .env("UDPERF", program)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some((document, counted)) = text.split_once(END_OF_DOCUMENT) else {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(failed(error.lines().next().unwrap_or("the benchmark failed").to_owned()));
    };
    let report = read::read(document).map_err(|error| failed(error.to_string()))?;
    Ok((report, counted.to_owned()))
}

fn only(report: Report) -> Result<Cell, SelftestError> {
    let none = || SelftestError::Failed("the document has no cell".to_owned());
    report.cells.into_iter().next().ok_or_else(none)
}

/// The first number after a word.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let rest = text.split_once(word)?.1.trim_start();
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A firewall drops every seventh packet, which no counter of the network has: such datagrams are
/// lost and unaccounted. The firewall counts a super-packet as one.
pub(super) fn netfilter(context: &TestContext<'_>, engine: EnginePair) -> CheckResult {
    // 140 super-packets of 50, so that seven divides both.
    let words = format!("-e {engine} -n 7000 --batch 50");
    let (report, counted) = bench(FIREWALL, &words, "nft list table ip t")?;
    let mut cell = only(report)?;
    if context.has_fault(DeliberateFault::Netfilter) {
        cell.ledger.unaccounted = cell.ledger.unaccounted.map(|count| count.saturating_sub(1));
    }
    let Some(dropped) = number_after(&counted, "counter packets ") else {
        return Err(SelftestError::Failed("nft did not print its counter".to_owned()));
    };
    let of_packet = cell.ledger.sent / cell.packets.sent.max(1);
    let lost = dropped * of_packet;
    let show = |all: [Option<u64>; 2]| {
        let shown = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let [lost, unaccounted] = all.map(shown);
        format!("lost {lost}, unaccounted {unaccounted}")
    };
    let (seen, expected) = ([cell.ledger.lost, cell.ledger.unaccounted], [Some(lost); 2]);
    Ok(CheckFinding::of(dropped > 0 && seen == expected, show(expected), show(seen)))
}

/// A queue below the socket refuses datagrams: they were never sent.
pub(super) fn queue(context: &TestContext<'_>) -> CheckResult {
    let (report, counted) = bench(QUEUE, "-e plain -t 100ms", "tc -s qdisc show dev lo")?;
    let mut cell = only(report)?;
    if context.has_fault(DeliberateFault::Queue) {
        cell.ledger.refused.no_buffers /= 2;
    }
    let tbf = counted.split_once("qdisc tbf").map(|(_, tbf)| number_after(tbf, "dropped "));
    let Some(dropped) = tbf.flatten() else {
        return Err(SelftestError::Failed("tc did not print its counter".to_owned()));
    };
    let refused = cell.ledger.refused.no_buffers;
    let is_true = dropped > 0 && refused == dropped;
    let is_idle = dropped == 0 && refused == 0;
    let busy = is_idle.then_some("too few datagrams were sent: this host is busy");
    let finding =
        CheckFinding::of(is_true, format!("refused {dropped}"), format!("refused {refused}"));
    Ok(finding.unless(busy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_what_the_programs_print() {
        let queue = " Sent 4512 bytes 43 pkt (dropped 1234, overlimits 99 requeues 0)";
        assert_eq!(number_after(queue, "dropped "), Some(1_234));
        let rule = "udp dport 7788 numgen inc mod 7 0 counter packets 10 bytes 920 drop";
        assert_eq!(number_after(rule, "counter packets "), Some(10));
        assert_eq!(number_after("nothing", "dropped "), None);
    }
}
