//! Large files: their lines are composed when sent, as if they had been compiled.

use std::collections::BTreeSet;

use super::*;

/// Lines of the longer files. Arbitrary: a debug build reads them in a second.
const LINES: u64 = 80_000;

/// Compiled as if the file were large.
fn composed(spec: &Spec) -> Result<Compiled, PayloadError> {
    spec.compile_above(SEED, 0).map(|(requests, matching)| Compiled(requests, matching))
}

fn names(bytes: &[u8], strict: bool) -> Spec {
    let names = Names::Lines { bytes: bytes.to_vec().into(), strict };
    preset(Preset::Dns(Dns { names, random_subdomain: Some(5), ..Dns::of("") }))
}

#[test]
fn composed_lines_are_what_compiled_ones_are() {
    let of_lines: &[&[u8]] = &[
        b"a",
        b"\xEF\xBB\xBFa{id:u16be}\r\n\r\nb{id:u16be}{choice:x|yz|}{choice:1|2}\n",
        b"{{}}{counter}\n\n\n{random:alnum:3}{random}\n{time:rfc3339}{crc32}{len:u8}",
        b"{choice:a|b}{counter:dec}\n{begin:a}{id:dec}{end:a}{len:dec:of=a}{inet_checksum:hex4}",
        "é{id:dec5}\nü{id:dec5}".as_bytes(),
    ];
    let mut specs: Vec<_> = of_lines.iter().map(|bytes| lines(bytes)).collect();
    specs.push(Spec {
        encoding: "shift_jis".parse().unwrap(),
        ..lines("あ{choice:あい|a}".as_bytes())
    });
    specs.push(Spec { encoding: "utf-16be".parse().unwrap(), ..lines("😀a\né".as_bytes()) });
    specs.push(Spec { encoding: "latin1".parse().unwrap(), ..lines("é{choice:ü|}".as_bytes()) });
    specs.push(Spec { fields: false, ..lines(b"{\"a\": {}}\n}") });
    specs.push(with_id_at(lines(b"abcdef\n01{counter:dec4}"), "1:u16be"));
    specs.push(names(b"a.example\n; no\n\nb.example AAAA x\n. TYPE99\n", false));
    for spec in specs {
        for order in [RequestOrder::Turns, RequestOrder::Random] {
            for rule in [MatchRule::Any, MatchRule::None] {
                let spec = Spec { order, rule, ..spec.clone() };
                let (compiled, composed) = (compiled(&spec), composed(&spec).unwrap());
                for n in (0..60).chain([u64::MAX]) {
                    let expected = compiled.written(n, n & 0xFF | 7);
                    assert_eq!(composed.written(n, n & 0xFF | 7), expected, "{spec} {n}");
                }
                let [Compiled(one, _), Compiled(other, _)] = [&compiled, &composed];
                assert_eq!((one.largest, one.same_len), (other.largest, other.same_len), "{spec}");
                assert!((one.mean_len - other.mean_len).abs() < 1e-9, "{spec}");
                assert_eq!((one.id_bits, one.has_times), (other.id_bits, other.has_times));
                assert_eq!(one.input, other.input);
            }
        }
    }
}

#[test]
fn a_file_of_lines_is_described_without_its_empty_lines() {
    let spec = lines(b"a\r\n\n{choice:x|y}\nc");
    for Compiled(requests, _) in [compiled(&spec), composed(&spec).unwrap()] {
        let input = requests.input.unwrap();
        assert_eq!((input.format.as_str(), input.records, input.used), ("lines", 3, 3));
    }
}

#[test]
fn any_lines_are_composed_as_they_are_compiled() {
    let tokens = [
        "a",
        "é",
        "{id}",
        "{id:dec}",
        "{counter:dec}",
        "{counter:u16be:step=3}",
        "{choice:a|bc}",
        "{random}",
        "{begin:a}",
        "{end:a}",
        "{begin:b}",
        "{len:of=a}",
        "{len:dec:of=a}",
        "{len}",
        "{crc32:of=a}",
        "{inet_checksum:of=b}",
        "{crc32}",
        "{",
        "}",
        "}}",
        "{{",
        "\r",
        "\n",
        ":",
    ];
    let mut drawn = (0..).map(|n| crate::unit::hash_u64(n) as usize);
    let mut good = 0;
    for _ in 0..4_000 {
        let count = drawn.next().unwrap() % 9;
        let text: String = drawn.by_ref().take(count).map(|at| tokens[at % tokens.len()]).collect();
        let spec = Spec { rule: MatchRule::Any, ..lines(text.as_bytes()) };
        match (spec.compile(SEED), composed(&spec)) {
            (Ok((requests, matching)), Ok(composed)) => {
                good += 1;
                let compiled = Compiled(requests, matching);
                for n in [0, 1, 2, 3, 1_000, u64::MAX] {
                    assert_eq!(composed.written(n, n), compiled.written(n, n), "{text:?} {n}");
                }
            }
            (compiled, composed) => assert_eq!(compiled.err(), composed.err(), "{text:?}"),
        }
    }
    assert!(good > 500, "{good}");
}

#[test]
fn faults_are_found_before_lines_are_sent() {
    for spec in [
        lines(b"a\n\n{x}"),
        lines(b"a\n\xFF"),
        lines(b"\n\r\n"),
        lines(b"a\n{id}"),
        lines(b"{counter:dec}{id}"),
        lines(b"a\n{len:of=x}"),
        lines("{choice:a|b}".repeat(13).as_bytes()),
        lines("a".repeat(65_508).as_bytes()),
        Spec { encoding: "latin1".parse().unwrap(), ..lines("a\naé{choice:ü|あ}".as_bytes()) },
        Spec { encoding: "utf-16le".parse().unwrap(), ..lines(b"a{id}") },
        with_id_at(lines(b"abcd\nabc"), "2:u16be"),
        with_id_at(lines(b"abcd\n{crc32}"), "2:u16be"),
        names(b"; a\n\n", false),
        names(b"a..b\n a\n", false),
        names(b"a\na TYPE99999\n", true),
    ] {
        assert_eq!(composed(&spec).err(), spec.compile(SEED).err(), "{spec}");
        assert!(spec.compile(SEED).is_err(), "{spec}");
    }
}

#[test]
fn many_lines_are_sent_in_order_or_at_random() {
    // Every seventh line is bad, in another way each, and lines differ in length.
    let mut file = Vec::new();
    for n in 0..LINES {
        match n % 21 {
            0 => file.extend(format!("x..y.{n}.example A\n").into_bytes()),
            7 => file.extend(format!("n{n}.example NOTYPE\n").into_bytes()),
            14 => file.extend(format!("# n{n}.example\n\r\n").into_bytes()),
            _ => file.extend(
                format!("n{n}.example {}\r\n", ["A", "MX", ""][n as usize % 3]).into_bytes(),
            ),
        }
    }
    assert!(file.len() > 1 << 20, "it is large");
    let of = Dns { names: Names::Lines { bytes: file.into(), strict: false }, ..Dns::of("") };
    let mut spec = preset(Preset::Dns(of));
    let turns = compiled(&spec);
    let good: Vec<u64> = (0..LINES).filter(|n| n % 7 != 0).collect();
    assert_eq!(turns.0.variants(), good.len());
    let input = turns.input();
    let bad = (0..LINES).filter(|n| n % 21 == 0).count() as u64;
    assert_eq!((input.used, input.records), (good.len() as u64, good.len() as u64 + bad * 2));
    assert_eq!(input.left_out["bad_name"], bad);
    assert_eq!(input.left_out["unknown_type"], bad);
    assert!(input.notes[1].starts_with("line 1: 'x..y.0.example A'"), "{:?}", input.notes);
    assert!(input.notes[2].starts_with("line 8: 'n7.example NOTYPE'"), "{:?}", input.notes);
    let number_of = |of: &Compiled, n| {
        let query = of.written(n, 0);
        let label = &query[14..13 + usize::from(query[12])];
        let number: u64 = std::str::from_utf8(label).unwrap().parse().unwrap();
        let rtype = [1, 15, 1][number as usize % 3];
        let end = 13 + usize::from(query[12]) + 9;
        assert_eq!(query[end..end + 4], [0, rtype, 0, 1], "{number}");
        number
    };
    let twice = (0..).zip(good.iter().chain(&good));
    twice.for_each(|(n, expected)| assert_eq!(number_of(&turns, n), *expected));
    spec.order = RequestOrder::Random;
    let random = compiled(&spec);
    let drawn: BTreeSet<_> = (0..good.len() as u64).map(|n| number_of(&random, n)).collect();
    // Of as many draws with replacement, 1 - 1/e of all lines are expected.
    let share = drawn.len() as f64 / good.len() as f64;
    assert!((0.62..0.645).contains(&share), "{share}");
    assert!(drawn.iter().all(|n| n % 7 != 0));
}
