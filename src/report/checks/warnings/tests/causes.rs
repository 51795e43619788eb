use super::*;
use crate::document::{
    CpuThrottling, Exchange, FlowSpread, Flows, MemberDocument, Report, SourceCounts, Spread,
    StallSum,
};
use crate::measure::{ListenerTally, SinkTally, UnsolicitedTraffic};
use crate::plan::{Route, Scenario};

#[test]
fn engines_other_than_requested_are_reported() {
    let uncut = |cell: &mut Cell| {
        let packets = &mut cell.packets;
        (packets.sent, packets.received, packets.uncut) = (1_563, Some(1_563), Some(100_000));
        (packets.segments_at_first, packets.segments_at_last) = (Some(64), Some(64));
        (cell.kernel.out_datagrams, cell.kernel.in_datagrams) = (Some(1_563), Some(1_563));
    };
    expect_first("segments_never_cut", "100,000 of ", uncut);
    // Datagrams sent one by one and received together were split all the way.
    expect(&[], |cell| cell.packets.uncut = Some(100_000));
    expect(&[], |cell| {
        uncut(cell);
        cell.packets.uncut = Some(50_000);
    });
    // Split on the way and joined there, or never split.
    for (packets, codes) in [(3_126, &[][..]), (1_563, &["segments_never_cut"])] {
        expect(codes, |cell| {
            uncut(cell);
            cell.ends = Some("across".to_owned());
            (cell.packets.received, cell.kernel.in_datagrams) = (Some(packets), Some(packets));
        });
    }
    for (first, last, active, codes) in [
        (64, 64, "gso", &[][..]),
        (64, 16, "gso", &["segments_fell"]),
        (64, 1, "batch", &["engine_fell_back"]),
        (1, 1, "batch", &["engine_fell_back"]),
    ] {
        expect(codes, |cell| {
            (cell.engine.tx, cell.engine.tx_active) = ("gso".to_owned(), active.to_owned());
            let packets = &mut cell.packets;
            (packets.segments_at_first, packets.segments_at_last) = (Some(first), Some(last));
        });
    }
    expect(&[], |cell| cell.packets.no_buffers = Some(1_000));
    expect(&["no_buffers"], |cell| cell.packets.no_buffers = Some(1_001));
    expect(&["truncated"], |cell| cell.packets.truncated = Some(1));
    let answers = all(calm(), |cell| {
        (cell.packets.truncated, cell.exchange) = (Some(2), Some(Exchange::default()));
    });
    assert!(answers.iter().any(|one| one.message.starts_with("2 replies were longer")));
    let stamps = CellContext { stamps: true, ..calm() };
    let latency = |cell: &mut Cell| cell.latency = fixture::cell("plain", 64, "max", 1e5).latency;
    expect_in(stamps, &[], |_| {});
    expect_in(stamps, &["not_stamped"], latency);
    expect(&[], latency);
}

#[test]
fn refusals_of_departures_name_etf() {
    let refused = |cell: &mut Cell| {
        (cell.ledger.refused.no_buffers, cell.ledger.attempted) = (1, cell.ledger.attempted + 1);
    };
    for (by_departure, reason) in [(false, "use a lower --rate"), (true, "too late for etf")] {
        let told = all(CellContext { by_departure, ..calm() }, refused);
        assert!(told.iter().any(|one| one.message.contains(reason)), "{told:?}");
    }
}

#[test]
fn starved_flows_and_uneven_receivers_are_reported() {
    for (starved, max, codes) in [(0, 9, &[][..]), (8, 0, &[]), (1, 9, &["flow_starved"])] {
        let received = FlowSpread { min: 0, p50: 0, max };
        let flows = Flows { count: 8, received, starved, ..Flows::default() };
        expect(codes, |cell| cell.flows = Some(flows));
    }
    let by_hash = CellContext { by_hash: true, ..calm() };
    for (workers, ctx, codes) in [
        (&[60, 40, 0][..], by_hash, &[][..]),
        (&[67, 33, 0], by_hash, &["receiver_skew"]),
        (&[9, 0], by_hash, &["receiver_skew"]),
        (&[9], by_hash, &[]),
        (&[0, 0], by_hash, &[]),
        (&[9, 0], calm(), &[]),
    ] {
        expect_in(ctx, codes, |cell| {
            (cell.direction, cell.workers) = (Some("forward".to_owned()), Some(workers.to_vec()));
        });
    }
}

#[test]
fn sources_that_lose_more_are_reported() {
    let row = |address: &str, lost, stands_out| SourceCounts {
        address: Some(address.to_owned()),
        sources: 1,
        sent: 100,
        received: Some(100 - lost),
        lost: Some(lost),
        stands_out,
    };
    expect(&[], |cell| cell.sources = vec![row("127.0.1.1", 1, false); 2]);
    let message = "1 of 2 sources lost more: 127.0.1.7 50.00%; see sources";
    expect_first("sources_differ", message, |cell| {
        cell.sources = vec![row("127.0.1.7", 50, true), row("127.0.1.1", 0, false)];
    });
}

#[test]
fn time_that_distorts_figures_is_reported() {
    let message = "99.0 ms, 100,000 datagrams: p99.9 rests on the slowest 100;";
    expect_first("short_run", message, |cell| cell.elapsed_ns = 99_000_000);
    expect(&["short_run"], |cell| cell.rx.as_mut().unwrap().datagrams = 999);
    let message = "stalls: send 1× 4.00 ms, receive 3× 12.0 ms, max 8.00 ms; use --trials";
    expect_first("stalls", message, |cell| {
        cell.stalls.tx = StallSum { count: 1, total_ns: 4_000_000, max_ns: 4_000_000 };
        cell.stalls.rx = Some(StallSum { count: 3, total_ns: 12_000_000, max_ns: 8_000_000 });
    });
    // A single tick of steal proves nothing.
    expect(&[], |cell| cell.stalls.stolen_ns = Some(10_000_000));
    expect(&["stolen"], |cell| cell.stalls.stolen_ns = Some(20_000_000));
    expect(&[], |cell| {
        (cell.stalls.stolen_ns, cell.elapsed_ns) = (Some(20_000_000), 10_000_000_000);
    });
    let paced = |pace: &'static str, rate_pps, missed, lag_ns| {
        move |cell: &mut Cell| {
            (cell.rate_pps, cell.pace) = (Some(rate_pps), Some(pace.to_owned()));
            let lag = Spread { p99_ns: Some(lag_ns), ..Spread::default() };
            let scheduled = 100_000 + missed;
            cell.schedule = Some(Schedule { scheduled, missed, lag, ..Schedule::default() });
        }
    };
    expect(&[], paced("even", 100_000.0, 0, 50_000));
    expect(&["behind_schedule"], paced("even", 100_000.0, 0, 50_001));
    // At 1000 a second a tenth is 100 µs.
    expect(&[], paced("even", 1_000.0, 0, 99_000));
    expect(&[], paced("even", 100_000.0, 100, 0));
    let message = "rate not kept: 200 (0.20%) not sent";
    expect_first("behind_schedule", message, paced("even", 100_000.0, 200, 0));
    expect(&[], paced("burst:64", 100_000.0, 0, 600_000));
    expect(&["behind_schedule"], paced("burst:64", 100_000.0, 0, 700_000));
    let throttling = |nr_throttled| {
        let cpu_max = "20000 100000".to_owned();
        throttled(&CpuThrottling { cpu_max, nr_throttled, throttled_ns: 840_000_000 })
    };
    let message = "cpu.max 20000 100000 stopped udperf: nr_throttled 12, 840 ms; raise it";
    assert_eq!(throttling(12).unwrap().message, message);
    assert_eq!(throttling(0), None);
}

#[test]
fn problems_of_requests_are_reported() {
    let of = |change: fn(&mut Exchange)| {
        let (requests, matched, idle_ns) = (1_000, 1_000, 400_000_000);
        let mut exchange = Exchange { requests, matched, idle_ns, ..Exchange::default() };
        change(&mut exchange);
        move |cell: &mut Cell| cell.exchange = Some(exchange)
    };
    expect(&[], of(|_| {}));
    let message = "no request sent for 250 ms: all 256 ids in use; ";
    let no_room = of(|one| (one.no_room_ns, one.room) = (250_000_000, 256));
    expect_first("no_room", message, no_room);
    let warnings = all(calm(), |cell| {
        of(|one| (one.no_room, one.no_room_ns) = (5, 7))(cell);
        cell.schedule = Some(Schedule { scheduled: 100, missed: 5, ..Schedule::default() });
    });
    assert!(warnings.iter().any(|one| one.message.contains(", 5.00% missed: ")));
    expect_first("labels_repeated", "1 of ", of(|one| one.repeated_labels = Some(1)));
    expect_first("message_ids_reused", "1 of ", of(|one| one.reused_message_ids = Some(1)));
    expect(&[], of(|one| one.repeated_labels = Some(0)));
    let incomplete = all(calm(), of(|one| (one.incomplete, one.timeouts) = (2, 3)));
    assert!(incomplete.iter().any(|one| one.code == "incomplete_replies"));
}

#[test]
fn listeners_with_full_buffers_are_reported() {
    let warnings = |datagrams: u64, drops: [Option<u64>; 2], granted: u64| {
        let (at, granted) = (([127, 0, 0, 1], 7_788).into(), Some(granted));
        let one =
            |drops| ListenerTally { at, core: None, datagrams, drops, asked: 4 << 20, granted };
        let mut unsolicited = UnsolicitedTraffic::default();
        unsolicited.totals.datagrams = datagrams;
        let listeners = drops.map(one).to_vec();
        let tally = SinkTally { unsolicited, listeners, ..SinkTally::default() };
        let warnings = listener_warnings(&tally, true).into_iter();
        warnings.map(|one| format!("{}: {}", one.code, one.message)).collect::<Vec<_>>().join("\n")
    };
    let full = warnings(990, [Some(3), Some(7)], 8 << 20);
    let message = "receive_buffer_loss: 10 datagrams (1.00%) dropped: receive buffer full";
    assert!(full.lines().count() == 1 && full.starts_with(message), "{full}");
    for drops in [[Some(0); 2], [None; 2]] {
        assert_eq!(warnings(990, drops, 8 << 20), "");
    }
    let small = warnings(1, [Some(0); 2], 425_984);
    assert!(small.starts_with("buffer_not_granted: ") && small.contains("rmem_max"), "{small}");
    assert_eq!(warnings(0, [Some(0); 2], 425_984), "");
    assert_eq!(warnings(0, [None, Some(1)], 425_984).lines().count(), 2);
}

#[test]
fn sizes_that_a_path_splits_or_drops_are_reported() {
    for (payload, mtu, ipv6, count) in [
        (1_472, 1_500, false, 1),
        (1_473, 1_500, false, 2),
        (1_452, 1_500, true, 1),
        (1_453, 1_500, true, 2),
        (1_472, 1_280, false, 2),
        (8_972, 1_280, false, 8),
        (65_507, 65_536, false, 1),
        (100, 20, false, 1),
    ] {
        assert_eq!(path::fragments(payload, mtu, ipv6), count, "{payload} {mtu} {ipv6}");
    }
    let warnings = |sizes: &[(u64, u64)], path_mtu, df| {
        let cell = |&(size, lost): &(u64, u64)| {
            let mut cell = Cell { size, ..clean_cell() };
            lose(&mut cell, lost, LostAt::default());
            cell
        };
        let cells = sizes.iter().map(cell).collect();
        let report = Report { path_mtu, ..fixture::report_of(cells) };
        size_warnings(&report, false, df).map(|one| one.message).collect::<Vec<_>>()
    };
    let split = [(64, 0), (8_972, 0), (1_472, 0)];
    let message =
        "1472 B sent in 2 fragments (and 1 more sizes) at MTU 1280; use --size 1252 or less";
    assert_eq!(warnings(&split, Some(1_280), false), [message]);
    for (mtu, df) in [(Some(1_280), true), (Some(65_536), false), (None, false)] {
        assert_eq!(warnings(&split, mtu, df), [""; 0], "{mtu:?} {df}");
    }
    const ALL: u64 = 100_000;
    let large = warnings(&[(64, 9), (1_253, ALL), (9_000, ALL)], None, false);
    assert!(large[0].starts_with("no datagram of 1253 B or more arrived, but 64 B did"));
    for sizes in [
        &[(64, ALL), (1_253, ALL)][..],
        &[(64, ALL), (1_253, 0)],
        &[(64, 0), (1_253, ALL - 1)],
        &[(64, 0)],
    ] {
        assert_eq!(warnings(sizes, None, false), [""; 0]);
    }
}

#[test]
fn an_address_of_this_host_is_reached_over_loopback() {
    for (bind, to, netns, route, is_reported) in [
        ("127.0.0.1", None, None, Route::Local, false),
        ("10.9.0.1", None, None, Route::Local, true),
        ("10.9.0.1", Some("127.0.0.1"), None, Route::Local, false),
        ("0.0.0.0", Some("fd00::1"), None, Route::Local, true),
        ("10.9.0.1", Some("10.9.0.2"), Some("/run/netns/b"), Route::Local, false),
        ("10.9.0.1", None, None, Route::Forward, false),
    ] {
        let scenario = Scenario {
            bind: bind.parse().unwrap(),
            to: to.map(|to: &str| to.parse().unwrap()),
            to_netns: netns.map(|netns: &str| netns.into()),
            route,
            ..Scenario::default()
        };
        let code = over_loopback(&scenario).map(|warning| warning.code);
        assert_eq!(code, is_reported.then(|| "over_loopback".to_owned()), "{bind} {to:?}");
    }
}

#[test]
fn pairs_on_one_host_are_reported() {
    let member = |to_rank: Option<u64>, ends: &str| {
        let mut cell = fixture::cell("plain", 64, "1k", 1e3);
        cell.ends = Some(ends.to_owned());
        let (hostname, to_hostname) = ("lab7".to_owned(), to_rank.map(|_| "lab8".to_owned()));
        let (rank, clock_bound_ns, cells) = (0, 0, vec![cell]);
        MemberDocument { rank, hostname, to_rank, to_hostname, clock_bound_ns, cells }
    };
    for (members, begin) in [
        (vec![member(Some(1), "apart"), member(Some(3), "across")], None),
        (vec![member(None, "together")], None),
        (vec![member(Some(1), "apart"), member(Some(3), "together")], Some("1 of 2 senders share")),
    ] {
        let report = Report { members, ..fixture::default_run() };
        let message = pairs_over_loopback(&report).map(|warning| warning.message);
        assert_eq!(message.is_some(), begin.is_some());
        assert!(message.unwrap_or_default().starts_with(begin.unwrap_or_default()));
    }
}
