//! From specifications to matched replies.

mod capture;
mod dns;
mod fields;
mod names;
mod presets;

use super::*;

/// Seed of whatever is random here. Arbitrary.
const SEED: u64 = 7;
/// A moment: 2023-11-14T22:13:20.123456789Z.
const NOW_NS: u64 = 1_700_000_000_123_456_789;

/// Request number `n` with this id, which is the same whenever it is written.
fn written(requests: &Requests, n: u64, id: u64) -> Vec<u8> {
    let mut slot = vec![0xAA; requests.largest()];
    let len = requests.write(n, id, NOW_NS, &mut slot);
    let mut again = vec![0x55; requests.largest()];
    assert_eq!(requests.write(n, id, NOW_NS, &mut again), len);
    assert_eq!(slot[..len], again[..len]);
    slot.truncate(len);
    slot
}

/// Whether `reply` is matched with request number `n`.
fn matched(of: &(Requests, Matching), n: u64, id: u64, reply: &[u8]) -> bool {
    let mut scratch = vec![0; of.0.largest()];
    of.1.answers(&of.0, n, id, reply, &mut scratch)
}

fn text(text: &str) -> Spec {
    Spec::of(RequestSource::Text(text.to_owned()))
}

fn preset(preset: Preset) -> Spec {
    Spec::of(RequestSource::Preset(preset))
}

fn compiled(spec: &Spec) -> (Requests, Matching) {
    spec.compile(SEED).unwrap()
}

#[test]
fn echoes_are_matched_by_all_their_bytes() {
    let of = compiled(&preset(Preset::Echo(Echo { size: 64 })));
    assert_eq!((of.0.same_len(), of.0.id_bits(), of.0.mean_len()), (Some(64), 64, 64.0));
    assert!(of.1.expects_reply() && !of.1.by_order());
    let mut echo = written(&of.0, 0, 0x0102_0304_0506_0708);
    assert_eq!(echo[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(of.1.id_of(&echo), Some(0x0102_0304_0506_0708));
    assert!(matched(&of, 0, 0x0102_0304_0506_0708, &echo));
    assert!(!matched(&of, 0, 0x0102_0304_0506_0709, &echo));
    echo[63] ^= 1;
    assert!(!matched(&of, 0, 0x0102_0304_0506_0708, &echo));
    assert!(!matched(&of, 0, 0x0102_0304_0506_0708, &echo[..63]));
    assert_eq!(of.1.id_of(&echo[..7]), None);
    for size in [15, 65_508] {
        let error = preset(Preset::Echo(Echo { size })).compile(SEED).unwrap_err();
        assert!(matches!(error, PayloadError::Size { asked, .. } if asked == size), "{error}");
    }
}

#[test]
fn a_slot_that_is_too_short_is_unchanged() {
    let (requests, matching) = compiled(&text("{id:u16be}abc"));
    let mut slot = [7; 4];
    assert_eq!(requests.write(0, 0, 0, &mut slot), 0);
    assert_eq!(slot, [7; 4]);
    assert!(matching.answers(&requests, 0, 1, &[0, 1], &mut slot), "needs no scratch");
}

#[test]
fn specifications_are_shown_alike_only_if_they_are() {
    let shown = |source| Spec::of(source).to_string();
    assert_eq!(shown(RequestSource::Text("a\x1b{id}".to_owned())), "text \"a\\u{1b}{id}\"");
    let (long, other) = ("x".repeat(100), "x".repeat(99) + "y");
    assert!(shown(RequestSource::Text(long.clone())).contains("… of 100 bytes, CRC "));
    assert_ne!(shown(RequestSource::Text(long)), shown(RequestSource::Text(other)));
    assert_eq!(shown(RequestSource::Lines(b"a".to_vec())), "lines of 1 bytes, CRC e8b7be43");
    assert_eq!(shown(RequestSource::File(vec![])), "0 bytes, CRC 00000000, fields on");
    let mut spec = Spec::of(RequestSource::Capture { bytes: vec![], port: Some(53) });
    spec.id_at = Some("0:u16be".parse().unwrap());
    spec.order = RequestOrder::Random;
    let expected = "capture of 0 bytes, CRC 00000000, port 53, id at 0:u16be, in random order";
    assert_eq!(spec.to_string(), expected);
    let mut dns = Dns::of("a.example");
    dns.random_subdomain = Some(8);
    dns.dnssec = true;
    let expected = "dns \"a.example\" A, 8 random letters before it, EDNS 1232, DO";
    assert_eq!(shown(RequestSource::Preset(Preset::Dns(dns))), expected);
    assert_eq!(preset(Preset::Echo(Echo { size: 64 })).to_string(), "echo of 64 bytes");
}

#[test]
fn rules_are_shown() {
    for (spec, rule, shown) in [
        (text("{id}"), MatchRule::Preset, "id at 0:dec10"),
        (text("{id}"), MatchRule::Echo, "the whole request"),
        (text("a"), MatchRule::Echo, "the whole request, in order"),
        (text("a"), MatchRule::Any, "whatever comes, in order"),
        (text("a"), MatchRule::None, "no replies"),
        (preset(Preset::Ntp), MatchRule::Preset, "origin timestamp of NTP"),
    ] {
        assert_eq!(compiled(&Spec { rule, ..spec }).1.to_string(), shown);
    }
}
