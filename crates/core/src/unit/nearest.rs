//! The names that a mistyped word may mean, for errors.

/// Longest word that is compared, in characters. Arbitrary: longer than any name.
const LONGEST: usize = 64;
/// Shortest word that is looked for inside names. Arbitrary: shorter ones are in many.
const LEAST_PART: usize = 3;

/// The names that this word may mean, the nearest first: those with at most a third of its letters
/// mistyped, and longer ones that begin with such a word or contain it.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word = word.trim().to_lowercase();
    let length = word.chars().count();
    if length == 0 || length > LONGEST {
        return Vec::new();
    }
    // The limit of the Rust compiler for names. A word without a right letter matches no name.
    let limit = (length.max(3) / 3).min(length - 1);
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .map(|name| (distance(&word, length, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().map(|(_, name)| name).collect()
}

/// Letters to insert, omit, replace or swap; one more if the rest of the name is missing.
fn distance(word: &str, length: usize, name: &str) -> usize {
    let whole = strsim::osa_distance(word, name);
    if length < LEAST_PART {
        return whole;
    }
    if name.contains(word) {
        return whole.min(1);
    }
    let begins = (length - 1..=length + 1)
        .filter_map(|end| name.char_indices().nth(end))
        .map(|(end, _)| strsim::osa_distance(word, &name[..end]) + 1);
    begins.fold(whole, usize::min)
}

/// `did you mean NAME? `, to put before a list of names; empty if no name is near.
pub fn did_you_mean<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, names).first().map(|name| format!("did you mean {name}? ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_swapped_and_missing_letters_are_near() {
        const NAMES: &str = "dns stun sip-options bedrock-ping plain p50 p90 p99 loss wait \
                             receive_buffer_loss time";
        for (word, expected) in [
            ("dsn", "dns"),
            ("DNS", "dns"),
            ("sip", "sip-options"),
            ("bedrok", "bedrock-ping"),
            ("plian", "plain"),
            ("p9", "p90 p99"),
            ("lsos", "loss"),
            ("buffer", "receive_buffer_loss"),
            ("tiem", "time"),
            ("capacity", ""),
            ("x", ""),
            ("", ""),
        ] {
            assert_eq!(nearest(word, NAMES.split(' ')).join(" "), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(10_000), NAMES.split(' ')), [""; 0]);
        assert_eq!(did_you_mean("dsn", NAMES.split(' ')), "did you mean dns? ");
        assert_eq!(did_you_mean("warp", NAMES.split(' ')), "");
    }
}
