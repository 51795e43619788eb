//! Control messages between client and server, on the port of the measured datagrams.
//!
//! ```text
//!  0     2       6         7      8       9         17       21         n-16  n
//!  ┌─────┬───────┬─────────┬──────┬───────┬─────────┬────────┬───────────┬─────┐
//!  │ tag │ magic │ version │ kind │ flags │ session │ number │ body …    │ mac │
//!  └─────┴───────┴─────────┴──────┴───────┴─────────┴────────┴───────────┴─────┘
//! ```
//! All big-endian. `session` is the session's id, and before there is one the nonce that the client
//! drew. `number` counts requests, and syncs by themselves; in Closed and Refused it is the reason.
//! `mac` is HMAC-SHA-256 over everything before it, cut to 16 bytes. Flag 1 says that a secret key
//! was used; without it the key is public, and the code shows damage but not who wrote the message.
//! Kinds from 128 on come from servers, all others from clients; as the code covers the kind, a
//! message that is thrown back at its sender is none.
//!
//! The first 21 bytes have this layout in every version, and so has Refused, so that either end can
//! tell another version from noise and say so.

mod envelope;
mod mac;
mod reason;
pub(crate) mod spec;

pub use envelope::{Fault, Peek, decode, encode, peek};
pub use mac::{Key, KeyError, MAC_LEN, Seal, Tagger};
pub use reason::{CloseReason, RejectReason};

/// The tag of every control message: of no slot, and so of no data. Arbitrary.
pub const CONTROL_TAG: u16 = 0x0001;

/// The version of this protocol. Changes when an older end would misread a newer one.
pub const VERSION: u8 = 5;

/// Bytes before the body. From the layout above.
pub const HEAD_LEN: usize = 21;

/// The longest message in bytes: with the headers of IPv6 and UDP (40 + 8) and a tunnel's beside,
/// below the 1280 that RFC 8200 §5 makes every path carry.
pub const LONGEST: usize = 1_200;

/// The longest body in bytes, and so the longest request. From the layout above.
pub const LONGEST_BODY: usize = LONGEST - HEAD_LEN - MAC_LEN;

/// Bytes of an answer that one chunk carries: a body without its offset.
pub const CHUNK_LEN: usize = LONGEST_BODY - 4;

/// The longest note of a sync in bytes. Arbitrary: eight counters.
pub const LONGEST_NOTE: usize = 64;

/// Bytes of a cookie, which is such a code as ends a message.
pub const COOKIE_LEN: usize = MAC_LEN;

/// Bytes of a Hello, filled up to what Challenge needs: no reply of an unproved client's is longer
/// than what it answers. From the layouts of both.
pub const HELLO_LEN: usize = HEAD_LEN + COOKIE_LEN + MAC_LEN;

/// One control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The session's id; in Hello, Challenge, Open, Opened and what refuses these, the client's
    /// nonce.
    pub session: u64,
    /// The number of the request, or of the sync. 0 in other messages; Closed and Refused use its
    /// place for the reason, and read as 0 here.
    pub number: u32,
    /// The content.
    pub body: Body<'a>,
}

/// The content of a control message. Times are nanoseconds of the sender's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// Client: I would like to begin.
    Hello,
    /// Server: then show that you get what is sent to your address, by sending this back.
    Challenge {
        /// What to send back.
        cookie: [u8; COOKIE_LEN],
    },
    /// Client: here it is, open a session.
    Open {
        /// As it came in Challenge.
        cookie: [u8; COOKIE_LEN],
    },
    /// Server: it is open.
    Opened {
        /// Its id.
        session: u64,
    },
    /// Client: do this, once.
    Request(&'a [u8]),
    /// Server: I am at it.
    Working,
    /// Server: the whole answer.
    Answer(&'a [u8]),
    /// Server: there is an answer, and it is too long for one message.
    Large {
        /// Its length in bytes.
        len: u32,
    },
    /// Client: send the part of the answer that begins here.
    Pull {
        /// Bytes before it.
        offset: u32,
    },
    /// Server: a part of the answer.
    Chunk {
        /// Bytes before it.
        offset: u32,
        /// The part, up to [`CHUNK_LEN`].
        bytes: &'a [u8],
    },
    /// Client: what time is it there?
    Sync {
        /// When this left.
        t1: u64,
        /// The application's, up to [`LONGEST_NOTE`].
        note: &'a [u8],
    },
    /// Server: the answer to a sync.
    SyncReply {
        /// As it came.
        t1: u64,
        /// When the sync came in.
        t2: u64,
        /// When this left.
        t3: u64,
    },
    /// Client: that was all.
    Close,
    /// Server: the session is over.
    Closed(CloseReason),
    /// Server: no.
    Refused(RejectReason),
}

/// Whether this datagram claims to be a control message; the rest is for [`decode`] to tell.
#[inline]
#[must_use]
pub fn is_control(datagram: &[u8]) -> bool {
    datagram.starts_with(&CONTROL_TAG.to_be_bytes())
}
