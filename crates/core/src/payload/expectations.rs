//! Whether a reply is an error by the rules of the user, and its name.

use std::fmt;
use std::str::FromStr;

use super::pattern::{ReplyRule, Test};
use super::{Encoding, PayloadError};
use crate::unit::{ErrorCode, ErrorName};

/// The group of an expression whose text is the name of the error.
const NAME_GROUP: &str = "name";

/// A rule for replies that are errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRule {
    /// The name that they are counted by; `None`: the group `name` of the expression.
    pub name: Option<ErrorName>,
    /// Which replies.
    pub rule: ReplyRule,
}

impl fmt::Display for ErrorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "{name}={}", self.rule),
            None => self.rule.fmt(f),
        }
    }
}

impl FromStr for ErrorRule {
    type Err = PayloadError;

    fn from_str(word: &str) -> Result<Self, PayloadError> {
        let is_rule = ReplyRule::KINDS.iter().any(|kind| word.starts_with(kind));
        let named = word.split_once('=').filter(|_| !is_rule);
        let (name, rule) = named.map_or((None, word), |(name, rule)| (Some(name), rule));
        let parsed: ReplyRule = rule.parse()?;
        let group = match &parsed {
            ReplyRule::Regex(regex) => regex.named_group(NAME_GROUP),
            _ => None,
        };
        let unnamed = || PayloadError::UnnamedError { rule: word.to_owned() };
        let name = match (name, group) {
            (Some(name), None) => {
                let invalid = || PayloadError::ErrorName { name: name.to_owned() };
                Some(ErrorName::parse(name).ok_or_else(invalid)?)
            }
            (None, Some(_)) => None,
            (None, None) => return Err(unnamed()),
            (Some(_), Some(_)) => return Err(PayloadError::TwoNames { rule: word.to_owned() }),
        };
        Ok(Self { name, rule: parsed })
    }
}

#[derive(Debug, Clone)]
enum Naming {
    Fixed(ErrorName),
    /// The text of this group of an expression.
    Group(usize),
}

/// The rules of the user, compiled.
#[derive(Debug, Clone, Default)]
pub(super) struct Expectations {
    errors: Vec<(Naming, Test)>,
    expected: Vec<Test>,
    /// All rules for expected replies, and those for errors, as typed.
    pub(super) shown: Vec<(&'static str, String)>,
}

impl Expectations {
    // cold: set-up
    pub(super) fn compile(
        expected: &[ReplyRule],
        errors: &[ErrorRule],
        encoding: Encoding,
    ) -> Result<Self, PayloadError> {
        let shown = [
            ("expecting", expected.iter().map(ToString::to_string).collect::<Vec<_>>()),
            ("errors", errors.iter().map(ToString::to_string).collect()),
        ];
        let shown = shown.into_iter().filter(|(_, rules)| !rules.is_empty());
        let shown = shown.map(|(what, rules)| (what, rules.join(" or "))).collect();
        let errors = errors.iter().map(|ErrorRule { name, rule }| {
            let group = match rule {
                ReplyRule::Regex(regex) => regex.named_group(NAME_GROUP).unwrap_or(0),
                _ => 0,
            };
            Ok((name.map_or(Naming::Group(group), Naming::Fixed), rule.compile(encoding)?))
        });
        let expected = expected.iter().map(|rule| rule.compile(encoding));
        Ok(Self { errors: errors.collect::<Result<_, _>>()?, expected: collect(expected)?, shown })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.expected.is_empty()
    }

    /// The name by the first error rule that a reply fits.
    #[inline]
    pub(super) fn named_error(&self, reply: &[u8]) -> Option<ErrorCode> {
        for (naming, test) in &self.errors {
            match (naming, test) {
                (Naming::Fixed(name), test) if test.fits(reply) => {
                    return Some(ErrorCode::Name(*name));
                }
                (Naming::Group(group), Test::Regex(regex)) => match regex.group(reply, *group) {
                    Some(b"") => return Some(ErrorCode::Name(ErrorName::UNNAMED)),
                    Some(name) => return Some(ErrorCode::Name(ErrorName::of(name))),
                    None => {}
                },
                _ => {}
            }
        }
        None
    }

    /// The error that a reply is: the first error rule that it fits; without one, none if it fits
    /// an expected rule; otherwise that of the protocol, or `unexpected` if rules are expected.
    #[inline]
    pub(super) fn judge(
        &self,
        reply: &[u8],
        protocol: impl FnOnce() -> Option<u16>,
    ) -> Option<ErrorCode> {
        let named = self.named_error(reply);
        if named.is_some() {
            return named;
        }
        if self.expected.iter().any(|test| test.fits(reply)) {
            return None;
        }
        let unexpected = || (!self.expected.is_empty()).then_some(ErrorName::UNEXPECTED);
        protocol().map(ErrorCode::Number).or_else(|| unexpected().map(ErrorCode::Name))
    }
}

fn collect<T>(all: impl Iterator<Item = Result<T, PayloadError>>) -> Result<Vec<T>, PayloadError> {
    all.collect()
}
