//! Checks the source tree: layers, import cycles, sizes, hot files, the origin of constants.
//!
//! Each check is a function from a [`Tree`] of sources to what it found, so that it can be tried
//! on a few lines of text: the tests beside each check prove that it can fail.
//!
//! - `lexer`: tells code from comments and text, and cuts code into tokens
//! - `items`: where functions, modules, tests and cold functions begin and end
//! - `tree`: the files, read once
//! - `imports`: which file imports which
//! - `layers`, `names`, `shape`, `places`, `words`, `origins`, `pages`: the checks

mod imports;
mod items;
mod layers;
mod lexer;
mod names;
mod origins;
mod pages;
mod places;
mod shape;
mod tree;
mod words;

use std::fmt;
use std::fmt::Write as _;

use tree::Tree;

/// One thing that is not as it should be, and what to do about it.
#[derive(Debug)]
struct Finding {
    file: String,
    /// Counted from 1; 0 means the file as a whole.
    line: usize,
    what: String,
    fix: String,
}

impl Finding {
    fn new(file: &str, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = tree::real_path(&self.file);
        match self.line {
            0 => write!(out, "{file}: {}", self.what)?,
            line => write!(out, "{file}:{line}: {}", self.what)?,
        }
        write!(out, "\n    fix: {}", self.fix)
    }
}

/// Fails with all that was found, not only the first.
#[track_caller]
fn expect_none(findings: &[Finding]) {
    let mut text = String::new();
    for finding in findings {
        writeln!(text, "{finding}").expect("a String takes everything");
    }
    assert!(findings.is_empty(), "{} to fix\n\n{text}", findings.len());
}

#[test]
fn the_tree_is_really_read() {
    let tree = Tree::of_this_package();
    assert!(tree.source("src/lib.rs").is_some(), "src/lib.rs is not among what was read");
    assert!(tree.source("tests/tidy/main.rs").is_some(), "this very file was not read");
    assert!(!tree.pages.is_empty(), "no markdown file was read");
}

#[test]
fn modules_import_only_from_lower_layers() {
    expect_none(&layers::upward_imports(Tree::of_this_package()));
}

#[test]
fn the_docs_of_lib_rs_declare_every_module() {
    expect_none(&layers::undeclared(Tree::of_this_package()));
}

#[test]
fn no_file_is_in_an_import_cycle() {
    expect_none(&layers::cycles(Tree::of_this_package()));
}

#[test]
fn no_two_public_types_share_a_name() {
    expect_none(&names::shared_types(Tree::of_this_package()));
}

#[test]
fn identifiers_use_the_terms_of_the_field() {
    expect_none(&names::banned_words(Tree::of_this_package()));
}

#[test]
fn files_are_short() {
    expect_none(&shape::long_files(Tree::of_this_package()));
}

#[test]
fn functions_are_short() {
    expect_none(&shape::long_functions(Tree::of_this_package()));
}

#[test]
fn lines_are_narrow() {
    expect_none(&shape::wide_lines(Tree::of_this_package()));
}

#[test]
fn the_operating_system_lives_in_one_place() {
    expect_none(&places::strays(Tree::of_this_package()));
}

#[test]
fn every_unsafe_says_why_it_holds() {
    expect_none(&places::unexplained_unsafe(Tree::of_this_package()));
}

#[test]
fn hot_files_are_quiet() {
    expect_none(&words::noise_in_hot_files(Tree::of_this_package()));
}

#[test]
fn nothing_is_left_undone() {
    expect_none(&words::leftovers(Tree::of_this_package()));
}

#[test]
fn one_helper_decides_what_a_skip_is_in_ci() {
    expect_none(&words::lone_skips(Tree::of_this_package()));
}

#[test]
fn nothing_is_indented_with_tabs() {
    expect_none(&words::tabs(Tree::of_this_package()));
}

#[test]
fn every_constant_tells_its_origin() {
    expect_none(&origins::untold_constants(Tree::of_this_package()));
}

#[test]
fn markdown_files_begin_with_their_only_title() {
    expect_none(&pages::titles(Tree::of_this_package()));
}

#[test]
fn a_finding_names_place_and_remedy() {
    let finding = Finding::new("src/a.rs", 7, "too loud", "whisper");
    assert_eq!(finding.to_string(), "src/a.rs:7: too loud\n    fix: whisper");
    let whole = Finding::new("src/a.rs", 0, "too long", "split it");
    assert_eq!(whole.to_string(), "src/a.rs: too long\n    fix: split it");
}

#[test]
#[should_panic(expected = "src/a.rs:7: too loud")]
fn a_finding_fails_the_test() {
    expect_none(&[Finding::new("src/a.rs", 7, "too loud", "whisper")]);
}
