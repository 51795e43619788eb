//! Pairs of engines: how to send and how to receive, as one word or as two.

use std::fmt;
use std::str::FromStr;

use super::kinds::{EnginePair, RxKind, TxKind};
use super::table::{ENGINES, EngineKind, EngineRow, rx_words, tx_words, words};

/// A word that is no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum EngineError {
    #[error(
        "engine '{asked}' is unknown; use auto, all, {}, or TX/RX: TX (sending) one of {}; RX \
         (receiving) one of {}",
        words(|row| row.pair().is_some()), tx_words(), rx_words()
    )]
    Unknown { asked: String },
    #[error("engine '{asked}' only {does}; use {instead}")]
    OneSided { asked: String, does: &'static str, instead: &'static str },
    #[error("engine '{asked}' cannot work: null has no socket; use null on both sides")]
    HalfNull { asked: String },
}

impl EnginePair {
    /// Every way of sending with every way of receiving, as far as real datagrams move.
    pub fn matrix() -> impl Iterator<Item = Self> {
        let real_tx = TxKind::all().filter(|&tx| tx != TxKind::Null);
        let real_rx = || RxKind::all().filter(|&rx| rx != RxKind::Null);
        real_tx.flat_map(move |tx| real_rx().map(move |rx| Self { tx, rx }))
    }

    /// The one word for it, where there is one.
    pub fn word(self) -> Option<&'static str> {
        ENGINES.iter().find(|row| row.pair() == Some(self)).map(|row| row.word)
    }
}

impl FromStr for EnginePair {
    type Err = EngineError;

    fn from_str(word: &str) -> Result<Self, EngineError> {
        let unknown = || EngineError::Unknown { asked: word.to_owned() };
        // As it is typed, and as cells' ids have it.
        let pair = match word.split_once(['/', '+']) {
            Some((tx, rx)) => Self {
                tx: TxKind::of(tx).ok_or_else(unknown)?,
                rx: RxKind::of(rx).ok_or_else(unknown)?,
            },
            None => {
                let engine = EngineRow::named(word).ok_or_else(unknown)?;
                return engine.pair().ok_or_else(|| EngineError::OneSided {
                    asked: word.to_owned(),
                    does: if engine.tx.is_some() { "sends" } else { "receives" },
                    instead: engine.instead,
                });
            }
        };
        if (pair.tx == TxKind::Null) != (pair.rx == RxKind::Null) {
            return Err(EngineError::HalfNull { asked: word.to_owned() });
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
    fn engines_are_read_alone_and_in_pairs() {
        for (word, pair) in [
            ("plain", EnginePair::PLAIN),
            ("plain/plain", EnginePair::PLAIN),
            ("offload", EnginePair::OFFLOAD),
            ("gso/gro", EnginePair::OFFLOAD),
            ("gso+gro", EnginePair::OFFLOAD),
            ("gso/batch", EnginePair { tx: TxKind::Gso, rx: RxKind::Batch }),
        ] {
            assert_eq!(word.parse(), Ok(pair), "{word}");
        }
        let error = |word: &str| word.parse::<EnginePair>().unwrap_err();
        assert!(error("gso").to_string().starts_with("engine 'gso' only sends; use offload ("));
        assert!(error("gro").to_string().starts_with("engine 'gro' only receives; use offload ("));
        assert!(matches!(error("null/plain"), EngineError::HalfNull { .. }));
        for word in ["warp", "gro/gso", "plain/", "", "auto/plain", "plain/offload"] {
            assert!(matches!(error(word), EngineError::Unknown { .. }), "{word}");
        }
        assert_eq!(
            error("warp").to_string(),
            "engine 'warp' is unknown; use auto, all, plain, batch, offload, uring, null, or \
             TX/RX: TX (sending) one of plain, batch, gso, uring; RX (receiving) one of plain, \
             batch, gro, uring"
        );
    }

    #[test]
    fn names_of_pairs_are_short_where_they_can_be() {
        assert_eq!(EnginePair::OFFLOAD.to_string(), "offload");
        assert_eq!(EnginePair::BATCH.to_string(), "batch");
        assert_eq!("gso/uring".parse::<EnginePair>().unwrap().to_string(), "gso+uring");
        assert_eq!(EnginePair::matrix().count(), 16);
    }

    #[test]
    fn every_kind_has_one_row_and_its_number_on_the_wire() {
        let tx = [TxKind::Plain, TxKind::Batch, TxKind::Gso, TxKind::Uring, TxKind::Null];
        let rx = [RxKind::Plain, RxKind::Batch, RxKind::Gro, RxKind::Uring, RxKind::Null];
        for (number, (tx, rx)) in (0..).zip(tx.into_iter().zip(rx)) {
            assert_eq!(postcard::to_stdvec(&(tx, rx)).unwrap(), [number as u8; 2]);
            assert_eq!((TxKind::try_from(number), RxKind::try_from(number)), (Ok(tx), Ok(rx)));
        }
        assert_eq!((TxKind::all().count(), RxKind::all().count()), (5, 5));
        assert!(postcard::from_bytes::<TxKind>(&[5]).is_err());
        for row in &ENGINES {
            let same = ENGINES.iter().filter(|other| other.word == row.word);
            assert_eq!(same.count(), 1, "{}", row.word);
            // A word of one kind is tried; one that combines others is tried by theirs.
            assert_eq!(row.probe.is_some(), row.wire_id.is_some(), "{}", row.word);
            assert_eq!(row.instead.is_empty(), row.pair().is_some(), "{}", row.word);
        }
    }
}
