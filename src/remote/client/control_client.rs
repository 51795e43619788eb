//! Calls to a sink. A thread sends them, and compares clocks meanwhile.

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
    ControlFailure, ControlOrder, ControlState, ControlThread,
};
use crate::remote::client::sanitize::printable;
use crate::remote::protocol::Key;
use crate::remote::protocol::spec::{ControlRequest, ControlResponse};
use crate::run::RunError;
use crate::unit::Nanos;

pub(crate) struct ControlClient {
    orders: Sender<ControlOrder>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<ControlState>,
    /// Whether both ends read the same clock.
    pub(crate) same_clock: bool,
    target: SocketAddr,
}

impl ControlClient {
    /// Starts the thread, on a socket that is connected to the sink.
    pub(crate) fn open(
        socket: UdpSocket,
        target: SocketAddr,
        key: Option<Key>,
        nonce: u64,
    ) -> Result<Self, RunError> {
        let (orders, inbox) = mpsc::channel();
        let shared = Arc::new(ControlState::default());
        let (worker, waker) = ControlThread::new(socket, key.as_ref(), nonce, inbox, &shared)
            .map_err(|error| RemoteError::Link(target, error))?;
        let thread = Builder::new()
            .name("udperf-control".to_owned())
            .spawn(move || worker.run())
            .map_err(|source| RunError::Spawn { source })?;
        let (thread, same_clock) = (Some(thread), false);
        Ok(Self { orders, waker: Arc::new(waker), thread, shared, same_clock, target })
    }

    pub(crate) fn call(&self, request: &ControlRequest) -> Result<ControlResponse, RunError> {
        let damaged = |_| RemoteError::Damaged(self.target);
        let body = postcard::to_stdvec(request).map_err(damaged)?;
        let (sender, answer) = mpsc::channel();
        self.order(|thread| thread.call(body, sender));
        // The thread always replies, unless it panicked.
        let thread_died = RunError::Panicked { id: "control".to_owned() };
        let answer = answer.recv().map_err(|_| thread_died)?;
        let body = answer.map_err(|failure| match failure {
            ControlFailure::Call(error) => RemoteError::Call(self.target, error),
            ControlFailure::Unreachable(why) => RemoteError::NoPort(self.target, why),
        })?;
        match postcard::from_bytes(&body).map_err(damaged)? {
            ControlResponse::Refused(why) => {
                Err(RemoteError::Refused(self.target, printable(&why)).into())
            }
            response => Ok(response),
        }
    }

    /// Whether the session has failed; the next call returns why.
    pub(crate) fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Sets until when the sink may be unreachable: the end of a phase; zero: it may not.
    pub(crate) fn set_busy_until(&self, at: Nanos) {
        self.shared.busy_until_ns.store(at.0, Ordering::Relaxed);
    }

    /// Records that a sender saw the sink's port closed: the sink must respond soon.
    pub(crate) fn suspect_closed_port(&self) {
        self.shared.port_seen_closed.store(true, Ordering::Relaxed);
    }

    /// Treats both clocks as the same one, unless the comparisons so far contradict it.
    pub(crate) fn trust_same_clock(&mut self) {
        let estimate = self.shared.clocks().estimate();
        self.same_clock =
            estimate.is_none_or(|offset| offset.offset_ns.unsigned_abs() <= offset.bound_ns);
    }

    pub(crate) fn compare(&self) {
        let (sender, done) = mpsc::channel();
        self.order(move |thread| {
            thread.burst();
            let _ = sender.send(());
        });
        let _ = done.recv();
    }

    /// The offset of the sink's clock; `None` if no comparison has succeeded.
    pub(crate) fn offset(&self) -> Option<Offset> {
        if self.same_clock { Some(Offset::same_clock()) } else { self.shared.clocks().estimate() }
    }

    /// The shortest round-trip time of all comparisons.
    pub(crate) fn rtt(&self) -> Nanos {
        self.shared.clocks().estimate().map_or(Nanos::ZERO, |offset| Nanos(offset.min_rtt_ns))
    }

    /// Starts correcting the clocks of a phase's receivers for drift.
    pub(crate) fn start_corrections(&self, corrections: ClockCorrections) {
        if !self.same_clock {
            self.order(|thread| thread.start_corrections(corrections));
        }
    }

    pub(crate) fn take_corrections(&self) -> Option<ClockCorrections> {
        let (sender, corrections) = mpsc::channel();
        self.order(move |thread| {
            let _ = sender.send(thread.corrections.take());
        });
        corrections.recv().ok().flatten()
    }

    fn order(&self, order: impl FnOnce(&mut ControlThread) + Send + 'static) {
        // A dead thread shows when a response is awaited.
        let _ = self.orders.send(Box::new(order));
        let _ = self.waker.wake();
    }
}

impl Drop for ControlClient {
    fn drop(&mut self) {
        self.order(ControlThread::close_session);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
