//! The table of engines: every list of engines, help text, error text and wire id comes from it.

use serde::{Deserialize, Serialize};

use super::probe::{self, ProbeFinding, capability};
use crate::document::Capability;

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
    Xdp,
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
    Xdp,
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
    /// AF_XDP at both ends.
    pub const XDP: Self = Self { tx: TxKind::Xdp, rx: RxKind::Xdp };
    /// No system call.
    pub const NULL: Self = Self { tx: TxKind::Null, rx: RxKind::Null };
}

/// A row of [`ENGINES`].
#[derive(Debug)]
pub struct EngineRow {
    /// The word for it; alone it means both sides, where there are two.
    pub word: &'static str,
    /// Its way of sending.
    pub tx: Option<TxKind>,
    /// Its way of receiving.
    pub rx: Option<RxKind>,
    /// Its way of echoing.
    pub echo: Option<EchoKind>,
    /// Whether `load` and `ping` support it.
    pub requests: bool,
    /// Whether it works only on some devices, so `all` omits it.
    pub by_device: bool,
    /// The pair that `auto` tries for it.
    pub auto: Option<EnginePair>,
    /// Without a trial, `auto` takes the lowest rank available (`echo`, `load`). Ordered by speed
    /// for super-packets; for single datagrams none is much slower than the next.
    pub rank: Option<u8>,
    /// Its number in the control protocol, per side; `None`: a word for two other rows.
    pub wire_id: Option<u32>,
    /// Tests it on this host; returns what works, or why it does not.
    pub probe: Option<fn() -> ProbeFinding>,
    /// Requirements, for error texts and `doctor`.
    pub needs: &'static str,
    /// Its sentence in the help text.
    pub help: &'static str,
    /// For an engine of one side: what to write instead of the word alone.
    pub instead: &'static str,
}

/// Defaults of a row.
const ROW: EngineRow = EngineRow {
    word: "",
    tx: None,
    rx: None,
    echo: None,
    requests: false,
    by_device: false,
    auto: None,
    rank: None,
    wire_id: None,
    probe: None,
    needs: "",
    help: "",
    instead: "",
};

/// All engines, in the order of the documentation. A row that combines others comes after them.
pub static ENGINES: [EngineRow; 8] = [
    EngineRow {
        word: "plain",
        tx: Some(TxKind::Plain),
        rx: Some(RxKind::Plain),
        echo: Some(EchoKind::Plain),
        requests: true,
        auto: Some(EnginePair::PLAIN),
        rank: Some(3),
        wire_id: Some(0),
        probe: Some(probe::plain),
        needs: "a UDP socket",
        help: "one send or recvfrom per datagram",
        ..ROW
    },
    EngineRow {
        word: "batch",
        tx: Some(TxKind::Batch),
        rx: Some(RxKind::Batch),
        echo: Some(EchoKind::Batch),
        requests: true,
        auto: Some(EnginePair::BATCH),
        rank: Some(2),
        wire_id: Some(1),
        probe: Some(probe::batch),
        needs: "Linux",
        help: "sendmmsg and recvmmsg",
        ..ROW
    },
    EngineRow {
        word: "gso",
        tx: Some(TxKind::Gso),
        requests: true,
        auto: Some(EnginePair::GSO_BATCH),
        rank: Some(1),
        wire_id: Some(2),
        probe: Some(probe::gso),
        needs: "Linux 4.18",
        help: "super-packets that the kernel splits",
        instead: "offload (gso/gro: super-packets are never split on this host), or gso/batch \
                  (split at the receiving socket, as any server sees it)",
        ..ROW
    },
    EngineRow {
        word: "gro",
        rx: Some(RxKind::Gro),
        requests: true,
        wire_id: Some(2),
        probe: Some(probe::gro),
        needs: "Linux 5.0",
        help: "super-packets that stay whole",
        instead: "offload (gso/gro), or plain/gro, batch/gro to see what it does to datagrams that \
                  were sent one by one",
        ..ROW
    },
    EngineRow {
        word: "offload",
        tx: Some(TxKind::Gso),
        rx: Some(RxKind::Gro),
        echo: Some(EchoKind::Offload),
        auto: Some(EnginePair::OFFLOAD),
        rank: Some(0),
        needs: "gso and gro",
        ..ROW
    },
    EngineRow {
        word: "uring",
        tx: Some(TxKind::Uring),
        rx: Some(RxKind::Uring),
        echo: Some(EchoKind::Uring),
        auto: Some(EnginePair::URING),
        wire_id: Some(3),
        probe: Some(probe::uring),
        needs: "Linux 6.1 and --features uring",
        help: "io_uring",
        ..ROW
    },
    EngineRow {
        word: "xdp",
        tx: Some(TxKind::Xdp),
        rx: Some(RxKind::Xdp),
        requests: true,
        by_device: true,
        wire_id: Some(5),
        probe: Some(probe::xdp),
        needs: "Linux 5.10, CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF",
        help: "AF_XDP, which bypasses the socket layer, on Ethernet devices",
        ..ROW
    },
    EngineRow {
        word: "null",
        tx: Some(TxKind::Null),
        rx: Some(RxKind::Null),
        wire_id: Some(4),
        probe: Some(probe::null),
        help: "no system call, the limit of udperf itself",
        ..ROW
    },
];

impl EngineRow {
    /// The row of this word.
    pub fn named(word: &str) -> Option<&'static Self> {
        ENGINES.iter().find(|row| row.word == word)
    }

    /// Whether it moves datagrams and is one kind of its own.
    pub(super) fn moves(&self) -> bool {
        self.wire_id.is_some() && self.word != TxKind::Null.word()
    }

    /// The engines of both sides, where the word alone means both.
    pub fn pair(&self) -> Option<EnginePair> {
        Some(EnginePair { tx: self.tx?, rx: self.rx? })
    }

    /// Rows that pass `test`, the first choice of `auto` first; rows without a rank are left out.
    pub fn ranked(test: impl Fn(&Self) -> bool) -> Vec<&'static Self> {
        let mut rows: Vec<_> =
            ENGINES.iter().filter(|row| row.rank.is_some() && test(row)).collect();
        rows.sort_by_key(|row| row.rank);
        rows
    }
}

/// Tests every engine.
pub fn probe() -> Vec<Capability> {
    let rows = ENGINES.iter().filter_map(|row| Some((row, row.probe?)));
    let needs = |why: String, row: &EngineRow| format!("{why}; {} needs {}", row.word, row.needs);
    rows.map(|(row, probe)| capability(row.word, probe().map_err(|why| needs(why, row)))).collect()
}

/// The words of the rows that pass `test`, as a list.
pub fn words(test: impl Fn(&EngineRow) -> bool) -> String {
    let rows = ENGINES.iter().filter(|row| test(row));
    rows.map(|row| row.word).collect::<Vec<_>>().join(", ")
}

/// The one-line help of `--engine`.
pub fn help() -> String {
    let pairs = ENGINES.iter().filter_map(|row| Some((row, row.pair()?)));
    let words = pairs.map(|(row, pair)| match row.wire_id {
        Some(_) => row.word.to_owned(),
        None => format!("{} ({}/{})", row.word, pair.tx.word(), pair.rx.word()),
    });
    format!("Engines: {} · TX/RX · auto · all", words.collect::<Vec<_>>().join(" · "))
}

/// The long help of `--engine`.
pub fn long_help() -> String {
    let rows = ENGINES.iter().filter(|row| !row.help.is_empty());
    let rows = rows.map(|row| {
        let side = match (row.tx, row.rx) {
            (_, None) => " (sending)",
            (None, _) => " (receiving)",
            _ => "",
        };
        format!("{}{side}: {}.", row.word, row.help)
    });
    format!(
        "{}\n\n{} TX/RX chooses each side, such as gso/batch. auto: the fastest here, by a short \
         trial of each, without pairs whose super-packets are not split on this path (offload on \
         one host). all: every sending engine with every receiving engine, except xdp. Default \
         engines that this host lacks are omitted.",
        help(),
        rows.collect::<Vec<_>>().join(" "),
    )
}

/// The help of `--engine` of an echo server.
pub fn echo_help() -> String {
    let words = words(|row| row.echo.is_some()).replace(", ", " · ");
    let ranked = EngineRow::ranked(|row| row.echo.is_some());
    let ranked: Vec<_> = ranked.into_iter().map(|row| row.word).collect();
    format!(
        "How to receive and send: {words} · auto (the first that is here of {}). batch and offload \
         make single calls while few datagrams wait",
        ranked.join(", ")
    )
}

/// What the kinds of both sides have in common.
pub trait EngineKind: Copy + Eq + Sized + 'static {
    /// The kind of a row, where it has this side.
    fn of_row(row: &EngineRow) -> Option<Self>;

    /// The row of this kind alone.
    fn row(self) -> &'static EngineRow {
        let row = ENGINES.iter().find(|row| Self::of_row(row) == Some(self));
        row.unwrap_or(&ENGINES[0])
    }

    /// All kinds, in the order of the documentation.
    fn all() -> impl Iterator<Item = Self> + Clone {
        // A kind also stands in rows that combine it with another.
        let of = |row| Self::of_row(row).filter(|kind| std::ptr::eq(kind.row(), row));
        ENGINES.iter().filter_map(of)
    }

    /// The word for it.
    fn word(self) -> &'static str {
        self.row().word
    }

    /// The kind of this name.
    fn of(word: &str) -> Option<Self> {
        Self::all().find(|kind| kind.word() == word)
    }
}

/// A number that no engine has in the control protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("engine number {0} is unknown; run the same udperf on both hosts")]
pub struct UnknownEngineId(u32);

impl EngineKind for EchoKind {
    fn of_row(row: &EngineRow) -> Option<Self> {
        row.echo
    }
}

/// Ties the kind of one side to its column of the table, and to its number on the wire.
macro_rules! side {
    ($kind:ty, $column:ident) => {
        impl EngineKind for $kind {
            fn of_row(row: &EngineRow) -> Option<Self> {
                row.$column
            }
        }

        impl TryFrom<u32> for $kind {
            type Error = UnknownEngineId;

            fn try_from(id: u32) -> Result<Self, UnknownEngineId> {
                let mut kinds = Self::all();
                kinds.find(|kind| kind.row().wire_id == Some(id)).ok_or(UnknownEngineId(id))
            }
        }

        impl From<$kind> for u32 {
            fn from(kind: $kind) -> Self {
                kind.row().wire_id.unwrap_or(Self::MAX)
            }
        }
    };
}

side!(TxKind, tx);
side!(RxKind, rx);
