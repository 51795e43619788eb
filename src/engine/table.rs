//! The table of engines: every list of engines, help text, error text and wire id comes from it.

use serde::{Deserialize, Serialize};

use super::pair::EnginePair;
use super::probe::{self, Found};

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

/// A row of [`ENGINES`].
#[derive(Debug)]
pub struct Engine {
    /// The word for it; alone it means both sides, where there are two.
    pub word: &'static str,
    /// What sends.
    pub tx: Option<TxKind>,
    /// What receives.
    pub rx: Option<RxKind>,
    /// What answers in an echo server.
    pub echo: Option<EchoKind>,
    /// Whether the request commands have it.
    pub requests: bool,
    /// The pair that `auto` tries for it.
    pub auto: Option<EnginePair>,
    /// Where `auto` chooses without a trial, it takes the lowest rank that this host has. Echo:
    /// fastest first where a client sends super-packets, and none much slower than the next where
    /// it sends single datagrams.
    pub rank: Option<u8>,
    /// Its number in the control protocol, on each side; `None`: two other rows under one word.
    pub wire_id: Option<u32>,
    /// Tries it on this host: what it does here, or why it does not work.
    pub probe: Option<fn() -> Found>,
    /// What it needs.
    pub needs: &'static str,
    /// What it is, for the help text.
    pub help: &'static str,
    /// What to write instead of the word alone, where it has one side only.
    pub instead: &'static str,
}

/// What rows have in common.
const ROW: Engine = Engine {
    word: "",
    tx: None,
    rx: None,
    echo: None,
    requests: false,
    auto: None,
    rank: None,
    wire_id: None,
    probe: None,
    needs: "",
    help: "",
    instead: "",
};

/// All engines, in the order of the documentation. The row of a side alone comes before those that
/// combine it.
pub static ENGINES: [Engine; 7] = [
    Engine {
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
    Engine {
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
    Engine {
        word: "gso",
        tx: Some(TxKind::Gso),
        requests: true,
        auto: Some(EnginePair::GSO_BATCH),
        rank: Some(1),
        wire_id: Some(2),
        probe: Some(probe::gso),
        needs: "Linux 4.18",
        help: "super-packets that the kernel splits",
        instead: "offload (gso/gro: segments are never cut on this host), or gso/batch (cut at the \
                  receiving socket, as any server sees it)",
        ..ROW
    },
    Engine {
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
    Engine {
        word: "offload",
        tx: Some(TxKind::Gso),
        rx: Some(RxKind::Gro),
        echo: Some(EchoKind::Offload),
        auto: Some(EnginePair::OFFLOAD),
        rank: Some(0),
        needs: "gso and gro",
        ..ROW
    },
    Engine {
        word: "uring",
        tx: Some(TxKind::Uring),
        rx: Some(RxKind::Uring),
        echo: Some(EchoKind::Uring),
        auto: Some(EnginePair::URING),
        wire_id: Some(3),
        probe: Some(probe::uring),
        needs: "Linux 6.1 and a build with the feature uring",
        help: "io_uring",
        ..ROW
    },
    Engine {
        word: "null",
        tx: Some(TxKind::Null),
        rx: Some(RxKind::Null),
        wire_id: Some(4),
        probe: Some(probe::null),
        help: "no system call, the limit of udperf itself",
        ..ROW
    },
];

impl Engine {
    /// The row of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<&'static Self> {
        ENGINES.iter().find(|row| row.word == word)
    }

    /// The engines of both sides, where the word alone means both.
    #[must_use]
    pub fn pair(&self) -> Option<EnginePair> {
        Some(EnginePair { tx: self.tx?, rx: self.rx? })
    }

    /// Rows that pass `test`, the first choice of `auto` first; rows without a rank are left out.
    // cold: set-up
    pub(crate) fn ranked(test: impl Fn(&Self) -> bool) -> Vec<&'static Self> {
        let mut rows: Vec<_> =
            ENGINES.iter().filter(|row| row.rank.is_some() && test(row)).collect();
        rows.sort_by_key(|row| row.rank);
        rows
    }
}

/// The words of the rows that pass `test`, as a list.
// cold: a text for people
pub(crate) fn words(test: impl Fn(&Engine) -> bool) -> String {
    let rows = ENGINES.iter().filter(|row| test(row));
    rows.map(|row| row.word).collect::<Vec<_>>().join(", ")
}

/// Rows that move datagrams and are one kind of their own.
fn moves(row: &Engine) -> bool {
    row.wire_id.is_some() && row.word != TxKind::Null.word()
}

/// Ways of sending that move datagrams, as a list of words.
// cold: a text for people
pub(super) fn tx_words() -> String {
    words(|row| moves(row) && row.tx.is_some())
}

/// Ways of receiving that move datagrams, as a list of words.
// cold: a text for people
pub(super) fn rx_words() -> String {
    words(|row| moves(row) && row.rx.is_some())
}

/// The one-line help of `--engine`.
// cold: a text for people
pub(crate) fn help() -> String {
    let pairs = ENGINES.iter().filter_map(|row| Some((row, row.pair()?)));
    let words = pairs.map(|(row, pair)| match row.wire_id {
        Some(_) => row.word.to_owned(),
        None => format!("{} ({}/{})", row.word, pair.tx.word(), pair.rx.word()),
    });
    format!("Engines: {} · TX/RX · auto · all", words.collect::<Vec<_>>().join(" · "))
}

/// The long help of `--engine`.
// cold: a text for people
pub(crate) fn long_help() -> String {
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
         one host). all: every way of sending with every way of receiving. Engines of the default \
         that this host lacks are left out.",
        help(),
        rows.collect::<Vec<_>>().join(" "),
    )
}

/// The help of `--engine` of an echo server.
// cold: a text for people
pub(crate) fn echo_help() -> String {
    let words = words(|row| row.echo.is_some()).replace(", ", " · ");
    let ranked = Engine::ranked(|row| row.echo.is_some());
    let ranked: Vec<_> = ranked.into_iter().map(|row| row.word).collect();
    format!(
        "How to receive and send: {words} · auto (the first that is here of {})",
        ranked.join(", ")
    )
}

/// What the kinds of both sides have in common.
pub trait EngineKind: Copy + Eq + Sized + 'static {
    /// The kind of a row, where it has this side.
    fn of_row(row: &Engine) -> Option<Self>;

    /// The row of this kind alone.
    fn row(self) -> &'static Engine {
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

impl EngineKind for TxKind {
    fn of_row(row: &Engine) -> Option<Self> {
        row.tx
    }
}

impl EngineKind for EchoKind {
    fn of_row(row: &Engine) -> Option<Self> {
        row.echo
    }
}

impl EngineKind for RxKind {
    fn of_row(row: &Engine) -> Option<Self> {
        row.rx
    }
}

/// A number that no engine has in the control protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("engine number {0} is unknown; run the same udperf on both hosts")]
pub struct UnknownEngineId(u32);

/// The kind with this number in the control protocol.
fn by_wire_id<K: EngineKind>(id: u32) -> Result<K, UnknownEngineId> {
    K::all().find(|kind| kind.row().wire_id == Some(id)).ok_or(UnknownEngineId(id))
}

impl TryFrom<u32> for TxKind {
    type Error = UnknownEngineId;

    fn try_from(id: u32) -> Result<Self, UnknownEngineId> {
        by_wire_id(id)
    }
}

impl TryFrom<u32> for RxKind {
    type Error = UnknownEngineId;

    fn try_from(id: u32) -> Result<Self, UnknownEngineId> {
        by_wire_id(id)
    }
}

impl From<TxKind> for u32 {
    fn from(kind: TxKind) -> Self {
        kind.row().wire_id.unwrap_or(Self::MAX)
    }
}

impl From<RxKind> for u32 {
    fn from(kind: RxKind) -> Self {
        kind.row().wire_id.unwrap_or(Self::MAX)
    }
}
