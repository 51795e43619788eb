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
pub use pin::TIMER_SLACK_NS;
pub use pin::{PinError, pin_to};
pub use ports::Ports;
pub use socket::message_of;
pub use socket::{SocketError, Udp};
pub use unix::{Unix, UnixError, UnixFile, UnixName};
pub use wait::{Waited, Waiter};

/// An error of sockets, waiting or thread placement.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A socket could not be set up.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// An AF_UNIX socket could not be set up.
    #[error(transparent)]
    Unix(#[from] UnixError),
    /// A thread could not be pinned.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A network namespace could not be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// An engine could not be set up on its socket.
    #[error("cannot set up engine {engine}: {source}; run `udperf doctor` for details")]
    Engine {
        /// Its name.
        engine: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// The event queue could not be created.
    #[error("cannot wait for sockets: {source}; raise the limit of open files (ulimit -n)")]
    Poll {
        /// The system's error.
        source: std::io::Error,
    },
}
