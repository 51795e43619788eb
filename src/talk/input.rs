//! Input lines, which another thread sends to the conversation.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use mio::Waker;

use super::TalkInput;
use super::error::TalkError;
use super::peers::TalkPeer;

/// Maximum lines of a program that wait to be sent: enough to keep the socket busy. Arbitrary.
const MAX_WAITING: usize = 64;

/// The source of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSource {
    /// A program: it waits when the queue is full.
    Program,
    /// A person: typing never waits.
    Person,
}

/// Sends lines to the conversation from another thread.
#[derive(Debug, Clone)]
pub struct InputSender {
    sender: Channel,
    waker: Arc<Waker>,
}

#[derive(Debug, Clone)]
enum Channel {
    Bounded(SyncSender<TalkInput>),
    Unbounded(Sender<TalkInput>),
}

impl InputSender {
    pub(super) fn new(source: InputSource, waker: Waker) -> (Self, Receiver<TalkInput>) {
        let (sender, receiver) = match source {
            InputSource::Program => {
                let (sender, receiver) = sync_channel(MAX_WAITING);
                (Channel::Bounded(sender), receiver)
            }
            InputSource::Person => {
                let (sender, receiver) = channel();
                (Channel::Unbounded(sender), receiver)
            }
        };
        (Self { sender, waker: Arc::new(waker) }, receiver)
    }

    /// Sends it once the queue has room; returns whether the conversation continues.
    #[must_use]
    pub fn send(&self, input: TalkInput) -> bool {
        let sent = match &self.sender {
            Channel::Bounded(sender) => sender.send(input).is_ok(),
            Channel::Unbounded(sender) => sender.send(input).is_ok(),
        };
        // After a failed wake-up the event loop still looks within one tick.
        let _ = self.waker.wake();
        sent
    }
}

/// An event at the sockets.
#[derive(Debug)]
pub(super) enum SocketEvent {
    Connected(TalkPeer),
    Received(TalkPeer, Vec<u8>),
    /// A connection ended: why, if it broke, and how many bytes were not sent.
    Disconnected {
        peer: TalkPeer,
        why: Option<std::io::Error>,
        unsent: usize,
    },
    /// A send failed, or the network returned an error for it.
    SendFailed(TalkError),
    ConnectFailed(TalkError),
}
