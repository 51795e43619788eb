//! Requests and replies under any input: what is compiled is what was asked, what is written can
//! be written again, and neither writing nor matching allocates.
#![allow(missing_docs, clippy::unwrap_used, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::prelude::*;
use simple_dns::{Packet, PacketFlag, QTYPE, TYPE};
use udperf::payload::{
    Dns, MatchRule, Names, Number, Preset, RequestOrder, RequestSource, Role, Spec,
};

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all memory comes from and goes back to the system's allocator; only a counter is beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn preset(preset: Preset) -> Spec {
    Spec::of(RequestSource::Preset(preset))
}

fn text(text: &str) -> Spec {
    Spec::of(RequestSource::Text(text.to_owned()))
}

#[test]
fn writing_and_matching_allocate_nothing() {
    let mut dns = Dns::of("example.com");
    dns.random_subdomain = Some(12);
    let mut specs = vec![
        preset(Preset::Dns(dns)),
        preset(Preset::Ntp),
        preset(Preset::Stun { fingerprint: true }),
        preset(Preset::Memcached { key: "k{counter:dec3}".to_owned() }),
        preset(Preset::Coap { path: "a".to_owned(), confirmable: true, blocks: 1 }),
        preset(Preset::Syslog("x".to_owned())),
        preset(Preset::QuicVn),
        preset(Preset::Echo { size: 1_472 }),
        text("{id} {counter:hex3} {random} {random:alnum:40} {time:rfc3339} {time:ms}"),
        Spec::of(RequestSource::Lines(b"a{choice:b|cd}\nc\n{random}\n".to_vec().into())),
    ];
    specs.push(text(
        "{len:dec:of=a}{begin:a}{counter:dec}{stream}{end:a}{inet_checksum:of=a}{crc32:of=a}",
    ));
    specs.push(text("{begin:a}{id}{time:ntp}{end:a}{inet_checksum:of=a}{crc32:of=a}"));
    // More than is compiled.
    let large = |line: &str| RequestSource::Lines(line.repeat(1 << 16).into_bytes().into());
    specs.push(Spec::of(large("{id}{choice:a|bc}{random:dec}{crc32}\n")));
    specs.push(Spec {
        encoding: "gbk".parse().unwrap(),
        ..Spec::of(large("好{choice:的|a}....\n"))
    });
    let mut dns = Dns::of("");
    let bytes = "a.example AAAA\nb.example TYPE99\n".repeat(1 << 15).into_bytes().into();
    dns.names = Names::Lines { bytes, strict: true };
    specs.push(preset(Preset::Dns(dns)));
    specs.push(Spec { rule: MatchRule::Echo, ..specs[8].clone() });
    specs.push(Spec { order: RequestOrder::Random, ..specs[9].clone() });
    for (id_rule, expected, error) in [
        ("after:b=", "prefix:a", "regex:^(?<name>[0-9]+|c.*)"),
        ("regex:b=([0-9]+)", "text:1", "even=regex:[02468]c$"),
        ("regex:(?i)^.*B=([0-9]{10})c", "hex@0:61", "regex:(?s-u)(?<name>.[^3]3*)c"),
    ] {
        specs.push(Spec {
            rule: id_rule.parse().unwrap(),
            expected: vec![expected.parse().unwrap(), "regex:^a.*[13579]c".parse().unwrap()],
            errors: vec![error.parse().unwrap()],
            ..text("a{random} b={id}c")
        });
    }
    for spec in &specs {
        let (requests, matching) = spec.compile(1).unwrap();
        let (mut slot, mut scratch) = (vec![0; 65_507], vec![0; requests.largest]);
        let (mut before, mut sum) = (0, 0);
        // Expressions have all their memory once they have searched such replies.
        let passes = if spec.errors.is_empty() { 1 } else { 2 };
        for _ in 0..passes {
            (before, sum) = (COUNT.get(), 0);
            for n in 0..1_000 {
                let len = requests.write(n, n, n << 32, &mut slot);
                let reply = &slot[..len];
                let id = matching.id_of(reply);
                sum += u64::from(matching.answers(&requests, n, n, n << 32, reply, &mut scratch));
                sum += u64::from(matching.role_of(reply) != Role::Whole);
                sum += u64::from(matching.code_of(reply).is_some()) + id.unwrap_or_default();
            }
        }
        assert_eq!(COUNT.get(), before, "{spec}, {sum}");
    }
}

/// A field, and its bytes.
fn field() -> impl Strategy<Value = (String, usize)> {
    let number = prop_oneof![
        Just(("u8".to_owned(), 1)),
        Just(("u16le".to_owned(), 2)),
        Just(("u32be".to_owned(), 4)),
        Just(("u64le".to_owned(), 8)),
        Just(("u24be".to_owned(), 3)),
        Just(("u48le".to_owned(), 6)),
        (1_usize..=16).prop_map(|count| (format!("hex{count}"), count)),
        (1_usize..=20).prop_map(|count| (format!("dec{count}"), count)),
    ];
    let name = prop::sample::select(vec![
        "id",
        "counter",
        "counter:start=9:step=-7",
        "counter:stream",
        "stream",
        "random",
        "random:stream",
        "time",
        "time:ms",
        "time:s",
        "time:nsec",
        "time:ntp",
    ]);
    prop_oneof![
        (name, number).prop_map(|(name, (format, len))| (format!("{{{name}:{format}}}"), len)),
        (1_usize..100).prop_map(|count| (format!("{{random:alnum:{count}}}"), count)),
        "[a-z ]{0,9}".prop_map(|text| (text.clone(), text.len())),
        Just(("{{".to_owned(), 1)),
        Just(("é}}".to_owned(), 3)),
        Just(("{time:rfc3339}".to_owned(), 27)),
    ]
}

/// A field, or one whose length differs from request to request.
fn part() -> impl Strategy<Value = String> {
    let varying =
        vec!["{counter:dec}", "{id:dec}", "{random:dec}", "{stream:dec}", "{choice:a|bc}"];
    prop_oneof![
        2 => field().prop_map(|(text, _)| text),
        1 => prop::sample::select(varying).prop_map(str::to_owned),
    ]
}

/// A name of DNS: labels of letters, digits and hyphens.
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-z0-9]([a-zA-Z0-9-]{0,30}[a-z0-9])?", 1..6)
        .prop_map(|labels| labels.join("."))
}

/// A pcap of raw IPv4: times in microseconds, ports and payloads.
fn pcap(packets: &[(u32, u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = 0xA1B2_C3D4_u32.to_le_bytes().to_vec();
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 101, 0, 0, 0]);
    for (micros, port, payload) in packets {
        let udp = 8 + payload.len() as u16;
        let len = u32::from(udp) + 20;
        bytes.extend(
            [micros / 1_000_000, micros % 1_000_000, len, len].map(u32::to_le_bytes).concat(),
        );
        bytes.extend([0x45, 0]);
        bytes.extend((20 + udp).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend([9, *port, udp, 0].map(u16::to_be_bytes).concat());
        bytes.extend(payload);
    }
    bytes
}

proptest! {
    #[test]
    fn templates_are_as_long_as_their_fields(
        fields in prop::collection::vec(field(), 0..12),
        (n, id, now_ns) in any::<(u64, u64, u64)>(),
        seed in any::<u64>(),
    ) {
        let template: String = fields.iter().map(|(text, _)| text.as_str()).collect();
        let expected: usize = fields.iter().map(|(_, len)| len).sum();
        let (requests, matching) = text(&template).compile(seed).unwrap();
        prop_assert_eq!(requests.same_len, Some(expected));
        let (mut slot, mut again) = (vec![0; expected], vec![0xFF; expected]);
        prop_assert_eq!(requests.write(n, id, now_ns, &mut slot), expected);
        prop_assert_eq!(requests.write(n, id, now_ns, &mut again), expected);
        prop_assert_eq!(&slot, &again);
        if requests.id_bits > 0 {
            let mask = u64::MAX >> (64 - requests.id_bits);
            let id = id & mask;
            requests.write(n, id, now_ns, &mut slot);
            prop_assert_eq!(matching.id_of(&slot), Some(id));
            prop_assert!(matching.answers(&requests, n, id, now_ns, &slot, &mut again));
            prop_assert!(!matching.answers(&requests, n, id ^ 1, now_ns, &slot, &mut again));
        }
    }

    #[test]
    fn parts_are_summed_as_they_are_sent(
        before in prop::collection::vec(part(), 0..5),
        body in prop::collection::vec(part(), 0..8),
        (n, id, now_ns) in any::<(u64, u64, u64)>(),
        seed in any::<u64>(),
    ) {
        let (before, body) = (before.concat(), body.concat());
        let template = format!(
            "{before}{{begin:p}}{body}{{end:p}}\
             {{len:u16be:of=p}}{{inet_checksum:u16be:of=p}}{{crc32:u32be:of=p}}"
        );
        let spec = Spec { rule: MatchRule::None, ..text(&template) };
        let (requests, _) = spec.compile(seed).unwrap();
        let mut slot = vec![0xFF; requests.largest];
        let len = requests.write(n, id, now_ns, &mut slot);
        prop_assert!(requests.same_len.is_none_or(|same| same == len));
        let (rest, sums) = slot[..len].split_at(len - 8);
        let part = usize::from(u16::from_be_bytes([sums[0], sums[1]]));
        let (before_part, part) = rest.split_at(rest.len() - part);
        let words = part.chunks(2).map(|pair| [pair[0], pair.get(1).copied().unwrap_or(0)]);
        let sum: u64 = words.map(|word| u64::from(u16::from_be_bytes(word))).sum();
        let sum = (sum & 0xFFFF) + (sum >> 16);
        let sum = !((sum & 0xFFFF) + (sum >> 16)) as u16;
        prop_assert_eq!(&sums[2..4], &sum.to_be_bytes());
        // Bit by bit, as the standard has it.
        let crc = part.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0xEDB8_8320))
        });
        prop_assert_eq!(&sums[4..], &(!crc).to_be_bytes());
        // The part is where it was marked.
        let spec = Spec { rule: MatchRule::None, ..text(&before) };
        let (alone, _) = spec.compile(seed).unwrap();
        let mut slot = vec![0; alone.largest];
        let len = alone.write(n, id, now_ns, &mut slot);
        prop_assert_eq!(before_part, &slot[..len]);
    }

    #[test]
    fn templates_are_total(template in ".{0,60}", hex in "[0-9a-f{}id:u8 ]{0,30}") {
        let _ = text(&template).compile(1);
        let _ = Spec::of(RequestSource::Hex(hex)).compile(1);
    }

    #[test]
    fn numbers_read_back(value in any::<u64>(), word in "(u8|u16be|u64le|hex[1-9]|dec1[0-9])") {
        let number = Number::parse(&word).unwrap();
        let mut out = vec![0; number.width()];
        let value = value & (u64::MAX >> (64 - number.bits()));
        number.write(value, &mut out);
        prop_assert_eq!(number.read(&out, 0), Some(value));
    }

    #[test]
    fn queries_are_what_was_asked(
        name in name(), other in name(), id in any::<u16>(), letters in 0_usize..20,
    ) {
        let mut dns = Dns::of(&name);
        dns.random_subdomain = (letters > 0).then_some(letters);
        let (requests, matching) = preset(Preset::Dns(dns)).compile(1).unwrap();
        let (mut query, mut scratch) = (vec![0; requests.largest], vec![0; requests.largest]);
        let id = u64::from(id);
        requests.write(3, id, 0, &mut query);
        let packet = Packet::parse(&query).unwrap();
        let asked = packet.questions[0].qname.to_string();
        let behind = format!(".{name}");
        prop_assert!(asked == name || letters > 0 && asked[letters..] == behind);
        prop_assert_eq!(packet.questions[0].qtype, QTYPE::TYPE(TYPE::A));
        let reply = |packet: Packet<'_>| {
            let mut reply = packet.into_reply();
            reply.set_flags(PacketFlag::RESPONSE);
            reply.build_bytes_vec().unwrap()
        };
        let ours = reply(packet);
        prop_assert_eq!(matching.id_of(&ours), Some(id));
        prop_assert!(matching.answers(&requests, 3, id, 0, &ours, &mut scratch));
        let mut packet = Packet::parse(&query).unwrap();
        packet.questions[0].qname = simple_dns::Name::new_unchecked(&other);
        if !other.eq_ignore_ascii_case(&asked) {
            prop_assert!(!matching.answers(&requests, 3, id, 0, &reply(packet), &mut scratch));
        }
    }

    #[test]
    fn captures_are_replayed_as_they_were(
        packets in prop::collection::vec(
            (0_u32..2_000_000, 1_u16..4, prop::collection::vec(any::<u8>(), 0..40)), 1..20,
        ),
        port in prop::option::of(1_u16..4),
    ) {
        let mut packets = packets;
        packets.sort_by_key(|(micros, ..)| *micros);
        let source = RequestSource::Capture { bytes: pcap(&packets), port, inner: false };
        packets.retain(|(_, to, _)| port.is_none_or(|port| port == *to));
        let compiled = Spec::of(source).compile(1);
        prop_assert_eq!(compiled.is_ok(), !packets.is_empty());
        if let Ok((requests, _)) = compiled {
            let first = packets[0].0;
            let times: Vec<_> = packets.iter().map(|p| u64::from(p.0 - first) * 1_000).collect();
            prop_assert_eq!(requests.recorded.as_ref(), Some(&times));
            let mut slot = vec![0; requests.largest];
            for (n, (.., payload)) in (0..).zip(&packets) {
                let len = requests.write(n, 0, 0, &mut slot);
                prop_assert_eq!(&slot[..len], &payload[..]);
            }
        }
    }
}
