//! Tells code from comments and from text in quotes, so that a banned word in a sentence is no
//! finding, and cuts code into tokens. Knows just enough Rust for that; it does not parse.

/// One line of a file, seen in three ways. Columns agree between them.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// As it stands in the file.
    pub(crate) text: String,
    /// With blanks for comments and for what is inside quotes.
    pub(crate) code: String,
    /// With blanks for all that is no comment.
    pub(crate) comment: String,
}

/// A word, `::`, or one other character of code.
#[derive(Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Index of its line, from 0.
    pub(crate) line: usize,
}

/// Cuts a file into lines and tells their parts from each other.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let mut masks = Masks { text: text.chars().collect(), ..Masks::default() };
    masks.run();
    let (code, comment) = (masks.code, masks.comment);
    text.split('\n')
        .zip(code.split('\n').zip(comment.split('\n')))
        .map(|(text, (code, comment))| Line {
            text: text.into(),
            code: code.into(),
            comment: comment.into(),
        })
        .collect()
}

/// The tokens of the code of these lines.
pub(crate) fn tokens(lines: &[Line]) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let mut rest = line.code.as_str();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            if !first.is_whitespace() {
                tokens.push(Token { text: token.into(), line: number });
            }
            rest = after;
        }
    }
    tokens
}

/// Whether a character may be part of a name or number.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Clone, Copy)]
enum Part {
    Code,
    Comment,
    Text,
}

/// The file being read, and the two copies of it being made.
#[derive(Default)]
struct Masks {
    text: Vec<char>,
    at: usize,
    code: String,
    comment: String,
}

impl Masks {
    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                '/' if self.peek(1) == Some('/') => self.line_comment(),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.quoted('"'),
                '\'' if self.is_character() => self.quoted('\''),
                'r' if self.begins_raw() => self.raw(),
                _ => self.take(Part::Code),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    /// Copies one character as what it is, and a blank into the other copy.
    fn take(&mut self, part: Part) {
        let c = self.text[self.at];
        let (code, comment) = match part {
            _ if c == '\n' => ('\n', '\n'),
            Part::Code => (c, ' '),
            Part::Comment => (' ', c),
            Part::Text => (' ', ' '),
        };
        self.code.push(code);
        self.comment.push(comment);
        self.at += 1;
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.take(Part::Comment);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => {
                    self.take(Part::Comment);
                    continue;
                }
            }
            self.take(Part::Comment);
            self.take(Part::Comment);
            if depth == 0 {
                return;
            }
        }
    }

    fn quoted(&mut self, quote: char) {
        self.take(Part::Code);
        while let Some(c) = self.peek(0) {
            match c {
                '\\' if self.peek(1).is_some() => self.take(Part::Text),
                _ if c == quote => return self.take(Part::Code),
                _ => {}
            }
            self.take(Part::Text);
        }
    }

    /// A quote begins a character, and not a lifetime, if another one follows in its place.
    fn is_character(&self) -> bool {
        self.peek(1) == Some('\\') || self.peek(2) == Some('\'')
    }

    /// Whether an `r` begins a raw string: after no name but `b` or `c`, before `"` or `#…#"`.
    fn begins_raw(&self) -> bool {
        let back = |n: usize| self.at.checked_sub(n).map(|i| self.text[i]);
        let named = match back(1) {
            Some('b' | 'c') => back(2).is_some_and(is_word),
            Some(c) => is_word(c),
            None => false,
        };
        let hashes = self.hashes(1);
        !named && self.peek(1 + hashes) == Some('"')
    }

    fn hashes(&self, from: usize) -> usize {
        (from..).take_while(|&ahead| self.peek(ahead) == Some('#')).count()
    }

    fn raw(&mut self) {
        let hashes = self.hashes(1);
        for _ in 0..hashes + 2 {
            self.take(Part::Code);
        }
        while let Some(c) = self.peek(0) {
            if c == '"' && self.hashes(1) >= hashes {
                for _ in 0..=hashes {
                    self.take(Part::Code);
                }
                return;
            }
            self.take(Part::Text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        lines(text).iter().map(|line| line.code.trim_end()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(code("a(); // dbg!(x)\nb();"), "a();\nb();");
        assert_eq!(code("a(/* /* */ b */c);"), "a(             c);");
        assert_eq!(lines("a(); // why")[0].comment.trim(), "// why");
    }

    #[test]
    fn text_is_not_code() {
        assert_eq!(code(r#"a("x\"y", 'q', b'\'', c)"#), r#"a("    ", ' ', b'  ', c)"#);
        assert_eq!(code(r###"a(r#"one " two"#, b)"###), r###"a(r#"         "#, b)"###);
        assert_eq!(code(r#"a(br"\", b)"#), r#"a(br" ", b)"#);
        assert_eq!(code("\"// no comment\" x"), "\"             \" x");
        assert_eq!(code("a(\"one\ntwo\", b)"), "a(\"\n   \", b)");
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        assert_eq!(code("fn a<'x>(r#type: &'x str)"), "fn a<'x>(r#type: &'x str)");
        assert_eq!(code("var\"x\""), "var\" \"");
    }

    #[test]
    fn tokens_know_their_lines() {
        let found = tokens(&lines("use a::b;\nx_1"));
        let texts: Vec<_> = found.iter().map(|token| token.text.as_str()).collect();
        assert_eq!(texts, ["use", "a", "::", "b", ";", "x_1"]);
        assert_eq!(found[5].line, 1);
    }
}
