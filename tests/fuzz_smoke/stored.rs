//! What is done with texts that claim to be documents, scenario files or command lines: shared by
//! these tests and the fuzz targets in `fuzz/`.

use clap::Parser as _;
use serde_json::{Value, json};
use udperf::cli::{Cli, read_scenario, render_stored};

/// A document of each kind, as udperf wrote it.
pub(crate) const DOCUMENTS: [&str; 11] = [
    include_str!("../cases/documents/bench.json"),
    include_str!("../cases/documents/blast.json"),
    include_str!("../cases/documents/load.json"),
    include_str!("../cases/documents/outage.json"),
    include_str!("../cases/documents/capacity.json"),
    include_str!("../cases/documents/search.json"),
    include_str!("../cases/documents/compare.json"),
    include_str!("../cases/documents/doctor.json"),
    include_str!("../cases/documents/sink.json"),
    include_str!("../cases/documents/echo.json"),
    include_str!("../cases/documents/run.json"),
];

/// Any bytes as a document in every format; whether it was one. Bytes that are not JSON are edits
/// of a document.
pub(crate) fn document(bytes: &[u8]) -> bool {
    let text = match bytes.first() {
        Some(b'{') => String::from_utf8_lossy(bytes).into_owned(),
        Some(first) => edit(DOCUMENTS[usize::from(*first) % DOCUMENTS.len()], &bytes[1..]),
        None => return false,
    };
    let all = render_stored(&text);
    for text in &all {
        let control = text.find(|c: char| c.is_control() && !"\n\t\r".contains(c));
        assert_eq!(control, None, "{text}");
        if text.starts_with("<!DOCTYPE") {
            let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
            if let Err(error) = roxmltree::Document::parse_with_options(text, options) {
                panic!("{error}: {text}");
            }
        }
    }
    !all.is_empty()
}

/// The document with these edits: two bytes choose a value, one what is done with it.
fn edit(document: &str, edits: &[u8]) -> String {
    let mut document: Value = serde_json::from_str(document).expect("udperf wrote it");
    for edit in edits.chunks(12) {
        let mut bytes = [0; 12];
        bytes[..edit.len()].copy_from_slice(edit);
        let [low, high, what, rest @ ..] = bytes;
        let number = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|at| rest[at]));
        let mut places = Vec::new();
        pointers(&document, String::new(), &mut places);
        let place = |n: u64| &places[n as usize % places.len()];
        let other = document.pointer(place(number)).cloned().unwrap_or_default();
        let at = place(u16::from_le_bytes([low, high]).into());
        let Some(value) = document.pointer_mut(at) else { continue };
        match (what % 10, value) {
            (0, value) => *value = Value::Null,
            (1, value) => *value = json!(number),
            (2, value) => *value = json!(f64::from_bits(number)),
            (3, value) => *value = json!(-(number as i64).saturating_abs()),
            (4, value) => *value = json!(String::from_utf8_lossy(&rest)),
            (5, Value::Array(all)) => all.extend(all.clone()),
            (5, Value::String(text)) => *text = text.repeat(9),
            (6, Value::Array(all)) => drop(all.pop()),
            (6, Value::Object(all)) => all.clear(),
            (7, Value::Number(old)) => {
                *old = old.as_u64().unwrap_or(1).wrapping_add(number % 16).into();
            }
            (8, Value::Number(old)) => *old = (old.as_u64().unwrap_or(1) >> (number % 64)).into(),
            (_, value) => *value = other,
        }
    }
    document.to_string()
}

/// The places of all values, by JSON pointer.
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(all) => {
            let all = all.iter().enumerate();
            all.for_each(|(index, one)| pointers(one, format!("{at}/{index}"), found));
        }
        Value::Object(all) => all.iter().for_each(|(name, one)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            pointers(one, format!("{at}/{name}"), found);
        }),
        _ => {}
    }
    found.push(at);
}

/// Any bytes as a scenario file; whether it was one. A shell reads each line of `--dry-run` as the
/// words of the step, and these are a command line of one step.
pub(crate) fn scenario(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    match read_scenario(&text) {
        Err(reason) => {
            assert!(!reason.is_empty());
            false
        }
        Ok(steps) => {
            for (words, line) in steps {
                let read = shlex::split(&line).map(|words| words[1..].to_vec());
                let has_nul = words.iter().any(|word| word.contains('\0'));
                assert!(has_nul || read == Some(words), "{line}");
            }
            true
        }
    }
}

/// Any bytes as words of a command line, one a line; whether they were one.
pub(crate) fn arguments(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let words = ["udperf"].into_iter().chain(text.lines());
    match Cli::try_parse_from(words) {
        Ok(_) => true,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
