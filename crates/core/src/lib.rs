//! What runs while datagrams are sent: sockets, engines, schedules, the send and receive loops,
//! the ledger. The crate `udperf` adds documents, reports, and the command line, and describes the
//! layers of both.
//!
//! It is a crate of its own because the compiler optimises it with other settings: everything here
//! may run once a datagram, and nothing in `udperf` does.

pub mod clock;
pub mod document;
pub mod echo;
pub mod engine;
pub mod host;
pub mod measure;
pub mod net;
pub mod pace;
pub mod payload;
pub mod plan;
pub mod request;
pub mod run;
pub mod sys;
pub mod unit;
pub mod wire;
