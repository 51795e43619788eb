//! Sessions between a client and a server over control messages: requests that are executed once
//! and answered whole, whatever the network loses, repeats, delays or damages.
//!
//! Neither side has a socket, a thread or a clock: datagrams and moments come in, datagrams and
//! events go out, and the same input gives the same output.
//!
//! - `client`: the client; one request at a time, retried until answered
//! - `server`: the server; keeps no state for a peer that has not proved its address;
//!   `outcome`: what it does with a datagram; `table`: its sessions
//! - `cookie`: cookies and session ids; `backoff`: when to try again; `chunks`: long answers
//!
//! # What a key proves
//! With a key, that a message was written by somebody who has it, in this direction and session. A
//! recorded message executes nothing a second time; on the path it can still be held back, and
//! messages replayed there may keep a session from being closed for silence. Nothing is encrypted.
//! Without a key the code at a message's end only shows damage; then it is the cookie, the nonce
//! and the ids, none of which can be guessed, that keep out whoever does not see the traffic.

mod backoff;
mod chunks;
mod client;
mod cookie;
mod error;
mod outcome;
mod server;
mod table;

pub use crate::remote::rpc::client::{ClientEvent, RpcClient};
pub use crate::remote::rpc::cookie::AddressBytes;
pub use crate::remote::rpc::outcome::{Ignored, ServerEvent, ServerOutcome};
pub use crate::remote::rpc::server::{Limits, RpcServer};
pub use error::{AnswerError, CallError, LONGEST_ANSWER};
pub use table::KEPT_MOST;
