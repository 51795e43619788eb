//! The files of this package, or a few lines of text that stand for them.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use crate::items::{self, Extent, Function};
use crate::lexer::{self, Line, Token};

/// Where the crate of the data path has its modules.
const CORE: &str = "crates/core/src";

/// Where a file of this package really is, for a path of a [`Source`].
pub(crate) fn real_path(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match path.strip_prefix("src/").map(|rest| format!("{CORE}/{rest}")) {
        Some(moved) if !root.join(path).exists() && root.join(&moved).exists() => moved,
        _ => path.to_owned(),
    }
}

/// Everything that the checks look at.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) sources: Vec<Source>,
    /// Markdown files at the top: name and text.
    pub(crate) pages: Vec<(String, String)>,
}

/// One Rust file.
pub(crate) struct Source {
    /// From the package's folder, with slashes; `src/` for both crates, see [`real_path`].
    pub(crate) path: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) functions: Vec<Function>,
    /// Lines of `// cold:` comments that stand over no function.
    pub(crate) astray: Vec<usize>,
    tests: Vec<Extent>,
    cold: Vec<Extent>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let lines = lexer::lines(text);
        let tokens = lexer::tokens(&lines);
        let (cold, astray) = items::cold_functions(&lines, &tokens);
        Self {
            path: path.into(),
            functions: items::functions(&tokens),
            tests: items::test_items(&tokens),
            lines,
            tokens,
            cold,
            astray,
        }
    }

    /// Whether only tests see the whole file.
    pub(crate) fn is_test_file(&self) -> bool {
        let end = self.tokens.len().saturating_sub(1);
        self.tests.contains(&(0..=end))
    }

    /// Whether only tests see this token.
    pub(crate) fn is_test(&self, token: usize) -> bool {
        self.tests.iter().any(|extent| extent.contains(&token))
    }

    /// Whether only tests see this line.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.covers(&self.tests, line)
    }

    /// Whether this line belongs to a function that is marked cold.
    pub(crate) fn is_cold_line(&self, line: usize) -> bool {
        self.covers(&self.cold, line)
    }

    fn covers(&self, extents: &[Extent], line: usize) -> bool {
        extents.iter().any(|extent| {
            let (first, last) = (&self.tokens[*extent.start()], &self.tokens[*extent.end()]);
            (first.line..=last.line).contains(&line)
        })
    }

    /// The folder that this file's modules are in: `src/a/` for both `src/a.rs` and `src/a/mod.rs`.
    fn children(&self) -> String {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        match name {
            "mod" | "lib" | "main" => format!("{folder}/"),
            _ => format!("{stem}/"),
        }
    }
}

impl Tree {
    /// The package that this test belongs to, read once for all tests.
    pub(crate) fn of_this_package() -> &'static Self {
        static PACKAGE: OnceLock<Tree> = OnceLock::new();
        PACKAGE.get_or_init(Self::read_package)
    }

    fn read_package() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        for folder in ["src", "tests", "benches", CORE] {
            rust_files(root, folder, &mut files);
        }
        // The modules of both crates see each other as `crate::…`, so the checks see one folder.
        for (path, _) in &mut files {
            if let Some(module) = path.strip_prefix(CORE).filter(|rest| *rest != "/lib.rs") {
                *path = format!("src{module}");
            }
        }
        let mut tree = Self::of(&files);
        for name in names(root) {
            if name.ends_with(".md") {
                let text = read(&root.join(&name));
                tree.pages.push((name, text));
            }
        }
        tree
    }

    /// A tree of files that are given as path and text.
    pub(crate) fn of<P: AsRef<str>, T: AsRef<str>>(files: &[(P, T)]) -> Self {
        let mut sources: Vec<_> =
            files.iter().map(|(path, text)| Source::new(path.as_ref(), text.as_ref())).collect();
        // A file that is declared under `#[cfg(test)]` is a test from top to bottom.
        let mut stems = Vec::new();
        for source in &sources {
            for name in items::test_files(&source.tokens) {
                stems.push(source.children() + &name);
            }
        }
        for source in &mut sources {
            let is_test = |stem: &String| {
                source.path.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['.', '/']))
            };
            if stems.iter().any(is_test) && !source.tokens.is_empty() {
                source.tests.push(0..=source.tokens.len() - 1);
            }
        }
        Self { sources, pages: Vec::new() }
    }

    pub(crate) fn source(&self, path: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.path == path)
    }

    /// What is shipped: all under `src/`.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.path.starts_with("src/"))
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {path:?}: {error}"))
}

/// The names in a folder, in order; none if there is no such folder.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap_or_else(|error| panic!("cannot list {folder:?}: {error}")))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn rust_files(root: &Path, folder: &str, files: &mut Vec<(String, String)>) {
    for name in names(&root.join(folder)) {
        let path = format!("{folder}/{name}");
        if root.join(&path).is_dir() {
            rust_files(root, &path, files);
        } else if name.ends_with(".rs") {
            let text = read(&root.join(&path));
            files.push((path, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_modules_in_files_of_their_own_are_tests() {
        let tree = Tree::of(&[
            ("src/net/mod.rs", "#[cfg(test)]\nmod tests;\nmod live;"),
            ("src/net/tests.rs", "fn a() {}"),
            ("src/net/tests/more.rs", "fn b() {}"),
            ("src/net/live.rs", "fn c() {}"),
        ]);
        let is_test = |path| tree.source(path).expect("it is there").is_test_line(0);
        assert!(is_test("src/net/tests.rs") && is_test("src/net/tests/more.rs"));
        assert!(!is_test("src/net/live.rs"));
    }
}
