//! Intervals: each datagram counts where it was due, and all add up to the cell.

use crate::common;

use common::{available, bench, cells, in_namespaces, interval_sum, number, only, run, stderr};
use serde_json::Value;

/// A field of each interval.
fn column(cell: &Value, field: &str) -> Vec<u64> {
    let intervals = cell["intervals"].as_array().unwrap();
    intervals.iter().map(|interval| number(interval, field)).collect()
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn intervals_add_up_for_every_engine() {
    let _alone = common::alone();
    let pairs = [
        ("plain", &[][..]),
        ("batch", &["batch"]),
        ("gso/batch", &["gso"]),
        ("offload", &["gso", "gro"]),
        ("uring", &["uring"]),
    ];
    for engine in available(&pairs) {
        let report = bench(&format!("-e {engine} -l 64,512 -t 100ms -i 10ms -r max,50%,20k"));
        for cell in cells(&report) {
            let id = &cell["id"];
            assert_eq!(cell["intervals"].as_array().unwrap().len(), 10, "{id}");
            assert_eq!(number(&cell["intervals"][9], "end_ns"), 100_000_000, "{id}");
            assert_eq!(interval_sum(cell, "sent"), number(cell, "tx.datagrams"), "{id}");
            assert!(interval_sum(cell, "sent") > 0, "{id}");
        }
    }
}

#[test]
fn the_null_engine_has_no_intervals() {
    let _together = common::together();
    let report = bench("-e null -l 64 -t 100ms -i 10ms -r 1k");
    assert_eq!(only(&report)["intervals"].as_array().unwrap().len(), 0);
}

#[test]
fn a_schedule_fills_each_interval_with_what_was_due() {
    let _together = common::together();
    let report = bench("-e plain -l 64 -t 200ms -i 50ms -r 10k -P 3 --threads 1");
    let cell = only(&report);
    let (sent, missed) = (column(cell, "sent"), column(cell, "missed"));
    let due: Vec<u64> = sent.iter().zip(&missed).map(|(sent, missed)| sent + missed).collect();
    assert_eq!(due, [500; 4]);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn many_flows_and_threads_share_the_intervals() {
    let _alone = common::alone();
    let report = bench("-e plain -l 64 -t 200ms -i 20ms -r 20k,max -P 10000 --threads 2");
    for cell in cells(&report) {
        assert_eq!(cell["intervals"].as_array().unwrap().len(), 10);
    }
}

#[test]
fn a_count_has_intervals_up_to_its_last_datagram() {
    let _together = common::together();
    let report = bench("-e plain -l 64 -n 2500 -i 100ms -r 10k");
    let cell = only(&report);
    assert_eq!(column(cell, "sent").iter().sum::<u64>(), 2_500);
    assert_eq!(column(cell, "start_ns")[..3], [0, 100_000_000, 200_000_000]);
}

#[test]
fn a_loss_shows_in_the_interval_in_which_it_was_due() {
    // 92 bytes each: the rules let 2,000 pass, drop 1,000, and let all others pass, such as those of
    // the probes before the run.
    let set_up = "set -e; ip link set lo up
        iptables -A INPUT -p udp -m length ! --length 92 -j ACCEPT
        iptables -A INPUT -p udp -m quota --quota 184000 -j ACCEPT
        iptables -A INPUT -p udp -m quota --quota 92000 -j DROP";
    let command = "$U bench -J -q --warmup 0 -l 64 -e plain -r 10k -n 5000 -i 100ms";
    let Some((parts, _)) = in_namespaces(set_up, command) else { return };
    let report: Value = serde_json::from_str(&parts[0]).unwrap();
    let cell = only(&report);
    common::check_identities(cell, "a loss");
    assert_eq!(number(cell, "ledger.lost"), 1_000);
    let (lost, missed) = (column(cell, "lost"), column(cell, "missed"));
    let in_time = missed.iter().sum::<u64>() == 0;
    if in_time {
        assert_eq!(lost, [0, 0, 1_000, 0, 0]);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &parts[0]).unwrap();
    for format in ["", "--markdown"] {
        let output = run(&format!("report {} {format}", file.path().display()));
        let text = String::from_utf8(output.stdout).unwrap();
        let at = if in_time { "0.2–0.3 s, loss 100%" } else { "" };
        assert!(text.contains(&format!("worst interval: {at}")), "{text}");
    }
    // However late the sender was, those after the loss were due later.
    assert_eq!(lost.iter().sum::<u64>(), 1_000);
    assert_eq!((lost[0], lost[1]), (0, 0));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_loss_in_the_fourth_second_shows_in_no_other() {
    // 92 bytes each: 160,000 pass, then 1,000 are dropped. Probes pass, too.
    let set_up = "set -e; ip link set lo up
        iptables -A INPUT -p udp -m length ! --length 92 -j ACCEPT
        iptables -A INPUT -p udp -m quota --quota 14720000 -j ACCEPT
        iptables -A INPUT -p udp -m quota --quota 92000 -j DROP";
    let command = "$U bench -J -q --warmup 0 -l 64 -e plain -r 50k -t 10 --max-missed 100%";
    let Some((parts, _)) = in_namespaces(set_up, command) else { return };
    let report: Value = serde_json::from_str(&parts[0]).unwrap();
    let cell = only(&report);
    common::check_identities(cell, "ten seconds");
    let (sent, lost, missed) = (column(cell, "sent"), column(cell, "lost"), column(cell, "missed"));
    assert_eq!(sent.len(), 10);
    // By number, wherever a slow host has sent them.
    let mut first = 0;
    let expected = sent.iter().map(|sent| {
        let (begin, end) = (first, first + sent);
        first = end;
        end.min(161_000).saturating_sub(begin.max(160_000))
    });
    assert_eq!(lost, expected.collect::<Vec<_>>(), "{sent:?}");
    if missed[..4].iter().sum::<u64>() == 0 {
        assert_eq!(lost, [0, 0, 0, 1_000, 0, 0, 0, 0, 0, 0]);
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn long_cells_have_intervals_of_a_second_and_short_ones_have_none() {
    let _together = common::together();
    let report = bench("-e plain -l 64 -t 3 -r 1k");
    assert_eq!(column(only(&report), "end_ns"), [1, 2, 3].map(|s| s * 1_000_000_000));
    for words in ["-t 3 -i 0", "-t 50ms"] {
        let report = bench(&format!("-e plain -l 64 -r 1k {words}"));
        assert_eq!(only(&report)["intervals"].as_array().unwrap().len(), 0, "{words}");
    }
}

#[test]
fn the_page_has_a_point_for_each_figure_of_an_interval() {
    let _together = common::together();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let files = format!("--html {} --hgrm {}", path("x.html"), path("x.hgrm"));
    let report = bench(&format!("-e plain -l 64 -r 2k -t 200ms -i 20ms {files}"));
    let intervals = only(&report)["intervals"].as_array().unwrap();
    let known =
        |of: fn(&Value) -> &Value| intervals.iter().filter(|one| !of(one).is_null()).count();
    // An interval in which nothing was sent has no share of loss.
    let sent = intervals.iter().filter(|one| number(one, "sent") > 0).count();
    let expected = known(|one| &one["received"]) + sent + known(|one| &one["latency"]["p99_ns"]);
    let page = std::fs::read_to_string(path("x.html")).unwrap();
    let (_, timeline) = page.split_once("<h2>Over time</h2>").unwrap();
    let lines = timeline.split(" points=\"").skip(1);
    let points = lines.map(|line| line.split('"').next().unwrap().split(' ').count());
    assert_eq!((points.sum::<usize>(), intervals.len()), (expected, 10));
    assert_eq!(timeline.matches("<circle").count(), expected);
    // A rectangle of the heat map for each bucket of each interval.
    let buckets: usize = intervals.iter().map(|one| common::latencies(one).len()).sum();
    let paths = timeline.split("<path class=\"heat\"").skip(1);
    let rectangles = paths.map(|path| path.split('>').next().unwrap().matches('z').count());
    assert_eq!((rectangles.sum::<usize>(), buckets > 0), (buckets, true));
    let percentiles = std::fs::read_to_string(path("x.hgrm")).unwrap();
    let count = number(only(&report), "latency.count");
    assert!(percentiles.contains(&format!("Total count    = {count:12}]")), "{percentiles}");
}

#[test]
fn intervals_that_cannot_be_are_refused() {
    for (words, why) in
        [("-t 2 -i 3", "longer than a cell"), ("-i 9ms", "too short"), ("-i x", "duration")]
    {
        let output = run(&format!("bench -e plain -l 64 {words}"));
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(stderr(&output).contains(why), "{words}: {}", stderr(&output));
    }
}
