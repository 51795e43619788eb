//! Pairs of engines: how to send and how to receive, as one word or as two.

use std::fmt;
use std::str::FromStr;

use super::table::{ENGINES, EngineKind, EnginePair, EngineRow, RxKind, TxKind, words};
use crate::unit::did_you_mean;

/// A word that is no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum EngineError {
    #[error(
        "engine '{requested}' is unknown; {}use auto, all, {}, or TX/RX: TX (sending) one of {}; \
         RX (receiving) one of {}", hint(requested),
        words(|row| row.pair().is_some()), words(|row| row.moves() && row.tx.is_some()),
        words(|row| row.moves() && row.rx.is_some())
    )]
    Unknown { requested: String },
    #[error("engine '{requested}' only {does}; use {instead}")]
    OneSided { requested: String, does: &'static str, instead: &'static str },
    #[error("engine '{requested}' cannot work: null has no socket; use null on both sides")]
    HalfNull { requested: String },
}

/// `did you mean …? ` for a word or a pair.
fn hint(requested: &str) -> String {
    let all = ENGINES.iter().map(|row| row.word);
    match requested.split_once(['/', '+']) {
        None => did_you_mean(requested, all.chain(["auto", "all"])),
        Some((tx, rx)) => {
            let pairs = EnginePair::matrix().map(|pair| (pair.tx.word(), pair.rx.word()));
            let pairs: Vec<_> = pairs.map(|(tx, rx)| format!("{tx}/{rx}")).collect();
            did_you_mean(&format!("{tx}/{rx}"), pairs.iter().map(String::as_str))
        }
    }
}

impl EnginePair {
    /// Every way of sending with every way of receiving, as far as real datagrams move.
    pub fn matrix() -> impl Iterator<Item = Self> {
        let real_tx = TxKind::all().filter(|&tx| tx != TxKind::Null);
        let real_rx = || RxKind::all().filter(|&rx| rx != RxKind::Null);
        real_tx.flat_map(move |tx| real_rx().map(move |rx| Self { tx, rx }))
    }

    /// The pairs of `all`: those of the matrix without rows that work on some devices only.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::matrix().filter(|pair| !pair.tx.row().by_device && !pair.rx.row().by_device)
    }

    /// The one word for it, where there is one.
    pub fn word(self) -> Option<&'static str> {
        ENGINES.iter().find(|row| row.pair() == Some(self)).map(|row| row.word)
    }
}

impl FromStr for EnginePair {
    type Err = EngineError;

    fn from_str(word: &str) -> Result<Self, EngineError> {
        let unknown = || EngineError::Unknown { requested: word.to_owned() };
        // As it is typed, and as cells' ids have it.
        let pair = match word.split_once(['/', '+']) {
            Some((tx, rx)) => Self {
                tx: TxKind::of(tx).ok_or_else(unknown)?,
                rx: RxKind::of(rx).ok_or_else(unknown)?,
            },
            None => {
                let engine = EngineRow::named(word).ok_or_else(unknown)?;
                return engine.pair().ok_or_else(|| EngineError::OneSided {
                    requested: word.to_owned(),
                    does: if engine.tx.is_some() { "sends" } else { "receives" },
                    instead: engine.instead,
                });
            }
        };
        if (pair.tx == TxKind::Null) != (pair.rx == RxKind::Null) {
            return Err(EngineError::HalfNull { requested: word.to_owned() });
        }
        Ok(pair)
    }
}

impl fmt::Display for EnginePair {
    /// One word if there is one, else `gso+batch`: cell ids have no slash inside a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.pad(word),
            None => f.pad(&format!("{}+{}", self.tx.word(), self.rx.word())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_engines_and_pairs() {
        let gso_batch = EnginePair { tx: TxKind::Gso, rx: RxKind::Batch };
        for (word, pair, shown) in [
            ("plain", EnginePair::PLAIN, "plain"),
            ("plain/plain", EnginePair::PLAIN, "plain"),
            ("batch", EnginePair::BATCH, "batch"),
            ("offload", EnginePair::OFFLOAD, "offload"),
            ("gso/gro", EnginePair::OFFLOAD, "offload"),
            ("gso+gro", EnginePair::OFFLOAD, "offload"),
            ("gso/batch", gso_batch, "gso+batch"),
        ] {
            assert_eq!(word.parse(), Ok(pair), "{word}");
            assert_eq!(pair.to_string(), shown);
        }
        let error = |word: &str| word.parse::<EnginePair>().unwrap_err();
        for (word, message) in [
            ("gso", "engine 'gso' only sends; use offload ("),
            ("gro", "engine 'gro' only receives; use offload ("),
            (
                "warp",
                "engine 'warp' is unknown; use auto, all, plain, batch, offload, uring, xdp, null, \
                 or TX/RX: TX (sending) one of plain, batch, gso, uring, xdp; RX (receiving) one \
                 of plain, batch, gro, uring, xdp",
            ),
        ] {
            assert!(error(word).to_string().starts_with(message), "{}", error(word));
        }
        assert!(matches!(error("null/plain"), EngineError::HalfNull { .. }));
        for word in ["gro/gso", "plain/", "", "auto/plain", "plain/offload"] {
            assert!(matches!(error(word), EngineError::Unknown { .. }), "{word}");
        }
        assert_eq!(EnginePair::matrix().count(), 25);
    }

    #[test]
    fn every_kind_has_one_row_and_its_number_on_the_wire() {
        let tx =
            [TxKind::Plain, TxKind::Batch, TxKind::Gso, TxKind::Uring, TxKind::Null, TxKind::Xdp];
        let rx =
            [RxKind::Plain, RxKind::Batch, RxKind::Gro, RxKind::Uring, RxKind::Null, RxKind::Xdp];
        for (number, (tx, rx)) in (0..).zip(tx.into_iter().zip(rx)) {
            assert_eq!(postcard::to_stdvec(&(tx, rx)).unwrap(), [number as u8; 2]);
            assert_eq!((TxKind::try_from(number), RxKind::try_from(number)), (Ok(tx), Ok(rx)));
        }
        assert_eq!((TxKind::all().count(), RxKind::all().count()), (6, 6));
        assert!(postcard::from_bytes::<TxKind>(&[6]).is_err());
        for row in &ENGINES {
            let same = ENGINES.iter().filter(|other| other.word == row.word);
            assert_eq!(same.count(), 1, "{}", row.word);
            // A word of one kind is tried; one that combines others is tried by theirs.
            assert_eq!(row.probe.is_some(), row.wire_id.is_some(), "{}", row.word);
            assert_eq!(row.instead.is_empty(), row.pair().is_some(), "{}", row.word);
        }
    }
}
