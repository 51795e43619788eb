//! Remote calls over control messages: each request is executed at most once, and its response
//! arrives whole, whatever the network loses, repeats, delays or damages.
//!
//! Neither side has a socket, a thread or a clock: datagrams and times go in, datagrams and events
//! come out, and the same input gives the same output.
//!
//! - `client`: one request at a time, retried until answered
//! - `server`: keeps no state for a peer that has not proved its address; `table`: sessions
//! - `cookie`: cookies and session ids; `backoff`: retries; `chunks`: long answers
//!
//! # What a key proves
//! With a key, the sender of a message has the key, and wrote the message for this direction and
//! session. A replayed message executes nothing again. An attacker on the path can still drop
//! messages, or replay them to keep a silent session open. Nothing is encrypted. Without a key, the
//! code of a message only detects damage; then cookie, nonce and ids, which cannot be guessed, keep
//! out attackers that do not see the traffic.

mod backoff;
mod chunks;
mod client;
mod cookie;
mod error;
mod server;
mod table;

pub use crate::remote::rpc::client::{ClientEvent, RpcClient};
pub use crate::remote::rpc::server::{
    Ignored, Limits, Outgoing, RpcServer, ServerEvent, ServerOutcome,
};
pub use error::{AnswerError, CallError, LONGEST_ANSWER};
pub use table::MAX_KEPT;
