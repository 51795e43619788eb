//! Full receive buffers: what did not arrive is what the kernel says it dropped, exactly.

use crate::engines::Pair;
use crate::rig::{Rig, Setup};

/// SO_RCVBUF to ask for; the kernel grants twice that, which is a few datagrams.
const TINY: usize = 4_096;

#[test]
fn what_a_full_buffer_drops_is_told_to_the_datagram() {
    for pair in Pair::all() {
        for (size, count) in [(16, 601), (64, 300), (1_472, 201), (20_000, 31), (65_507, 7)] {
            let setup = Setup { receive_buffer: Some(TINY), flows: 2, ..Setup::fixed(size) };
            let mut rig = Rig::new(pair, &setup);
            // Twice: a queue that was full takes again once it was read.
            for _ in 0..2 {
                rig.push_all(count);
                rig.read_the_rest();
            }
            let ledger = rig.ledger();
            let name = &rig.name;
            assert_eq!(ledger.sent, 2 * count as u64, "{name}");
            assert!(ledger.received > Some(0) && ledger.lost > Some(0), "{name}: {ledger:?}");
            assert_eq!(ledger.lost_at.receive_buffer, ledger.lost, "{name}: {ledger:?}");
        }
    }
}

#[test]
fn a_buffer_that_overflowed_takes_all_again_once_it_is_read() {
    for pair in Pair::all() {
        let setup = Setup { receive_buffer: Some(TINY), ..Setup::fixed(64) };
        let mut rig = Rig::new(pair, &setup);
        rig.push_all(400);
        rig.read_the_rest();
        let (dropped, received) = (rig.inbox.dropped(), rig.inbox.tally.received);
        assert!(dropped > 0, "{pair}");
        for _ in 0..20 {
            rig.push_all(1);
            rig.read(1);
        }
        assert_eq!(rig.inbox.dropped(), dropped, "{pair}");
        assert_eq!(rig.inbox.tally.received, received + 20, "{pair}");
    }
}
