//! How text becomes bytes, and bytes become text.

use std::sync::{Arc, Mutex, PoisonError};

use crate::payload::{Encoding, PayloadError, hex};

/// How lines are sent and shown; shared by both threads, as `/encoding` changes both.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// `None`: bytes are sent as they are, and shown as UTF-8.
    encoding: Arc<Mutex<Option<Encoding>>>,
    pub(super) hex: bool,
    pub(super) newline: bool,
}

impl Manner {
    pub(super) fn new(encoding: Option<Encoding>, hex: bool, newline: bool) -> Self {
        Self { encoding: Arc::new(Mutex::new(encoding)), hex, newline }
    }

    pub(super) fn set(&self, encoding: Encoding) {
        *self.encoding.lock().unwrap_or_else(PoisonError::into_inner) = Some(encoding);
    }

    pub(super) fn encoding(&self) -> Option<Encoding> {
        *self.encoding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a line; `ended`: it was read with a newline.
    pub(super) fn bytes(&self, line: &[u8], ended: bool) -> Result<Vec<u8>, String> {
        let not_text = || "it is not UTF-8; omit --encoding to send it as it is".to_owned();
        if self.hex {
            let text = std::str::from_utf8(line).map_err(|_| "it is not hex".to_owned())?;
            return hex::parse(text).map_err(|error| error.to_string());
        }
        let end = if ended && self.newline { "\n" } else { "" };
        match self.encoding() {
            None => Ok([line, end.as_bytes()].concat()),
            Some(encoding) => {
                let text = std::str::from_utf8(line).map_err(|_| not_text())?;
                let coded: Result<_, PayloadError> = encoding.encode(&(text.to_owned() + end));
                coded.map_err(|error| error.to_string())
            }
        }
    }

    pub(super) fn text(&self, bytes: &[u8]) -> Option<String> {
        if self.hex { None } else { self.encoding().unwrap_or_default().decode(bytes) }
    }

    /// How many bytes at the end begin a character; only the last line matters.
    pub(super) fn begun(&self, bytes: &[u8]) -> usize {
        if self.hex {
            return 0;
        }
        let encoding = self.encoding().unwrap_or_default();
        let line = if encoding.one_byte_newline() {
            bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
        } else {
            bytes
        };
        encoding.begun(line)
    }

    /// Whether lines can be split before decoding.
    pub(super) fn one_byte_newline(&self) -> bool {
        self.encoding().unwrap_or_default().one_byte_newline()
    }
}
