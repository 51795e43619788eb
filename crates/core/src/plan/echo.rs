//! How an echo server replies: by which engine, and to which datagrams.

use std::fmt;
use std::str::FromStr;

use super::engines::EngineWord;
use super::error::PlanError;
use crate::engine::{ENGINES, EchoKind, EngineRow};
use crate::plan::options::WordError;
use crate::plan::place::Machine;

impl EchoKind {
    /// The one that a word means on this machine; fails for engines that echo or this host lacks.
    pub fn choose(asked: EngineWord, machine: &Machine) -> Result<Self, PlanError> {
        match asked {
            EngineWord::Auto => {
                let here = EngineRow::ranked(|row| {
                    let pair = row.pair().filter(|_| row.echo.is_some());
                    pair.is_some_and(|pair| machine.lacks(pair).is_none())
                });
                // If not even sockets work, opening one reports the reason.
                Ok(here.first().and_then(|row| row.echo).unwrap_or(Self::Plain))
            }
            EngineWord::Pair(pair) => {
                let row = ENGINES.iter().find(|row| row.pair() == Some(pair));
                let kind = row.and_then(|row| row.echo).ok_or(PlanError::NoEcho { asked })?;
                match machine.lacks(pair) {
                    None => Ok(kind),
                    Some(missing) => {
                        Err(PlanError::NoEngine { asked: pair, missing: missing.clone() })
                    }
                }
            }
            EngineWord::All => Err(PlanError::NoEcho { asked }),
        }
    }
}

/// Which datagrams are not returned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DropRule {
    /// This share of all, from 0 to 1, each by chance.
    Share(f64),
    /// Every one whose number, counted from 1, is a multiple of this.
    Every(u64),
}

impl FromStr for DropRule {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        let share = |word: &str| {
            let percent: f64 = word.trim().parse().ok()?;
            (0.0..=100.0).contains(&percent).then_some(Self::Share(percent / 100.0))
        };
        let every = |(one, every): (&str, &str)| {
            let every = every.trim().parse().ok().filter(|&every| every > 0);
            every.filter(|_| one.trim() == "1").map(Self::Every)
        };
        let found = match word.strip_suffix('%') {
            Some(percent) => share(percent),
            None => word.split_once('/').and_then(every),
        };
        found.ok_or_else(|| WordError::Drop { asked: word.to_owned() })
    }
}

impl fmt::Display for DropRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{}%", share * 100.0),
            Self::Every(every) => write!(f, "1/{every}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::MissingEngine;

    #[test]
    fn drops_are_a_share_or_every_so_many() {
        assert_eq!("1%".parse(), Ok(DropRule::Share(0.01)));
        assert_eq!("100%".parse(), Ok(DropRule::Share(1.0)));
        assert_eq!("1/8".parse(), Ok(DropRule::Every(8)));
        assert_eq!(DropRule::Every(8).to_string(), "1/8");
        assert_eq!("0.5%".parse::<DropRule>().unwrap().to_string(), "0.5%");
        for word in ["", "1", "%", "-1%", "101%", "NaN%", "2/8", "1/0", "1/x", "/8"] {
            assert!(word.parse::<DropRule>().is_err(), "{word}");
        }
    }

    #[test]
    fn auto_is_the_first_that_is_here() {
        let missing =
            |engine: &str| MissingEngine { engine: engine.to_owned(), why: "old".to_owned() };
        let machine = |words: &[&str]| Machine {
            missing: words.iter().map(|word| missing(word)).collect(),
            ..Machine::default()
        };
        let choose =
            |word: &str, lacks: &[&str]| EchoKind::choose(word.parse().unwrap(), &machine(lacks));
        assert_eq!(choose("auto", &[]), Ok(EchoKind::Offload));
        assert_eq!(choose("auto", &["gso"]), Ok(EchoKind::Batch));
        assert_eq!(choose("auto", &["gro", "batch"]), Ok(EchoKind::Plain));
        assert_eq!(choose("plain", &["gro"]), Ok(EchoKind::Plain));
        assert!(matches!(choose("offload", &["gro"]), Err(PlanError::NoEngine { .. })));
        assert_eq!(choose("uring", &[]), Ok(EchoKind::Uring));
        for word in ["null", "all", "gso/batch"] {
            let error = choose(word, &[]).unwrap_err();
            assert!(error.to_string().contains("plain, batch, offload, uring"), "{error}");
        }
    }
}
