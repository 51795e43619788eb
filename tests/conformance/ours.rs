//! What our datagrams look like, to the byte.

use std::sync::OnceLock;

use udperf::unit::PayloadSize;
use udperf::wire::{self, HEADER_LEN, Header, LAG_END};

use crate::engines::SEED;

/// The tag of our datagrams; arbitrary.
pub const TAG: u16 = 0xC0DE;

/// Makes a datagram ours; what is too short for a header keeps its fill.
pub fn stamp(flow: usize, sequence: u64, payload: &mut [u8]) {
    if payload.len() >= HEADER_LEN {
        let intended_ns = 1_000 * sequence + flow as u64;
        wire::encode(Header { tag: TAG, flow: flow as u16, sequence, intended_ns }, payload);
        wire::encode_lag(sequence % 4_096, payload);
    }
}

/// Checks that this is the datagram that it says it is, to the byte.
pub fn accept(payload: &[u8], size: PayloadSize, come: &mut [u64], next: &[u64], name: &str) {
    static FILL: OnceLock<Vec<u8>> = OnceLock::new();
    let fill = FILL.get_or_init(|| {
        let mut fill = vec![0; 65_536];
        wire::fill(&mut fill, SEED);
        fill
    });
    let (flow, sequence) = match wire::decode_own(payload, TAG) {
        Some(header) => (usize::from(header.flow), header.sequence),
        None if size.largest() < HEADER_LEN => (0, come[0]),
        None => panic!("{name}: not ours: {} bytes", payload.len()),
    };
    assert!(sequence >= come[flow], "{name}: {sequence} behind {}", come[flow]);
    assert!(sequence < next[flow], "{name}: {sequence} never left");
    assert_eq!(payload.len(), size.at(sequence), "{name}: {sequence}");
    let head = payload.len().min(LAG_END);
    let mut expected = fill[..head].to_vec();
    stamp(flow, sequence, &mut expected);
    assert_eq!(payload[..head], expected, "{name}: {sequence}");
    assert!(payload[head..] == fill[head..payload.len()], "{name}: fill of {sequence}");
    come[flow] = sequence + 1;
}
