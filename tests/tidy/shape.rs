//! Sizes. The codebases that are a pleasure to read differ from the others in their largest file,
//! not in their middle one.

use crate::Finding;
use crate::tree::Tree;

/// Lines of a file, tests included. From rule 10 in CONTRIBUTING.
const FILE_LINES_MAX: usize = 400;

/// Lines of a function, signature and closing brace included. From rule 10 in CONTRIBUTING.
const FUNCTION_LINES_MAX: usize = 70;

/// Columns of a line. From rustfmt.toml, which leaves comments and text alone.
const COLUMNS_MAX: usize = 100;

pub(crate) fn long_files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.shipped() {
        // What follows the last line break is no line.
        let open = source.lines.last().is_some_and(|line| !line.text.is_empty());
        let count = source.lines.len() - usize::from(!open);
        if count > FILE_LINES_MAX {
            findings.push(Finding::new(
                &source.path,
                0,
                format!("{count} lines, {FILE_LINES_MAX} at most"),
                "split it along an idea that has a name of its own",
            ));
        }
    }
    findings
}

pub(crate) fn long_functions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.shipped() {
        for function in &source.functions {
            let (first, last) = (*function.extent.start(), *function.extent.end());
            let count = source.tokens[last].line - source.tokens[first].line + 1;
            if count > FUNCTION_LINES_MAX && !source.is_test(first) {
                findings.push(Finding::new(
                    &source.path,
                    source.tokens[first].line + 1,
                    format!("`{}` has {count} lines, {FUNCTION_LINES_MAX} at most", function.name),
                    "keep the decisions here and move the repetition into functions below it",
                ));
            }
        }
    }
    findings
}

pub(crate) fn wide_lines(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.shipped() {
        for (number, line) in source.lines.iter().enumerate() {
            let columns = line.text.chars().count();
            if columns > COLUMNS_MAX {
                findings.push(Finding::new(
                    &source.path,
                    number + 1,
                    format!("{columns} columns, {COLUMNS_MAX} at most"),
                    "break it; text in quotes can be broken with a backslash",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: String) -> Tree {
        Tree::of(&[("src/a.rs", text)])
    }

    #[test]
    fn a_file_may_be_just_so_long() {
        assert!(long_files(&tree("x\n".repeat(FILE_LINES_MAX))).is_empty());
        assert_eq!(long_files(&tree("x\n".repeat(FILE_LINES_MAX + 1))).len(), 1);
        assert_eq!(
            long_files(&tree("\n".repeat(FILE_LINES_MAX + 1))).len(),
            1,
            "blank lines count"
        );
    }

    #[test]
    fn a_function_may_be_just_so_long() {
        let function =
            |lines: usize| format!("\nfn a() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
        assert!(long_functions(&tree(function(FUNCTION_LINES_MAX))).is_empty());
        let findings = long_functions(&tree(function(FUNCTION_LINES_MAX + 1)));
        assert_eq!(findings[0].line, 2);
        assert!(findings[0].what.contains("`a` has 71 lines"));
    }

    #[test]
    fn tests_may_have_long_functions() {
        let body = "x();\n".repeat(FUNCTION_LINES_MAX);
        let text = format!("#[cfg(test)]\nmod tests {{\nfn a() {{\n{body}}}\n}}");
        assert!(long_functions(&tree(text)).is_empty());
    }

    #[test]
    fn columns_are_characters() {
        assert!(wide_lines(&tree("µ".repeat(COLUMNS_MAX))).is_empty());
        assert_eq!(wide_lines(&tree(format!("\n// {}", "x".repeat(COLUMNS_MAX))))[0].line, 2);
    }
}
