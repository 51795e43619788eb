//! Whole ways: from what was asked for to the reply that is matched.

mod capture;
mod dns;
mod fields;
mod presets;

use super::*;

/// Seed of whatever is random here. Arbitrary.
const SEED: u64 = 7;

/// A moment: 2023-11-14T22:13:20.123456789Z.
const NOW_NS: u64 = 1_700_000_000_123_456_789;

/// Request number `n` with this id; written twice, it is the same twice.
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
    Spec::of(Source::Text(text.to_owned()))
}

fn compiled(spec: &Spec) -> (Requests, Matching) {
    spec.compile(SEED).unwrap()
}

#[test]
fn echoes_are_matched_by_all_their_bytes() {
    let spec = Spec::of(Source::Preset(Preset::Echo(Echo { size: 64 })));
    let of = compiled(&spec);
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
        let spec = Spec::of(Source::Preset(Preset::Echo(Echo { size })));
        assert!(
            matches!(spec.compile(SEED), Err(PayloadError::Size { asked, .. }) if asked == size)
        );
    }
}

#[test]
fn a_slot_that_is_too_short_stays_as_it_is() {
    let (requests, matching) = compiled(&text("{id:u16be}abc"));
    let mut slot = [7; 4];
    assert_eq!(requests.write(0, 0, 0, &mut slot), 0);
    assert_eq!(slot, [7; 4]);
    assert!(matching.answers(&requests, 0, 1, &[0, 1], &mut slot), "needs no scratch");
}
