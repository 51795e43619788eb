//! The engine `xdp` on one or both ends: every datagram is in the ledger, and the counters of the
//! devices agree.

use serde_json::Value;

use crate::common::{alone, cells, number, together};
use crate::nets::{Nets, SINK, Side};
use crate::proc::{PATIENCE, Proc};
use crate::rig::{Sink, blast, clean, located, of, only, report, settle};

/// Datagrams of a cell.
const COUNT: u64 = 1_500;

/// Pairs in which one end at least is `xdp`.
const PAIRS: [&str; 6] = ["xdp/plain", "plain/xdp", "xdp/xdp", "xdp/batch", "gso/xdp", "batch/xdp"];

/// Places that datagrams of this engine do not pass at the receiver, and at the sender.
const RX_PLACES: [&str; 3] = ["receive_buffer", "checksum", "no_port"];
const TX_PLACES: [&str; 2] = ["qdisc", "tx_ip"];

/// Two networks with these tools; `None` where this build or this host lacks the engine.
pub fn networks(tools: &[&str]) -> Option<Nets> {
    if !crate::common::available(&[("xdp", &["xdp"])]).contains(&"xdp") {
        return None;
    }
    let nets = Nets::make(tools)?;
    [Side::A, Side::B].iter().for_each(|side| nets.cut(*side));
    Some(nets)
}

/// Packets that the device of a side received and sent, and what it dropped.
fn device(nets: &Nets, side: Side) -> [u64; 4] {
    let listed = nets.run(side, "ip -s -j link show x0");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let stats = &listed[0]["stats64"];
    [("rx", "packets"), ("tx", "packets"), ("rx", "dropped"), ("tx", "dropped")]
        .map(|(way, what)| stats[way][what].as_u64().unwrap())
}

fn start_bench(nets: &Nets, words: &str) -> Proc {
    let mut command = nets.place(Side::A).command(env!("CARGO_BIN_EXE_udperf"));
    command.args(["bench", "-q", "-J", "-B", "10.78.0.1", "--to", "10.78.0.2", "--to-netns"]);
    command.arg(nets.name(Side::B)).args(words.split_whitespace());
    Proc::start(command)
}

fn bench(nets: &Nets, words: &str) -> Value {
    let report = start_bench(nets, words).finish(PATIENCE).expect(0).document();
    cells(&report).iter().for_each(|cell| settle(cell, words));
    report
}

/// The places by which datagrams of this pair do not come are not 0, but unknown.
fn knows_its_places(cell: &Value, pair: &str) {
    let (tx, rx) = pair.split_once('/').unwrap();
    for (places, is_xdp) in [(&RX_PLACES[..], rx == "xdp"), (&TX_PLACES[..], tx == "xdp")] {
        for place in places {
            assert_eq!(cell["ledger"]["lost_at"][place].is_null(), is_xdp, "{pair}: {place}");
        }
    }
}

#[test]
fn every_datagram_of_a_bench_is_in_the_ledger_and_at_the_devices() {
    let _together = together();
    let Some(nets) = networks(&[]) else { return };
    for pair in PAIRS {
        let before = [Side::A, Side::B].map(|side| device(&nets, side));
        let report = bench(&nets, &format!("-e {pair} -l 64 -n {COUNT} -r max --warmup 0"));
        let cell = only(&report);
        clean(cell, COUNT, pair);
        knows_its_places(cell, pair);
        knows_what_was_granted(cell, pair);
        let after = [Side::A, Side::B].map(|side| device(&nets, side));
        let gained = |side: usize, what: usize| after[side][what] - before[side][what];
        assert_eq!((gained(0, 1), gained(1, 0)), (COUNT, COUNT), "{pair}");
        assert_eq!((gained(0, 3), gained(1, 2)), (0, 0), "{pair}");
        assert!(!report["warnings"].to_string().contains("kernel_mismatch"), "{pair}");
    }
}

/// What both sides of a cell got of their devices: `null` on a side with another engine.
fn knows_what_was_granted(cell: &Value, pair: &str) {
    let (tx, rx) = pair.split_once('/').unwrap();
    for (side, engine, rings, no_rings) in [
        ("tx", tx, ["tx_ring", "completion_ring"], ["rx_ring", "fill_ring"]),
        ("rx", rx, ["rx_ring", "fill_ring"], ["tx_ring", "completion_ring"]),
    ] {
        let granted = &cell[side]["xdp"];
        if engine != "xdp" {
            assert!(granted.is_null(), "{pair}, {side}: {granted}");
            continue;
        }
        // A veth pair of one queue, whose driver runs programs, and copies.
        let mode = if side == "rx" { "native".into() } else { Value::Null };
        assert_eq!(granted["mode"], mode, "{pair}, {side}");
        assert_eq!(granted["queues"], serde_json::json!([0]), "{pair}, {side}");
        assert_eq!(granted["zero_copy"], false, "{pair}, {side}");
        assert_eq!(granted["need_wakeup"], true, "{pair}, {side}");
        assert_eq!(granted["busy_poll"], false, "{pair}, {side}");
        for ring in rings {
            assert!(granted[ring].as_u64().unwrap().is_power_of_two(), "{pair}: {granted}");
        }
        assert!(no_rings.iter().all(|ring| granted[*ring].is_null()), "{pair}: {granted}");
    }
}

#[test]
fn drops_of_a_firewall_behind_frames_are_lost_exactly() {
    let _together = together();
    let Some(nets) = networks(&["iptables"]) else { return };
    nets.run(
        Side::B,
        "iptables -A INPUT -i x0 -p udp -m statistic --mode nth --every 10 --packet 0 -j DROP",
    );
    let report = bench(&nets, &format!("-e xdp/plain -l 64 -n {COUNT} -r max --warmup 0"));
    let cell = only(&report);
    let ledger = &cell["ledger"];
    let listed = nets.run(Side::B, "iptables -L INPUT -v -x -n | tail -1");
    let dropped: u64 = listed.split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(number(cell, "ledger.sent"), COUNT);
    assert_eq!(number(cell, "ledger.lost"), dropped + located(cell), "{ledger}");
    assert_eq!(number(cell, "ledger.unaccounted"), dropped, "{ledger}");
    if located(cell) == 0 {
        assert_eq!(dropped, COUNT / 10, "{ledger}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_sink_serves_every_mix_of_ends() {
    let _together = together();
    let Some(nets) = networks(&[]) else { return };
    for at in ["", "-B 10.78.0.1"] {
        let sink = Sink::start(&nets.place(Side::A), at);
        for pair in PAIRS {
            for (direction, way) in [("forward", ""), ("reverse", "--reverse")] {
                let words = format!("-e {pair} -n {COUNT} -r max {way}");
                let report = report(&nets.place(Side::B), SINK, &words);
                assert_eq!(only(&report)["direction"], direction);
                knows_what_was_granted(only(&report), pair);
                clean(only(&report), COUNT, &words);
            }
        }
        let words = format!("-e xdp -n {COUNT} -r max --bidir");
        let report = report(&nets.place(Side::B), SINK, &words);
        assert_eq!(cells(&report).len(), 2);
        ["forward", "reverse"].iter().for_each(|way| clean(of(&report, way), COUNT, way));
        sink.end();
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_new_client_takes_the_queue_of_a_killed_one() {
    let _together = together();
    let Some(nets) = networks(&[]) else { return };
    let sink = Sink::start(&nets.place(Side::A), "");
    for way in ["", "--reverse"] {
        let words = format!("-e xdp -t 60 -r 1k {way}");
        let killed = blast(&nets.place(Side::B), SINK, &words);
        // Its datagrams pass the device.
        let before = device(&nets, Side::B);
        while (0..2).all(|at| device(&nets, Side::B)[at] < before[at] + 500) {}
        killed.kill9();
        killed.finish(PATIENCE);
        let words = format!("-e xdp -n {COUNT} -r max {way}");
        clean(only(&report(&nets.place(Side::B), SINK, &words)), COUNT, &words);
    }
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_silent_client_keeps_its_queue_unless_another_one_needs_it() {
    let _together = together();
    let Some(nets) = networks(&[]) else { return };
    let sink = Sink::start(&nets.place(Side::A), "");
    let silent = blast(&nets.place(Side::B), SINK, "-e xdp -n 1000000 -r 1k --max-missed 100%");
    let before = device(&nets, Side::B);
    while device(&nets, Side::B)[1] < before[1] + 500 {}
    silent.signal(libc::SIGSTOP);
    // Longer than a client may be silent before a sink looks after it.
    let report = report(&nets.place(Side::B), SINK, "-e plain -t 4 -r 1k --max-missed 100%");
    assert!(number(only(&report), "ledger.received") > 0);
    let before = device(&nets, Side::A);
    silent.signal(libc::SIGCONT);
    while device(&nets, Side::A)[0] < before[0] + 500 {}
    silent.interrupt();
    let report = silent.finish(PATIENCE).expect(130).document();
    let cell = only(&report);
    settle(cell, "stopped");
    assert_eq!(number(cell, "ledger.unaccounted"), 0, "{cell}");
    sink.end();
}

/// A thread that does not run, as ptrace(2) holds it, until this value is dropped.
pub struct HeldThread(libc::pid_t);

impl HeldThread {
    #[allow(unsafe_code)]
    pub fn find(process: u32, name: &str) -> Self {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let mut threads = threads.map(|thread| thread.unwrap().path());
        let has_name = |thread: &std::path::PathBuf| {
            std::fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim() == name)
        };
        let thread = threads.find(has_name).unwrap();
        let thread: libc::pid_t = thread.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: ptrace(2) and waitpid(2) take numbers here, and no memory of this process.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, thread, none, none), 0);
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none), 0);
            assert_eq!(libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL), thread);
        }
        Self(thread)
    }
}

impl Drop for HeldThread {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, none, none) };
    }
}

/// Whether all intervals have drops at rings; they add up to those of the ledger. On a busy
/// machine, the counters may be read later than an interval after its end; then it has none.
fn adds_up_by_interval(report: &Value) -> bool {
    let cell = only(report);
    assert_eq!(number(cell, "ledger.unaccounted"), 0, "{}", cell["ledger"]);
    let intervals = cell["intervals"].as_array().unwrap();
    let all = intervals.iter().map(|one| &one["kernel_drops"]);
    // Not 0: the datagrams do not pass there.
    assert!(all.clone().all(|drops| drops["receive_buffer"].is_null()), "{intervals:?}");
    let Some(drops) = all.map(|drops| drops["xdp_ring"].as_u64()).collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let lost = number(cell, "ledger.lost_at.xdp_ring");
    let warnings = cell["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|one| one["code"] == "xdp_ring_loss"), "{warnings:?}");
    assert_eq!(drops.iter().sum::<u64>(), lost, "{drops:?}: {}", cell["ledger"]);
    assert!(drops[1..].iter().sum::<u64>() >= 5_000, "{drops:?}");
    true
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn drops_at_a_ring_count_in_the_intervals_in_which_they_happen() {
    let _alone = alone();
    let Some(nets) = networks(&[]) else { return };
    let words = "-e xdp -l 64 -r 20k -n 80000 -i 1 --max-missed 100%";
    // Later than the first interval; more than a ring of 8,192 frames holds.
    let (first, held) = (22_000, 8_192 + 5_000);
    let until = |side, running: &mut Proc, more: u64| {
        let begin = device(&nets, side)[0];
        while device(&nets, side)[0] < begin + more {
            assert!(running.is_alive(), "ended too early");
        }
    };
    let of_bench = || {
        let mut running = start_bench(&nets, &format!("{words} --warmup 0"));
        until(Side::B, &mut running, first);
        let receiver = HeldThread::find(running.id(), "udperf-rx-0");
        until(Side::B, &mut running, held);
        drop(receiver);
        running.finish(PATIENCE).expect(0).document()
    };
    assert!((0..4).any(|_| adds_up_by_interval(&of_bench())));

    let of_blast = || {
        let sink = Sink::start(&nets.place(Side::A), "");
        let mut running = blast(&nets.place(Side::B), SINK, words);
        until(Side::A, &mut running, first);
        let receiver = HeldThread::find(sink.proc.id(), "udperf-rx-0");
        until(Side::A, &mut running, held);
        drop(receiver);
        let report = running.finish(PATIENCE).expect(0).document();
        sink.end();
        report
    };
    assert!((0..4).any(|_| adds_up_by_interval(&of_blast())));
}
