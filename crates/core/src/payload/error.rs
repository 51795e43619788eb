//! Errors in payloads.

use crate::unit::MAX_PAYLOAD;

/// A payload that cannot be made as asked. Each message says what was asked, what is wrong and how
/// to fix it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// A label that names no encoding.
    #[error(
        "encoding '{asked}' is unknown; write a label of the Encoding Standard such as utf-8, \
         gbk, big5, shift_jis, euc-kr, koi8-r or latin1"
    )]
    Encoding {
        /// As typed.
        asked: String,
    },
    /// A character that the encoding lacks.
    #[error(
        "'{character}' (U+{:04X}), character {position}, cannot be written in {encoding}; \
         omit it, or use utf-8", u32::from(*.character)
    )]
    Unmappable {
        /// The character.
        character: char,
        /// Which of the text it is, in characters from 1.
        position: usize,
        /// The name of the encoding.
        encoding: &'static str,
    },
    /// A character in hex that is not a digit.
    #[error(
        "'{found}', character {position}, is not a hex digit; write two of 0-9 a-f for each byte, \
         such as 0a 0b or 0x0a0b"
    )]
    HexDigit {
        /// What stands there.
        found: char,
        /// Where it stands, in characters from 1.
        position: usize,
    },
    /// A byte in hex with one digit.
    #[error(
        "the hex digit '{found}', character {position}, is half a byte; write two digits for \
         each byte, such as 0{found}"
    )]
    HexHalf {
        /// The digit.
        found: char,
        /// Where it stands, in characters from 1.
        position: usize,
    },
    /// Text in braces that is not a field.
    #[error("'{{{field}}}', character {column}, is not a field; {FIELDS}, and {BRACES}")]
    Field {
        /// What stands between the braces.
        field: String,
        /// Where it begins, in characters from 1.
        column: usize,
    },
    /// A field with a format that it does not have.
    #[error(
        "'{{{field}}}', character {column}, has no such format; numbers are u8, u16be, u16le, \
         u32be, u32le, u64be, u64le, hex1 to hex16 or dec1 to dec20; {FIELDS}"
    )]
    Format {
        /// What stands between the braces.
        field: String,
        /// Where it begins, in characters from 1.
        column: usize,
    },
    /// A brace that is never closed.
    #[error(
        "the brace at character {column} begins a field without an end; close it with }}, and \
        {BRACES}; {FIELDS}"
    )]
    Unclosed {
        /// Where it stands, in characters from 1.
        column: usize,
    },
    /// A closing brace without an opening one.
    #[error("the brace at character {column} closes no field; {BRACES}")]
    Unopened {
        /// Where it stands, in characters from 1.
        column: usize,
    },
    /// A choice without anything to choose from.
    #[error("'{{choice}}', character {column}, has nothing to choose from; write {{choice:a|b|c}}")]
    EmptyChoice {
        /// Where it begins, in characters from 1.
        column: usize,
    },
    /// A field of ASCII characters amid text whose characters are others.
    #[error(
        "'{{{field}}}', character {column}, is written in ASCII, which {encoding} does not \
         continue; choose utf-8, or give the field a binary format such as u32be"
    )]
    FieldEncoding {
        /// What stands between the braces.
        field: String,
        /// Where it begins, in characters from 1.
        column: usize,
        /// The name of the encoding.
        encoding: &'static str,
    },
    /// An error in one line of several.
    #[error("line {number}: {source}")]
    Line {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        source: Box<Self>,
    },
    /// Text that is not UTF-8.
    #[error(
        "line {number} is not UTF-8; convert the file, and set the encoding to send with --encoding"
    )]
    NotText {
        /// Which, from 1.
        number: usize,
    },
    /// A request longer than a datagram.
    #[error("a request of {bytes} bytes is too long; a datagram holds {MAX_PAYLOAD} at most")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Choices that multiply to too many requests.
    #[error("there are more than {most} ways to choose in one request; remove some choices")]
    TooManyWays {
        /// The maximum.
        most: usize,
    },
    /// More requests than fit in memory.
    #[error("there are more requests than 32 bits can count; use fewer")]
    TooMuch,
    /// No request at all.
    #[error("there is no request: all lines are empty; write at least one")]
    Nothing,
    /// Two ids.
    #[error("the requests have an {{id}} of their own; omit --id-at")]
    TwoIds,
    /// An id beyond the end.
    #[error(
        "an id of {width} bytes at offset {offset} is beyond the end of a request of {len} bytes; \
         choose a smaller offset"
    )]
    IdBeyond {
        /// Where it should begin.
        offset: usize,
        /// Its bytes.
        width: usize,
        /// Bytes of the request.
        len: usize,
    },
    /// Ids at different places.
    #[error(
        "{{id}} is not at one place in all requests: once at offset {here} as {format}, once at \
         {there} as {other}; put it before fields of variable length, or use --match any"
    )]
    MovingId {
        /// Where it was first.
        here: usize,
        /// What it was.
        format: String,
        /// Where it was then.
        there: usize,
        /// What it was.
        other: String,
    },
    /// Ids in some requests.
    #[error("some requests have an {{id}} and some have none; add it to all, or use --match any")]
    SomeIds,
    /// A rule that needs an id.
    #[error("--match {rule} needs an id in the requests; write {{id}} into them, or give --id-at")]
    NoId {
        /// As asked.
        rule: String,
    },
    /// A rule of a protocol with requests whose id is at another place.
    #[error(
        "--match {rule} needs the id of the requests at {place}; use --id-at {place}, or omit the \
         id from the requests"
    )]
    OtherId {
        /// As asked.
        rule: String,
        /// Offset and format.
        place: String,
    },
    /// An unknown rule.
    #[error(
        "unknown rule '{asked}'; use preset, id@OFFSET, dns, ntp, stun, memcached-udp, echo, any \
         or none"
    )]
    Rule {
        /// As asked.
        asked: String,
    },
    /// A malformed place of an id.
    #[error("'{asked}' is not the place of an id; use OFFSET:FORMAT such as 0:u16be")]
    Place {
        /// As asked.
        asked: String,
    },
    /// A name that is not valid in DNS.
    #[error("'{name}' is not a DNS name: {why}; labels have 63 bytes and names 255 at most")]
    Name {
        /// As asked.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// An unknown record type.
    #[error("'{asked}' is not a record type; use A, AAAA, MX, TXT, ANY, TYPE65280 or the like")]
    RecordType {
        /// As asked.
        asked: String,
    },
    /// A line that is not a question.
    #[error(
        "'{line}' is not a question: {why}; write a name, and its type unless it is that of --type"
    )]
    Question {
        /// The line as shown in messages, shortened.
        line: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file of names without a question.
    #[error("none of the {lines} lines is a question; {first}")]
    NoNames {
        /// Number of lines that are neither empty nor comments.
        lines: u64,
        /// What is wrong with the first of them.
        first: Box<Self>,
    },
    /// DNSSEC without EDNS.
    #[error("--dnssec needs EDNS; omit --no-edns")]
    DnssecWithoutEdns,
    /// A file that is not a capture.
    #[error(
        "not a capture: the file is neither pcap nor pcapng; decompress it, or write one with \
         tcpdump -w or dumpcap"
    )]
    NoCapture,
    /// A capture with nothing to send.
    #[error("{kind}: {}; use a capture of whole UDP datagrams", none_of(*.packets, .reasons))]
    NoDatagram {
        /// The type of the file.
        kind: String,
        /// How many packets there are.
        packets: u64,
        /// How many of them are left out, by cause.
        reasons: String,
    },
    /// A capture without times, or whose times are all the same.
    #[error("--pace recorded needs packet times: {why}; use --rate with --pace even or poisson")]
    NoPace {
        /// What is wrong with its times.
        why: &'static str,
    },
    /// An invalid memcached key.
    #[error(
        "'{key}' is not a memcached key; it needs 1 to {most} bytes without blanks or control \
         characters, and fields in hex, dec or alnum"
    )]
    Key {
        /// As asked.
        key: String,
        /// Bytes at most.
        most: usize,
    },
    /// A size outside the limits of the preset.
    #[error("{what} cannot have {asked} bytes; use {least} to {most}")]
    Size {
        /// The part with that size.
        what: &'static str,
        /// As asked.
        asked: usize,
        /// The smallest.
        least: usize,
        /// The largest.
        most: usize,
    },
}

/// Fields, in messages.
const FIELDS: &str = "fields are {id}, {counter}, {random}, {random:alnum:N}, {random:letters:N}, \
    {time:ns} (us, ms, s, rfc3339) and {choice:a|b}, the first three with :FORMAT such as :u32be";

/// How to write braces that are text, in messages.
const BRACES: &str = "{{ and }} stand for braces themselves";

/// Why no packet is sent.
fn none_of(packets: u64, reasons: &str) -> String {
    match packets {
        0 => "it holds no packets".to_owned(),
        _ => format!("none of the {packets} packets is sent; left out: {reasons}"),
    }
}

impl PayloadError {
    /// The same error, with positions counted from `count` characters earlier.
    #[must_use]
    pub(super) fn moved_by(mut self, count: usize) -> Self {
        match &mut self {
            Self::Unmappable { position, .. }
            | Self::HexDigit { position, .. }
            | Self::HexHalf { position, .. } => *position += count,
            _ => {}
        }
        self
    }

    /// Whether the fault is in the content of a file, not in the arguments.
    #[must_use]
    pub const fn is_of_a_file(&self) -> bool {
        matches!(
            self,
            Self::Line { .. }
                | Self::NotText { .. }
                | Self::Nothing
                | Self::NoCapture
                | Self::NoNames { .. }
                | Self::NoDatagram { .. }
                | Self::NoPace { .. }
        )
    }

    /// The same error, in a line counted from 1.
    #[must_use]
    pub(super) fn in_line(self, number: usize) -> Self {
        Self::Line { number, source: Box::new(self) }
    }
}
