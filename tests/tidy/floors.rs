//! The house: which room stands on which floor, and what each may use. `HOUSE` is the rule; the
//! docs of `src/lib.rs` are its map.

use std::collections::BTreeSet;

use crate::Finding;
use crate::items;
use crate::lexer::Token;
use crate::tree::{Source, Tree};

/// A top-level module: a folder or file right under `src/`.
struct Room {
    floor: u8,
    name: &'static str,
    /// Rooms that shipped code may import from, besides its own.
    may_use: &'static [&'static str],
}

const fn row(floor: u8, name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room { floor, name, may_use }
}

/// A new room gets its row here, and its line in the docs of `src/lib.rs`.
const HOUSE: &[Room] = &[
    row(0, "unit", &[]),
    row(0, "sys", &[]),
    row(1, "clock", &["unit", "sys"]),
    row(1, "wire", &["unit"]),
    row(1, "payload", &["unit"]),
    row(1, "pace", &["unit"]),
    row(1, "measure", &["unit"]),
    row(1, "net", &["unit", "sys"]),
    row(2, "plan", &["unit"]),
    row(3, "run", ALL_BELOW),
    row(4, "report", &["unit", "measure", "plan"]),
    row(4, "compare", &["unit", "report"]),
    row(4, "search", &["unit", "report"]),
    row(5, "cli", ALL_BELOW),
    row(6, "main", ALL_BELOW),
];

/// Stands for every room on a lower floor.
const ALL_BELOW: &[&str] = &["all below"];

impl Room {
    fn may_use(&self, other: &Self, is_test: bool) -> bool {
        let all_below = is_test || self.may_use == ALL_BELOW;
        self.name == other.name
            || self.may_use.contains(&other.name)
            || all_below && other.floor < self.floor
    }
}

/// The file that names the rooms and is in none of them.
const LIB: &str = "src/lib.rs";

fn room(name: &str) -> Option<&'static Room> {
    HOUSE.iter().find(|room| room.name == name)
}

/// The room of a file: `net` for both `src/net/engine/plain.rs` and `src/net.rs`.
fn room_name(source: &Source) -> Option<&str> {
    let below = source.path.strip_prefix("src/").filter(|_| source.path != LIB)?;
    let first = below.split('/').next().unwrap_or(below);
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

/// Imports from a room that the importing one may not use, and rooms that nobody planned.
pub(crate) fn imports(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut strangers = BTreeSet::new();
    for source in tree.shipped() {
        let Some(name) = room_name(source) else {
            continue;
        };
        match room(name) {
            Some(room) => findings.extend(forbidden(source, room)),
            None if strangers.insert(name) => findings.push(Finding::new(
                &source.path,
                0,
                format!("`{name}` is a room that the house does not have"),
                "give it a row in HOUSE (tests/tidy/floors.rs) and a line in \
                 the docs of src/lib.rs; or move the file into the room it belongs to",
            )),
            None => {}
        }
    }
    findings
}

fn forbidden(source: &Source, here: &Room) -> Vec<Finding> {
    let mut findings = Vec::new();
    for import in imported(source) {
        let name = source.tokens[import].text.as_str();
        let (what, mend) = match room(name) {
            Some(there) if here.may_use(there, source.is_test(import)) => continue,
            Some(_) => (
                format!("`{}` imports from `{name}`", here.name),
                format!(
                    "it may use {}; move the code up, or hand it what it needs from above",
                    match here.may_use {
                        [] => "no other room".to_owned(),
                        rooms => rooms.join(", "),
                    }
                ),
            ),
            None => (
                format!("`{name}` at the root of the crate is no room"),
                "name the room that it comes from, crate::ROOM::…; what lib.rs re-exports is for \
                 users of the library"
                    .to_owned(),
            ),
        };
        let line = source.tokens[import].line + 1;
        findings.push(Finding::new(&source.path, line, what, mend));
    }
    findings
}

/// The tokens that name a room in a path from the crate's root, by `crate::` or enough `super::`.
fn imported(source: &Source) -> Vec<usize> {
    let tokens = &source.tokens;
    let inline = items::inline_modules(tokens);
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let is = |ahead: usize, word: &str| text(tokens, at + ahead) == word;
        let continued = at >= 2 && text(tokens, at - 1) == "::" && text(tokens, at - 2) == "super";
        if is(0, "crate") && is(1, "::") {
            follow(tokens, at + 2, 0, &mut found);
        } else if is(0, "super") && is(1, "::") && !continued {
            let nested = inline.iter().filter(|extent| extent.contains(&at)).count();
            follow(tokens, at, depth(&source.path) + nested, &mut found);
        }
    }
    found
}

/// How many `super` lead from the top of this file to the crate's root.
fn depth(path: &str) -> usize {
    let parts = path.trim_start_matches("src/").split('/');
    let names = parts.filter(|part| !matches!(*part, "mod.rs" | "lib.rs" | "main.rs"));
    names.count()
}

/// Follows a path that is `up` levels above the root's children, groups and all.
fn follow(tokens: &[Token], mut at: usize, mut up: usize, found: &mut Vec<usize>) {
    loop {
        match text(tokens, at) {
            "super" if up > 0 && text(tokens, at + 1) == "::" => {
                up -= 1;
                at += 2;
            }
            "self" if text(tokens, at + 1) == "::" => at += 2,
            "{" => break,
            _ => {
                if up == 0 {
                    found.push(at);
                }
                return;
            }
        }
    }
    let end = items::close(tokens, at);
    let mut element = at + 1;
    while element < end {
        follow(tokens, element, up, found);
        while element < end && text(tokens, element) != "," {
            element = match text(tokens, element) {
                "{" => items::close(tokens, element) + 1,
                _ => element + 1,
            };
        }
        element += 1;
    }
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// Rooms that the map in the docs of `lib.rs` leaves out.
pub(crate) fn unnamed_rooms(tree: &Tree) -> Vec<Finding> {
    let Some(lib) = tree.source(LIB) else {
        return vec![Finding::new(LIB, 0, "is missing", "the library's root holds the map")];
    };
    let docs: Vec<_> = lib.lines.iter().map(|line| line.comment.trim()).collect();
    let names = |room: &str| {
        let (bare, folder) = (format!("`{room}`"), format!("`{room}/`"));
        let mut map = docs.iter().filter(|line| line.starts_with("//!"));
        map.any(|line| line.contains(&bare) || line.contains(&folder))
    };
    let rooms: BTreeSet<_> = tree.shipped().filter_map(room_name).collect();
    rooms
        .into_iter()
        .filter(|room| *room != "main" && !names(room))
        .map(|room| {
            Finding::new(
                LIB,
                0,
                format!("the docs say nothing of the room `{room}`"),
                format!("add a line to its `//!` docs that begins with [`{room}`]"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        imports(&Tree::of(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lower_floors_are_open() {
        let text = "use crate::unit::Nanos;\nuse crate::{sys::{cmsg, mmsg}, unit};\nuse super::b;";
        assert!(found("src/net/a.rs", text).is_empty());
        assert!(found("src/run/mod.rs", "use crate::{net, wire, plan};").is_empty());
        assert!(found("src/main.rs", "use udperf::cli;").is_empty());
        assert!(found("src/lib.rs", "pub use crate::run::bench;").is_empty());
    }

    #[test]
    fn sideways_and_upwards_are_closed() {
        let sideways = found("src/wire/mod.rs", "use std::io;\nuse crate::pace::Even;");
        assert!(sideways[0].starts_with("src/wire/mod.rs:2: `wire` imports from `pace`"));
        assert!(sideways[0].contains("may use unit;"));
        assert_eq!(found("src/unit.rs", "fn a() { crate::sys::now() }").len(), 1);
        assert_eq!(found("src/net/engine/plain.rs", "use crate::run::Worker;").len(), 1);
        assert_eq!(found("src/report/mod.rs", "use crate::{plan::Plan, net, run::{a}};").len(), 2);
        assert_eq!(found("src/report/mod.rs", "use crate::{self, unit::{a, b}, net};").len(), 2);
    }

    #[test]
    fn enough_supers_reach_other_rooms() {
        assert_eq!(found("src/net/mod.rs", "use super::wire;").len(), 1);
        assert_eq!(found("src/net/engine/plain.rs", "use super::super::super::wire;").len(), 1);
        assert_eq!(found("src/net/engine/plain.rs", "use super::super::{super::wire};").len(), 1);
        assert_eq!(found("src/net/engine/plain.rs", "use super::super::wire;").len(), 0);
        assert_eq!(found("src/net.rs", "mod a { use super::wire; }").len(), 0);
        assert_eq!(found("src/net.rs", "mod a { use super::super::wire; }").len(), 1);
    }

    #[test]
    fn tests_may_use_anything_below() {
        let text = "#[cfg(test)]\nmod tests {\n    use crate::measure::Tally;\n}";
        assert!(found("src/compare/mod.rs", text).is_empty());
        assert_eq!(found("src/wire/mod.rs", text).len(), 1, "a test must not look sideways either");
        assert_eq!(found("src/compare/mod.rs", "use crate::measure::Tally;").len(), 1);
    }

    #[test]
    fn unplanned_rooms_are_told_once() {
        let tree = Tree::of(&[("src/misc/mod.rs", ""), ("src/misc/more.rs", "")]);
        assert!(imports(&tree)[0].to_string().contains("give it a row in HOUSE"));
        assert_eq!(imports(&tree).len(), 1);
        assert!(found("src/net/mod.rs", "use crate::Error;")[0].contains("is no room"));
        assert!(found("src/net/mod.rs", "use crate::*;")[0].contains("is no room"));
    }

    #[test]
    fn rooms_need_a_line_in_the_map() {
        let tree = Tree::of(&[
            (LIB, "//! - [`net`]: sockets\n//! - `unit/`: numbers\n// `wire`"),
            ("src/net/mod.rs", ""),
            ("src/unit.rs", ""),
            ("src/wire.rs", ""),
            ("src/main.rs", ""),
        ]);
        let findings = unnamed_rooms(&tree);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("`wire`"));
        assert_eq!(unnamed_rooms(&Tree::default()).len(), 1);
    }
}
