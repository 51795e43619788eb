//! Fields whose values depend on flows or on other bytes, and requests of varying length.

use super::*;

fn hex(text: &str) -> Spec {
    Spec::of(RequestSource::Hex(text.to_owned()))
}

/// The Internet checksum, one bit of carry at a time.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| [pair[0], pair.get(1).copied().unwrap_or(0)]);
    !words.map(u16::from_be_bytes).fold(0, |sum, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

/// The request with this number of this flow.
fn of_stream(of: &Compiled, stream: u64, place: u64) -> Vec<u8> {
    let number = RequestNumber { turn: 99, unique: 77, stream, place };
    let mut slot = vec![0; of.0.largest];
    let len = of.0.write(number, 0, NOW_NS, &mut slot);
    slot.truncate(len);
    slot
}

#[test]
fn counters_have_a_start_a_step_and_a_stream() {
    for (template, stream, place, bytes) in [
        ("{counter:dec:start=7:step=30}", 0, 0, &b"2977"[..]),
        ("{counter:u16be:stream}", 5, 3, &[0, 3]),
        ("{counter:stream:start=65535:u16be}", 5, 3, &[0, 2]),
        ("{counter:u24le:stream:start=10:step=-4}", 0, 3, &[0xFE, 0xFF, 0xFF]),
        ("{counter:step=160:start=1:stream:dec5}", 0, 2, b"00321"),
        ("{stream:u8} {stream:dec}", 300, 0, b"\x2C 300"),
    ] {
        assert_eq!(of_stream(&compiled(&text(template)), stream, place), bytes, "{template}");
    }
    let of = compiled(&text("{random:u32be:stream}{random:alnum:stream:5}"));
    let streams: std::collections::BTreeSet<_> = (0..500).map(|n| of_stream(&of, n, n)).collect();
    assert_eq!(streams.len(), 500);
    assert_eq!(of_stream(&of, 9, 0), of_stream(&of, 9, 1));
}

#[test]
fn decimals_without_leading_zeros_vary_the_length() {
    let of = compiled(&text("{{\"id\":{id:dec},\"n\":{counter:dec}}}"));
    assert_eq!(of.written(10, 5), b"{\"id\":5,\"n\":10}");
    assert_eq!((of.0.same_len, of.0.id_bits), (None, 53));
    assert_eq!(of.1.id_of(b"{\"id\":123}"), Some(123));
    assert!(of.matches(3, 5, b"{\"id\":5}") && !of.matches(3, 5, b"{\"id\":55}"));
    // All that is written is long enough for ids of 16 digits.
    assert!(of.0.largest >= of.written(u64::MAX, u64::MAX).len());
    let echo = Spec { rule: MatchRule::Echo, ..text("{id:dec} {time:ms} {crc32}") };
    let echo = compiled(&echo);
    assert!(echo.matches(3, 1_234, &echo.written(3, 1_234)));
    let moved = error(&text("{counter:dec}{id:u8}"));
    let [here, there] = ["1:u8", "16:u8"].map(str::to_owned);
    assert_eq!(moved, PayloadError::MovingId { here, there, format: Some(Number::Be(1)) });
    let random = compiled(&text("[{random:dec}]"));
    let mean = (0..2_000).map(|n| random.written(n, 0).len()).sum::<usize>() as f64 / 2_000.0;
    assert!((mean - random.0.mean_len).abs() < 0.1, "{mean} {}", random.0.mean_len);
    for text in ["{time:ms:dec}", "{time:s:dec}"] {
        assert!(compiled(&super::text(text)).0.same_len.is_some(), "times have all their digits");
    }
}

#[test]
fn lengths_are_of_the_datagram_or_of_a_part() {
    for (template, bytes) in [
        ("{len:u16be}abc", &b"\0\x05abc"[..]),
        ("{len}", b"00005"),
        ("a{len:dec:of=body} {begin:body}é{counter:dec}{end:body}!", b"a3 \xC3\xA97!"),
        ("{begin:b}{counter:dec}{end:b}{len:dec:of=b}{len:dec2}", b"7104"),
        ("{len:u8:of=b}{begin:b}{begin:c}{end:b}12{end:c}{len:u8:of=c}", b"\x0012\x02"),
        // A part without an end ends with the datagram.
        ("{len:u8:of=rest}{begin:rest}abc", b"\x03abc"),
    ] {
        assert_eq!(compiled(&text(template)).written(7, 0), bytes, "{template}");
    }
    assert_eq!(compiled(&hex("{len}{begin:a}ff{len:of=a}")).written(0, 0), [0, 5, 0xFF, 0, 3]);
}

#[test]
fn checksums_are_computed_last_over_what_is_sent() {
    for template in [
        "08 00 {inet_checksum} {id:u16be} {counter:u16be} 616263",
        // Odd offsets and lengths, and what only sometimes has as many bytes.
        "01 {inet_checksum:u16be:of=a} {begin:a} 02 {counter:u24be} {random:alnum:6} {end:a}",
        "{inet_checksum:of=a} 01 {begin:a} {counter:dec} 0102 {random:dec}",
    ] {
        let of = compiled(&hex(template));
        for n in [0, 7, 10_000, u64::MAX] {
            let mut sent = of.written(n, n);
            let at = usize::from(sent[0] == 8) * 2 + usize::from(sent[0] == 1 && sent.len() > 12);
            let at = if template.starts_with("{inet") { 0 } else { at };
            let from = if at == 2 { 0 } else { 3 };
            let value = u16::from_be_bytes([sent[at], sent[at + 1]]);
            sent[at..at + 2].fill(0);
            assert_eq!(value, internet_checksum(&sent[from..]), "{template} {sent:?}");
        }
    }
    let of = compiled(&hex("ff{begin:a}01{counter:u32be}{time}{end:a}{crc32:u32le:of=a}ee"));
    let sent = of.written(9, 0);
    assert_eq!(sent[14..18], crc32fast::hash(&sent[1..14]).to_le_bytes());
    let of = compiled(&text("{crc32}{id} {counter:dec}"));
    for n in [9, 10] {
        let mut sent = of.written(n, 1);
        let value = sent[..8].to_vec();
        sent[..8].fill(0);
        assert_eq!(value, format!("{:08x}", crc32fast::hash(&sent)).into_bytes());
    }
    // The outer one covers the inner one, whichever comes first.
    for template in [
        "{crc32}{begin:a}{inet_checksum:of=a}{counter:u16be}",
        "{begin:a}{inet_checksum:of=a}{counter:u16be}{end:a}{crc32}",
    ] {
        let mut sent = compiled(&hex(template)).written(0x1234, 0);
        let at = if template.starts_with("{crc32") { 0 } else { 4 };
        let crc = sent[at..at + 4].to_vec();
        sent[at..at + 4].fill(0);
        assert_eq!(crc, crc32fast::hash(&sent).to_be_bytes(), "{template}");
        assert_eq!(sent[4 - at..][..4], [0xED, 0xCB, 0x12, 0x34], "{template}");
    }
}

#[test]
fn faults_of_parts_have_their_place() {
    for (template, start) in [
        ("a{len:of=b}", "'{len:of=b}', character 2, is of a part that is not marked"),
        ("a{begin:b}{begin:b}", "'{begin:b}', character 11, begins a part that has begun"),
        ("é{end:b}", "'{end:b}', character 2, ends a part that has not begun"),
        ("{begin:b}{end:b}{end:b}", "'{end:b}', character 17, ends a part"),
        ("a{len:dec}", "'{len:dec}', character 2, depends on itself"),
        ("{crc32}{inet_checksum}", "'{crc32}', character 1, depends on itself, or on another"),
        ("{crc32:dec}", "'{crc32:dec}', character 1, has no such format"),
        ("{begin}", "'{begin}', character 1, has no such format"),
        ("{begin:a-b}", "'{begin:a-b}', character 1, has no such format"),
        ("{begin:ninechars}", "'{begin:ninechars}', character 1, has no such format"),
        ("{counter:start=x}", "'{counter:start=x}', character 1, has no such format"),
        ("{counter:dec:dec}", "'{counter:dec:dec}', character 1, has no such format"),
        ("{time:ntp:dec}", "'{time:ntp:dec}', character 1, has no such format"),
        ("{random:stream:dec:alnum:3}", "'{random:stream:dec:alnum:3}', character 1, has no such"),
        ("{id:stream}", "'{id:stream}', character 1, has no such format"),
    ] {
        let error = error(&text(template)).to_string();
        assert!(error.starts_with(start), "{error}");
    }
    let many = error(&text(&"{len:u8}".repeat(9))).to_string();
    assert!(many.starts_with("'{len:u8}', character 65, is one too many"), "{many}");
    for template in ["{crc32}aaaa", "{counter:dec}aaaa"] {
        let spec = with_id_at(text(template), "0:u16be");
        assert_eq!(error(&spec), PayloadError::IdOverComputed);
    }
    assert!("0:dec".parse::<IdAt>().is_err());
}
