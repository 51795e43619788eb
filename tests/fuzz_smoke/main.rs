//! What the fuzz targets in `fuzz/` do, on a stable toolchain and for a fixed number of inputs.

#![allow(missing_docs, clippy::unwrap_used)]

use std::cell::Cell;
use std::path::Path;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2Serializer};

mod payload;
mod stored;
mod targets;

/// Pseudo-random and mutated inputs for each target. Arbitrary: less than a second of them.
const INPUTS: usize = 5_000;

/// The same for the long test. Arbitrary: half a minute of them.
const MANY_INPUTS: usize = 200_000;

thread_local! {
    /// Inputs that the test of this thread tries.
    static COUNT: Cell<usize> = const { Cell::new(INPUTS) };
}

/// Of so many inputs, one is tried as a histogram. Arbitrary: a few seconds of them.
const HISTOGRAMS_ONE_IN: usize = 64;

/// Bytes of any kind: the corpus of the fuzz target, noise, and real inputs with something changed.
fn inputs(target: &str, real: &[Vec<u8>], each: impl FnMut(&[u8])) {
    some_inputs(target, 1, real, each);
}

/// The same, but only one in so many of noise and changed inputs.
fn some_inputs(target: &str, one_in: usize, real: &[Vec<u8>], mut each: impl FnMut(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    for file in std::fs::read_dir(&corpus).into_iter().flatten() {
        each(&std::fs::read(file.unwrap().path()).unwrap());
    }
    let mut random = fastrand::Rng::with_seed(0);
    let mut next = || random.u64(..);
    for round in 0..COUNT.get() / one_in {
        let pick = next() as usize % real.len();
        let mut bytes = match round % 3 {
            0 => (0..next() % 64).map(|_| next() as u8).collect(),
            _ => real[pick].clone(),
        };
        for _ in 0..next() % 4 {
            let at = next() as usize % bytes.len().max(1);
            match next() % 4 {
                0 => bytes.truncate(at),
                1 => bytes.extend(next().to_be_bytes()),
                2 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = next() as u8),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (round % 8)),
            }
        }
        each(&bytes);
    }
}

#[test]
fn headers() {
    let real = vec![vec![0; 16], vec![0xFF; 18], (0..64).collect()];
    inputs("header", &real, targets::header);
}

#[test]
fn control_messages() {
    let control = targets::Control::new();
    let mut accepted = 0;
    inputs("control", &control.samples(), |bytes| accepted += control.decode(bytes));
    // Unchanged samples are among the inputs, so the decoder got beyond its first checks.
    assert!(accepted > COUNT.get() / 20, "{accepted}");
}

#[test]
fn both_ends_of_a_session() {
    let mut control = targets::Control::new();
    let samples = control.samples();
    inputs("control", &samples, |bytes| control.converse(bytes));
}

#[test]
fn bodies() {
    // Short ones: who are you, what was measured, a refusal, whose bytes are variants' numbers and
    // text. src/remote/client/bodies.rs changes whole ones of every kind.
    let real = [vec![0], vec![6], b"\x09\x02no".to_vec(), vec![2, 1]];
    let mut read = 0;
    inputs("bodies", &real, |bytes| read += usize::from(targets::bodies(bytes)));
    assert!(read > COUNT.get() / 20, "{read}");
}

#[test]
fn histograms() {
    let mut documents = targets::Documents::new();
    let mut counts = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    (1..40).for_each(|value: u64| counts.record_n(value * value * 1_000, value).unwrap());
    let mut plain = Vec::new();
    V2Serializer::new().serialize(&counts, &mut plain).unwrap();
    // One that claims to be as long as can be written in its four bytes.
    let mut endless = plain.clone();
    endless[4..8].fill(0xFF);
    assert!(!documents.histogram(&endless));
    let real = [documents.sample(), plain.clone(), plain[4..].to_vec()];
    let mut read = 0;
    // Each is inflated, read and written several times.
    some_inputs("histograms", HISTOGRAMS_ONE_IN, &real, |bytes| {
        read += usize::from(documents.histogram(bytes));
    });
    assert!(read > COUNT.get() / HISTOGRAMS_ONE_IN / 20, "{read}");
}

#[test]
fn replies() {
    let mut replies = payload::Replies::new();
    let mut heard = 0;
    inputs("replies", &replies.samples(), |bytes| heard += usize::from(replies.hear(bytes)));
    assert!(heard > COUNT.get() / 20, "{heard}");
}

/// Two pings of UDP, to port 53, in IPv4 without a link layer.
const PCAP: &[u8] = b"\xD4\xC3\xB2\xA1\x02\0\x04\0\0\0\0\0\0\0\0\0\xFF\xFF\0\0\x65\0\0\0\
    \x01\0\0\0\x05\0\0\0\x20\0\0\0\x20\0\0\0\
    \x45\0\0\x20\0\0\0\0\x40\x11\0\0\x0A\0\0\x01\x0A\0\0\x02\x9C\x40\0\x35\0\x0C\0\0ping\
    \x02\0\0\0\x05\0\0\0\x20\0\0\0\x20\0\0\0\
    \x45\0\0\x20\0\0\0\0\x40\x11\0\0\x0A\0\0\x01\x0A\0\0\x02\x9C\x40\0\x35\0\x0C\0\0pong";

/// The same in pcapng: section, interface, and one packet.
const PCAPNG: &[u8] = b"\x0A\x0D\x0D\x0A\x1C\0\0\0\x4D\x3C\x2B\x1A\x01\0\0\0\
    \xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x1C\0\0\0\
    \x01\0\0\0\x14\0\0\0\x65\0\0\0\0\0\0\0\x14\0\0\0\
    \x06\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0\x20\0\0\0\x20\0\0\0\
    \x45\0\0\x20\0\0\0\0\x40\x11\0\0\x0A\0\0\x01\x0A\0\0\x02\x9C\x40\0\x35\0\x0C\0\0ping\
    \x40\0\0\0";

/// The first of these in two fragments, in IPv4 in GRE in the VXLAN of PPPoE, and as it is.
fn encapsulated() -> Vec<u8> {
    let packet = |protocol: u8, fragment: [u8; 2], payload: &[u8]| {
        let (len, [high, low]) = (20 + payload.len() as u8, fragment);
        let header =
            [0x45, 0, 0, len, 0, 7, high, low, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        [&header, payload].concat()
    };
    let udp = |port: u16, payload: &[u8]| {
        let ports = [[0x9C, 0x40], port.to_be_bytes()].concat();
        [&ports[..], &[0, 8 + payload.len() as u8, 0, 0], payload].concat()
    };
    let wrap = |inner: &[u8]| {
        let gre = packet(47, [0, 0], &[&[0, 0, 8, 0][..], inner].concat());
        let frame = [&[2; 12][..], &[8, 0], &gre].concat();
        let vxlan = udp(4_789, &[&[8, 0, 0, 0, 0, 0, 5, 0][..], &frame].concat());
        let outer = packet(17, [0, 0], &vxlan);
        let len = 2 + outer.len() as u8;
        [&[2; 12][..], &[0x88, 0x64, 0x11, 0, 0, 7, 0, len, 0, 0x21], &outer].concat()
    };
    let datagram = udp(53, b"ping");
    let parts = [packet(17, [0x20, 0], &datagram[..8]), packet(17, [0, 1], &datagram[8..])];
    let frames = [wrap(&parts[0]), wrap(&parts[1]), wrap(&packet(17, [0, 0], &datagram))];
    let mut bytes = PCAP[..24].to_vec();
    bytes[20] = 1;
    for frame in frames {
        let len = (frame.len() as u32).to_le_bytes();
        bytes.extend([&[1, 0, 0, 0, 5, 0, 0, 0][..], &len, &len, &frame].concat());
    }
    bytes
}

#[test]
fn captures() {
    let mut read = 0;
    let real = [PCAP.to_vec(), PCAPNG.to_vec(), encapsulated()];
    assert!(real.iter().all(|bytes| payload::capture(bytes)));
    inputs("capture", &real, |bytes| read += usize::from(payload::capture(bytes)));
    assert!(read > COUNT.get() / 20, "{read}");
}

#[test]
fn templates() {
    let real = [
        "a{id}b",
        "{choice:01|0203}{counter:u8}",
        "{random:alnum:9}\n{time:ms:hex8}{{}}",
        "01 02{id:u16le}ff",
        "{len:dec:of=a}{begin:a}{counter:u24be:start=7:step=-3:stream}{end:a}{crc32:of=a}",
        "{inet_checksum:hex4}{stream:dec}{random:u48le:stream}{time:ntp}",
    ];
    let mut compiled = 0;
    let real = real.map(|text| text.as_bytes().to_vec());
    inputs("template", &real, |bytes| compiled += payload::template(bytes));
    assert!(compiled > COUNT.get() / 20, "{compiled}");
}

#[test]
fn rules() {
    let real = [
        "after:ab\nxababab7fab",
        "after:zz\nzzz7f",
        "after-hex:00 ff\n\0\u{7f}0\0",
        "regex:a(.*?)[^0-9a-f]\nca7f.",
        "e=prefix:ab\nabc",
        "e=text:bc\nabc",
        "e=hex:62\nabc",
        "e=hex@1:6263\nabc",
        "e=byte@0=0x61\nabc",
        "e=regex:(a|b)*c$\nababc",
        "regex:(?s)^(?<name>.*)x\nerrorx",
    ];
    let real = real.map(|text| text.as_bytes().to_vec());
    let mut parsed = 0;
    inputs("rules", &real, |bytes| parsed += usize::from(payload::rule(bytes)));
    assert!(parsed > COUNT.get() / 20, "{parsed}");
}

#[test]
fn names_files() {
    let real: [&[u8]; 4] = [
        b"a.test A\n; comment\nb.test AAAA\n\nc.test\n",
        b"a.test A +ecs=10.1.0.0/16\n*.x MX\n",
        b"10.0.0.0/8\n10.128.0.0/9\n",
        b"\\046\\000a.test TYPE65280\n. NS\n",
    ];
    let mut read = 0;
    inputs("names", &real.map(<[u8]>::to_vec), |bytes| read += payload::names(bytes));
    assert!(read > COUNT.get() / 20, "{read}");
}

#[test]
fn presets() {
    let real = [
        "\0a.test\nAAAA\n10.1.0.0/16\n65001:0a0b",
        "\u{1}user{counter:dec6}",
        "\u{2}/a/b?unit=c",
        "\u{3}/temp",
        "\u{4}a:{random:dec}|c",
        "\u{5}a {id}",
        "\u{6}sip:a@b.test;transport=udp",
        "\u{7}secret",
        "\u{8}public\n1.3.6.1.2.1.1.1.0",
        "\u{9}boot/file",
        "\n64",
        "\u{b}32",
    ];
    let mut read = 0;
    let real = real.map(|text| text.as_bytes().to_vec());
    real.iter().for_each(|bytes| assert!(payload::preset(bytes), "{bytes:?}"));
    inputs("presets", &real, |bytes| read += usize::from(payload::preset(bytes)));
    assert!(read > COUNT.get() / 20, "{read}");
}

#[test]
fn second_requests() {
    let real = [
        "\0{id:hex4}{reply@0:2}\n41@0\nAb",
        "\u{1}01 {reply@1:4}\n\n\u{1}abcdefgh",
        "\u{2}x{reply@4:4}\n6162@1\nxabcdefg",
        "\u{4}y{reply@0:1}\n61@0\nab",
    ];
    let mut read = 0;
    let real = real.map(|text| text.as_bytes().to_vec());
    inputs("second", &real, |bytes| read += usize::from(payload::second(bytes)));
    assert!(read > COUNT.get() / 20, "{read}");
}

/// Of so many inputs, one is tried as a document. Arbitrary: a few seconds of them.
const DOCUMENTS_ONE_IN: usize = 500;

#[test]
fn documents() {
    for text in stored::DOCUMENTS {
        assert!(stored::document(text.as_bytes()), "{}", &text[..60]);
    }
    let edits: Vec<_> = (0..11).map(|base| [&[base][..], &[base; 36]].concat()).collect();
    let mut read = 0;
    some_inputs("documents", DOCUMENTS_ONE_IN, &edits, |bytes| {
        read += usize::from(stored::document(bytes));
    });
    assert!(read > COUNT.get() / DOCUMENTS_ONE_IN / 20, "{read}");
}

/// Of so many inputs, one is tried as arguments, since clap builds all commands for each.
const ARGUMENTS_ONE_IN: usize = 200;

#[test]
fn scenarios() {
    let example = include_bytes!("../../src/cli/commands/scenario_file/example.toml");
    assert!(stored::scenario(example));
    let mut read = 0;
    some_inputs("scenario", ARGUMENTS_ONE_IN, &[example.to_vec()], |bytes| {
        read += usize::from(stored::scenario(bytes));
    });
    assert!(read > COUNT.get() / ARGUMENTS_ONE_IN / 20, "{read}");
}

#[test]
fn arguments() {
    let real = b"load\n127.0.0.1:53\n--preset\ndns\n--rate\n1k\n--timeout\n2s\n-P\n2";
    assert!(stored::arguments(real));
    let mut read = 0;
    some_inputs("arguments", ARGUMENTS_ONE_IN, &[real.to_vec()], |bytes| {
        read += usize::from(stored::arguments(bytes));
    });
    assert!(read > COUNT.get() / ARGUMENTS_ONE_IN / 20, "{read}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn every_target_with_many_inputs() {
    let targets: [fn(); 15] = [
        headers,
        control_messages,
        both_ends_of_a_session,
        bodies,
        histograms,
        replies,
        captures,
        templates,
        rules,
        names_files,
        presets,
        second_requests,
        documents,
        scenarios,
        arguments,
    ];
    std::thread::scope(|scope| {
        for target in targets {
            scope.spawn(move || {
                COUNT.set(MANY_INPUTS);
                target();
            });
        }
    });
}
