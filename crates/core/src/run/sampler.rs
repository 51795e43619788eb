//! Which datagrams are timed in parts, and when the kernel sent them.
//!
//! A send timestamp comes back by the socket's error queue, so that only the first datagram of some
//! batches has one. It is marked on the wire, and its receiver records it too. Other batches pay
//! one comparison.

use crate::engine::{Push, Tx, socket_of};
use crate::measure::{TX_SAMPLES, TxSample};
use crate::net::Datagram;
use crate::sys::{self, SendError};
use crate::unit::Nanos;
use crate::wire;

/// The shortest time between two samples. Arbitrary: a thousand a second, each of which costs its
/// sender five system calls and its batch a stamp a packet.
const EVERY: Nanos = Nanos::from_millis(1);
/// How long a stamp is awaited. Arbitrary: longer than a queue below the socket holds datagrams.
const PATIENCE: Nanos = Nanos::from_millis(1_000);
/// Readings to compare two clocks; the closest counts. Arbitrary: three interrupts are unlikely.
const READINGS: usize = 3;

#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    pub(super) flow: usize,
    pub(super) next_flow: usize,
    pub(super) first: u64,
    pub(super) count: usize,
    /// When the first was due.
    pub(super) intended: Nanos,
    /// The clock read.
    pub(super) now: Nanos,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Push a batch without a sample, then prepare the socket of the next one.
    Prepare,
    /// Push the batch that is sampled, on this flow.
    Sample(usize),
    /// Await the stamp of this flow.
    Await(usize, TxSample),
    /// Return a refusal that reading the error queue cleared.
    Owe(SendError),
}

/// The samples of one sender.
#[derive(Debug)]
pub struct Sampler {
    /// From when on batches go through [`Sampler::push`]; never, if stamps are off.
    pub(super) at: Nanos,
    samples: Vec<TxSample>,
    step: Step,
    every: Nanos,
    epoch: Nanos,
    first_flow: u16,
    on: bool,
}

impl Sampler {
    /// For a sender whose flows begin with this number; `on`: whether stamps are wanted.
    pub(super) fn new(on: bool, first_flow: u16) -> Self {
        // Written now, so that memory is not mapped during the measurement.
        let mut samples = vec![TxSample::default(); if on { TX_SAMPLES } else { 0 }];
        samples.clear();
        let (at, every, epoch) = (Nanos::NEVER, EVERY, Nanos::ZERO);
        Self { at, samples, step: Step::Prepare, every, epoch, first_flow, on }
    }

    /// Begins a phase that should take so long (zero: unknown), over which samples are spread.
    pub(super) fn start(&mut self, epoch: Nanos, takes: Nanos) {
        self.samples.clear();
        self.every = EVERY.max(Nanos(takes.0 / TX_SAMPLES as u64 + 1));
        self.at = if self.on { Nanos::ZERO } else { Nanos::NEVER };
        (self.step, self.epoch) = (Step::Prepare, epoch);
    }

    /// Ends a phase: later stamps do not count.
    pub(super) fn end(&mut self, sockets: &[impl Datagram]) {
        if self.on {
            sockets.iter().for_each(|socket| drop(sys::forget_send_stamps(socket)));
        }
        self.at = Nanos::NEVER;
    }

    pub(super) fn into_samples(self) -> Vec<TxSample> {
        self.samples
    }

    /// Pushes a batch, in place of the engine.
    pub(super) fn push<T: Tx>(&mut self, tx: &mut T, batch: &Batch) -> Push {
        let &Batch { flow, first, count, now, .. } = batch;
        match self.step {
            Step::Prepare => {
                let push = tx.push(flow, first, count);
                self.prepare(tx, batch);
                push
            }
            Step::Sample(ready) => {
                wire::mark(tx.lease(count));
                let push = tx.push(flow, first, count);
                let complete = push.sent > 0 && push.error.is_none() && flow == ready;
                let sample = TxSample {
                    flow: self.first_flow + flow as u16,
                    sequence: first,
                    intended: batch.intended,
                    departure: now,
                    stamp: Nanos::ZERO,
                };
                if let Some(socket) = socket_of(tx.sockets(), ready) {
                    drop(sys::stamp_sends(socket, false));
                }
                self.look(tx, ready, complete.then_some(sample), now);
                push
            }
            Step::Await(of, sample) => {
                let push = tx.push(flow, first, count);
                let patient = now.since(sample.departure) < PATIENCE;
                self.look(tx, of, Some(sample), now);
                if !patient && matches!(self.step, Step::Await(..)) {
                    self.rest(now);
                }
                push
            }
            Step::Owe(error) => {
                self.rest(now);
                // As many as the message held that would have met it.
                let refused = tx.segments().map_or(1, |segments| segments.now).clamp(1, count);
                Push { refused, error: Some(error), ..Push::default() }
            }
        }
    }

    /// Prepares the stamp of the next batch, if there is room for a sample.
    fn prepare<T: Tx>(&mut self, tx: &mut T, batch: &Batch) {
        let ready = self.samples.len() < self.samples.capacity()
            && socket_of(tx.sockets(), batch.next_flow)
                .is_some_and(|socket| sys::stamp_sends(socket, true).is_ok());
        self.step = if ready { Step::Sample(batch.next_flow) } else { Step::Prepare };
        self.at = if ready { Nanos::ZERO } else { Nanos::NEVER };
    }

    /// Reads the error queue, and takes the sample if its stamp is there.
    fn look<T: Tx>(&mut self, tx: &mut T, flow: usize, sample: Option<TxSample>, now: Nanos) {
        let Some(socket) = socket_of(tx.sockets(), flow) else {
            return self.rest(now);
        };
        let refusal = sys::take_socket_error(socket);
        let stamp_ns = sys::take_send_stamp(socket);
        self.rest(now);
        match (sample, stamp_ns) {
            (Some(sample), Some(stamp_ns)) => {
                let stamp = since(self.epoch, stamp_ns);
                if self.samples.len() < self.samples.capacity() {
                    self.samples.push(TxSample { stamp, ..sample });
                }
            }
            (Some(sample), None) => self.step = Step::Await(flow, sample),
            (None, _) => {}
        }
        if let Some(refusal) = refusal {
            (self.step, self.at) = (Step::Owe(refusal), Nanos::ZERO);
        }
    }

    fn rest(&mut self, now: Nanos) {
        (self.step, self.at) = (Step::Prepare, now + self.every);
    }
}

/// Converts a moment of the calendar clock to the monotonic one, since an epoch.
fn since(epoch: Nanos, realtime_ns: u64) -> Nanos {
    let read = || {
        let before_ns = sys::monotonic_ns();
        let realtime_ns = sys::realtime_ns();
        let took_ns = sys::monotonic_ns() - before_ns;
        (took_ns, i128::from(realtime_ns) - i128::from(before_ns + took_ns / 2))
    };
    let closest = (0..READINGS).map(|_| read()).min();
    let ahead_ns = closest.map_or(0, |(_, ahead_ns)| ahead_ns);
    let at_ns = u64::try_from(i128::from(realtime_ns) - ahead_ns).unwrap_or(0);
    Nanos(at_ns).since(epoch)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Std;

    use mio::net::UdpSocket;

    use super::*;
    use crate::engine::PlainTx;
    use crate::unit::PayloadSize;
    use crate::wire::Header;

    /// A sender of one datagram a batch, and the socket it sends to; `None` without send
    /// timestamps.
    fn pair() -> Option<(PlainTx, Std)> {
        let (tx, rx) = (Std::bind("127.0.0.1:0").unwrap(), Std::bind("127.0.0.1:0").unwrap());
        if sys::stamp_sends(&rx, true).is_err() {
            eprintln!("SKIPPED: there are no send timestamps here");
            return None;
        }
        tx.connect(rx.local_addr().unwrap()).unwrap();
        tx.set_nonblocking(true).unwrap();
        sys::report_queue_drops(&tx, false).unwrap();
        let tx = UdpSocket::from_std(tx);
        Some((PlainTx::new(vec![tx], None, PayloadSize::Fixed(16), |_| {}), rx))
    }

    fn push(sampler: &mut Sampler, tx: &mut PlainTx, first: u64) -> Push {
        let now = Nanos(sys::monotonic_ns()).since(sampler.epoch);
        wire::encode(Header { sequence: first, ..Header::default() }, tx.lease(1));
        let (flow, next_flow, count, intended) = (0, 0, 1, now);
        sampler.push(tx, &Batch { flow, next_flow, first, count, intended, now })
    }

    #[test]
    fn marked_datagrams_are_sampled() {
        let Some((mut tx, rx)) = pair() else { return };
        let mut sampler = Sampler::new(true, 5);
        sampler.start(Nanos(sys::monotonic_ns()), Nanos::ZERO);
        for first in 0..6 {
            assert_eq!(push(&mut sampler, &mut tx, first).sent, 1);
            let mut payload = [0; 16];
            assert_eq!(rx.recv(&mut payload).unwrap(), 16);
            assert_eq!(wire::is_marked(&payload), first % 2 == 1);
        }
        let after = Nanos(sys::monotonic_ns()).since(sampler.epoch);
        sampler.end(tx.sockets());
        let samples = sampler.into_samples();
        let numbers: Vec<_> = samples.iter().map(|sample| (sample.flow, sample.sequence)).collect();
        assert_eq!(numbers, [(5, 1), (5, 3), (5, 5)]);
        assert!(samples.iter().all(|sample| sample.stamp > Nanos::ZERO && sample.stamp < after));
    }

    #[test]
    fn a_refusal_in_the_error_queue_meets_the_next_batch() {
        let Some((mut tx, rx)) = pair() else { return };
        let mut sampler = Sampler::new(true, 0);
        sampler.start(Nanos::ZERO, Nanos::ZERO);
        push(&mut sampler, &mut tx, 0);
        drop(rx);
        assert_eq!(push(&mut sampler, &mut tx, 1).sent, 1);
        let refused = push(&mut sampler, &mut tx, 2);
        let closed = sys::Unreachable::returned(sys::UnreachableErrno::ConnRefused);
        let error = Some(SendError::Unreachable(closed));
        assert_eq!(refused, Push { refused: 1, error, ..Push::default() });
        // Once, as the kernel would have reported it.
        assert_eq!(push(&mut sampler, &mut tx, 2).sent, 1);
        assert_eq!(sampler.into_samples().len(), 1);
    }

    #[test]
    fn spreads_samples_over_the_phase() {
        let started = |on, ms| {
            let mut sampler = Sampler::new(on, 0);
            sampler.start(Nanos(1), Nanos::from_millis(ms));
            sampler
        };
        assert_eq!(started(false, 500).at, Nanos::NEVER, "stamps are off");
        let long = started(true, 1_000_000);
        assert!(long.every > Nanos::from_millis(122) && long.at == Nanos::ZERO);
    }

    #[test]
    fn both_clocks_give_the_same_moment() {
        let before = Nanos(sys::monotonic_ns());
        let at = since(Nanos::ZERO, sys::realtime_ns());
        // The comparison takes some time itself; a second is millions of times as long.
        assert!(at + Nanos::from_millis(1_000) > before);
        assert_eq!(since(Nanos::NEVER, sys::realtime_ns()), Nanos::ZERO);
    }
}
