//! The client's line to a sink: a thread of its own that asks, and that compares clocks meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread::{Builder, JoinHandle};

use mio::Waker;
use mio::net::UdpSocket;

use super::error::RemoteError;
use crate::clock::Offset;
use crate::remote::client::clock_corrections::ClockCorrections;
use crate::remote::client::control_thread::{
    ControlFailure, ControlOrder, ControlState, ControlThread, PATIENCE,
};
use crate::remote::protocol::Key;
use crate::remote::protocol::spec::{ControlRequest, ControlResponse};
use crate::remote::rpc::CallError;
use crate::run::RunError;
use crate::unit::{Keep, Nanos, strip_control};

/// The line to a sink.
pub(crate) struct ControlClient {
    orders: Sender<ControlOrder>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<ControlState>,
    same_clock: bool,
    target: SocketAddr,
}

impl ControlClient {
    /// Opens the line on this socket, which is connected to the sink.
    pub(crate) fn open(
        socket: UdpSocket,
        target: SocketAddr,
        key: Option<Key>,
        nonce: u64,
    ) -> Result<Self, RunError> {
        let (orders, inbox) = mpsc::channel();
        let shared = Arc::new(ControlState::default());
        let (line, waker) = ControlThread::new(socket, key.as_ref(), nonce, inbox, &shared)
            .map_err(|source| RemoteError::Link { target, source })?;
        let thread = Builder::new()
            .name("udperf-control".to_owned())
            .spawn(move || line.run())
            .map_err(|source| RunError::Spawn { source })?;
        let (thread, same_clock) = (Some(thread), false);
        Ok(Self { orders, waker: Arc::new(waker), thread, shared, same_clock, target })
    }

    /// Asks the sink, and waits for what it says.
    pub(crate) fn ask(&self, ask: &ControlRequest) -> Result<ControlResponse, RunError> {
        let target = || self.target;
        let damaged = |_| RemoteError::Damaged { target: target() };
        let body = postcard::to_stdvec(ask).map_err(damaged)?;
        let (sender, answer) = mpsc::channel();
        self.order(ControlOrder::Ask(body, sender));
        // The thread gives every answer or a reason; without either, it died.
        let gone = RunError::Panicked { id: "control".to_owned() };
        let answer = answer.recv().map_err(|_| gone)?;
        let body = answer.map_err(|failure| match failure {
            ControlFailure::Call(source) => RemoteError::Call { target: target(), source },
            ControlFailure::Unreachable(why) => RemoteError::NoPort { target: target(), why },
            ControlFailure::Silent => {
                let source = CallError::Silent { patience: PATIENCE };
                RemoteError::Call { target: target(), source }
            }
        })?;
        match postcard::from_bytes(&body).map_err(damaged)? {
            ControlResponse::Refused(why) => Err(RemoteError::Refused {
                target: target(),
                why: strip_control(&why, Keep::Nothing),
            }
            .into()),
            told => Ok(told),
        }
    }

    /// Whether the sink is out of reach, as the next question will tell.
    pub(crate) fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// A phase runs until this moment; zero: no phase runs, or its end is unknown. Meanwhile the
    /// sink may be unreachable.
    pub(crate) fn set_busy_until(&self, at: Nanos) {
        self.shared.busy_until_ns.store(at.0, Ordering::Relaxed);
    }

    /// A sender was told that the sink's port is closed. Unless the sink is heard soon, that is
    /// believed.
    pub(crate) fn doubt(&self) {
        self.shared.port_seen_closed.store(true, Ordering::Relaxed);
    }

    /// From now on, both ends are taken to read the same clock, unless what was exchanged says
    /// otherwise.
    pub(crate) fn trust_same_clock(&mut self) {
        let estimate = self.shared.clocks().estimate();
        self.same_clock =
            estimate.is_none_or(|offset| offset.offset_ns.unsigned_abs() <= offset.bound_ns);
    }

    /// Whether both ends read the same clock.
    pub(crate) fn same_clock(&self) -> bool {
        self.same_clock
    }

    /// Compares clocks a few times in a row.
    pub(crate) fn compare(&self) {
        let (sender, done) = mpsc::channel();
        self.order(ControlOrder::Compare(sender));
        let _ = done.recv();
    }

    /// How much later the sink's clock is than ours; `None` where no exchange has succeeded.
    pub(crate) fn offset(&self) -> Option<Offset> {
        if self.same_clock { Some(Offset::same_clock()) } else { self.shared.clocks().estimate() }
    }

    /// The least that an exchange took.
    pub(crate) fn rtt(&self) -> Nanos {
        self.shared.clocks().estimate().map_or(Nanos::ZERO, |offset| Nanos(offset.min_rtt_ns))
    }

    /// Keeps the receivers of a phase informed of how the clocks drift.
    pub(crate) fn follow(&self, follow: ClockCorrections) {
        if !self.same_clock {
            self.order(ControlOrder::Follow(follow));
        }
    }

    /// The phase is over; what was corrected.
    pub(crate) fn release(&self) -> Option<ClockCorrections> {
        let (sender, follow) = mpsc::channel();
        self.order(ControlOrder::Release(sender));
        follow.recv().ok().flatten()
    }

    fn order(&self, order: ControlOrder) {
        // A thread that died is noticed by whoever waits for its answer.
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }
}

impl Drop for ControlClient {
    fn drop(&mut self) {
        self.order(ControlOrder::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
