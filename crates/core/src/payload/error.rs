//! Errors in payloads.

use crate::unit::MAX_PAYLOAD;

/// A payload that cannot be made as requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants and fields")]
pub enum PayloadError {
    #[error(
        "encoding '{requested}' is unknown; use a label of the Encoding Standard such as utf-8, \
         gbk, big5, shift_jis, euc-kr, koi8-r or latin1"
    )]
    Encoding { requested: String },
    #[error(
        "'{character}' (U+{:04X}), character {position}, cannot be written in {encoding}; \
         omit it, or use utf-8", u32::from(*.character)
    )]
    Unmappable { character: char, position: usize, encoding: &'static str },
    #[error(
        "'{found}', character {position}, is not a hex digit; write two of 0-9 a-f for each byte, \
         such as 0a 0b or 0x0a0b"
    )]
    HexDigit { found: char, position: usize },
    #[error(
        "the hex digit '{found}', character {position}, is half a byte; write two digits for \
         each byte, such as 0{found}"
    )]
    HexHalf { found: char, position: usize },
    #[error("'{{{field}}}', character {column}, is not a field; {FIELDS}, and {BRACES}")]
    Field { field: String, column: usize },
    #[error(
        "'{{{field}}}', character {column}, has no such format; numbers are u8, u16be, u16le, \
         u32be, u32le, u64be, u64le, hex1 to hex16 or dec1 to dec20; {FIELDS}"
    )]
    Format { field: String, column: usize },
    #[error(
        "the brace at character {column} begins a field without an end; close it with }}, and \
        {BRACES}; {FIELDS}"
    )]
    Unclosed { column: usize },
    #[error("the brace at character {column} does not close a field; {BRACES}")]
    Unopened { column: usize },
    #[error("'{{choice}}', character {column}, has no choices; use {{choice:a|b|c}}")]
    EmptyChoice { column: usize },
    #[error(
        "'{{{field}}}', character {column}, is written in ASCII, which {encoding} does not \
         continue; choose utf-8, or give the field a binary format such as u32be"
    )]
    FieldEncoding { field: String, column: usize, encoding: &'static str },
    #[error("line {number}: {source}")]
    Line { number: usize, source: Box<Self> },
    #[error(
        "line {number} is not UTF-8; convert the file, and set the encoding to send with --encoding"
    )]
    NotText { number: usize },
    #[error("a request of {bytes} bytes is too long; a datagram holds {MAX_PAYLOAD} at most")]
    TooLong { bytes: usize },
    #[error("one request has more than {most} combinations of choices; remove some")]
    TooManyWays { most: usize },
    #[error("more than 2^32 requests; use fewer")]
    TooMuch,
    #[error("no request: all lines are empty; write at least one")]
    Nothing,
    #[error("the requests have an {{id}} already; omit --id-at")]
    TwoIds,
    #[error(
        "an id of {width} bytes at offset {offset} is beyond the end of a request of {len} bytes; \
         choose a smaller offset"
    )]
    IdBeyond { offset: usize, width: usize, len: usize },
    #[error(
        "{{id}} is not at one place in all requests: once at {here}, once at {there} (offset and \
         format); put it before fields of variable length, or use --match any"
    )]
    MovingId { here: String, there: String },
    #[error("only some requests have an {{id}}; add it to all, or use --match any")]
    SomeIds,
    #[error("--match {rule} needs an id in the requests; write {{id}} into them, or give --id-at")]
    NoId { rule: String },
    #[error(
        "--match {rule} needs the id of the requests at {place}; use --id-at {place}, or omit the \
         id from the requests"
    )]
    OtherId { rule: String, place: String },
    #[error(
        "unknown rule '{requested}'; use preset, id@OFFSET, dns, ntp, stun, memcached-udp, echo, \
         any or none"
    )]
    Rule { requested: String },
    #[error("'{requested}' is not a valid id place; use OFFSET:FORMAT such as 0:u16be")]
    Place { requested: String },
    #[error("'{name}' is not a DNS name: {why}; labels have 63 bytes and names 255 at most")]
    Name { name: String, why: String },
    #[error("'{requested}' is not a record type; use A, AAAA, MX, TXT, ANY, TYPE65280 or the like")]
    RecordType { requested: String },
    #[error(
        "'{line}' is not a question: {why}; write a name, and its type unless it is that of --type"
    )]
    Question { line: String, why: String },
    #[error("none of the {lines} lines is a question; {first}")]
    NoNames { lines: u64, first: Box<Self> },
    #[error("--dnssec needs EDNS; omit --no-edns")]
    DnssecWithoutEdns,
    #[error(
        "not a capture: the file is neither pcap nor pcapng; decompress it, or write one with \
         tcpdump -w or dumpcap"
    )]
    NoCapture,
    #[error("{kind}: {why}; use a capture of complete UDP datagrams")]
    NoDatagram { kind: String, why: String },
    #[error("--pace recorded needs packet times: {why}; use --rate with --pace even or poisson")]
    NoPace { why: &'static str },
    #[error(
        "'{key}' is not a memcached key; it needs 1 to {most} bytes without blanks or control \
         characters, and fields in hex, dec or alnum"
    )]
    Key { key: String, most: usize },
    #[error("{what} cannot have {requested} bytes; use {least} to {most}")]
    Size { what: &'static str, requested: usize, least: usize, most: usize },
}

/// All fields, in messages.
const FIELDS: &str = "fields are {id}, {counter}, {random}, {random:alnum:N}, {random:letters:N}, \
    {time:ns} (us, ms, s, rfc3339) and {choice:a|b}, the first three with :FORMAT such as :u32be";

/// How to write braces that are text, in messages.
const BRACES: &str = "{{ and }} stand for braces themselves";

impl PayloadError {
    /// The same error, with positions counted from `count` characters earlier.
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

    pub(super) fn in_line(self, number: usize) -> Self {
        Self::Line { number, source: Box::new(self) }
    }
}
