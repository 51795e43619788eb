//! Hides the values of secrets in command lines that are kept or printed.

/// Flags whose values are secrets.
const FLAGS: [&str; 3] = ["key", "secret", "community"];
/// What stands for a secret.
pub(crate) const HIDDEN: &str = "***";

/// Whether this flag, without dashes before it, has a secret as its value.
pub(crate) fn is_secret(flag: &str) -> bool {
    FLAGS.contains(&flag)
}

/// The words of a command line without secrets, also where one word has several flags, as that of
/// `ab --a`.
pub(crate) fn hide_secrets(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut is_value = false;
    let hide = |word: String| {
        if std::mem::take(&mut is_value) {
            return HIDDEN.to_owned();
        }
        if word.contains(char::is_whitespace) {
            return hide_in_text(word);
        }
        let flag = word.strip_prefix("--").unwrap_or_default();
        match flag.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("--{name}={HIDDEN}"),
            _ => {
                is_value = is_secret(flag);
                word
            }
        }
    };
    words.into_iter().map(hide).collect()
}

/// The text without secrets: flags as a shell splits them, or one flag with such a value.
pub(crate) fn hide_in_text(text: String) -> String {
    let has_secret = |text: &str| FLAGS.iter().any(|flag| text.contains(&format!("--{flag}")));
    if !has_secret(&text) {
        return text;
    }
    if let Some((flag, value)) = text.split_once('=')
        && flag.starts_with("--")
        && !flag.contains(char::is_whitespace)
    {
        return match is_secret(flag.trim_start_matches('-')) {
            true => format!("{flag}={HIDDEN}"),
            false => format!("{flag}={}", hide_in_text(value.to_owned())),
        };
    }
    // Unbalanced quotes: what is a secret is not known.
    let Some(words) = shlex::split(&text) else { return HIDDEN.to_owned() };
    let words = hide_secrets(words);
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| HIDDEN.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_are_typed() {
        let hidden = |words: &[&str]| hide_secrets(words.iter().map(|word| (*word).to_owned()));
        for (words, expected) in [
            (
                &["udperf", "load", "--secret", "x y", "h"][..],
                &["udperf", "load", "--secret", "***", "h"][..],
            ),
            (&["--secret=x y", "--key=a"], &["--secret=***", "--key=***"]),
            (&["--community", "private"], &["--community", "***"]),
            (&["--key-file", "f", "--keys=3"], &["--key-file", "f", "--keys=3"]),
            (
                &[
                    "ab",
                    "--a",
                    "-e plain --secret 'x y'",
                    "--b=--secret=z -P 2",
                    "--",
                    "--secret=u",
                ],
                &["ab", "--a", "-e plain --secret '***'", "--b=--secret=***", "--", "--secret=***"],
            ),
            (&["--a=-e plain --secret 'x"], &["--a=***"]),
            (&["--text", "two words"], &["--text", "two words"]),
        ] {
            let found = hidden(words);
            // The quotes of a shell are no part of what is hidden.
            let found: Vec<_> = found.iter().map(|word| word.replace("'***'", "***")).collect();
            let expected: Vec<_> =
                expected.iter().map(|word| word.replace("'***'", "***")).collect();
            assert_eq!(found, expected);
        }
    }
}
