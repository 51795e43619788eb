//! A run between two hosts: the control protocol, calls over lossy datagrams, `blast`, `sink`.

pub mod client;
pub mod protocol;
pub mod rpc;
pub mod sink;
