//! Calls to a sink. A thread sends them, and compares clocks meanwhile.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{Builder, JoinHandle};

use mio::Waker;
use mio::net::UdpSocket;

use crate::clock::Offset;
use crate::remote::client::clock_corrections::ClockCorrections;
use crate::remote::client::control_thread::{ControlOrder, ControlState, ControlThread};
use crate::remote::lock;
use crate::remote::protocol::Key;
use crate::remote::protocol::spec::{ControlRequest, ControlResponse};
use crate::remote::rpc::CallError;
use crate::run::RunError;
use crate::unit::{Keep, Nanos, strip_control};

#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    #[error("{0}: cannot set up polling: {1}; raise the limit of open files (ulimit -n)")]
    Poll(SocketAddr, io::Error),
    #[error("{0}: {1}")]
    Call(SocketAddr, CallError),
    #[error("the sink at {0} refuses: {1}")]
    Refused(SocketAddr, String),
    #[error("{0}: the sink's response cannot be decoded; run the same udperf at both ends")]
    Damaged(SocketAddr),
    #[error(
        "{0}: the sink got no datagram from the receiving ports; if a firewall passes only some \
         ports, set them with --port-range"
    )]
    NotReached(SocketAddr),
    #[error("{0} is the port of this client itself; --port is local, name the sink's as HOST:PORT")]
    Itself(SocketAddr),
    #[error("{0}: could not synchronise the start time; check the path for loss and delay")]
    NeverInTime(SocketAddr),
}

impl From<RemoteError> for RunError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(Box::new(error))
    }
}

pub(crate) struct ControlClient {
    orders: Sender<ControlOrder>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
    pub(super) shared: Arc<ControlState>,
    /// Whether both ends read the same clock.
    pub(crate) same_clock: bool,
    pub(super) target: SocketAddr,
}

impl ControlClient {
    pub(super) fn open(
        socket: UdpSocket,
        target: SocketAddr,
        key: Option<Key>,
        nonce: u64,
    ) -> Result<Self, RunError> {
        let (orders, inbox) = mpsc::channel();
        let shared = Arc::new(ControlState::default());
        let (worker, waker) = ControlThread::new(socket, key.as_ref(), nonce, inbox, &shared)
            .map_err(|error| RemoteError::Poll(target, error))?;
        let thread = Builder::new()
            .name("udperf-control".to_owned())
            .spawn(move || worker.run())
            .map_err(|source| RunError::Spawn { source })?;
        Ok(Self { orders, waker, thread: Some(thread), shared, same_clock: false, target })
    }

    pub(super) fn call(&self, request: &ControlRequest) -> Result<ControlResponse, RunError> {
        let body = postcard::to_stdvec(request).map_err(|_| self.damaged())?;
        let (sender, answer) = mpsc::channel();
        self.send(|thread| thread.call(body, sender));
        // The thread always replies, unless it panicked.
        let answer = answer.recv().map_err(|_| RunError::Panicked { id: "control".to_owned() })?;
        let body = answer.map_err(|error| RemoteError::Call(self.target, error))?;
        match postcard::from_bytes(&body).map_err(|_| self.damaged())? {
            ControlResponse::Refused(why) => {
                Err(RemoteError::Refused(self.target, strip_control(&why, Keep::Nothing)).into())
            }
            response => Ok(response),
        }
    }

    pub(super) fn damaged(&self) -> RunError {
        RemoteError::Damaged(self.target).into()
    }

    pub(super) fn compare(&self) {
        self.order(ControlThread::burst);
    }

    /// The offset of the sink's clock; `None` if no comparison has succeeded.
    pub(crate) fn offset(&self) -> Option<Offset> {
        if self.same_clock {
            Some(Offset::same_clock())
        } else {
            lock(&self.shared.clocks).estimate()
        }
    }

    pub(super) fn rtt(&self) -> Nanos {
        lock(&self.shared.clocks).estimate().map_or(Nanos::ZERO, |offset| Nanos(offset.min_rtt_ns))
    }

    pub(super) fn start_corrections(&self, corrections: ClockCorrections) {
        if !self.same_clock {
            self.send(|thread| thread.start_corrections(corrections));
        }
    }

    pub(super) fn take_corrections(&self) -> Option<ClockCorrections> {
        self.order(|thread| thread.corrections.take()).flatten()
    }

    /// Orders work, and waits for its result; `None` if the thread died.
    fn order<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut ControlThread) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = mpsc::channel();
        self.send(move |thread| drop(sender.send(order(thread))));
        result.recv().ok()
    }

    fn send(&self, order: impl FnOnce(&mut ControlThread) + Send + 'static) {
        // A dead thread shows when a result is awaited.
        let _ = self.orders.send(Box::new(order));
        let _ = self.waker.wake();
    }
}

impl Drop for ControlClient {
    fn drop(&mut self) {
        self.send(ControlThread::close_session);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
