//! Names: no two public types share one, and identifiers use the field's terms.

use std::collections::{BTreeMap, BTreeSet};

use crate::Finding;
use crate::tree::Tree;

/// Files of one contract for different systems: each name is in both of a pair.
const TWINS: [(&str, &str); 5] = [
    ("src/sys/other", "src/sys/linux"),
    ("src/engine/uring/absent", "src/engine/uring/"),
    ("src/engine/xdp/absent", "src/engine/xdp/"),
    ("src/net/unix/absent", "src/net/unix/"),
    ("src/cli/live/absent", "src/cli/live/"),
];

/// Two right uses of one name.
const SHARED: [&str; 1] = [
    // The clock that a process reads (`clock`), and its name in the document.
    "Clock",
];

/// Words that are metaphors here, and the terms for them.
const BANNED: [(&str, &str); 30] = [
    ("answerer", "server"),
    ("asker", "writer"),
    ("bed", "runner"),
    ("berth", "slot"),
    ("crew", "worker pool"),
    ("depart", "insert"),
    ("desk", "policy"),
    ("dialogue", "requests"),
    ("door", "control socket"),
    ("doubt", "warning"),
    ("eve", "shortly before"),
    ("excuse", "disturbance"),
    ("face", "format"),
    ("farewell", "closing"),
    ("fate", "arrival"),
    ("flights", "in flight"),
    ("glimpse", "snapshot"),
    ("harvest", "result"),
    ("hearer", "matcher"),
    ("heed", "abort_on"),
    ("home", "sockets"),
    ("house", "crate"),
    ("landing", "completion"),
    ("muddy", "inconclusive"),
    ("naps", "sleep errors"),
    ("parcel", "delayed reply"),
    ("seat", "affinity"),
    ("settle", "attribute"),
    ("stranger", "unsolicited"),
    ("wants", "requirements"),
];

/// Public types whose name another file has, too.
pub(crate) fn shared_types(tree: &Tree) -> Vec<Finding> {
    let mut types: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for source in tree.shipped() {
        for (at, pair) in source.tokens.windows(2).enumerate() {
            let word = pair[0].text.as_str();
            let public = at > 0 && matches!(&*source.tokens[at - 1].text, "pub" | ")");
            let is_type = matches!(word, "struct" | "enum" | "trait" | "type");
            if is_type && public && !source.is_test(at) {
                let entry = types.entry(&pair[1].text).or_default();
                entry.push((&source.path, pair[1].line + 1));
            }
        }
    }
    let mut findings = Vec::new();
    for (name, files) in types.iter().filter(|(name, _)| !SHARED.contains(name)) {
        let (first, _) = files[0];
        for &(file, line) in files[1..].iter().filter(|(file, _)| !are_twins(first, file)) {
            let what = format!("`{name}` is also a type of {first}");
            let fix = "rename one; types of src/document keep their names";
            findings.push(Finding::new(file, line, what, fix));
        }
    }
    findings
}

fn are_twins(one: &str, two: &str) -> bool {
    let pair = |a: &str, b: &str| {
        TWINS.iter().any(|(other, live)| a.starts_with(other) && b.starts_with(live))
    };
    one == two || pair(one, two) || pair(two, one)
}

/// Identifiers that hold a banned word.
pub(crate) fn banned_words(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for source in tree.shipped() {
        for (at, token) in source.tokens.iter().enumerate() {
            let parts = parts(&token.text);
            let hit = BANNED.iter().find(|(word, _)| parts.iter().any(|part| part == word));
            if let Some((word, term)) = hit.filter(|_| !source.is_test(at))
                && seen.insert((&source.path, &token.text))
            {
                let what = format!("`{}` holds the word `{word}`", token.text);
                let fix = format!("use the field's term, such as `{term}`");
                findings.push(Finding::new(&source.path, token.line + 1, what, fix));
            }
        }
    }
    findings
}

/// The words of an identifier, in lower case and without a plural's `s`.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in name.chars() {
        let last = parts.last().and_then(|part| part.chars().next_back());
        if c == '_' || (c.is_uppercase() && last.is_some_and(char::is_lowercase)) {
            parts.push(String::new());
        }
        if let (true, Some(part)) = (c != '_', parts.last_mut()) {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.to_lowercase().trim_end_matches('s').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_its_name_alone() {
        let shared = |one: &str, two: &str| {
            let text = "pub(crate) struct Cell; struct Own;";
            shared_types(&Tree::of(&[(one, text), (two, text)])).len()
        };
        assert_eq!(shared("src/plan/a.rs", "src/document/b.rs"), 1);
        assert_eq!(shared("src/sys/linux/a.rs", "src/sys/other/a.rs"), 0);
    }

    #[test]
    fn metaphors_are_found_in_all_spellings() {
        let found = |text| banned_words(&Tree::of(&[("src/a.rs", text)])).len();
        assert_eq!(found("struct FreeBerths; fn of_berth() {} const BERTHS: u8 = 1;"), 3);
        assert_eq!(found("// berth\nlet homestead = \"berth\";"), 0);
    }
}
