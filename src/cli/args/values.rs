//! Parsers of values that are one of some words, or any word, of which shells complete some.

use std::ffi::OsStr;

use clap::Arg;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::Error;

use crate::engine::table::{ENGINES, EngineRow};
use crate::plan::EngineWord;

/// Parses one of these words, each with its help and its value.
pub(super) fn words<T: Copy + Send + Sync + 'static, const N: usize>(
    words: [(&'static str, &'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    let listed = words.map(|(word, help, _)| match help {
        "" => PossibleValue::new(word),
        help => PossibleValue::new(word).help(help),
    });
    PossibleValuesParser::new(listed).map(move |typed| {
        let found = words.iter().find(|(word, ..)| *word == typed);
        // Other words are refused before.
        found.unwrap_or(&words[0]).2
    })
}

/// A parser of any word; shells complete some of them. Its argument has `ValueHint::Other`.
#[derive(Clone)]
pub(super) struct Completed<P> {
    pub(super) parser: P,
    pub(super) words: Vec<&'static str>,
}

impl<P: TypedValueParser> TypedValueParser for Completed<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<P::Value, Error> {
        self.parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.words.iter().copied().map(PossibleValue::new)))
    }
}

/// Engines; shells complete those that `is_listed`, and these words.
pub(super) fn engines<const N: usize>(
    is_listed: fn(&EngineRow) -> bool,
    more: [&'static str; N],
) -> impl TypedValueParser<Value = EngineWord> {
    let words = ENGINES.iter().filter(|row| is_listed(row)).map(|row| row.word);
    Completed { parser: str::parse::<EngineWord>, words: words.chain(more).collect() }
}

pub(super) fn on_off() -> impl TypedValueParser<Value = bool> {
    words([("on", "", true), ("off", "", false)])
}
