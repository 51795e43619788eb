//! Where items begin and end: functions, inline modules, what only tests see, what is marked cold.

use std::ops::RangeInclusive;

use crate::lexer::{Line, Token};

/// Tokens of an item, from its first to its last.
pub(crate) type Extent = RangeInclusive<usize>;

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From `fn` to the closing brace.
    pub(crate) extent: Extent,
}

/// The comment that excuses one function of a hot file: it runs before the barrier or after stop.
const COLD: &str = "// cold:";

/// The words that an item can begin with, once attributes and visibility are passed.
const ITEM_WORDS: [&str; 15] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "let",
    "macro_rules",
    "mod",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
    "use",
];

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// The index after attributes and visibility, where the item says what it is.
pub(crate) fn head(tokens: &[Token], mut at: usize) -> usize {
    loop {
        match (text(tokens, at), text(tokens, at + 1)) {
            ("#", "[") => at = close(tokens, at + 1) + 1,
            ("pub", "(") => at = close(tokens, at + 1) + 1,
            ("pub", _) => at += 1,
            _ => return at,
        }
    }
}

/// The index of the bracket that closes the one at `open`, or of the last token.
pub(crate) fn close(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len().saturating_sub(1)
}

/// The item that begins at `from`, attributes included: up to its `;`, its closing brace, or, for a
/// field or variant, its comma.
pub(crate) fn item(tokens: &[Token], from: usize) -> Extent {
    let head = head(tokens, from);
    let word = text(tokens, head);
    let to_semicolon = matches!(word, "use" | "static" | "type" | "let")
        || (word == "const" && text(tokens, head + 2) == ":");
    let mut at = head;
    while at < tokens.len() {
        match text(tokens, at) {
            ";" => return from..=at,
            "," if !ITEM_WORDS.contains(&word) => return from..=at,
            // The end of what the item stands in: it was the last field or statement.
            ")" | "]" | "}" => return from..=at - 1,
            "(" | "[" => at = close(tokens, at),
            "{" => {
                at = close(tokens, at);
                if !to_semicolon {
                    return from..=at;
                }
            }
            _ => {}
        }
        at += 1;
    }
    from..=tokens.len().saturating_sub(1)
}

/// All functions with a body, nested ones too.
pub(crate) fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let name = text(tokens, at + 1);
        if text(tokens, at) != "fn" || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            continue;
        }
        let extent = item(tokens, at);
        if text(tokens, *extent.end()) == "}" {
            found.push(Function { name: name.into(), extent });
        }
    }
    found
}

/// What only tests see: every item under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
pub(crate) fn test_items(tokens: &[Token]) -> Vec<Extent> {
    let starts = |at: usize, words: &[&str]| {
        words.iter().enumerate().all(|(i, word)| text(tokens, at + i) == *word)
    };
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let inner = usize::from(text(tokens, at + 1) == "!");
        let open = at + 1 + inner;
        let is_test = starts(open, &["[", "cfg", "(", "test", ")", "]"])
            || starts(open, &["[", "cfg", "(", "all", "(", "test"]);
        match (text(tokens, at) == "#" && is_test, inner) {
            (true, 0) => found.push(item(tokens, at)),
            (true, _) => found.push(0..=tokens.len() - 1),
            _ => {}
        }
    }
    found
}

/// Modules for tests that are files of their own: `#[cfg(test)] mod name;`.
pub(crate) fn test_files(tokens: &[Token]) -> Vec<String> {
    test_items(tokens)
        .into_iter()
        .map(|extent| head(tokens, *extent.start()))
        .filter(|&at| text(tokens, at) == "mod" && text(tokens, at + 2) == ";")
        .map(|at| text(tokens, at + 1).to_owned())
        .collect()
}

/// Functions under a `// cold:` line, and the lines of such comments that stand over no function.
pub(crate) fn cold_functions(lines: &[Line], tokens: &[Token]) -> (Vec<Extent>, Vec<usize>) {
    let (mut cold, mut astray) = (Vec::new(), Vec::new());
    for (number, line) in lines.iter().enumerate() {
        if !line.text.trim_start().starts_with(COLD) || line.comment.trim().is_empty() {
            continue;
        }
        let next = tokens.partition_point(|token| token.line <= number);
        let mut at = head(tokens, next);
        while matches!(text(tokens, at), "const" | "async" | "unsafe" | "extern" | "\"") {
            at += 1;
        }
        match text(tokens, at) {
            "fn" => cold.push(item(tokens, next)),
            _ => astray.push(number),
        }
    }
    (cold, astray)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::{lines, tokens};

    fn end_line(source: &str, word: &str) -> usize {
        let tokens = tokens(&lines(source));
        let at = tokens.iter().position(|token| token.text == word).expect("the word is there");
        tokens[*item(&tokens, at).end()].line
    }

    #[test]
    fn items_end_where_they_should() {
        assert_eq!(end_line("use a::{\n b,\n};\nx", "use"), 2);
        assert_eq!(end_line("const A: [u8; 2] =\n [1, 2];\nx", "const"), 1);
        assert_eq!(end_line("fn a<T, U>(x: [u8; 2])\nwhere T: B,\n{\n}\nx", "fn"), 3);
        assert_eq!(end_line("struct A { one: u8,\n two: u8 }", "one"), 0);
        assert_eq!(end_line("struct A { one: u8,\n two: u8\n}", "two"), 1);
        assert_eq!(end_line("const fn a() {\n}\nx;", "const"), 1);
    }

    #[test]
    fn functions_are_found_with_their_bodies() {
        let tokens = tokens(&lines("trait T { fn a(); fn b() {} }\ntype F = fn(u8);\nfn c() {}"));
        let names: Vec<_> = functions(&tokens).into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["b", "c"]);
    }

    #[test]
    fn tests_are_found() {
        let source = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n}\n#[cfg(test)] mod more;";
        let tokens = tokens(&lines(source));
        let found = test_items(&tokens);
        let lines: Vec<_> =
            found.iter().map(|e| (tokens[*e.start()].line, tokens[*e.end()].line)).collect();
        assert_eq!(lines, [(1, 4), (5, 5)]);
        assert_eq!(test_files(&tokens), ["more"]);
    }

    #[test]
    fn what_is_not_only_for_tests_is_not_a_test() {
        let tokens = tokens(&lines("#[cfg(not(test))] fn a() {} #[cfg(any(test, x))] fn b() {}"));
        assert!(test_items(&tokens).is_empty());
    }

    #[test]
    fn cold_marks_one_function() {
        let lines = lines("// cold: set-up\n#[inline]\npub(crate) fn a() {\n}\nfn b() {}");
        let tokens = tokens(&lines);
        let (cold, astray) = cold_functions(&lines, &tokens);
        assert_eq!(tokens[*cold[0].end()].line, 3);
        assert_eq!((cold.len(), astray.len()), (1, 0));
    }

    #[test]
    fn cold_over_anything_else_is_noticed() {
        let lines = lines("// cold: everything\nimpl A {\n}\n");
        assert_eq!(cold_functions(&lines, &tokens(&lines)).1, [0]);
    }
}
