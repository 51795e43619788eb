//! Layers of modules, as the docs of `src/lib.rs` declare them, and import cycles between files.
//!
//! The docs hold three kinds of lines. `3  plan/  host/  words` puts modules into a layer.
//! `in cli:  args/ < output.rs` orders what is inside a module, lowest first; a line that begins
//! with `<` continues it. `engine uses net` is an exception.

use std::collections::{BTreeMap, BTreeSet};

use crate::Finding;
use crate::imports::{Import, imports};
use crate::tree::Tree;

/// The file whose docs declare the layers, and which is in none of them.
const LIB: &str = "src/lib.rs";

/// The declaration.
#[derive(Default)]
struct Layers {
    top: BTreeMap<String, usize>,
    /// By module, the layers inside it.
    inside: BTreeMap<String, BTreeMap<String, usize>>,
    exceptions: BTreeSet<(String, String)>,
}

impl Layers {
    fn read(tree: &Tree) -> Self {
        let mut layers = Self::default();
        let mut open = String::new();
        let lines = tree.source(LIB).map_or(&[][..], |lib| &lib.lines);
        for line in lines.iter().filter_map(|line| line.comment.trim().strip_prefix("//!")) {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                [number, ..] if number.parse::<usize>().is_ok() => {
                    let layer = number.parse().unwrap_or_default();
                    layers.top.extend(modules(&words[1..]).map(|name| (name, layer)));
                }
                ["in", module, ..] if module.ends_with(':') => {
                    open = module.trim_end_matches(':').to_owned();
                    layers.inside_of(&open, &words[2..]);
                }
                ["<", ..] => layers.inside_of(&open, &words),
                [one, "uses", other, ..] => {
                    layers
                        .exceptions
                        .insert((one.to_owned(), other.trim_end_matches(':').to_owned()));
                }
                _ => {}
            }
        }
        layers
    }

    fn inside_of(&mut self, module: &str, words: &[&str]) {
        let inside = self.inside.entry(module.to_owned()).or_default();
        let first = inside.values().max().copied().unwrap_or(0);
        for (layer, group) in (first..).zip(words.split(|word| *word == "<")) {
            inside.extend(modules(group).map(|name| (name, layer)));
        }
    }

    /// Whether the first of two places may import from the second, both as `module` or
    /// `module/part`; `None` where one of them is not declared.
    fn allow(&self, from: &str, to: &str) -> Option<bool> {
        let (one, two) = (split(from), split(to));
        if one.0 != two.0 {
            let pair = (one.0.to_owned(), two.0.to_owned());
            return Some(self.top.get(two.0)? < self.top.get(one.0)?)
                .map(|lower| lower || self.exceptions.contains(&pair));
        }
        match (self.inside.get(one.0), one.1, two.1) {
            (Some(inside), Some(one), Some(two)) if one != two => {
                Some(inside.get(two)? < inside.get(one)?)
            }
            _ => Some(true),
        }
    }
}

/// The words that are names of folders or files.
fn modules<'a>(words: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    words.iter().filter_map(|word| {
        let name = word.strip_suffix('/').or_else(|| word.strip_suffix(".rs"))?;
        Some(name.to_owned())
    })
}

fn split(place: &str) -> (&str, Option<&str>) {
    place.split_once('/').map_or((place, None), |(module, part)| (module, Some(part)))
}

/// `cli/args` for `src/cli/args/mod.rs` and `src/cli/args.rs`, `cli` for `src/cli/mod.rs`.
fn place(file: &str) -> String {
    let stem = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    stem.splitn(3, '/').take(2).collect::<Vec<_>>().join("/")
}

/// Modules that no line declares, or that a line declares and that do not exist.
pub(crate) fn undeclared(tree: &Tree) -> Vec<Finding> {
    let layers = Layers::read(tree);
    let shipped = tree.shipped().filter(|source| source.path != LIB && !source.is_test_file());
    let places: BTreeSet<String> = shipped.map(|source| place(&source.path)).collect();
    let mut known = BTreeSet::new();
    let mut findings = BTreeMap::new();
    for place in &places {
        let (module, part) = split(place);
        known.insert(module.to_owned());
        if !layers.top.contains_key(module) {
            let what = format!("no layer of the docs has the module `{module}/`");
            findings.insert(what, "add it to the layer where it belongs, or move its files");
        }
        if let (Some(inside), Some(part)) = (layers.inside.get(module), part) {
            known.insert(place.clone());
            if !inside.contains_key(part) {
                let what = format!("the line `in {module}:` does not have `{part}`");
                findings.insert(what, "add it after everything that it imports");
            }
        }
    }
    let inside = layers
        .inside
        .iter()
        .flat_map(|(module, parts)| parts.keys().map(move |part| format!("{module}/{part}")));
    for declared in layers.top.keys().cloned().chain(inside) {
        if !known.contains(&declared) {
            findings.insert(
                format!("the docs declare `{declared}`, which does not exist"),
                "remove it",
            );
        }
    }
    findings.into_iter().map(|(what, fix)| Finding::new(LIB, 0, what, fix)).collect()
}

/// Imports from the same layer or a higher one.
pub(crate) fn upward_imports(tree: &Tree) -> Vec<Finding> {
    let layers = Layers::read(tree);
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for Import { from, to, line, .. } in imports(tree) {
        let (one, two) = (place(&from), place(&to));
        let allowed = from == LIB || to == LIB || layers.allow(&one, &two) != Some(false);
        if !allowed && seen.insert((from.clone(), two.clone())) {
            let what = format!("`{one}` imports from `{two}` ({to}), which is not below it");
            let fix = "move the item down, or pass it in from above; layers: docs of src/lib.rs";
            findings.push(Finding::new(&from, line, what, fix));
        }
    }
    findings
}

/// Groups of files that import each other, directly or not.
pub(crate) fn cycles(tree: &Tree) -> Vec<Finding> {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for import in imports(tree).into_iter().filter(|import| !import.reexport) {
        edges.entry(import.from).or_default().insert(import.to);
    }
    let reached: BTreeMap<_, _> = edges.keys().map(|file| (file, reach(&edges, file))).collect();
    let mut findings = Vec::new();
    let mut done = BTreeSet::new();
    for (&file, files) in reached.iter().filter(|(file, files)| files.contains(**file)) {
        let back = |other: &&String| reached.get(other).is_some_and(|files| files.contains(file));
        let group: BTreeSet<_> = files.iter().filter(back).collect();
        if !done.contains(file) {
            let arrows = group.iter().flat_map(|one| {
                let inner = edges[*one].iter().filter(|two| group.contains(two));
                inner.map(move |two| format!("{one} -> {two}"))
            });
            let what = format!("import cycle: {}", arrows.collect::<Vec<_>>().join(", "));
            let fix = "move the shared item into the lower file, or into a file below both";
            findings.push(Finding::new(file, 0, what, fix));
            done.extend(group.into_iter().cloned());
        }
    }
    findings
}

/// Every file that this one needs.
fn reach(edges: &BTreeMap<String, BTreeSet<String>>, file: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(next) = open.pop() {
        for to in edges.get(next).into_iter().flatten() {
            if reached.insert(to.clone()) {
                open.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = "//!  2  top/\n//!  1  net/  engine/  ways\n//!  0  unit/\n\
                        //! in top:  a/ b.rs\n//!   < c.rs\n//! engine uses net\n";

    fn found(check: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
        let bare = ["net/mod", "engine/mod", "unit/mod", "top/a/mod", "top/b", "top/c"];
        let mut all = vec![(LIB.to_owned(), DOCS.to_owned())];
        all.extend(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
        for name in bare.map(|name| format!("src/{name}.rs")) {
            if all.iter().all(|(path, _)| *path != name) {
                all.push((name, "pub fn x() {}".to_owned()));
            }
        }
        check(&Tree::of(&all)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn imports_go_down() {
        let up = found(upward_imports, &[("src/unit/mod.rs", "\nuse crate::net::x;")]);
        assert!(up[0].contains("src/unit/mod.rs:2: `unit` imports from `net`"), "{up:?}");
        let check = |path, text| found(upward_imports, &[(path, text)]).len();
        assert_eq!(check("src/net/mod.rs", "use crate::unit::x;"), 0);
        assert_eq!(check("src/net/mod.rs", "use crate::engine::x;"), 1, "sideways");
        assert_eq!(check("src/engine/mod.rs", "use crate::net::x;"), 0, "an exception");
        assert_eq!(check("src/top/c.rs", "use crate::top::{a::x, b};"), 0);
        assert_eq!(check("src/top/b.rs", "use super::c::x;"), 1, "inside of a module");
        assert_eq!(check("src/top/b.rs", "fn f() { super::a::x() }"), 1);
        assert_eq!(check("src/unit/mod.rs", "pub use crate::net::x;"), 1, "re-exports count");
    }

    #[test]
    fn every_module_is_declared() {
        assert_eq!(found(undeclared, &[]), [""; 0]);
        let more = found(undeclared, &[("src/new.rs", ""), ("src/top/d.rs", "")]);
        assert!(more[0].contains("`new/`") && more[1].contains("`d`"), "{more:?}");
        let gone = undeclared(&Tree::of(&[(LIB, DOCS)]));
        assert!(gone.iter().any(|finding| finding.what.contains("`top/c`")), "{gone:?}");
    }

    #[test]
    fn cycles_are_found_through_re_exports() {
        let files = [
            ("src/net/mod.rs", "mod a; mod b; pub use b::Two;"),
            ("src/net/a.rs", "use super::Two; pub struct One;"),
            ("src/net/b.rs", "use crate::net::a::One; pub struct Two;"),
        ];
        let cycle = found(cycles, &files);
        assert_eq!(cycle.len(), 1, "{cycle:?}");
        assert!(cycle[0].contains("src/net/a.rs -> src/net/b.rs, src/net/b.rs -> src/net/a.rs"));
        let files = [files[0], files[1], ("src/net/b.rs", "pub struct Two;")];
        assert_eq!(found(cycles, &files), [""; 0]);
    }
}
