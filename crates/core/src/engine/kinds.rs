//! The kinds of engines, and pairs of them.

use serde::{Deserialize, Serialize};

/// One way of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub enum TxKind {
    /// One system call per datagram.
    Plain,
    /// Many datagrams per system call.
    Batch,
    /// Super-packets that the kernel or the device splits.
    Gso,
    /// A ring shared with the kernel.
    Uring,
    /// No system call at all: accepts every datagram.
    Null,
}

/// One way of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub enum RxKind {
    /// One system call per datagram.
    Plain,
    /// Many datagrams per system call.
    Batch,
    /// Super-packets, split by udperf.
    Gro,
    /// A ring shared with the kernel.
    Uring,
    /// No system call at all: makes every datagram.
    Null,
}

/// One way of returning datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoKind {
    /// Two system calls per datagram.
    Plain,
    /// Many datagrams by two system calls.
    Batch,
    /// Super-packets, each returned as one.
    Offload,
    /// A ring shared with the kernel.
    Uring,
}

/// How to send and how to receive: one word for both, or `TX/RX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EnginePair {
    /// The sending side.
    pub tx: TxKind,
    /// The receiving side.
    pub rx: RxKind,
}

impl EnginePair {
    /// `send` and `recvfrom`, the hot path that most servers use.
    pub const PLAIN: Self = Self { tx: TxKind::Plain, rx: RxKind::Plain };
    /// `sendmmsg` and `recvmmsg`.
    pub const BATCH: Self = Self { tx: TxKind::Batch, rx: RxKind::Batch };
    /// Super-packets that are sent whole and received as single datagrams.
    pub const GSO_BATCH: Self = Self { tx: TxKind::Gso, rx: RxKind::Batch };
    /// Super-packets from end to end.
    pub const OFFLOAD: Self = Self { tx: TxKind::Gso, rx: RxKind::Gro };
    /// io_uring at both ends.
    pub const URING: Self = Self { tx: TxKind::Uring, rx: RxKind::Uring };
    /// No system call.
    pub const NULL: Self = Self { tx: TxKind::Null, rx: RxKind::Null };
}
