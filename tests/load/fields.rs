//! Fields of requests and large files, as a server sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};

use serde_json::Value;

use crate::common::{alone, number, together};
use crate::proc::{PATIENCE, Proc};
use crate::protocols::Protocol;
use crate::recorder::{Recorder, Request};
use crate::rig::{adds_up, load, only, run_aloud};

/// Requests by port, in the order of arrival.
fn by_port(requests: Vec<Request>) -> BTreeMap<u16, Vec<Vec<u8>>> {
    let mut ports: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (port, request) in requests {
        ports.entry(port).or_default().push(request);
    }
    ports
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[test]
fn a_stream_has_one_ssrc_and_counts_through_all_phases() {
    let _together = together();
    let server = Recorder::silent();
    let rtp = "8000{counter:u16be:start=1:stream}{counter:u32be:step=160:stream}\
               {random:u32be:stream}{stream:u8}";
    let mut command = crate::common::udperf();
    // A busy host may miss slots of a warm-up, but hardly all of so long a one.
    let words = "-J -q --warmup 1s -r 300 -n 60 --match none -P 3 --threads 2 --hex";
    command.args(["load", &server.at.to_string()]).args(words.split(' ')).arg(rtp);
    Proc::start(command).finish(PATIENCE).expect(0);
    let ports = by_port(server.end());
    assert_eq!(ports.len(), 3);
    let mut streams = BTreeSet::new();
    for packets in ports.values() {
        // Those of the warm-up, too.
        assert!(packets.len() > 20, "{}", packets.len());
        for (packet, n) in packets.iter().zip(0..) {
            assert_eq!((be(&packet[2..4]), be(&packet[4..8])), (1 + n, 160 * n), "{packets:?}");
            assert_eq!(packet[8..], packets[0][8..]);
        }
        streams.insert((packets[0][12], packets[0][8..12].to_vec()));
    }
    let numbers: Vec<_> = streams.iter().map(|(number, _)| *number).collect();
    let sources: BTreeSet<_> = streams.iter().map(|(_, source)| source).collect();
    assert_eq!((numbers, sources.len()), (vec![0, 1, 2], 3));
}

#[test]
fn times_are_those_at_which_requests_were_due() {
    let _together = together();
    let server = Recorder::silent();
    load(server.at, "--hex {time:ns:u64be}{counter:u64be} -r 1k -n 100 --match none");
    let requests = server.end();
    let times = requests.iter().map(|(_, request)| (be(&request[8..]), be(&request[..8])));
    let times: Vec<_> = times.collect();
    let (first, start) = times[0];
    // Missed ones are not sent, but the schedule is even.
    let due = |n: u64| start + (n - first) * 1_000_000;
    assert_eq!(times.len(), 100);
    let slots: BTreeSet<_> = times.iter().map(|(_, time)| (time - start) % 1_000_000).collect();
    assert_eq!(slots, BTreeSet::from([0]), "{times:?}");
    assert!(times.iter().all(|(n, time)| *time >= due(*n)), "{times:?}");
}

#[test]
fn echoes_are_compared_with_times_lengths_and_checksums() {
    let _together = together();
    // Every eighth echo has another last byte.
    let server = Recorder::start(|n, request| {
        let mut echo = request.to_vec();
        *echo.last_mut().unwrap() ^= u8::from(n % 8 == 7);
        vec![echo]
    });
    let template = "{begin:a}{id:dec}{time:ntp:hex16}{counter:dec:stream}{stream:u8}\
                    {random:alnum:stream:7}{end:a}{len:dec:of=a}{inet_checksum:of=a}{crc32}";
    let words = format!("--text {template} --match echo -r 1k -n 160 -P 3 --timeout 200ms");
    let report = load(server.at, &words);
    let cell = only(&report);
    let counts = ["requests", "matched", "timeouts", "unmatched"];
    let counts = counts.map(|name| number(cell, &format!("exchange.{name}")));
    assert_eq!(counts, [160, 140, 20, 20]);
    let lens: BTreeSet<_> = server.end().iter().map(|(_, request)| request.len()).collect();
    assert!(lens.len() > 1, "{lens:?}");
}

#[test]
fn lengths_that_vary_are_not_sent_in_super_packets() {
    let words = ["load", "127.0.0.1:9", "--text", "{counter:dec}", "-e", "gso/batch"];
    let mut command = crate::common::udperf();
    command.args(words);
    let done = Proc::start(command).finish(PATIENCE).expect(2);
    assert!(done.stderr.contains("hold datagrams of one length"), "{done:?}");
}

/// The number in the name of a query.
fn number_of(query: &[u8]) -> u64 {
    let label = &query[14..13 + usize::from(query[12])];
    std::str::from_utf8(label).unwrap().parse().unwrap()
}

#[test]
fn a_large_file_of_names_is_sent_in_order_and_counted() {
    let _together = together();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let line = |n: u64| match n % 10 {
        3 => format!("bad..{n}\n"),
        _ => format!("n{n}.example.test {}\n", ["A", "AAAA"][n as usize % 2]),
    };
    let all: String = (0..60_000).map(line).collect();
    assert!(all.len() > 1 << 20);
    file.write_all(all.as_bytes()).unwrap();
    let server = Recorder::start(|_, request| vec![Protocol::Dns.answer(request)]);
    let words = format!("--preset dns --names {} -r 2k -n 300", file.path().display());
    let done = run_aloud("load", &server.at.to_string(), &words).expect(0);
    let report: Value = adds_up(&done, "load");
    let good = (0..60_000).filter(|n| n % 10 != 3);
    let sent: Vec<_> = server.end().iter().map(|(_, query)| number_of(query)).collect();
    assert_eq!(sent, good.take(300).collect::<Vec<_>>());
    assert_eq!(number(only(&report), "exchange.matched"), 300);
    let input = &report["input"];
    assert_eq!((number(input, "records"), number(input, "used")), (60_000, 54_000));
    assert_eq!(number(input, "left_out.bad_name"), 6_000);
    assert!(done.stderr.contains("line 4: 'bad..3' is not a question"), "{done:?}");
    let note = "54,000 lines read and checked, ready to send after ";
    assert!(done.stderr.contains(note), "{done:?}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn ten_million_names_take_little_memory_besides_the_file() {
    /// Lines of the file, and memory beside it in KiB. From the requirement.
    const LINES: u64 = 10_000_000;
    const MOST_KIB: u64 = 64 << 10;
    let _alone = alone();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut lines = BufWriter::new(file.as_file());
    (0..LINES).for_each(|n| writeln!(lines, "n{n}.example.test A").unwrap());
    lines.flush().unwrap();
    let size_kib = file.as_file().metadata().unwrap().len() >> 10;
    for order in ["turns", "random"] {
        let server = Recorder::start(|_, request| vec![Protocol::Dns.answer(request)]);
        let words = format!("--preset dns --names {} -n 2000 -r 2k", file.path().display());
        let words = format!("{words} --order {order}");
        let done = run_aloud("load", &server.at.to_string(), &words).expect(0);
        let sent: Vec<_> = server.end().iter().map(|(_, query)| number_of(query)).collect();
        assert_eq!(sent.len(), 2_000);
        match order {
            "turns" => assert!(sent.iter().copied().eq(0..2_000)),
            _ => assert!(sent.iter().any(|n| *n > LINES / 2) && sent[0] != 0),
        }
        let peak = done.peak_kib;
        assert!(peak > size_kib && peak < size_kib + MOST_KIB, "{peak} KiB: {done:?}");
    }
}
