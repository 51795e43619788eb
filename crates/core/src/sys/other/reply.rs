//! Answers to many: not possible here.

use std::io;
use std::net::SocketAddr;

use crate::sys::{LocalAddr, Reply};

/// Nothing is known here.
#[must_use]
pub const fn parse_msg(
    _name: &[u8],
    _control: &[u8],
) -> (Option<SocketAddr>, Option<LocalAddr>, Option<u64>) {
    (None, None, None)
}

/// Many answers a call: not possible here.
#[derive(Debug)]
pub struct ReplyBatch;

impl ReplyBatch {
    /// For nothing.
    #[must_use]
    pub fn new(_messages: usize) -> Self {
        Self
    }

    /// Not possible here.
    ///
    /// # Errors
    /// Always [`io::ErrorKind::Unsupported`].
    pub fn send<'a, S>(
        &mut self,
        _socket: &S,
        _replies: impl Iterator<Item = Reply<'a>>,
    ) -> io::Result<(usize, usize)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Not possible here.
    ///
    /// # Errors
    /// Always [`io::ErrorKind::Unsupported`].
    pub fn send_one<S>(&mut self, _socket: &S, _reply: Reply<'_>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
