//! Writes requests, and inserts each into the in-flight table before it is sent.

use std::sync::Arc;

use crate::engine::Tx;
use crate::pace::Scheduled;
use crate::payload::{RequestNumber, Requests};
use crate::request::cookies::ServerCookies;
use crate::request::ids::{FirstIds, RunIds};
use crate::request::in_flight::{InFlightTable, PendingRequest, StreamMap};
use crate::request::matcher::RequestSpec;
use crate::run::send::{Leaving, Stamp};
use crate::run::send_job::SendJob;
use crate::unit::PayloadSize;

#[derive(Debug)]
pub(super) struct RequestWriter {
    requests: Arc<Requests>,
    /// `None`: no reply is expected.
    table: Option<Arc<InFlightTable>>,
    next: u64,
    first: u64,
    /// Whether requests belong to times of a capture, so that missed ones are skipped.
    by_slot: bool,
    ids: Arc<RunIds>,
    first_ids: FirstIds,
    /// The start of the phase in ns since 1970.
    calendar_ns: u64,
    /// Lengths of the latest batch, if requests differ.
    lens: Vec<u16>,
    leased: usize,
    ahead: WrittenAhead,
    stream_map: StreamMap,
    /// `None`: requests get no cookies.
    pub(super) cookies: Option<ServerCookies>,
}

/// The next request, written before it is due.
#[derive(Debug, Default)]
struct WrittenAhead {
    /// Empty if requests are written when they are sent.
    bytes: Vec<u8>,
    /// Bytes of the request; `None`: it is not written yet.
    len: Option<usize>,
}

impl RequestWriter {
    // cold: set-up
    pub(super) fn new(
        spec: &RequestSpec,
        table: &Arc<InFlightTable>,
        (ids, first_ids): (Arc<RunIds>, FirstIds),
        batch: usize,
    ) -> Self {
        let requests = Arc::clone(&spec.requests);
        Self {
            table: spec.matching.expects_reply().then(|| Arc::clone(table)),
            next: table.head(),
            first: table.head(),
            by_slot: false,
            ids,
            first_ids,
            calendar_ns: 0,
            lens: vec![0; if requests.same_len.is_some() { 0 } else { batch }],
            leased: 0,
            ahead: WrittenAhead::default(),
            stream_map: table.stream_map(),
            cookies: None,
            requests,
        }
    }

    /// Starts a phase. Numbers continue, so that late replies are recognised; turns restart.
    pub(super) const fn start(&mut self, calendar_ns: u64, by_slot: bool) {
        (self.calendar_ns, self.by_slot, self.first) = (calendar_ns, by_slot, self.next);
        self.ahead.len = None;
    }

    #[inline]
    pub(super) const fn head(&self) -> u64 {
        self.next
    }

    /// Lets [`Self::write_ahead`] write requests of at most this many bytes. Not if their content
    /// depends on when they are sent or on earlier replies.
    // cold: set-up
    pub(super) fn prepare_ahead(&mut self, longest: usize) {
        if !self.requests.has_times && self.cookies.is_none() {
            // Zeroes would be mapped at the first access, during a measurement.
            self.ahead.bytes = vec![0xFF; longest];
        }
    }

    /// Writes the next request while the one before it waits for its reply, so that it is sent
    /// without delay when that arrives. For a closed loop of one request. Not with the times of a
    /// capture: which packet is next depends on when it is sent.
    #[inline]
    pub(super) fn write_ahead(&mut self) {
        if self.ahead.len.is_none() && !self.ahead.bytes.is_empty() && !self.by_slot {
            let (flow, place) =
                (self.stream_map.stream(self.next), self.stream_map.place(self.next));
            let turn = self.first_ids.turn(self.next - self.first);
            let (request, id) = self.numbers(self.next, turn, flow, place);
            self.ahead.len = Some(self.requests.write(request, id, 0, &mut self.ahead.bytes));
        }
    }

    #[cfg(test)]
    pub(super) const fn has_written_ahead(&self) -> bool {
        self.ahead.len.is_some()
    }

    /// The numbers and the id to write a request with, which has this place on its flow.
    #[inline]
    fn numbers(&self, number: u64, turn: u64, flow: usize, place: u64) -> (RequestNumber, u64) {
        let (stream, unique) = (self.first_ids.stream(flow), self.first_ids.unique(number));
        let id = self.first_ids.first_of(flow).wrapping_add(place) & self.requests.id_mask();
        (RequestNumber { turn, unique, stream, place }, id)
    }
}

impl Stamp for RequestWriter {
    #[inline]
    fn turn(&mut self, _job: &SendJob, due: usize) -> (usize, usize) {
        let row = usize::try_from(self.stream_map.in_row(self.next)).unwrap_or(usize::MAX);
        (self.stream_map.stream(self.next), due.min(row))
    }

    #[inline]
    fn stamp<T: Tx>(&mut self, job: &SendJob, tx: &mut T, batch: Leaving) -> usize {
        let Leaving { flow, count, now } = batch;
        let stride = tx.stride();
        let slots = tx.lease(count);
        let leased = slots.len() / stride;
        // All of one flow, so places and ids are consecutive.
        let first_place = self.stream_map.place(self.next);
        let slot = job.pace.scheduled().filter(|_| self.by_slot);
        let in_phase = slot.map_or(self.next - self.first, Scheduled::scheduled);
        // It stays where the engine has no free slot.
        let mut ahead = if leased > 0 { self.ahead.len.take() } else { None };
        for (i, slot) in slots.chunks_exact_mut(stride).enumerate() {
            let number = self.next + i as u64;
            let turn = self.first_ids.turn(in_phase + i as u64);
            let intended = job.pace.intended(i, now);
            let mut len = if let Some(len) = ahead.take() {
                slot[..len].copy_from_slice(&self.ahead.bytes[..len]);
                len
            } else {
                let (request, id) = self.numbers(number, turn, flow, first_place + i as u64);
                self.requests.write(request, id, self.calendar_ns + intended.0, slot)
            };
            if let Some(cookies) = &self.cookies {
                len = cookies.add_to(flow, slot, len);
            }
            if let Some(at) = self.lens.get_mut(i) {
                *at = len as u16;
            }
            if let Some(table) = &self.table {
                table.insert(number, PendingRequest { intended, sent: now });
                table.set_turn(number, turn);
            }
        }
        if let Some(table) = &self.table {
            table.set_head(self.next + leased as u64);
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
        if let Some(table) = &self.table
            && sent < self.leased
        {
            table.cancel(self.next, (self.leased - sent) as u64);
        }
        self.leased = 0;
        if matches!(job.size, PayloadSize::Varied { .. }) {
            job.tally.bytes += self.lens.iter().take(sent).map(|&len| u64::from(len)).sum::<u64>();
        }
    }
}

/// Marks the worker's ids as used, however it ends.
impl Drop for RequestWriter {
    // cold: the worker ends
    fn drop(&mut self) {
        // A leased batch may have been sent.
        let requests = self.next + self.leased as u64;
        self.ids.end(self.first_ids, requests, self.stream_map.places(0, requests));
    }
}
