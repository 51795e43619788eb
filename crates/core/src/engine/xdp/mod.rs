//! AF_XDP: frames to and from a queue of a device. They bypass the kernel's sockets, queueing
//! disciplines and firewall.
//!
//! An ordinary socket holds each port. It receives the datagrams that are not redirected, such as
//! control messages, and ICMP errors. Slots are frames in memory shared with the kernel, so
//! datagrams are not copied here.

mod forward;
mod forward_group;
mod frame;
mod frame_ring;
mod next_hop;
mod queues;
mod registry;
mod rx;
mod socket;
mod tx;

pub use queues::QUEUE_BYTES;
pub(super) use queues::probe;
pub use rx::XdpRx;
pub use tx::XdpTx;

/// Whether this build has the engine.
pub const IS_BUILT_IN: bool = true;
