//! What follows the reply to a request of an exchange.

use super::blocks::Blocks;
use crate::payload::bytes_at::{Abort, BytesAt};

/// Which replies a request follows, and what is written besides its template.
#[derive(Debug, Clone)]
pub(in crate::payload) enum Follow {
    /// One request follows the first reply.
    Once {
        /// What a reply must have to be followed by it; `None`: it follows all.
        only_if: Option<BytesAt>,
        /// What ends an exchange instead of it.
        abort: Option<Abort>,
    },
    /// A request for each further block of a response of CoAP.
    Blocks(Blocks),
}
