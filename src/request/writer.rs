//! What the sending half of a pair writes: requests, each entered as in flight before it leaves.

use std::sync::Arc;

use crate::engine::Tx;
use crate::pace::Scheduled;
use crate::payload::{RequestNumber, Requests};
use crate::request::ids::{FirstIds, RunIds};
use crate::request::in_flight::{InFlightTable, PendingRequest};
use crate::request::streams::StreamMap;
use crate::run::send::{Leaving, Stamp};
use crate::run::send_job::SendJob;
use crate::unit::{Nanos, PayloadSize};

/// Writes requests.
#[derive(Debug)]
pub(super) struct RequestWriter {
    requests: Arc<Requests>,
    /// `None`: no reply is expected, and nothing is in flight.
    flights: Option<Arc<InFlightTable>>,
    /// The next request of this worker, and the first one of this phase.
    next: u64,
    first: u64,
    /// Bits of the id that requests carry.
    id_mask: u64,
    /// Whether requests belong to moments of a capture, so that one that is missed is left out.
    by_slot: bool,
    /// Number of this worker, and of how many: requests are numbered over all of them.
    worker: u64,
    of: u64,
    /// Those of the run, and where its own ids and unique numbers begin.
    ids: Arc<RunIds>,
    first_ids: FirstIds,
    /// The calendar when the phase began, in ns since 1970.
    calendar_ns: u64,
    /// Lengths of the latest batch, where requests differ.
    lens: Vec<u16>,
    /// How many the latest batch has.
    leased: usize,
    lanes: StreamMap,
}

impl RequestWriter {
    /// For this worker of so many, in batches of `batch` at most.
    // cold: set-up
    pub(super) fn new(
        requests: Arc<Requests>,
        flights: &Arc<InFlightTable>,
        expects_reply: bool,
        (worker, of): (usize, usize),
        (ids, first_ids): (Arc<RunIds>, FirstIds),
        batch: usize,
    ) -> Self {
        let id_mask = low_bits(requests.id_bits());
        let lens = vec![0; if requests.same_len().is_some() { 0 } else { batch }];
        Self {
            requests,
            flights: expects_reply.then(|| Arc::clone(flights)),
            next: flights.head(),
            first: flights.head(),
            id_mask,
            by_slot: false,
            worker: worker as u64,
            of: of as u64,
            ids,
            first_ids,
            calendar_ns: 0,
            lens,
            leased: 0,
            lanes: flights.lanes(),
        }
    }

    /// Begins a phase. Requests go on being numbered, so that a late reply to one of the phase
    /// before is known for what it is; what they ask begins anew.
    pub(super) const fn start(&mut self, calendar_ns: u64, by_slot: bool) {
        (self.calendar_ns, self.by_slot, self.first) = (calendar_ns, by_slot, self.next);
    }

    /// The number behind that of the latest request.
    #[inline]
    pub(super) const fn head(&self) -> u64 {
        self.next
    }
}

impl Stamp for RequestWriter {
    #[inline]
    fn turn(&mut self, _job: &SendJob, due: usize) -> (usize, usize) {
        let row = usize::try_from(self.lanes.in_row(self.next)).unwrap_or(usize::MAX);
        (self.lanes.stream(self.next), due.min(row))
    }

    #[inline]
    fn stamp<T: Tx>(&mut self, job: &SendJob, tx: &mut T, batch: Leaving) -> usize {
        let Leaving { flow, count, now } = batch;
        let stride = tx.stride();
        let slots = tx.lease(count);
        let leased = slots.len() / stride;
        // All of one row, and so one id after another.
        let first_id = self.first_ids.first_of(flow).wrapping_add(self.lanes.place(self.next));
        let calendar_ns = self.calendar_ns + now.0;
        let slot = job.pace.scheduled().filter(|_| self.by_slot);
        let in_phase = slot.map_or(self.next - self.first, Scheduled::scheduled);
        for (i, slot) in slots.chunks_exact_mut(stride).enumerate() {
            let number = self.next + i as u64;
            let asked = (in_phase + i as u64) * self.of + self.worker;
            let unique = self.first_ids.unique(number);
            let id = first_id.wrapping_add(i as u64) & self.id_mask;
            let asks = RequestNumber { turn: asked, unique };
            let len = self.requests.write(asks, id, calendar_ns, slot);
            if let Some(at) = self.lens.get_mut(i) {
                *at = len as u16;
            }
            if let Some(flights) = &self.flights {
                let intended = job.pace.intended(i, now);
                flights.insert(number, PendingRequest { intended, sent: now });
                flights.set_asked(number, asked);
            }
        }
        if let Some(flights) = &self.flights {
            flights.set_head(self.next + leased as u64);
        }
        if !self.lens.is_empty() {
            tx.lens()[..leased].copy_from_slice(&self.lens[..leased]);
        }
        self.leased = leased;
        leased
    }

    #[inline]
    fn left(&mut self, job: &mut SendJob, sent: usize) {
        self.next += sent as u64;
        if let Some(flights) = &self.flights
            && sent < self.leased
        {
            flights.cancel(self.next, (self.leased - sent) as u64);
        }
        self.leased = 0;
        if matches!(job.size, PayloadSize::Varied { .. }) {
            job.tally.bytes += self.lens.iter().take(sent).map(|&len| u64::from(len)).sum::<u64>();
        }
    }
}

/// However a worker ends, what it used is not used again in the run.
impl Drop for RequestWriter {
    // cold: the worker ends
    fn drop(&mut self) {
        // A batch that was about to leave may have left.
        let requests = self.next + self.leased as u64;
        self.ids.end(self.first_ids, requests, self.lanes.places(0, requests));
    }
}

/// All ones in so many of the lowest bits.
pub(super) const fn low_bits(bits: u32) -> u64 {
    match 1_u64.checked_shl(bits) {
        Some(above) => above - 1,
        None => u64::MAX,
    }
}

/// The calendar at a moment of the monotonic clock, in ns since 1970.
pub(super) fn calendar_at(epoch: Nanos, now: Nanos, realtime_ns: u64) -> u64 {
    (realtime_ns + epoch.0).saturating_sub(now.0)
}
