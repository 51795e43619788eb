//! Suggestions for mistyped words, for errors.

use super::number::Number;
use crate::unit::{did_you_mean, nearest};

/// Names of fields, as in `FIELDS`.
const FIELDS: [&str; 12] = [
    "id",
    "counter",
    "stream",
    "random",
    "time",
    "choice",
    "len",
    "inet_checksum",
    "crc32",
    "begin",
    "end",
    "reply@OFFSET",
];
/// What follows the name of a field: formats of numbers, units of time, and options.
const OPTIONS: [&str; 32] = [
    "u8", "u16be", "u16le", "u24be", "u24le", "u32be", "u32le", "u48be", "u48le", "u64be", "u64le",
    "hex1", "hex2", "hex4", "hex8", "hex16", "dec", "dec10", "dec20", "alnum", "letters", "stream",
    "start=", "step=", "of=", "ns", "us", "ms", "nsec", "ntp", "rfc3339", "s",
];
/// Labels of encodings that the error lists, and their usual other names.
const ENCODINGS: [&str; 10] =
    ["utf-8", "utf8", "gbk", "gb2312", "big5", "shift_jis", "euc-kr", "koi8-r", "latin1", "ascii"];
/// Rules to match replies by.
const MATCH_RULES: [&str; 13] = [
    "preset",
    "id",
    "after",
    "after-hex",
    "regex",
    "dns",
    "ntp",
    "stun",
    "memcached-udp",
    "coap",
    "echo",
    "any",
    "none",
];
/// Kinds of rules for replies.
const REPLY_RULES: [&str; 5] = ["prefix", "text", "hex", "byte", "regex"];

pub(super) fn field(field: &str) -> String {
    let name = field.split([':', '@']).next().unwrap_or_default();
    in_braces(nearest(name, FIELDS).first().map(|name| (*name).to_owned()))
}

/// For the first part after the name that is no option.
pub(super) fn format(field: &str) -> String {
    let near = |part: &str| {
        let word = part.split_inclusive('=').next()?;
        let is_right = OPTIONS.contains(&word) || Number::parse(word).is_some();
        let option = nearest(word, OPTIONS).into_iter().next().filter(|_| !is_right)?;
        Some(field.replacen(word, option, 1))
    };
    in_braces(field.split(':').skip(1).find_map(near))
}

fn in_braces(field: Option<String>) -> String {
    field.map_or_else(String::new, |field| format!("did you mean {{{field}}}? "))
}

pub(super) fn encoding(label: &str) -> String {
    did_you_mean(label, ENCODINGS)
}

pub(super) fn match_rule(word: &str) -> String {
    kind_of(word, &MATCH_RULES)
}

pub(super) fn reply_rule(word: &str) -> String {
    kind_of(word, &REPLY_RULES)
}

/// Empty if the kind is right, and only its argument is wrong.
fn kind_of(word: &str, kinds: &[&str]) -> String {
    let kind = kind(word);
    if kinds.contains(&kind) { String::new() } else { did_you_mean(kind, kinds.iter().copied()) }
}

/// The rule without its argument.
fn kind(word: &str) -> &str {
    word.split([':', '@', '=']).next().unwrap_or_default()
}
