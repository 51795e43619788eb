//! The cookies that a DNS server has sent to the ports of a worker.

use std::cell::Cell;
use std::rc::Rc;

use crate::payload::ServerCookie;

/// The latest cookie of each port. The writer and the matcher of a worker share it.
#[derive(Debug, Clone)]
pub(super) struct ServerCookies(Rc<[Cell<ServerCookie>]>);

impl ServerCookies {
    // cold: set-up
    pub(super) fn new(ports: usize) -> Self {
        Self((0..ports).map(|_| Cell::default()).collect())
    }

    /// Keeps the cookie of a reply to this port.
    #[inline]
    pub(super) fn note(&self, port: usize, reply: &[u8]) {
        if let Some(cookie) = ServerCookie::of(reply)
            && let Some(latest) = self.0.get(port)
        {
            latest.set(cookie);
        }
    }

    /// Adds the latest cookie of this port to a query of `len` bytes; returns its length.
    #[inline]
    pub(super) fn add_to(&self, port: usize, slot: &mut [u8], len: usize) -> usize {
        self.0.get(port).map_or(len, |latest| latest.get().add_to(slot, len))
    }
}
