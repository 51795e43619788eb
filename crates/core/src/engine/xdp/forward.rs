//! Passes each reply to the thread that sent its request. The device chooses the queue by which a
//! reply arrives, and each queue has one thread, but requests in flight belong to the thread of
//! their source port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use super::frame_ring::{FrameInfo, FrameReceiver, FrameSender};
use crate::sys::EventFd;

/// The entry of a port without an owner.
const NO_OWNER: u32 = u32::MAX;

/// The thread and the flow of each local port.
#[derive(Debug)]
pub(super) struct PortOwners(Box<[AtomicU32]>);

impl PortOwners {
    // cold: set-up
    pub(super) fn new() -> Self {
        Self((0..=u16::MAX).map(|_| AtomicU32::new(NO_OWNER)).collect())
    }

    /// Gives a port to a flow of a thread; false if it has an owner.
    // cold: set-up
    pub(super) fn claim(&self, port: u16, thread: u16, stream: u16) -> bool {
        let (entry, new) =
            (&self.0[usize::from(port)], u32::from(thread) << 16 | u32::from(stream));
        entry.compare_exchange(NO_OWNER, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The thread and the flow of a port. Threads claim ports before the run, so relaxed loads
    /// suffice.
    #[inline]
    pub(super) fn of(&self, port: u16) -> Option<(u16, u16)> {
        let owner = self.0[usize::from(port)].load(Ordering::Relaxed);
        (owner != NO_OWNER).then_some(((owner >> 16) as u16, owner as u16))
    }
}

/// What the other threads know of a thread.
#[derive(Debug)]
pub(super) struct ThreadState {
    /// Whether it waits, or is about to, and `wakeup` has to be signalled.
    is_asleep: AtomicBool,
    wakeup: EventFd,
    /// The latest phase in which it needs no more replies.
    ended: AtomicU64,
}

impl ThreadState {
    // cold: set-up
    pub(super) fn new(wakeup: EventFd) -> Self {
        Self { is_asleep: AtomicBool::new(false), wakeup, ended: AtomicU64::new(0) }
    }
}

/// State that all threads which receive replies at a device share.
#[derive(Debug)]
pub(super) struct ForwardState {
    pub(super) owners: PortOwners,
    pub(super) threads: Vec<ThreadState>,
}

/// The part of one thread.
#[derive(Debug)]
pub(super) struct Forwarder {
    pub(super) shared: Arc<ForwardState>,
    pub(super) thread: u16,
    /// Queues to each thread; `None`: this one.
    pub(super) to: Vec<Option<FrameSender>>,
    /// Queues from each other thread, and the frames of the latest pull.
    pub(super) from: Vec<(FrameReceiver, usize)>,
    /// Replies that found a queue full, or were longer than a slot.
    pub(super) dropped: Arc<AtomicU64>,
    /// The number of the current phase, from 1.
    pub(super) phase: u64,
    /// Whether this thread has announced a sleep. It reads this instead of the shared value.
    pub(super) is_asleep: bool,
}

impl Forwarder {
    /// What other threads signal when they forward replies while this one sleeps; `None`: there
    /// are no others.
    pub(super) fn wakeup(&self) -> Option<&EventFd> {
        (!self.from.is_empty()).then(|| &self.own_state().wakeup)
    }

    /// The thread and the flow of this destination port.
    #[inline]
    pub(super) fn owner(&self, port: u16) -> Option<(u16, u16)> {
        self.shared.owners.of(port)
    }

    /// Copies a reply for another thread, which sees it after [`Self::publish_and_wake`].
    #[inline]
    pub(super) fn forward(&mut self, thread: u16, frame: &[u8], info: FrameInfo) {
        let to = self.to.get_mut(usize::from(thread)).and_then(Option::as_mut);
        if !to.is_some_and(|to| to.push(frame, info)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shows forwarded replies to their threads, and wakes those that sleep; returns the number of
    /// system calls.
    pub(super) fn publish_and_wake(&mut self) -> u64 {
        let mut syscalls = 0;
        for (to, other) in self.to.iter_mut().zip(&self.shared.threads) {
            if !to.as_mut().is_some_and(FrameSender::publish) {
                continue;
            }
            // As in `prepare_sleep`: either this thread sees that the other one sleeps, or that one
            // sees the replies before it sleeps.
            fence(Ordering::SeqCst);
            if other.is_asleep.load(Ordering::Relaxed)
                && other.is_asleep.swap(false, Ordering::Relaxed)
            {
                other.wakeup.signal();
                syscalls += 1;
            }
        }
        syscalls
    }

    /// Asks the other threads to wake this one; false if replies wait, so that it may not sleep.
    pub(super) fn prepare_sleep(&mut self) -> bool {
        if self.from.is_empty() {
            return true;
        }
        self.is_asleep = true;
        self.own_state().is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.from.iter_mut().all(|(from, held)| from.arrived() == *held)
    }

    /// Ends a sleep.
    #[inline]
    pub(super) fn end_sleep(&mut self) {
        if std::mem::take(&mut self.is_asleep) {
            self.own_state().is_asleep.store(false, Ordering::Relaxed);
        }
    }

    /// Notes that this thread needs no more replies of its phase. Returns whether that holds for
    /// all threads; until then, replies for others may arrive at the queues of this one.
    pub(super) fn end_phase(&self) -> bool {
        self.own_state().ended.store(self.phase, Ordering::Relaxed);
        let has_ended = |thread: &ThreadState| thread.ended.load(Ordering::Relaxed) >= self.phase;
        self.shared.threads.iter().all(has_ended)
    }

    /// Gives the slots of the latest pull back.
    #[inline]
    pub(super) fn release(&mut self) {
        for (from, held) in &mut self.from {
            if *held > 0 {
                from.release(*held);
                *held = 0;
            }
        }
    }

    fn own_state(&self) -> &ThreadState {
        &self.shared.threads[usize::from(self.thread)]
    }
}

/// Other threads do not wait for one that has failed.
impl Drop for Forwarder {
    fn drop(&mut self) {
        self.own_state().ended.store(u64::MAX, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_one_owner() {
        let owners = PortOwners::new();
        assert!(
            owners.claim(7, 0, 3) && owners.claim(0, 2, 0) && owners.claim(u16::MAX, 1, 65_535)
        );
        assert!(!owners.claim(7, 0, 3) && !owners.claim(7, 1, 0));
        assert_eq!(
            [7, 0, u16::MAX, 8].map(|port| owners.of(port)),
            [Some((0, 3)), Some((2, 0)), Some((1, 65_535)), None]
        );
    }
}
