//! The kinds of engines, and pairs of them.

use serde::{Deserialize, Serialize};

/// One way of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
#[allow(missing_docs, reason = "`ENGINES` describes them")]
pub enum TxKind {
    Plain,
    Batch,
    Gso,
    Uring,
    Null,
}

/// One way of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
#[allow(missing_docs, reason = "`ENGINES` describes them")]
pub enum RxKind {
    Plain,
    Batch,
    Gro,
    Uring,
    Null,
}

/// One way of returning datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`ENGINES` describes them")]
pub enum EchoKind {
    Plain,
    Batch,
    Offload,
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
