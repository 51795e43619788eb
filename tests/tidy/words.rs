//! Words that must not be: noise in hot files, and what was left undone anywhere.

use crate::Finding;
use crate::lexer::is_word;
use crate::tree::{Source, Tree};

/// Files whose code runs between the barrier and the stop.
const HOT_FILES: &[&str] = &[
    "src/run/send.rs",
    "src/run/send_job.rs",
    "src/run/receive.rs",
    "src/run/probe.rs",
    "src/run/probe/held.rs",
    "src/run/flow.rs",
    "src/request/mod.rs",
    "src/request/answered.rs",
    "src/request/cookies.rs",
    "src/request/writer.rs",
    "src/request/matcher.rs",
    "src/echo/turn.rs",
    "src/echo/policy.rs",
    "src/echo/delay.rs",
    "src/net/wait.rs",
    "src/measure/tally.rs",
    "src/request/in_flight.rs",
    "src/request/in_flight/second.rs",
    "src/request/matcher/parts.rs",
    "src/request/second.rs",
    "src/request/steps.rs",
    "src/measure/requests.rs",
    "src/measure/interval/mod.rs",
    "src/measure/stall.rs",
    "src/wire.rs",
    "src/measure/window.rs",
    "src/measure/latency.rs",
    "src/payload/compose.rs",
    "src/payload/field.rs",
    "src/payload/lines.rs",
    "src/payload/number.rs",
    "src/payload/patch.rs",
    "src/payload/pattern.rs",
    "src/payload/expectations.rs",
    "src/payload/question.rs",
    "src/payload/requests.rs",
    "src/payload/spans.rs",
    "src/payload/values.rs",
];

/// Folders that are hot throughout.
const HOT_FOLDERS: &[&str] = &["src/engine/", "src/pace/", "src/payload/protocol/"];

/// Files in them that only run before the barrier or print text.
const COLD_FILES: &[&str] = &[
    "src/engine/pair.rs",
    "src/engine/probe.rs",
    "src/engine/table.rs",
    "src/engine/uring/absent.rs",
    "src/engine/xdp/absent.rs",
    "src/engine/xdp/forward_group.rs",
    "src/engine/xdp/queues.rs",
    "src/engine/xdp/registry.rs",
    "src/payload/protocol/name_file.rs",
];

/// What a hot loop must not do, as it is written: print, format, lock, allocate, ask for dynamic
/// dispatch, or read a clock that is not ours.
const NOISE: &[&str] = &[
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "format!",
    "log::",
    "dyn ",
    "Mutex",
    "RwLock",
    ".lock()",
    "String::",
    "to_string(",
    "Vec::new",
    "vec!",
    "Box::new",
    "HashMap",
    "Instant::now",
    "SystemTime",
];

/// What nobody meant to keep.
const LEFTOVERS: &[(&str, &str)] = &[
    ("todo!", "write it, or do not promise it"),
    ("unimplemented!", "write it, or return an error that says what is missing"),
    ("dbg!", "remove it"),
    ("#[ignore", "fix or delete the test; if it only takes long, give LONG_TEST as the reason"),
];

/// The one way to leave a test out of `cargo test`: scripts/check runs the ignored ones.
const LONG_TEST: &str = "#[ignore = \"long: scripts/check runs it\"]";

fn is_hot(path: &str) -> bool {
    let in_folder = HOT_FOLDERS.iter().any(|folder| path.starts_with(folder));
    HOT_FILES.contains(&path) || in_folder && !COLD_FILES.contains(&path)
}

/// Whether code has this text, not as the tail of a longer name.
fn has(code: &str, text: &str) -> bool {
    code.match_indices(text)
        .any(|(at, _)| !(text.starts_with(is_word) && code[..at].ends_with(is_word)))
}

/// The helper that reports skipped tests and fails in CI where needed.
const SKIP_HELPER: &str = "tests/common/skip.rs";

/// Tests that say by themselves that they do not run.
pub(crate) fn lone_skips(tree: &Tree) -> Vec<Finding> {
    let says = |text: &str| text.to_lowercase().contains("\"skipped");
    let others = |source: &&Source| {
        let path = source.path.as_str();
        path.starts_with("tests/") && !path.starts_with("tests/tidy/") && path != SKIP_HELPER
    };
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(others) {
        let lines = source.lines.iter().enumerate().filter(|(_, line)| says(&line.text));
        findings.extend(lines.map(|(number, _)| {
            let remedy = "call skip::missing (fails in CI) or skip::unavailable of tests/common";
            Finding::new(&source.path, number + 1, "a skip that CI does not see", remedy)
        }));
    }
    findings
}

/// Noise in the hot files, marks that excuse nothing, and hot files that are not there.
pub(crate) fn noise_in_hot_files(tree: &Tree) -> Vec<Finding> {
    let mut findings = missing_hot_files(tree);
    for source in tree.shipped().filter(|source| is_hot(&source.path)) {
        findings.extend(noise(source));
        findings.extend(source.astray.iter().map(|line| {
            Finding::new(
                &source.path,
                line + 1,
                "`// cold:` over something that is no function",
                "put it directly above one `fn`; it excuses that function alone",
            )
        }));
    }
    findings
}

fn noise(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines.iter().enumerate() {
        let Some(word) = NOISE.iter().find(|word| has(&line.code, word)) else {
            continue;
        };
        if !source.is_test_line(number) && !source.is_cold_line(number) {
            findings.push(Finding::new(
                &source.path,
                number + 1,
                format!("`{}` in a hot file", word.trim()),
                "do it before the barrier or after the stop; if the function runs only there, put \
                 a line `// cold: why` directly above it",
            ));
        }
    }
    findings
}

/// A list of hot files that names none which exist would be quiet for ever.
fn missing_hot_files(tree: &Tree) -> Vec<Finding> {
    if !tree.shipped().any(|source| source.path.starts_with("src/run/")) {
        return Vec::new();
    }
    let missing_file = |path: &&&str| tree.source(path).is_none();
    let missing_folder = |folder: &&&str| !tree.shipped().any(|s| s.path.starts_with(**folder));
    let files = HOT_FILES.iter().filter(missing_file);
    let folders = HOT_FOLDERS.iter().filter(missing_folder);
    files
        .chain(folders)
        .map(|path| {
            Finding::new(
                path,
                0,
                "is named as hot and is not there",
                "if it was renamed, rename it in HOT_FILES or HOT_FOLDERS (tests/tidy/words.rs)",
            )
        })
        .collect()
}

/// What nobody meant to keep, in any Rust file.
pub(crate) fn leftovers(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        for (number, line) in source.lines.iter().enumerate() {
            for (word, fix) in LEFTOVERS {
                if has(&line.code, word) && line.text.trim() != LONG_TEST {
                    findings.push(Finding::new(&source.path, number + 1, *word, *fix));
                }
            }
        }
    }
    findings
}

/// Tabs, in any Rust or markdown file.
pub(crate) fn tabs(tree: &Tree) -> Vec<Finding> {
    let sources = tree.sources.iter().flat_map(|source| {
        let texts = source.lines.iter().map(|line| line.text.as_str());
        texts.enumerate().map(|(number, text)| (source.path.as_str(), number, text))
    });
    let pages = tree.pages.iter().flat_map(|(name, text)| {
        text.lines().enumerate().map(|(number, text)| (name.as_str(), number, text))
    });
    sources
        .chain(pages)
        .filter(|(_, _, text)| text.contains('\t'))
        .map(|(path, number, _)| {
            Finding::new(path, number + 1, "a tab", "indent with blanks; in text write \\t")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(text: &str) -> Vec<Finding> {
        noise_in_hot_files(&Tree::of(&[("src/wire.rs", text)]))
    }

    #[test]
    fn a_skip_goes_through_the_helper() {
        let found = |path: &str, text: &str| lone_skips(&Tree::of(&[(path, text)])).len();
        let text = "fn a() { eprintln!(\"SKIPPED: no root\"); }";
        assert_eq!((found("tests/a.rs", text), found(SKIP_HELPER, text)), (1, 0));
        assert_eq!(found("tests/a.rs", "fn a() { skip::missing(\"root\"); }"), 0);
    }

    #[test]
    fn every_banned_word_is_heard() {
        for word in NOISE {
            assert_eq!(noisy(&format!("fn a() {{ {word}x }}")).len(), 1, "{word}");
        }
        assert_eq!(noisy("\nlet a = std::format!(\"x\");")[0].line, 2);
    }

    #[test]
    fn quiet_words_are_not() {
        let quiet = "slots.push(1); my_format!(x); catalog::find(); Vec::with_capacity(8);";
        assert!(noisy(quiet).is_empty());
        assert!(noisy("// Vec::new would allocate\nlet a = \"dyn Engine\";").is_empty());
    }

    #[test]
    fn cold_functions_and_tests_may_be_loud() {
        let text = "// cold: once, before the barrier\nfn new() -> A {\n    Vec::new()\n}\n\
                    #[cfg(test)]\nmod tests {\n    fn a() { println!() }\n}";
        assert!(noisy(text).is_empty());
        let after = format!("{text}\nfn push() {{\n    Vec::new()\n}}");
        assert_eq!(noisy(&after)[0].line, 10);
    }

    #[test]
    fn a_cold_mark_excuses_no_more_than_a_function() {
        let findings = noisy("// cold: all of it\nimpl A {\n    fn a() { vec![1] }\n}");
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn other_files_may_be_loud() {
        let tree = Tree::of(&[("src/report/text.rs", "fn a() { println!() }")]);
        assert!(noise_in_hot_files(&tree).is_empty());
    }

    #[test]
    fn hot_files_must_be_there_once_there_are_loops() {
        let tree = Tree::of(&[("src/run/mod.rs", ""), ("src/run/send.rs", "")]);
        let missing = noise_in_hot_files(&tree);
        assert_eq!(missing.len(), HOT_FILES.len() + HOT_FOLDERS.len() - 1);
    }

    #[test]
    fn leftovers_are_found_anywhere() {
        for (word, _) in LEFTOVERS {
            let tree = Tree::of(&[("tests/a.rs", format!("fn a() {{ {word}() }}"))]);
            assert_eq!(leftovers(&tree).len(), 1, "{word}");
        }
    }

    #[test]
    fn only_long_tests_are_ignored() {
        for (line, findings) in [
            (LONG_TEST, 0),
            ("#[ignore]", 1),
            ("#[ignore = \"flaky\"]", 1),
            ("#[ignore = \"long\"]", 1),
        ] {
            let tree = Tree::of(&[("tests/a.rs", format!("#[test]\n{line}\nfn a() {{}}"))]);
            assert_eq!(leftovers(&tree).len(), findings, "{line}");
        }
    }

    #[test]
    fn tabs_are_found() {
        let mut tree = Tree::of(&[("benches/a.rs", "fn a() {\n\tb();\n}")]);
        tree.pages.push(("A.md".into(), "# A\n\tb".into()));
        let lines: Vec<_> = tabs(&tree).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2, 2]);
    }
}
