//! Control messages between client and server, on the port of the measured datagrams.
//!
//! ```text
//!  0     2       6         7      8       9         17       21         n-16  n
//!  ┌─────┬───────┬─────────┬──────┬───────┬─────────┬────────┬───────────┬─────┐
//!  │ tag │ magic │ version │ kind │ flags │ session │ number │ body …    │ mac │
//!  └─────┴───────┴─────────┴──────┴───────┴─────────┴────────┴───────────┴─────┘
//! ```
//! All big-endian. `session` is the session's id, or the client's nonce until there is one.
//! `number` counts requests, and separately syncs; in Closed and Refused it is the reason. `mac` is
//! HMAC-SHA-256 over everything before it, cut to 16 bytes. Flag 1: a secret key was used; else the
//! key is public, and the code detects damage but does not prove the sender. Kinds from 128 on
//! come from servers, all others from clients, so that a reflected message is invalid.
//!
//! The first 21 bytes and Refused have this layout in every version, so that each end can recognise
//! and report another version.

mod envelope;
mod mac;
pub(crate) mod spec;

pub use envelope::{Fault, Peek, decode, encode, peek};
pub use mac::{Key, KeyError, MAC_LEN, Seal, Tagger};

/// The tag of every control message; data never has it, since it has no slot. Arbitrary.
pub const CONTROL_TAG: u16 = 0x0001;
/// The version of this protocol. Changes when an older end would misread a newer one.
pub const VERSION: u8 = 12;
/// Bytes before the body. From the layout above.
pub const HEAD_LEN: usize = 21;
/// The longest message in bytes: with IPv6, UDP and tunnel headers below 1280 (RFC 8200 §5).
pub const LONGEST: usize = 1_200;
/// The longest body in bytes, and so the longest request. From the layout above.
pub const LONGEST_BODY: usize = LONGEST - HEAD_LEN - MAC_LEN;
/// Bytes of an answer in one chunk: a body without its offset.
pub const CHUNK_LEN: usize = LONGEST_BODY - 4;
/// The longest note of a sync in bytes. Arbitrary: eight counters.
pub const LONGEST_NOTE: usize = 64;
/// Bytes of a cookie, which is a code like that of a message.
pub const COOKIE_LEN: usize = MAC_LEN;
/// Bytes of a Hello, padded to the length of Challenge: no reply to an unproved client is longer
/// than its message. From the layouts of both.
pub const HELLO_LEN: usize = HEAD_LEN + COOKIE_LEN + MAC_LEN;

/// One control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The session's id; until the session is open, the client's nonce.
    pub session: u64,
    /// The number of the request, or of the sync; 0 in other messages.
    pub number: u32,
    /// The content.
    pub body: Body<'a>,
}

/// The content of a control message. Times are nanoseconds of the sender's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// Client: requests a session.
    Hello,
    /// Server: asks for a proof of the client's address: this cookie must come back.
    Challenge([u8; COOKIE_LEN]),
    /// Client: opens a session with the cookie of Challenge.
    Open([u8; COOKIE_LEN]),
    /// Server: the session with this id is open.
    Opened(u64),
    /// Client: a request, executed once.
    Request(&'a [u8]),
    /// Server: the request is in progress.
    Working,
    /// Server: the answer.
    Answer(&'a [u8]),
    /// Server: the length in bytes of an answer that is too long for one message.
    Large(u32),
    /// Client: requests the chunk of the answer at this offset.
    Pull(u32),
    /// Server: the offset of a chunk, and up to [`CHUNK_LEN`] bytes.
    Chunk(u32, &'a [u8]),
    /// Client: compares clocks: the send time, and a note of up to [`LONGEST_NOTE`] bytes.
    Sync(u64, &'a [u8]),
    /// Server: the send time of a sync, when it arrived, and when this reply left.
    SyncReply([u64; 3]),
    /// Client: ends the session.
    Close,
    /// Server: the session is over.
    Closed(CloseReason),
    /// Server: refuses a message.
    Refused(RejectReason),
}

// Reasons with their numbers on the wire, and their texts.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident, $other:tt;
     $($reason:ident = $code:literal, $text:tt;)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $(#[doc = $text] #[error($text)] $reason,)+
            /// A reason unknown to this version.
            #[error($other)]
            Other(u32),
        }

        impl $name {
            /// The number on the wire.
            pub const fn code(self) -> u32 {
                match self {
                    $(Self::$reason => $code,)+
                    Self::Other(code) => code,
                }
            }

            /// The reason with this number.
            pub const fn from_code(code: u32) -> Self {
                match code {
                    $($code => Self::$reason,)+
                    code => Self::Other(code),
                }
            }
        }
    };
}

reasons! {
    /// Why a server refuses a request. 1 to 4 mean the same in every version.
    RejectReason,
    "the sink refuses for a reason unknown here (number {0}); run the same udperf at both ends";
    Version = 1, "the sink has another version of the control protocol; run the same udperf at \
        both ends";
    KeyNeeded = 2, "the sink requires a key and none was given; provide the sink's key";
    KeyUnknown = 3, "the sink has no key and one was given; give the sink the same key, or omit \
        it here";
    KeyDiffers = 4, "the sink has another key; give both ends the same key, and check the key \
        file for blanks and line ends";
    Busy = 5, "the sink serves as many clients as it may (--max-clients, or one by --once); wait \
        until one ends, or start another sink at another --port";
    Stale = 6, "the sink no longer accepts the proof of this address; try again, and check \
        whether the address changes on the way (NAT)";
    Ended = 7, "the sink has ended the session of this run; start the run again";
    NoSession = 8, "the sink does not know this session: it was restarted, or received no \
        message for too long; start the run again";
}

reasons! {
    /// Why a session ended.
    CloseReason, "the sink closed the session for reason number {0}";
    Requested = 0, "the client closed the session";
    Idle = 1, "the sink received nothing from the client for too long";
    GoingDown = 2, "the sink was stopped";
    Failed = 3, "the sink failed; see its messages on its host";
    Unreachable = 4, "the client's host reported its port as unreachable";
    Replaced = 5, "the client was silent, and another client of its host needs the device queues";
}
