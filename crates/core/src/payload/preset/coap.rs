//! Gets of CoAP, RFC 7252.

use crate::payload::PayloadError;
use crate::payload::compile::{Compiler, Piece};
use crate::payload::number::Number;
use crate::payload::patch::What;
use crate::payload::reply::coap::{CONFIRMABLE, NON_CONFIRMABLE, TOKEN_LEN, VERSION};

/// Method 0.01, GET; RFC 7252 §12.1.1.
const GET: u8 = 1;
/// The numbers of the options for parts of the path and of the query; RFC 7252 §5.10.
const URI_PATH: u16 = 11;
/// As above.
const URI_QUERY: u16 = 15;
/// The longest part in bytes; RFC 7252 §5.10.
const LONGEST_PART: usize = 255;

/// Gets of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coap {
    /// Which: `.well-known/core`, `/sensors/temp?unit=c`.
    pub path: String,
    /// Ask for an acknowledgement (CON); otherwise a request is sent once (NON). A server may
    /// acknowledge first and repeat its answer until that is acknowledged, which does not happen.
    pub confirmable: bool,
}

impl Coap {
    pub(super) fn compile(&self, to: &mut Compiler) -> Result<(), PayloadError> {
        let kind = if self.confirmable { CONFIRMABLE } else { NON_CONFIRMABLE };
        to.line(&[
            Piece::Bytes(vec![VERSION | kind | TOKEN_LEN, GET]),
            Piece::Field(What::PartOfId(Number::Be(2))),
            Piece::Field(What::Id(Number::Be(TOKEN_LEN))),
            Piece::Bytes(self.options()?),
        ])
    }

    fn options(&self) -> Result<Vec<u8>, PayloadError> {
        let (path, query) = match self.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.path.as_str(), None),
        };
        let parts = path.split('/').filter(|part| !part.is_empty()).map(|part| (URI_PATH, part));
        let words = query.into_iter().flat_map(|query| query.split('&'));
        let mut before = 0;
        let mut bytes = Vec::new();
        for (number, value) in parts.chain(words.map(|word| (URI_QUERY, word))) {
            if value.len() > LONGEST_PART {
                let (what, asked) = ("a part of a path", value.len());
                return Err(PayloadError::Size { what, asked, least: 1, most: LONGEST_PART });
            }
            option(number - before, value.as_bytes(), &mut bytes);
            before = number;
        }
        Ok(bytes)
    }
}

/// An option: the difference of its number to the previous one, below 13 here, then length and
/// value; RFC 7252 §3.1.
fn option(delta: u16, value: &[u8], to: &mut Vec<u8>) {
    let delta = (delta as u8) << 4;
    // A length of 13 means that a byte follows with what is above it.
    match value.len() {
        len @ 0..13 => to.push(delta | len as u8),
        len => to.extend([delta | 13, (len - 13) as u8]),
    }
    to.extend(value);
}
