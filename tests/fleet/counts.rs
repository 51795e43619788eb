//! Members against the server's own counts.

use serde_json::Value;

use crate::common::{cells, number, only, together};
use crate::rig::{Fleet, UDPERF, can_run, measure, members, read};

/// A number of each member's only cell, by rank.
fn of_members(report: &Value, path: &str) -> Vec<u64> {
    let ranks = members(report).iter().map(|member| number(member, "rank"));
    assert!(ranks.eq(0..members(report).len() as u64));
    members(report).iter().map(|member| number(&member["cells"][0], path)).collect()
}

/// What was sent in each interval of a cell.
fn sent_by_interval(cell: &Value) -> Vec<u64> {
    let intervals = cell["intervals"].as_array().unwrap();
    intervals.iter().map(|interval| number(interval, "sent")).collect()
}

/// The sum of the intervals of all members, if each begins this many later than the one before.
fn sum_of_intervals(report: &Value, later: usize) -> Vec<u64> {
    let mut sums = Vec::new();
    for (rank, member) in members(report).iter().enumerate() {
        let sent = sent_by_interval(&member["cells"][0]);
        sums.resize(sums.len().max(rank * later + sent.len()), 0);
        for (sum, sent) in sums[rank * later..].iter_mut().zip(sent) {
            *sum += sent;
        }
    }
    sums
}

#[test]
fn the_server_has_counted_what_the_members_sent() {
    if !can_run() {
        return;
    }
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sink.json");
    let sink = format!("{UDPERF} sink -q --json={}", file.display());
    let options = ["--ranks", "2", "--with", &sink];
    let report = measure(2, &options, "blast -e plain -l 64 -n 10001 -r 20k --pace poisson");
    let cell = only(&report);
    // A count is split as evenly as it can be, also where each process draws its own gaps.
    assert_eq!(of_members(&report, "ledger.sent"), [2_501, 2_500, 2_500, 2_500]);
    let hosts: Vec<_> = members(&report).iter().map(|member| &member["hostname"]).collect();
    assert_eq!(hosts, ["host1", "host1", "host2", "host2"]);
    // Two processes of a host read the same counters, and all read those of one sink.
    assert_eq!(cell["kernel"]["out_datagrams"], Value::Null);
    let sink = read(&file);
    let clients = sink["clients"].as_array().unwrap();
    let received: u64 = clients.iter().map(|client| number(client, "received")).sum();
    assert_eq!((clients.len(), received), (4, number(cell, "ledger.received")));
    for (host, ranks) in [("10.99.1.2:", 0..2), ("10.99.2.2:", 2..4)] {
        let of_host = clients.iter().filter(|one| one["from"].as_str().unwrap().starts_with(host));
        let counted: u64 = of_host.map(|client| number(client, "received")).sum();
        let received = &of_members(&report, "ledger.received")[ranks];
        assert_eq!(counted, received.iter().sum::<u64>(), "{host}");
    }
}

/// Each process has a sender of its own in the sink, and these share the load, too.
#[test]
fn what_a_sink_sends_is_shared_out() {
    if !can_run() {
        return;
    }
    let _together = together();
    let sink = format!("{UDPERF} sink -q --max-rate 2k");
    let options = ["--with", &sink];
    let report = measure(2, &options, "blast -e plain -l 64 -n 1001 -r 4k --bidir");
    let [forward, reverse] = cells(&report) else { panic!("{report}") };
    assert_eq!(
        (&forward["direction"], &reverse["direction"]),
        (&"forward".into(), &"reverse".into())
    );
    for (at, cell) in [forward, reverse].into_iter().enumerate() {
        let sent =
            members(&report).iter().map(|member| number(&member["cells"][at], "ledger.sent"));
        assert_eq!(sent.collect::<Vec<_>>(), [501, 500], "{}", cell["id"]);
        assert_eq!((number(cell, "ledger.received"), &cell["rate_pps"]), (1_001, &4e3.into()));
        assert_eq!(cell["start_skew_ns"].is_null(), cell == reverse, "{}", cell["id"]);
    }
}

#[test]
fn requests_of_all_hosts_reach_one_server() {
    if !can_run() {
        return;
    }
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("echo.json");
    let echo = format!("{UDPERF} echo -q --json={}", file.display());
    // Hosts whose clocks are days apart begin together all the same.
    let report = measure(
        3,
        &["--own-clocks", "--with", &echo],
        "load --preset echo -e plain -r 3k -t 600ms -i 200ms",
    );
    let cell = only(&report);
    let scheduled = of_members(&report, "schedule.scheduled");
    assert_eq!(scheduled, [600; 3]);
    assert_eq!(sent_by_interval(cell).len(), 3);
    assert_eq!(sent_by_interval(cell), sum_of_intervals(&report, 0));
    assert_eq!(number(&read(&file), "received"), number(cell, "ledger.sent"));
    assert_eq!(number(cell, "exchange.matched"), number(cell, "ledger.sent"));
    // Each host has counters of its own.
    let kernel = of_members(&report, "kernel.out_datagrams");
    assert_eq!(number(cell, "kernel.out_datagrams"), kernel.iter().sum::<u64>());
    // Ids differ between processes, or replies would match the wrong request.
    assert_eq!(number(cell, "exchange.unmatched"), 0);
}

/// An interval of one process would look like one of the run.
#[test]
fn intervals_of_events_are_those_of_all_processes() {
    if !can_run() {
        return;
    }
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    // With a short timeout, intervals of a single process would be written during the cell.
    let words = format!(
        "load --preset echo -e plain -r 1k -t 1 -i 200ms --timeout 100ms --max-missed 100% \
         --events {}",
        events.display()
    );
    let report = measure(2, &["--with", &format!("{UDPERF} echo -q")], &words);
    let text = std::fs::read_to_string(&events).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let intervals = events.filter(|event| event["event"] == "interval");
    let sent: Vec<_> = intervals.map(|interval| number(&interval, "sent")).collect();
    assert_eq!(sent, sent_by_interval(only(&report)));
    assert_eq!(sent, sum_of_intervals(&report, 0));
}

#[test]
fn requests_with_lengths_of_their_own_are_shared_out() {
    if !can_run() {
        return;
    }
    let _together = together();
    let echo = format!("{UDPERF} echo -q");
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("lines.txt");
    std::fs::write(&lines, "a{id:dec10}\nb{id:dec10}longer\n").unwrap();
    let lines = format!("--lines {} --match id@1", lines.display());
    for (requests, size) in [
        ("--hex {id:u32be}", "4"),
        (&lines, "varied"),
        ("--hex {id:u32be} --then-hex 00{id:u32be}", "varied"),
    ] {
        let words = format!("load {requests} -e plain -r 1k -n 100");
        let report = measure(2, &["--with", &echo], &words);
        let cell = only(&report);
        assert_eq!(cell["id"], format!("plain/{size}/1k"), "{requests}");
        assert_eq!(of_members(&report, "ledger.sent"), [50, 50], "{requests}");
        assert_eq!(number(cell, "exchange.matched"), 100, "{requests}");
    }
}

#[test]
fn processes_start_one_after_another_with_rates_of_their_own() {
    if !can_run() {
        return;
    }
    let _together = together();
    let options = ["--own-clocks", "--with", &format!("{UDPERF} echo -q")];
    let report = measure(
        3,
        &options,
        "load --preset echo -e plain -r 1k --per-rank -t 600ms -i 200ms --start-stagger 200ms",
    );
    assert_eq!(of_members(&report, "schedule.scheduled"), [600; 3]);
    let cell = only(&report);
    assert_eq!(cell["rate_pps"], 3_000.0);
    assert_eq!(sent_by_interval(cell).len(), 5);
    assert_eq!(sent_by_interval(cell), sum_of_intervals(&report, 1));
    assert_eq!(number(cell, "elapsed_ns"), 1_000_000_000);
}

#[test]
fn the_check_of_the_launcher_finds_processes_hosts_and_clocks() {
    if !can_run() {
        return;
    }
    let _together = together();
    let command = [UDPERF, "fleet-check", "--rounds", "20"];
    let done = Fleet::start(2, &["--ranks", "2", "--own-clocks"], &command).end(|code| code == 0);
    let rows = done.stdout.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let rank: u16 = words.first()?.parse().ok()?;
        let host = words.get(1).filter(|word| word.starts_with("host"))?;
        Some((rank, *host, *words.get(3)?))
    });
    let rows: Vec<_> = rows.collect();
    let expected =
        [(0, "host1", "reference"), (1, "host1", "the"), (2, "host2", "±"), (3, "host2", "±")];
    assert_eq!(rows, expected, "{}", done.stdout);
    assert!(done.stdout.contains("in 20 rounds"), "{}", done.stdout);
}

#[test]
fn loss_on_the_link_of_one_host_is_of_its_members_alone() {
    if !can_run() {
        return;
    }
    let _together = together();
    let drop_tenth = "ip netns exec host2 nft 'table ip t { chain c { \
        type filter hook prerouting priority -450; \
        iifname udperf0 udp sport 7788 numgen inc mod 10 0 drop; }; }'";
    let echo = format!("{UDPERF} echo -q");
    let options = ["--ranks", "2", "--setup", drop_tenth, "--with", &echo];
    let report = measure(2, &options, "load --preset echo -e plain -n 4000 -r 4k --timeout 2s");
    let lost = of_members(&report, "ledger.lost");
    assert_eq!(of_members(&report, "ledger.sent"), [1_000; 4]);
    assert_eq!((lost[0], lost[1], lost[2] + lost[3]), (0, 0, 200), "{lost:?}");
    assert_eq!(number(only(&report), "exchange.timeouts"), 200);
}
