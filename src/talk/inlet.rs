//! The way in for lines.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use mio::Waker;

use super::TalkInput;
use super::book::TalkPeer;
use super::error::TalkError;

/// Lines that wait to be sent where a program writes them: enough to keep the socket busy, and no
/// more memory than that. Arbitrary.
const WAITING: usize = 64;

/// Who writes lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hasty {
    /// A program: it can be made to wait.
    Yes,
    /// A person, who never must.
    No,
}

/// Takes lines to the conversation, from another thread.
#[derive(Debug, Clone)]
pub struct Inlet {
    sender: Pipe,
    waker: Arc<Waker>,
}

#[derive(Debug, Clone)]
enum Pipe {
    Narrow(SyncSender<TalkInput>),
    Wide(Sender<TalkInput>),
}

impl Inlet {
    /// Both ends.
    pub(super) fn new(hasty: Hasty, waker: Waker) -> (Self, Receiver<TalkInput>) {
        let (sender, receiver) = match hasty {
            Hasty::Yes => {
                let (sender, receiver) = sync_channel(WAITING);
                (Pipe::Narrow(sender), receiver)
            }
            Hasty::No => {
                let (sender, receiver) = channel();
                (Pipe::Wide(sender), receiver)
            }
        };
        (Self { sender, waker: Arc::new(waker) }, receiver)
    }

    /// Hands it over, when there is room; whether the conversation still goes on.
    #[must_use]
    pub fn put(&self, input: TalkInput) -> bool {
        let put = match &self.sender {
            Pipe::Narrow(sender) => sender.send(input).is_ok(),
            Pipe::Wide(sender) => sender.send(input).is_ok(),
        };
        // A wake-up that fails costs one round of the event loop, which looks by itself.
        let _ = self.waker.wake();
        put
    }
}

/// What happened at the sockets.
#[derive(Debug)]
pub(super) enum News {
    /// A connection was made.
    Came(TalkPeer),
    /// Bytes came.
    Heard(TalkPeer, Vec<u8>),
    /// A connection ended: why, if it broke, and how many bytes were not sent.
    Left { peer: TalkPeer, why: Option<std::io::Error>, unsent: usize },
    /// The network refuses what was sent.
    Refused(TalkError),
    /// A connection could not be made.
    Failed(TalkError),
}
