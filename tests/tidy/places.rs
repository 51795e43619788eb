//! Where the operating system may be touched, and what every `unsafe` owes its reader.

use crate::Finding;
use crate::lexer::{Line, is_word};
use crate::tree::{Source, Tree};

/// The operating system: its calls, its differences, its dangers.
const SYS: &str = "src/sys/";

/// Engines fill the kernel's own structures, so they share in the calls and in the danger.
const ENGINES: &str = "src/engine/";

/// How far above an `unsafe` its reason may stand. Arbitrary: a call that rustfmt has broken.
const SAFETY_LINES: usize = 4;

/// A word that belongs to some folders alone.
struct Bound {
    word: &'static str,
    folders: &'static [&'static str],
    fix: &'static str,
}

const BOUND: &[Bound] = &[
    Bound {
        word: "libc",
        folders: &[SYS, ENGINES],
        fix: "give the call a safe function in src/sys/, with a stub in other.rs",
    },
    Bound {
        word: "target_os",
        folders: &[SYS],
        fix: "ask src/sys/ instead: it has the same names on every platform",
    },
    Bound {
        word: "udperf_portable",
        folders: &[SYS],
        fix: "ask src/sys/ instead: it has the same names on every platform",
    },
    Bound {
        word: "unsafe",
        folders: &[SYS, ENGINES],
        fix: "give it a safe function in src/sys/ or in the engine, where such code is reviewed",
    },
];

/// Whether a line of code has this word, as a word.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    })
}

/// Words of the operating system in a room that should not know it.
pub(crate) fn strays(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.shipped() {
        let here = |folder: &&str| source.path.starts_with(*folder);
        for bound in BOUND.iter().filter(|bound| !bound.folders.iter().any(here)) {
            for (number, line) in source.lines.iter().enumerate() {
                if has_word(&line.code, bound.word) {
                    findings.push(Finding::new(
                        &source.path,
                        number + 1,
                        format!("`{}` outside {}", bound.word, bound.folders.join(" and ")),
                        bound.fix,
                    ));
                }
            }
        }
    }
    findings
}

/// Every `unsafe` without a word on why it holds, or on what its caller must see to.
pub(crate) fn unexplained_unsafe(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.shipped() {
        for (number, line) in source.lines.iter().enumerate() {
            if has_word(&line.code, "unsafe") && !explained(source, number) {
                findings.push(Finding::new(
                    &source.path,
                    number + 1,
                    "`unsafe` without its reason",
                    "say above it why it holds, with `// SAFETY:`; for an `unsafe fn`, what its \
                     caller must see to, under `# Safety` in its docs",
                ));
            }
        }
    }
    findings
}

/// Looks at the line itself, at a few above it, and at all that is a comment or attribute there.
fn explained(source: &Source, number: usize) -> bool {
    let reason = |line: &Line| {
        line.comment.contains("SAFETY:") || line.comment.trim().starts_with("/// # Safety")
    };
    let above = || source.lines[..number].iter().rev();
    let attached = above().take_while(|line| {
        line.code.trim().is_empty() && !line.comment.trim().is_empty()
            || line.code.trim().starts_with("#[")
    });
    reason(&source.lines[number])
        || above().take(SAFETY_LINES).any(reason)
        || attached.into_iter().any(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stray_count(path: &str, text: &str) -> usize {
        strays(&Tree::of(&[(path, text)])).len()
    }

    fn unexplained(text: &str) -> usize {
        unexplained_unsafe(&Tree::of(&[("src/sys/a.rs", text)])).len()
    }

    #[test]
    fn words_keep_to_their_folders() {
        assert_eq!(stray_count("src/run/a.rs", "libc::close(1);"), 1);
        assert_eq!(stray_count("src/run/a.rs", "use libc::{c_int};"), 1);
        assert_eq!(stray_count("src/engine/a.rs", "unsafe { libc::close(1) }"), 0);
        assert_eq!(stray_count("src/net/a.rs", "unsafe { close(1) }"), 1);
        assert_eq!(stray_count("src/engine/a.rs", "#[cfg(target_os = \"linux\")]"), 1);
        assert_eq!(stray_count("src/run/a.rs", "if cfg!(udperf_portable) {}"), 1);
        assert_eq!(stray_count("src/sys/a.rs", "#[cfg(not(udperf_portable))] unsafe {}"), 0);
    }

    #[test]
    fn words_in_words_and_in_comments_are_free() {
        assert_eq!(stray_count("src/run/a.rs", "#![allow(unsafe_code)] // libc::close"), 0);
        assert_eq!(stray_count("src/run/a.rs", "my_libc::close(\"libc::close\");"), 0);
    }

    #[test]
    fn unsafe_tells_its_reason() {
        assert_eq!(unexplained("unsafe { a() }"), 1);
        assert_eq!(unexplained("// SAFETY: a is total\nlet b =\n    unsafe { a() };"), 0);
        assert_eq!(unexplained("// SAFETY: too far\n\n\n\n\nunsafe { a() }"), 1);
        assert_eq!(unexplained("// SAFETY: long\n//\n//\n//\n//\n//\nunsafe { a() }"), 0);
        assert_eq!(unexplained("/// # Safety\n/// x\n#[inline]\npub unsafe fn a() {}"), 0);
        assert_eq!(unexplained("// it is fine\nunsafe impl Send for A {}"), 1);
    }
}
