//! Files of names, and reports of bad lines.

use super::dns::{dns, names};
use super::*;

#[test]
fn bad_lines_are_skipped_counted_and_named() {
    let long = format!("{}\u{1b}[31m A B C D", "x".repeat(90));
    let lines = [
        b"good.example A\n empty.example A\ngoogle.com TYPE99999999 ignored\n".to_vec(),
        b"caf\xC3\xA9.example TYPE65\nraw\xFF\\\xFE.example\n".to_vec(),
        format!("a..b\nno.example TYPE65536\nno.example TYPE+1\n{long}\n").into_bytes(),
    ];
    let of = compiled(&dns(|dns| dns.names = names(&lines.concat())));
    let asked = |n| written(&of.0, n, 0)[12..].to_vec();
    assert!(asked(1).starts_with(b"\x05caf\xC3\xA9\x07example\0\0\x41"), "{:?}", asked(1));
    assert!(asked(2).starts_with(b"\x05raw\xFF\xFE\x07example\0\0\x01"), "{:?}", asked(2));
    let input = of.0.input().unwrap();
    assert_eq!((input.format, input.records, input.used), ("names", 9, 3));
    let words: Vec<_> = input.left_out.iter().map(|(word, count)| (*word, *count)).collect();
    assert_eq!(words, [("bad_name", 2), ("empty_name", 1), ("unknown_type", 3)]);
    let notes = of.0.notes();
    assert_eq!(notes.len(), 6, "{notes:?}");
    let head = "6 of 9 lines of names are skipped, the first 5 are:";
    assert!(notes[0].starts_with(head), "{notes:?}");
    let starts = ["line 2: ' empty", "line 3: 'google.com TYPE99999999 ignored'", "line 6: 'a..b'"];
    for (note, start) in notes[1..].iter().zip(starts) {
        assert!(note.starts_with(start), "{note}");
    }
    // Cut at 80 columns, and without control characters.
    let alone = compiled(&dns(|dns| dns.names = names(format!("good A\n{long}").as_bytes())));
    let note = &alone.0.notes()[1];
    assert!(note.starts_with(&format!("line 2: '{}…' is no", "x".repeat(80))), "{note}");
    let alone = compiled(&dns(|dns| dns.names = names(b"good A\nbad \x1b[31m\x00\xFF")));
    let note = &alone.0.notes()[1];
    assert!(note.contains("'bad \\u{1b}[31m\\0\u{FFFD}'"), "{note}");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name_or_line() {
    let marked = b"\xEF\xBB\xBFa.example\n\xEF\xBB\xBFb.example\n";
    let of = compiled(&dns(|dns| dns.names = names(marked)));
    assert!(written(&of.0, 0, 0)[12..].starts_with(b"\x01a\x07example\0"));
    assert!(written(&of.0, 1, 0)[12..].starts_with(b"\x04\xEF\xBB\xBFb\x07example\0"));
    let lines = compiled(&Spec::of(RequestSource::Lines(b"\xEF\xBB\xBFa\nb".to_vec())));
    assert_eq!([written(&lines.0, 0, 0), written(&lines.0, 1, 0)], [b"a", b"b"]);
}

#[test]
fn a_name_that_is_too_long_with_a_random_label_is_one_bad_line() {
    let long = [63, 63, 63, 50].map(|len| "x".repeat(len)).join(".");
    let lines = format!("a.example\n{long}\nb.example\n");
    let plain = compiled(&dns(|dns| dns.names = names(lines.as_bytes())));
    assert_eq!((plain.0.variants(), plain.0.notes().len()), (3, 0));
    let random = compiled(&dns(|dns| {
        dns.names = names(lines.as_bytes());
        dns.random_subdomain = Some(20);
    }));
    assert_eq!(random.0.variants(), 2);
    assert!(random.0.notes()[1].contains(", with the random label"), "{:?}", random.0.notes());
}

#[test]
fn a_name_longer_than_any_is_a_bad_line() {
    // As long as a name can be, with four characters a byte.
    let as_text = [63, 63, 63, 61].map(|len| "\\255".repeat(len)).join(".");
    let of = compiled(&dns(|dns| dns.names = names(as_text.as_bytes())));
    assert_eq!((of.0.variants(), of.0.notes().len()), (1, 0), "{}", as_text.len());
    let mut lines = b"good.example\n".to_vec();
    lines.extend([0; 1_021]);
    let of = compiled(&dns(|dns| dns.names = names(&lines)));
    let input = of.0.input().unwrap();
    assert_eq!((input.used, input.left_out.get("bad_name")), (1, Some(&1)));
    let note = &of.0.notes()[1];
    let shown = "\\0".repeat(40);
    assert!(note.starts_with(&format!("line 2: '{shown}…' is not a question")), "{note}");
    assert!(note.contains("the name has 1021 bytes, more than any name"), "{note}");
}
