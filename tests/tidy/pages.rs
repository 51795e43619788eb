//! Markdown files at the top of the repository.

use crate::Finding;
use crate::tree::Tree;

/// Each page begins with its title, and has no second one.
pub(crate) fn titles(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, text) in &tree.pages {
        if !text.starts_with("# ") {
            let fix = "make its first line the title: `# ` and a few words";
            findings.push(Finding::new(name, 1, "does not begin with a title", fix));
        }
        let mut fenced = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if number > 0 && !fenced && line.starts_with("# ") {
                let fix = "make it a section: `## `";
                findings.push(Finding::new(name, number + 1, "a second title", fix));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let tree = Tree { pages: vec![("A.md".into(), text.into())], ..Tree::default() };
        titles(&tree).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_page_has_one_title() {
        assert!(lines("# One\n\n## Two\n```\n# a comment\n```\n").is_empty());
        assert_eq!(lines("One\n\n## Two\n"), [1]);
        assert_eq!(lines("\n# One\n"), [1, 2]);
        assert_eq!(lines("# One\n\n# Two\n"), [3]);
    }
}
