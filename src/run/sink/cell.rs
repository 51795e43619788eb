//! The sink's part of a cell: set up, led through phases as its client says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::net::{Slot, UnixFile};
use crate::run::RunError;
use crate::run::across::spec::{CellSpec, Ended, PhaseSpec, Told};
use crate::run::control::Control;
use crate::run::counters::{Seen, Watch};
use crate::run::crew::{Crew, Running};
use crate::run::worker::Phase;
use crate::sys;
use crate::unit::Nanos;

/// What must be left of the time before its start when an order comes: workers have to wake up.
/// Arbitrary; a wake-up takes about 60 µs (measured).
const MARGIN: Nanos = Nanos::from_micros(200);

/// How long the end of a phase is waited for before the client is told to ask again. Arbitrary:
/// shorter than the client's first retry would be on most paths.
const LOOK: Duration = Duration::from_millis(5);

/// The bits of a tag that count phases, and the one that spreads by hash; see `net/steer.rs`.
pub(super) const PHASES: u16 = 0x1F;
pub(super) const BY_HASH: u16 = 0x20;

/// The bits below the number of a slot; see `net/steer.rs`.
pub(super) const SLOT_SHIFT: u16 = 6;

/// A cell that is set up.
pub(super) struct Cell {
    pub(super) spec: CellSpec,
    pub(super) crew: Crew,
    pub(super) slot: Slot,
    /// Goes with the cell, where its receiver has one.
    pub(super) file: Option<UnixFile>,
    /// Where to send, by sender.
    pub(super) targets: Vec<Option<SocketAddr>>,
    pub(super) phase: Option<Under>,
    /// What the kernel counted in the latest phase.
    pub(super) seen: Option<Seen>,
}

/// A phase that runs.
pub(super) struct Under {
    tx: Arc<Control>,
    rx: Arc<Control>,
    halt: Arc<AtomicBool>,
    running: Running,
    watch: Watch,
}

impl Cell {
    /// Ends the phase that runs, if one does: nothing more is expected.
    pub(super) fn abandon(&mut self) {
        if let Some(mut under) = self.phase.take() {
            under.halt.store(true, Ordering::Relaxed);
            under.rx.senders_done(Nanos::ZERO, &vec![0; self.crew.receivers()]);
            // A worker that failed is noticed when it is collected.
            let _ = self.crew.await_end(&mut under.running, &mut || {});
        }
    }

    /// Corrects the clock of the client's senders.
    pub(super) fn shift(&self, by_ns: i64) {
        if let Some(under) = &self.phase {
            under.rx.shift(by_ns);
        }
    }

    /// Stops the senders here.
    pub(super) fn halt(&self) {
        if let Some(under) = &self.phase {
            under.halt.store(true, Ordering::Relaxed);
        }
    }

    /// Begins a phase, unless its moment is too near.
    pub(super) fn start(&mut self, order: PhaseSpec) -> Told {
        self.abandon();
        if Nanos(sys::monotonic_ns()) + self.crew.lead() + MARGIN > order.epoch {
            return Told::TooLate;
        }
        let halt = Arc::new(AtomicBool::new(false));
        let tx = Control::new(Arc::clone(&halt), self.crew.senders());
        let rx = Control::across(Arc::clone(&halt), self.crew.receivers(), order.window_end);
        let PhaseSpec { tag, limit, .. } = order;
        // The slot is this session's, whatever it asks for.
        let own = (self.slot.number << SLOT_SHIFT) | (tag & (PHASES | BY_HASH));
        let load = self.spec.load;
        let phase = Phase { epoch: order.epoch, tag: own, limit, load, control: Arc::clone(&tx) };
        let rx_phase = Phase { epoch: order.rx_epoch, control: Arc::clone(&rx), ..phase.clone() };
        let beside_ip = self.file.is_some();
        let watch = if beside_ip { Watch::begin_beside_ip() } else { Watch::begin() };
        let running = self.crew.running();
        self.crew.begin_receivers(&rx_phase);
        self.crew.begin_senders(&phase);
        self.phase = Some(Under { tx, rx, halt, running, watch });
        Told::Started
    }

    /// Takes note that the client's senders have ended; whether all workers here have, too.
    pub(super) fn finish(&mut self, ended: &Ended) -> Result<Told, RunError> {
        let Some(under) = &mut self.phase else {
            return Ok(Told::Refused("there is no phase to finish".into()));
        };
        if self.spec.ways.forward {
            under.rx.senders_done(ended.end, &ended.sent_to);
        }
        while under.running.workers > 0 {
            if !self.crew.look(&mut under.running, LOOK)? {
                return Ok(Told::Running);
            }
        }
        let there = Ended {
            end: if self.crew.senders() > 0 { under.tx.window_end() } else { Nanos::ZERO },
            sent_to: (0..self.crew.senders()).map(|worker| under.tx.sent_to(worker)).collect(),
            sent: under.running.sent,
            received: under.running.received,
        };
        if let Some(under) = self.phase.take() {
            self.seen = Some(under.watch.end());
        }
        Ok(Told::Finished(there))
    }
}
