//! The sequence window of one flow: which numbers are new, repeated, reordered or too old.

/// Sequence numbers a window remembers. At 64 segments a GRO read and a receive buffer of 4 MiB a
/// few thousand datagrams are under way at most; 65,536 leaves room for a path that reorders by a
/// whole buffer, in 8 KiB, which stay in L1. Otherwise arbitrary.
pub const WINDOW: u64 = 65_536;
/// Bits in a word of the bitmap.
const WORD: u64 = u64::BITS as u64;

/// The classification of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Seen for the first time, and higher than all before.
    InOrder,
    /// Seen for the first time, after a number this much higher (reordered, RFC 4737 section 3).
    Reordered(u64),
    /// Seen before.
    Duplicate,
    /// Too old for the window: new or repeated is unknown.
    Late,
    /// Further ahead than the window: a later number has to confirm it. It was not recorded.
    Ahead,
}

/// A sliding bitmap over the last [`WINDOW`] numbers of one flow, in fixed memory. Nothing is ever
/// decremented, so that a repeated datagram cannot undo a loss.
///
/// While numbers are consecutive, only `next` is written; otherwise the bits follow, 64 at a time.
#[derive(Debug, Clone)]
pub struct Window {
    /// One more than the highest number seen.
    next: u64,
    /// From here to `next`, all have been seen, and are not in the bits yet.
    written: u64,
    bits: Box<[u64]>,
}

impl Default for Window {
    // cold: set-up
    fn default() -> Self {
        let bits = vec![0; (WINDOW / WORD) as usize].into_boxed_slice();
        Self { next: 0, written: 0, bits }
    }
}

impl Window {
    /// The window of a flow that other receivers get: it takes no memory; any arrival is late.
    // cold: set-up
    pub fn closed() -> Self {
        Self { next: u64::MAX, written: u64::MAX, bits: Box::default() }
    }

    /// Clears it for the next phase.
    pub fn reset(&mut self) {
        if self.bits.is_empty() {
            return;
        }
        // If all numbers were consecutive, no bit was written, and its pages stay unmapped.
        if self.written > 0 {
            self.bits.fill(0);
        }
        (self.next, self.written) = (0, 0);
    }

    /// One more than the highest number seen.
    #[inline]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Records an arrival.
    #[inline]
    pub fn arrive(&mut self, sequence: u64) -> Arrival {
        if sequence == self.next {
            self.next += 1;
            return Arrival::InOrder;
        }
        self.write();
        let arrival = self.arrive_out_of_line(sequence);
        self.written = self.next;
        arrival
    }

    /// Records the next `count` numbers.
    #[inline]
    pub const fn advance(&mut self, count: u64) {
        self.next += count;
    }

    /// Records a number any distance ahead that later ones have confirmed.
    pub fn jump(&mut self, sequence: u64) {
        self.write();
        self.clear(self.next, sequence);
        self.next = sequence + 1;
        self.set_fresh(sequence);
        self.written = self.next;
    }

    /// Brings the bits up to date, as far back as they reach.
    fn write(&mut self) {
        let mut at = self.written.max(self.next.saturating_sub(WINDOW));
        while at < self.next {
            let (word, bit) = (((at % WINDOW) / WORD) as usize, at % WORD);
            let here = (WORD - bit).min(self.next - at);
            self.bits[word] |= (u64::MAX >> (WORD - here)) << bit;
            at += here;
        }
    }

    fn arrive_out_of_line(&mut self, sequence: u64) -> Arrival {
        if sequence > self.next {
            if sequence - self.next > WINDOW {
                return Arrival::Ahead;
            }
            self.jump(sequence);
            return Arrival::InOrder;
        }
        let behind = self.next - 1 - sequence;
        if behind >= WINDOW {
            return Arrival::Late;
        }
        let (word, bit) = Self::place(sequence);
        if self.bits[word] & bit != 0 {
            return Arrival::Duplicate;
        }
        self.bits[word] |= bit;
        Arrival::Reordered(behind)
    }

    #[inline]
    fn place(sequence: u64) -> (usize, u64) {
        (((sequence % WINDOW) / WORD) as usize, 1 << (sequence % WORD))
    }

    /// Marks a number whose bit may still be set by the one a window before.
    #[inline]
    fn set_fresh(&mut self, sequence: u64) {
        let (word, bit) = Self::place(sequence);
        self.bits[word] |= bit;
    }

    /// Clears the places of the numbers from `from` up to, not including, `to`.
    fn clear(&mut self, from: u64, to: u64) {
        if to - from >= WINDOW {
            self.bits.fill(0);
            return;
        }
        let mut at = from;
        while at < to {
            let (word, bit) = Self::place(at);
            if at.is_multiple_of(WORD) && to - at >= WORD {
                self.bits[word] = 0;
                at += WORD;
            } else {
                self.bits[word] &= !bit;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_arrival_is_classified() {
        let mut window = Window::default();
        assert_eq!(window.arrive(0), Arrival::InOrder);
        assert_eq!(window.arrive(3), Arrival::InOrder);
        assert_eq!(window.arrive(1), Arrival::Reordered(2));
        assert_eq!(window.arrive(1), Arrival::Duplicate);
        assert_eq!(window.arrive(3), Arrival::Duplicate);
        assert_eq!(window.arrive(2), Arrival::Reordered(1));
        assert_eq!(window.arrive(4), Arrival::InOrder);
        assert_eq!(window.arrive(4 + WINDOW), Arrival::InOrder);
        assert_eq!(window.arrive(4), Arrival::Late);
        assert_eq!(window.arrive(5), Arrival::Reordered(WINDOW - 1));
        assert_eq!(window.arrive(5), Arrival::Duplicate);
        assert_eq!(window.arrive(6 + 2 * WINDOW), Arrival::Ahead);
        assert_eq!((window.next(), window.arrive(5 + WINDOW)), (5 + WINDOW, Arrival::InOrder));
        window.jump(1 << 40);
        assert_eq!(window.arrive(1 << 40), Arrival::Duplicate);
        assert_eq!(window.arrive((1 << 40) + 1), Arrival::InOrder);
        assert_eq!(window.arrive((1 << 40) - 1), Arrival::Reordered(2));
        window.reset();
        assert_eq!(window.arrive(0), Arrival::InOrder);
    }

    #[test]
    fn a_closed_window_takes_nothing() {
        let mut window = Window::closed();
        for sequence in [0, 1, 5, WINDOW, (1 << 48) - 1, 0] {
            assert_eq!(window.arrive(sequence), Arrival::Late, "{sequence}");
            window.reset();
        }
    }

    #[test]
    fn a_row_equals_single_arrivals() {
        for (first, count) in [(0, 1), (0, 64), (3, 200), (63, 2), (WINDOW - 5, 70), (10, WINDOW)] {
            let (mut row, mut singly) = (Window::default(), Window::default());
            for sequence in 0..first {
                row.arrive(sequence);
                singly.arrive(sequence);
            }
            row.advance(count);
            for sequence in first..first + count {
                assert_eq!(singly.arrive(sequence), Arrival::InOrder);
            }
            for window in [&mut row, &mut singly] {
                window.write();
            }
            assert_eq!((row.next, row.bits), (singly.next, singly.bits), "{first} {count}");
        }
    }
}
