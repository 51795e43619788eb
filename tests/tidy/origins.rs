//! A number without an origin cannot be questioned: every constant says where it comes from.

use crate::Finding;
use crate::items;
use crate::tree::{Source, Tree};

/// How far above a constant its comment may stand. Arbitrary: a handful that share one comment.
const COMMENT_LINES: usize = 6;

pub(crate) fn untold_constants(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.shipped() {
        for (line, name) in constants(source) {
            let first = line.saturating_sub(COMMENT_LINES);
            let near = &source.lines[first..=line];
            if near.iter().all(|line| line.comment.trim().is_empty()) {
                findings.push(Finding::new(
                    &source.path,
                    line + 1,
                    format!("`{name}` does not tell its origin"),
                    "say above it where the value comes from: a kernel file, an RFC, a \
                     measurement, or \"arbitrary\" and what would change if it were another",
                ));
            }
        }
    }
    findings
}

/// Constants with a value, of modules and of types: line and name. Those inside functions, in
/// tests, and nameless assertions are left out.
fn constants(source: &Source) -> Vec<(usize, &str)> {
    let text = |at: usize| source.tokens.get(at).map_or("", |token| token.text.as_str());
    let inside = |at: usize| source.functions.iter().any(|f| f.extent.contains(&at));
    let mut found = Vec::new();
    for at in 0..source.tokens.len() {
        let name = text(at + 1);
        if text(at) != "const" || text(at + 2) != ":" || name == "_" {
            continue;
        }
        // In `<const N: usize>` no item begins, and `;` or `=` is not what ends it.
        let begins = at == 0 || matches!(text(at - 1), ";" | "{" | "}" | "]" | ")" | "pub");
        let extent = items::item(&source.tokens, at);
        let has_value = extent.into_iter().any(|at| text(at) == "=");
        if begins && has_value && !inside(at) && !source.is_test(at) {
            found.push((source.tokens[at].line, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untold(text: &str) -> Vec<String> {
        let tree = Tree::of(&[("src/a.rs", text)]);
        untold_constants(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn constants_tell_their_origin() {
        assert!(untold("const A: u8 = 1;")[0].starts_with("src/a.rs:1: `A` does not tell"));
        assert_eq!(untold("impl B {\n    pub(crate) const A: u8 = 1;\n}").len(), 1);
        assert_eq!(untold("#[allow(x)]\npub const A: [u8; 2] =\n    [1, 2];").len(), 1);
        assert!(untold("/// RFC 768.\nconst A: u8 = 1;\nconst B: u8 = 2;").is_empty());
        assert!(untold("const A: u8 = 1; // arbitrary").is_empty());
        assert_eq!(untold("// far\n\n\n\n\n\n\nconst A: u8 = 1;").len(), 1);
    }

    #[test]
    fn what_is_no_number_of_ours_is_left_alone() {
        assert!(untold("const fn a() {}\nfn b<const N: usize>() -> [u8; N] {}").is_empty());
        assert!(untold("struct A<\n    const N: usize,\n>;\nlet x = 1;").is_empty());
        assert!(untold("trait T {\n    const A: u8;\n}\nstatic B: u8 = 1;").is_empty());
        assert!(untold("const _: () = assert!(true);").is_empty());
        assert!(untold("fn a() {\n    const A: u8 = 1;\n}").is_empty());
        assert!(untold("#[cfg(test)]\nmod tests {\n    const A: u8 = 1;\n}").is_empty());
    }
}
