//! A bounded queue of frames from one thread to another, without locks: one half writes, the other
//! reads. Its memory is allocated, and touched, when it is made.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::unit::Nanos;

/// What the thread that received a frame knows about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FrameInfo {
    /// When it was read, on the monotonic clock.
    pub(super) arrived_at: Nanos,
    /// The flow that it belongs to.
    pub(super) stream: u16,
    /// Where the payload begins in the frame, and its length.
    pub(super) payload: (usize, usize),
}

/// A number that one thread writes, in a cache line of its own: two of 64 bytes, as processors
/// fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Position(AtomicU32);

#[derive(Debug)]
struct FrameRing {
    /// Frames written and frames released, modulo 2³².
    written: Position,
    released: Position,
    /// The length of the frame in each slot, and what is known about it. A power of two.
    infos: Box<[UnsafeCell<(usize, FrameInfo)>]>,
    /// The bytes of all slots.
    bytes: Box<[UnsafeCell<u8>]>,
    slot_len: usize,
}

// SAFETY: there is one sender and one receiver. A slot belongs to the sender until `written` passes
// it, and then to the receiver until `released` does.
unsafe impl Sync for FrameRing {}

impl FrameRing {
    const fn slots(&self) -> u32 {
        self.infos.len() as u32
    }

    /// The slot of a frame: its length and info, and its first byte.
    #[inline]
    fn slot(&self, number: u32) -> (*mut (usize, FrameInfo), *mut u8) {
        let at = (number & (self.slots() - 1)) as usize;
        let bytes = UnsafeCell::raw_get(self.bytes.as_ptr());
        // SAFETY: `at` is below the number of slots, all of which `bytes` holds.
        (self.infos[at].get(), unsafe { bytes.add(at * self.slot_len) })
    }
}

/// Makes a queue of `slots` frames, rounded down to a power of two, of up to `slot_len` bytes.
// cold: set-up
pub(super) fn frame_ring(slots: u32, slot_len: usize) -> (FrameSender, FrameReceiver) {
    let slots = 1_usize << slots.max(1).ilog2();
    let unused = || (usize::MAX, FrameInfo::default());
    let ring = Arc::new(FrameRing {
        written: Position::default(),
        released: Position::default(),
        infos: (0..slots).map(|_| UnsafeCell::new(unused())).collect(),
        bytes: touched(slots * slot_len),
        slot_len,
    });
    let sender = FrameSender { ring: Arc::clone(&ring), next: 0, published: 0, released: 0 };
    (sender, FrameReceiver { ring, next: 0, written: 0 })
}

/// Memory of `len` bytes that is already mapped. Zeroed memory is mapped when it is first written.
// cold: set-up
fn touched(len: usize) -> Box<[UnsafeCell<u8>]> {
    let bytes = Box::into_raw(vec![0xFF_u8; len].into_boxed_slice());
    // SAFETY: an UnsafeCell has the layout of its value, so that this is the box again.
    unsafe { Box::from_raw(bytes as *mut [UnsafeCell<u8>]) }
}

/// The half that writes.
#[derive(Debug)]
pub(super) struct FrameSender {
    ring: Arc<FrameRing>,
    next: u32,
    /// Frames that the other half may read.
    published: u32,
    /// Frames released, as last read.
    released: u32,
}

impl FrameSender {
    /// Copies a frame into the queue, which [`Self::publish`] shows to the other half. False if the
    /// queue is full, or the frame longer than a slot.
    #[inline]
    pub(super) fn push(&mut self, frame: &[u8], info: FrameInfo) -> bool {
        if self.next.wrapping_sub(self.released) == self.ring.slots() {
            self.released = self.ring.released.0.load(Ordering::Acquire);
        }
        let is_full = self.next.wrapping_sub(self.released) == self.ring.slots();
        if is_full || frame.len() > self.ring.slot_len {
            return false;
        }
        let (head, bytes) = self.ring.slot(self.next);
        // SAFETY: the slot is not published, and was released, so nobody else uses it. It is
        // as long as the frame or longer, and the frame is not in the ring.
        unsafe {
            head.write((frame.len(), info));
            bytes.copy_from_nonoverlapping(frame.as_ptr(), frame.len());
        }
        self.next = self.next.wrapping_add(1);
        true
    }

    /// Shows the frames written so far to the other half; returns whether there are new ones.
    #[inline]
    pub(super) fn publish(&mut self) -> bool {
        let is_new = self.published != self.next;
        if is_new {
            self.published = self.next;
            self.ring.written.0.store(self.next, Ordering::Release);
        }
        is_new
    }
}

/// The half that reads.
#[derive(Debug)]
pub(super) struct FrameReceiver {
    ring: Arc<FrameRing>,
    next: u32,
    /// Frames published, as last read.
    written: u32,
}

impl FrameReceiver {
    /// How many frames there are to read.
    #[inline]
    pub(super) fn arrived(&mut self) -> usize {
        self.written = self.ring.written.0.load(Ordering::Acquire);
        self.known()
    }

    const fn known(&self) -> usize {
        self.written.wrapping_sub(self.next) as usize
    }

    /// The frame of this index, below [`Self::arrived`], until it is released; otherwise empty.
    #[inline]
    pub(super) fn frame(&self, index: usize) -> (&[u8], FrameInfo) {
        if index >= self.known() {
            return (&[], FrameInfo::default());
        }
        let (head, bytes) = self.ring.slot(self.next.wrapping_add(index as u32));
        // SAFETY: the slot is published and not released, so the sender does not use it; it holds
        // `len` bytes of a frame.
        unsafe {
            let (len, info) = head.read();
            (std::slice::from_raw_parts(bytes, len), info)
        }
    }

    /// Gives the slots of the first `count` frames back.
    #[inline]
    pub(super) fn release(&mut self, count: usize) {
        let count = count.min(self.known());
        self.next = self.next.wrapping_add(count as u32);
        self.ring.released.0.store(self.next, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(number: u64) -> FrameInfo {
        let payload = (number as usize % 3, 2);
        FrameInfo { arrived_at: Nanos(number), stream: number as u16, payload }
    }

    /// A frame of a length that depends on its number.
    fn frame(number: u64) -> Vec<u8> {
        vec![number as u8; number as usize % 9]
    }

    #[test]
    fn frames_arrive_in_order_once_they_are_published() {
        let (mut sender, mut receiver) = frame_ring(4, 8);
        assert!((1..=3).all(|number| sender.push(&frame(number), info(number))));
        assert_eq!(receiver.arrived(), 0);
        assert!(sender.publish() && !sender.publish());
        assert_eq!(receiver.arrived(), 3);
        for number in 1..=3 {
            let (bytes, known) = receiver.frame(number as usize - 1);
            assert_eq!((bytes, known), (&frame(number)[..], info(number)));
        }
        // Beyond what arrived.
        assert_eq!(receiver.frame(3), (&[][..], FrameInfo::default()));
        receiver.release(9);
        assert_eq!(receiver.arrived(), 0);
    }

    #[test]
    fn a_full_queue_and_a_long_frame_are_refused() {
        // Rounded down.
        let (mut sender, mut receiver) = frame_ring(7, 8);
        assert!(!sender.push(&[0; 9], info(0)));
        assert!((0..4).all(|number| sender.push(&frame(number), info(number))));
        assert!(!sender.push(&[], info(4)), "not published, and full");
        sender.publish();
        assert!(!sender.push(&[], info(4)));
        assert_eq!(receiver.arrived(), 4);
        receiver.release(1);
        assert!(sender.push(&frame(4), info(4)));
        assert!(!sender.push(&[], info(5)));
        sender.publish();
        assert_eq!(receiver.arrived(), 4);
        assert_eq!(receiver.frame(0), (&frame(1)[..], info(1)));
        assert_eq!(receiver.frame(3), (&frame(4)[..], info(4)));
    }

    #[test]
    fn positions_wrap_around() {
        let (mut sender, mut receiver) = frame_ring(4, 8);
        let almost = u32::MAX - 5;
        (sender.next, sender.published, sender.released) = (almost, almost, almost);
        (receiver.next, receiver.written) = (almost, almost);
        sender.ring.written.0.store(almost, Ordering::Relaxed);
        sender.ring.released.0.store(almost, Ordering::Relaxed);
        for round in 0..5 {
            let numbers = round * 3..round * 3 + 3;
            assert!(numbers.clone().all(|number| sender.push(&frame(number), info(number))));
            assert!(sender.publish());
            assert_eq!(receiver.arrived(), 3);
            for (index, number) in numbers.enumerate() {
                assert_eq!(receiver.frame(index), (&frame(number)[..], info(number)));
            }
            receiver.release(3);
        }
        assert!(sender.next < 16);
    }

    #[test]
    fn threads_exchange_every_frame() {
        let count = if cfg!(miri) { 300 } else { 30_000 };
        let (mut sender, mut receiver) = frame_ring(8, 8);
        let thread = std::thread::spawn(move || {
            let mut next = 0;
            while next < count {
                let arrived = receiver.arrived();
                for index in 0..arrived {
                    assert_eq!(receiver.frame(index), (&frame(next)[..], info(next)));
                    next += 1;
                }
                receiver.release(arrived);
                std::thread::yield_now();
            }
        });
        for number in 0..count {
            while !sender.push(&frame(number), info(number)) {
                std::thread::yield_now();
            }
            sender.publish();
        }
        thread.join().unwrap();
    }
}
