//! Which file imports which: `use` items and paths in code, followed through re-exports to the file
//! that defines the item.

use std::collections::{BTreeMap, BTreeSet};

use crate::items;
use crate::lexer::{Token, is_word};
use crate::tree::{Source, Tree};

/// Segments of a path from the crate's root.
type Path = Vec<String>;

/// One file that names something of another one.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// A `pub use`: the item passes through, so this is no dependency between two files.
    pub(crate) reexport: bool,
}

/// How often a name is followed from re-export to re-export. Arbitrary: ends circular ones.
const HOPS: usize = 12;

/// The names of one file.
#[derive(Default)]
struct Module<'a> {
    file: &'a str,
    items: BTreeSet<&'a str>,
    uses: BTreeMap<String, Path>,
    globs: Vec<Path>,
}

struct Use {
    at: usize,
    path: Path,
    name: String,
    reexport: bool,
}

/// All imports of shipped code between files of the library.
pub(crate) fn imports(tree: &Tree) -> Vec<Import> {
    let shipped = || tree.shipped().filter(|source| source.path != "src/main.rs");
    let is_code = |source: &&Source| source.tokens.is_empty() || !source.is_test_file();
    let mut modules: BTreeMap<Path, Module<'_>> = BTreeMap::new();
    for source in shipped().filter(is_code) {
        let module = Module { file: &source.path, items: defined(source), ..Module::default() };
        modules.insert(module_path(&source.path), module);
    }
    let mut uses = BTreeMap::new();
    for source in shipped().filter(is_code) {
        let here = module_path(&source.path);
        let found: Vec<Use> = used(source)
            .into_iter()
            .filter_map(|u| Some(Use { path: absolute(&modules, &here, &u.path)?, ..u }))
            .collect();
        let module = modules.get_mut(&here).expect("it was inserted");
        for u in &found {
            match u.path.split_last() {
                Some((last, parent)) if last == "*" => module.globs.push(parent.to_vec()),
                _ => _ = module.uses.entry(u.name.clone()).or_insert_with(|| u.path.clone()),
            }
        }
        uses.insert(here, found);
    }
    let mut imports = Vec::new();
    for source in shipped().filter(is_code) {
        let here = module_path(&source.path);
        let mut add = |path: &[String], at: usize, reexport: bool| {
            let path = path.strip_suffix(&["*".to_owned()]).unwrap_or(path);
            let to = resolve(&modules, path, 0).unwrap_or(&source.path);
            if to != source.path {
                let (from, line) = (source.path.clone(), source.tokens[at].line + 1);
                imports.push(Import { from, to: to.to_owned(), line, reexport });
            }
        };
        for u in &uses[&here] {
            add(&u.path, u.at, u.reexport);
        }
        for (at, path) in paths_in_code(source) {
            if let Some(path) = absolute(&modules, &here, &path) {
                add(&path, at, false);
            }
        }
    }
    imports
}

/// `src/a/mod.rs` and `src/a.rs` are `a`; `src/lib.rs` is the root.
fn module_path(file: &str) -> Path {
    let stem = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Path = stem.split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
        parts.pop();
    }
    parts
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| is_word(c) && !c.is_ascii_digit())
}

/// Items at the top of a file.
fn defined(source: &Source) -> BTreeSet<&str> {
    let tokens = &source.tokens;
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < tokens.len() {
        match text(tokens, at) {
            "{" | "(" | "[" => at = items::close(tokens, at),
            "struct" | "enum" | "trait" | "fn" | "type" | "const" | "static" | "union" => {
                found.insert(text(tokens, at + 1));
            }
            "macro_rules" => _ = found.insert(text(tokens, at + 2)),
            _ => {}
        }
        at += 1;
    }
    found
}

/// The `use` items of shipped code, one a name.
fn used(source: &Source) -> Vec<Use> {
    let tokens = &source.tokens;
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if text(tokens, at) != "use" || text(tokens, at + 1) == "<" || source.is_test(at) {
            continue;
        }
        let reexport = at > 0 && matches!(text(tokens, at - 1), "pub" | ")");
        let mut add = |path: Path, name: String, at| found.push(Use { at, path, name, reexport });
        expand(tokens, at + 1, &[], &mut add);
    }
    found
}

/// Follows one tree of a `use` item.
fn expand(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    add: &mut dyn FnMut(Path, String, usize),
) {
    let mut path = prefix.to_vec();
    loop {
        match text(tokens, at) {
            "{" => {
                let end = items::close(tokens, at);
                let mut element = at + 1;
                while element < end {
                    expand(tokens, element, &path, add);
                    while element < end && text(tokens, element) != "," {
                        element = match text(tokens, element) {
                            "{" => items::close(tokens, element) + 1,
                            _ => element + 1,
                        };
                    }
                    element += 1;
                }
                return;
            }
            "::" => at += 1,
            "self" if !path.is_empty() => at += 1,
            name if is_name(name) && name != "as" || name == "*" => {
                path.push(name.to_owned());
                at += 1;
            }
            word => {
                let alias = (word == "as").then(|| text(tokens, at + 1).to_owned());
                if let Some(name) = alias.or_else(|| path.last().cloned()) {
                    add(path, name, at - 1);
                }
                return;
            }
        }
    }
}

/// Paths of two segments and more outside of `use` items, and where they begin.
fn paths_in_code(source: &Source) -> Vec<(usize, Path)> {
    let tokens = &source.tokens;
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if text(tokens, at) == "use" && text(tokens, at + 1) != "<" {
            at = *items::item(tokens, at).end();
        } else if text(tokens, at) == "pub" && text(tokens, at + 1) == "(" {
            at = items::close(tokens, at + 1);
        } else if is_name(text(tokens, at)) && text(tokens, at + 1) == "::" {
            let start = at;
            let mut path = vec![text(tokens, at).to_owned()];
            while text(tokens, at + 1) == "::" && is_name(text(tokens, at + 2)) {
                at += 2;
                path.push(text(tokens, at).to_owned());
            }
            let goes_on = start > 0 && text(tokens, start - 1) == "::";
            if !goes_on && !source.is_test(start) {
                found.push((start, path));
            }
        }
        at += 1;
    }
    found
}

/// The same path from the crate's root; `None` for one of another crate.
fn absolute(
    modules: &BTreeMap<Path, Module<'_>>,
    here: &[String],
    path: &[String],
) -> Option<Path> {
    let (first, mut rest) = path.split_first()?;
    let mut base = here.to_vec();
    match first.as_str() {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            base.pop();
            while let Some((_, after)) = rest.split_first().filter(|(word, _)| *word == "super") {
                base.pop();
                rest = after;
            }
        }
        name => {
            let module = modules.get(here)?;
            base.push(first.clone());
            if let Some(path) = module.uses.get(name) {
                base.clone_from(path);
            } else if !modules.contains_key(&base) && !module.items.contains(name) {
                return None;
            }
        }
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// The file that defines what this path names.
fn resolve<'a>(
    modules: &BTreeMap<Path, Module<'a>>,
    path: &[String],
    hops: usize,
) -> Option<&'a str> {
    if let Some(module) = modules.get(path) {
        return Some(module.file);
    }
    if hops > HOPS {
        return None;
    }
    let at = (0..path.len()).rev().find(|&at| modules.contains_key(&path[..at]))?;
    let module = &modules[&path[..at]];
    if let Some(target) = module.uses.get(&path[at]).filter(|target| **target != path[..=at]) {
        let target = [target, &path[at + 1..]].concat();
        return resolve(modules, &target, hops + 1);
    }
    if !module.items.contains(path[at].as_str()) {
        for glob in &module.globs {
            let target = [glob, &path[at..]].concat();
            let file = resolve(modules, &target, hops + 1);
            let defines = |module: &Module<'_>| {
                Some(module.file) == file && module.items.contains(path[at].as_str())
            };
            if modules.values().any(defines) {
                return file;
            }
        }
    }
    Some(module.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let imports = imports(&Tree::of(files)).into_iter().filter(|import| !import.reexport);
        imports.map(|import| (import.from, import.to)).collect()
    }

    #[test]
    fn an_item_is_imported_from_the_file_that_defines_it() {
        let files = [
            ("src/lib.rs", "pub mod a; pub mod b;"),
            ("src/a/mod.rs", "mod deep; pub use deep::{One, Two as Second};"),
            ("src/a/deep.rs", "pub struct One; pub enum Two {}"),
            ("src/b.rs", "use crate::a::{One, Second};"),
        ];
        let edge = ("src/b.rs".to_owned(), "src/a/deep.rs".to_owned());
        assert_eq!(found(&files), [edge.clone(), edge]);
    }

    #[test]
    fn paths_in_code_count_and_visibility_does_not() {
        let files = [
            ("src/a/mod.rs", "mod x; mod y; fn f() { x::one(); }"),
            ("src/a/x.rs", "pub(in crate::a::y) fn one() { super::y::two::<u8>() }"),
            ("src/a/y.rs", "pub fn two<T>() {} #[cfg(test)] mod tests { use crate::a::x::one; }"),
        ];
        let edges = [("src/a/mod.rs", "src/a/x.rs"), ("src/a/x.rs", "src/a/y.rs")];
        assert_eq!(found(&files), edges.map(|(from, to)| (from.to_owned(), to.to_owned())));
    }
}
