//! Sockets, waiting for them, placement of threads on cores, what this host can do, and the
//! engines that move datagrams.

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

pub use bound::{Bound, BoundSender, LARGEST};
pub use datagram::Datagram;
pub use group::{Group, GroupOptions, Slot, most_waiting};
pub use netns::{NetnsError, enter_netns};
pub use options::Options;
pub(crate) use pin::TIMER_SLACK_NS;
pub use pin::{PinError, pin_to};
pub use ports::Ports;
pub use socket::{SocketError, Udp};
pub use unix::{Unix, UnixError, UnixFile, UnixName};
pub use wait::{Waited, Waiter};

/// What the network side of a worker could not do. Each variant says what was asked, what is
/// wrong and what mends it.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A socket could not be had as asked.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// An AF_UNIX socket could not be had as asked.
    #[error(transparent)]
    Unix(#[from] UnixError),
    /// A thread could not be placed.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A network namespace could not be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// An engine could not be set up on its socket.
    #[error("engine {engine} cannot be set up: {source}; see what `udperf doctor` says of it")]
    Engine {
        /// Its word.
        engine: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The readiness queue could not be made.
    #[error("cannot wait for sockets: {source}; raise the limit of open files (ulimit -n)")]
    Poll {
        /// What the system says.
        source: std::io::Error,
    },
}
