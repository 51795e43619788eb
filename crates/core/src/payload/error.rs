//! Errors in payloads.

use super::hints;
use super::number::Number;
use crate::unit::MAX_PAYLOAD;

/// A payload that cannot be made as requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants and fields")]
pub enum PayloadError {
    #[error(
        "encoding '{requested}' is unknown; {}use a label of the Encoding Standard such as utf-8, \
         gbk, big5, shift_jis, euc-kr, koi8-r or latin1",
        hints::encoding(requested)
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
    #[error(
        "'{{{field}}}', character {column}, is not a field; {}{FIELDS}, and {BRACES}",
        hints::field(field)
    )]
    Field { field: String, column: usize },
    #[error(
        "'{{{field}}}', character {column}, has no such format; {}numbers are u8, u16be, u16le, \
         u24be to u64le, hex1 to hex16, dec1 to dec20 or dec; {FIELDS}",
        hints::format(field)
    )]
    Format { field: String, column: usize },
    #[error("'{{{field}}}', character {column}, {why}")]
    Span { field: String, column: usize, why: &'static str },
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
        "--id-at cannot change requests with lengths, checksums or decimals without leading zeros; \
         write {{id}} into them"
    )]
    IdOverComputed,
    #[error(
        "{{id}} is not at one place in all requests: once at {here}, once at {there} (offset and \
         format); put it before fields of variable length, or use --match after:TEXT or any"
    )]
    MovingId { here: String, there: String, format: Option<Number> },
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
        "unknown rule '{requested}'; {}use preset, id@OFFSET, after:TEXT, after-hex:BYTES, \
         regex:EXPR, dns, ntp, stun, memcached-udp, coap, echo, any or none",
        hints::match_rule(requested)
    )]
    Rule { requested: String },
    #[error(
        "unknown rule '{requested}'; {}use prefix:TEXT, text:TEXT, hex:BYTES, hex@OFFSET:BYTES, \
         byte@OFFSET=VALUE (0 to 255, or 0x00 to 0xff) or regex:EXPR",
        hints::reply_rule(requested)
    )]
    ReplyRule { requested: String },
    #[error("rule '{rule}' is empty; write the text or bytes after the colon")]
    EmptyRule { rule: String },
    #[error(
        "'{rule}' is beyond the end of any reply; a datagram holds {MAX_PAYLOAD} bytes at most, \
         give a lower offset"
    )]
    BeyondReply { rule: String },
    #[error("rule '{rule}': {source}")]
    InRule { rule: String, source: Box<Self> },
    #[error("'{regex}', character {position}: {why}; \\ before a character makes it plain text")]
    Regex { regex: String, position: usize, why: String },
    #[error(
        "'{regex}' has more than {most} bytes when compiled; shorten it, or lower its repetitions"
    )]
    LargeRegex { regex: String, most: usize },
    #[error(
        "--match coap needs requests of CoAP (RFC 7252 section 3): version 1, a type CON or NON, a \
         code of class 0; write them as bytes without fields before the options"
    )]
    NotCoap,
    #[error("--match {rule} has no group; put ( and ) around the id in it")]
    NoGroup { rule: String },
    #[error(
        "--error {rule} has no name; write NAME={rule}, or use regex: with the name in a group \
         (?<name>…), one of the first 15"
    )]
    UnnamedError { rule: String },
    #[error("--error {rule} has two names; omit NAME=, or the group (?<name>…)")]
    TwoNames { rule: String },
    #[error("'{name}' is not a name of an error; use 1 to 31 bytes without control characters")]
    ErrorName { name: String },
    #[error(
        "--expect and --error judge replies, and none are expected; omit them, or --match none"
    )]
    NoReplies,
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
    #[error("options of EDNS need EDNS; omit --no-edns")]
    OptionsWithoutEdns,
    #[error("'{requested}' is not a client subnet; use such as 10.1.0.0/16 or 2001:db8::/56")]
    Subnet { requested: String },
    #[error(
        "this client subnet has {here} bytes of address, and the first one has {first}; use \
         prefixes of one length in bytes, such as /17 to /24, and another file for the others"
    )]
    SubnetLen { here: usize, first: usize },
    #[error("no client subnet: all lines are empty or comments; write at least one")]
    NoSubnets,
    #[error(
        "'{requested}' is not an option of EDNS; use CODE:HEX, such as 3: for NSID or 65001:0a0b"
    )]
    EdnsOption { requested: String },
    #[error("option {code} of EDNS is given twice (8 is --ecs, 10 is --cookie); omit one")]
    OptionTwice { code: u16 },
    #[error(
        "a cookie of DNS cannot have {bytes} bytes; give the 8 of a client, or these with the 8 to \
         32 of the server"
    )]
    Cookie { bytes: usize },
    #[error(
        "not a capture: the file is neither pcap nor pcapng; decompress it, or write one with \
         tcpdump -w or dumpcap"
    )]
    NoCapture,
    #[error("{kind}: {why}; use a capture of complete UDP datagrams")]
    NoDatagram { kind: String, why: String },
    #[error(
        "{} come from port {port} and may be replies; add --pcap-port {port} to send only packets \
         to that port", share(*.from, *.of)
    )]
    BothWays { port: u16, from: u64, of: u64 },
    #[error("--pace recorded needs packet times: {why}; use --rate with --pace even or poisson")]
    NoPace { why: &'static str },
    #[error(
        "'{key}' is not a memcached key; it needs 1 to {most} bytes without blanks or control \
         characters, and fields in hex, dec or alnum"
    )]
    Key { key: String, most: usize },
    #[error("'{requested}' is not a condition of --then-if; use HEX@OFFSET such as 41@4")]
    BytesAt { requested: String },
    #[error("{{reply@OFFSET:N}} is for --then: a first request has no reply yet")]
    EarlyReply,
    #[error(
        "the replies to the first and to the second request cannot be told apart; write {{id}} \
         into the first request, or give the bytes of replies that the second one follows: \
         --then-if HEX@OFFSET"
    )]
    EqualSteps,
    #[error("the second request has an {{id}}, the first one has none; write it into both")]
    SecondId,
    #[error("--then is not supported with --match {rule}; use preset, id@OFFSET or any")]
    ThenRule { rule: String },
    #[error(
        "--match {rule} cannot tell the replies to the requests of one exchange of this preset \
         apart; omit --match{hint}"
    )]
    PresetRule { rule: String, hint: &'static str },
    #[error("'{requested}' is not an OID; use numbers with dots such as 1.3.6.1.2.1.1.3.0")]
    Oid { requested: String },
    #[error("'{requested}' is not a SIP URI; use such as sip:example.test")]
    Uri { requested: String },
    #[error("{what} cannot have {requested} bytes; use {least} to {most}")]
    Size { what: &'static str, requested: usize, least: usize, most: usize },
}

/// All fields, in messages.
const FIELDS: &str = "fields are {id}, {counter} (start=N, step=N, stream), {stream}, {random}, \
    {random:alnum:N}, {random:letters:N}, {time:ns} (us, ms, s, nsec, ntp, rfc3339), \
    {choice:a|b}, {len}, {inet_checksum}, {crc32} (of=NAME), {begin:NAME} and {end:NAME}, \
    numbers with :FORMAT such as :u32be; in --then also {reply@OFFSET:N}";

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
                | Self::NoSubnets
                | Self::NoCapture
                | Self::NoNames { .. }
                | Self::NoDatagram { .. }
                | Self::NoPace { .. }
        )
    }

    pub(super) fn in_rule(self, rule: &str) -> Self {
        Self::InRule { rule: rule.to_owned(), source: Box::new(self) }
    }

    pub(super) fn in_line(self, number: usize) -> Self {
        Self::Line { number, source: Box::new(self) }
    }
}

fn share(part: u64, of: u64) -> String {
    match part * 2 == of {
        true => format!("half of the packets ({part} of {of})"),
        false => format!("{part} of {of} packets"),
    }
}
