//! One flow as its receiver sees it.

use crate::measure::{Jitter, Window};

#[derive(Debug, Default)]
pub(super) struct RxFlow {
    pub(super) window: Window,
    pub(super) jitter: Jitter,
    /// Each sequence number once.
    pub(super) received: u64,
}

impl RxFlow {
    /// So many, for the receiver of this number among so many that they go to in turn: those of
    /// others take no memory here.
    // cold: once for each receiver, before the barrier
    pub(super) fn in_turn(flows: usize, (worker, of): (usize, usize)) -> Vec<Self> {
        let flow = |flow: usize| match flow % of.max(1) == worker {
            true => Self::default(),
            false => Self { window: Window::closed(), ..Self::default() },
        };
        (0..flows).map(flow).collect()
    }
}
