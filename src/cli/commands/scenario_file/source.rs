//! The text of a scenario file: replaces variables, and gives errors a line and a column.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::cli::args::{hide_in_text, is_secret};
use crate::cli::error::{CliError, CliResult, similar};

pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    pub(super) variables: BTreeMap<String, String>,
    /// The variables that are part of secrets.
    pub(super) secret_variables: RefCell<BTreeSet<String>>,
}

/// A key and its value, each with its first byte in the file.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) key_at: usize,
    pub(super) value: &'a DeValue<'a>,
    pub(super) at: usize,
}

/// The entries of a table, in the order of the file.
pub(super) fn entries<'a>(table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
    let entry = |(key, value): (&'a toml::Spanned<_>, &'a toml::Spanned<_>)| {
        let name: &std::borrow::Cow<'a, str> = key.get_ref();
        let (key_at, at) = (key.span().start, value.span().start);
        Entry { key: name, key_at, value: value.get_ref(), at }
    };
    let mut all: Vec<_> = table.iter().map(entry).collect();
    all.sort_by_key(|entry| entry.key_at);
    all
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, variables: BTreeMap::new(), secret_variables: RefCell::default() }
    }
}

impl Source<'_> {
    /// An error at this byte of the file.
    pub(super) fn at(&self, at: usize, error: CliError) -> CliError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = format!("{}:{line}:{column}", self.path.display());
        CliError::InFile { place, source: Box::new(error) }
    }

    pub(super) fn refuse<T>(&self, at: usize, why: impl Into<String>) -> CliResult<T> {
        Err(self.at(at, CliError::Usage(why.into())))
    }

    pub(super) fn table<'a>(&self, entry: Entry<'a>, example: &str) -> CliResult<Vec<Entry<'a>>> {
        match entry.value {
            DeValue::Table(table) => Ok(entries(table)),
            other => {
                let (key, found) = (entry.key, other.type_str());
                self.refuse(entry.at, format!("{key} is a table, not {found}; write {example}"))
            }
        }
    }

    /// A list, or a single value as a list of one.
    pub(super) fn list(&self, entry: Entry<'_>) -> CliResult<Vec<String>> {
        match entry.value {
            DeValue::Array(items) if items.is_empty() => {
                self.refuse(entry.at, format!("{} is an empty list; omit it", entry.key))
            }
            DeValue::Array(items) => {
                let item = |item: &toml::Spanned<DeValue<'_>>| {
                    self.scalar(Entry { value: item.get_ref(), at: item.span().start, ..entry })
                };
                items.iter().map(item).collect()
            }
            _ => Ok(vec![self.scalar(entry)?]),
        }
    }

    /// A value as it is typed on a command line, with the values of its variables.
    pub(super) fn scalar(&self, entry: Entry<'_>) -> CliResult<String> {
        let Entry { key, at, value, .. } = entry;
        match value {
            DeValue::String(text) => {
                let name = key.trim_start_matches('-');
                let has_secret = hide_in_text(text.to_string()) != **text;
                if is_secret(name) || has_secret {
                    let names = self.variables.keys();
                    let used = names.filter(|name| text.contains(&format!("${{{name}}}")));
                    self.secret_variables.borrow_mut().extend(used.cloned());
                }
                let expanded = self.expand(text, at)?;
                // An error about one of several words would show a part of the secret.
                let words = |text: &str| shlex::split(text).map(|words| words.len());
                if has_secret && ["a", "b"].contains(&name) && words(text) != words(&expanded) {
                    return self.refuse(at, format!(
                        "{key}: beside a secret, the value of each variable must be one word; put \
                         the variable in quotes, such as --secret '${{NAME}}', and omit quotes in \
                         its value"
                    ));
                }
                Ok(expanded)
            }
            DeValue::Integer(number) if number.radix() == 10 => {
                Ok(number.as_str().trim_start_matches('+').to_owned())
            }
            DeValue::Integer(number) => {
                match i128::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Ok(number.to_string()),
                    Err(error) => self.refuse(at, format!("{key}: {error}")),
                }
            }
            DeValue::Float(number) => Ok(number.as_str().to_owned()),
            DeValue::Boolean(_) => {
                self.refuse(at, format!("{key} takes text or a number, not true or false"))
            }
            other => {
                let found = other.type_str();
                self.refuse(at, format!("{key} takes text or a number, not {found}"))
            }
        }
    }

    pub(super) fn switch(&self, entry: Entry<'_>) -> CliResult<bool> {
        let Entry { key, at, value, .. } = entry;
        let wrong = || self.refuse(at, format!("{key} is a switch; write true or false"));
        value.as_bool().map_or_else(wrong, Ok)
    }

    /// The text with values in place of `${NAME}`; `$${` is `${`.
    fn expand(&self, text: &str, at: usize) -> CliResult<String> {
        let (mut out, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                out += &format!("{before}${{");
                rest = after;
                continue;
            }
            let Some((name, after)) = after.split_once('}') else {
                return self.refuse(at, "${ without }; write ${NAME}, or $${ for these characters");
            };
            let Some(value) = self.variables.get(name) else {
                let hint = similar(name, self.variables.keys().map(String::as_str));
                let advice = hint.unwrap_or_else(|| {
                    "define it in [variables], whose own values have none".to_owned()
                });
                return self.refuse(at, format!("unknown variable '{name}'; {advice}"));
            };
            out += &format!("{before}{value}");
            rest = after;
        }
        Ok(out + rest)
    }
}
