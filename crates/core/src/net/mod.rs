//! Sockets, waiting for them, and placement of threads on cores.

mod bound;
mod datagram;
mod group;
mod multicast;
mod netns;
mod options;
mod pin;
mod ports;
mod socket;
pub mod steer;
pub mod stream;
pub mod unix;
mod wait;

pub use bound::{Bound, BoundSender, MAX_DATAGRAM};
pub use datagram::Datagram;
pub use group::{Group, GroupOptions, Slot, max_queued};
pub use netns::{NetnsError, enter_netns};
pub use options::Options;
pub use pin::{PinError, TIMER_SLACK_NS, pin_to};
pub use ports::Ports;
pub use socket::{SocketError, Udp, message_of};
pub use unix::{Unix, UnixError, UnixFile, UnixName};
pub use wait::{Waited, Waiter};

/// An error of sockets, waiting or thread placement.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum NetError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Unix(#[from] UnixError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Netns(#[from] NetnsError),
    #[error("cannot set up engine {engine}: {source}; run `udperf doctor` for details")]
    Engine { engine: &'static str, source: std::io::Error },
    #[error("cannot wait for sockets: {source}; raise the limit of open files (ulimit -n)")]
    Poll { source: std::io::Error },
}
