//! Flags for requests, as typed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ValueEnum};

use super::{on_off, words};
use crate::payload::RequestOrder::{self, Random, Turns};
use crate::payload::{
    BytesAt, Encoding, ErrorRule, IdAt, MatchRule, PayloadError, ReplyRule, Subnet,
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Requests")]
pub(crate) struct RequestArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) preset: PresetArgs,
    #[command(flatten)]
    pub(crate) second: SecondArgs,
    /// Find the capacity first: on · off (then 1k requests/s) [default: on without a rate]
    ///
    /// The capacity is the highest rate that the server answers within 1 % loss. The cells of the
    /// run have 50 % and 80 % of it. The probe takes at most 5 s: a closed loop with more and more
    /// requests in flight, then an open loop around the rate that the closed loop reached. It needs
    /// replies, one size, one engine and one process. It is off with --rate, -b, --outstanding,
    /// --count, and --pace ramp or recorded.
    #[arg(long, value_name = "ON|OFF", help_heading = "Schedule")]
    #[arg(value_parser = on_off(), hide_possible_values = true)]
    pub(crate) probe: Option<bool>,
    /// Encoding of text: utf-8, gbk, latin1, utf-16le and other labels of the Encoding Standard
    /// [default: utf-8]
    #[arg(long, value_name = "LABEL", conflicts_with_all = ["preset", "hex", "file", "pcap"])]
    pub(crate) encoding: Option<Encoding>,
    /// Whether braces hold fields [default: on; --file: off]
    ///
    /// Fields get a new value in each request:
    ///   {id}           the id that the reply is matched by; {id:FORMAT}
    ///   {counter}      the number of the request, from 0: {counter:FORMAT:start=N:step=N:stream};
    ///                  stream: the number in its flow (-P); it continues after the warm-up
    ///   {stream}       the number of the flow, from 0; {stream:FORMAT}
    ///   {random}       {random:FORMAT} · {random:alnum:N} · {random:letters:N}; with :stream the
    ///                  same in all requests of a flow
    ///   {time}         when the request is due, since 1970: {time:ns} · us · ms · s · nsec (within
    ///                  the second) · ntp (64 bits since 1900), each with :FORMAT; {time:rfc3339}
    ///   {choice:a|b|c} one of these, in the order of --order
    ///   {len}          bytes of the datagram: {len:FORMAT:of=NAME}
    ///   {inet_checksum} and {crc32}: checksums, RFC 1071 and IEEE 802.3 (zlib), computed with
    ///                  their own bytes as zero; {crc32:FORMAT:of=NAME}
    ///   {begin:NAME}   marks where a part begins, {end:NAME} where it ends, for of=NAME
    /// FORMAT is u8, u16be, u24be, u32be, u48be, u64be, the same with le, hex1 to hex16, dec1 to
    /// dec20, or dec (no leading zeros, 53 bits, as in JSON); a number that does not fit loses its
    /// highest digits. Without it {id}, {counter} and {stream} are dec10, {len} is dec5, {random}
    /// and {crc32} are hex8, {inet_checksum} hex4; in --hex they are u32be, {time} is u64be, {len}
    /// and {inet_checksum} are u16be. {{ and }} are braces. Examples; docs/load.md has more:
    ///   RTP:
    ///   --hex '8000{counter:u16be:stream}{counter:u32be:step=160:stream}{random:u32be:stream}'
    ///   JSON, ICMP:
    ///   --text '{{"id":{id:dec},"at":{time:ms},"seq":{counter:dec:stream}}}'
    ///   --hex '0800{inet_checksum}{id:u16be}{counter:u16be}{random:alnum:56}'
    #[arg(long, value_name = "ON|OFF", conflicts_with_all = ["preset", "pcap"])]
    #[arg(value_parser = on_off(), hide_possible_values = true, verbatim_doc_comment)]
    pub(crate) fields: Option<bool>,
    /// Order of lines, names, packets and choices: turns (one after the other) · random (by --seed)
    #[arg(long, value_name = "HOW", default_value = "turns", hide_possible_values = true)]
    #[arg(value_parser = words([("turns", "", Turns), ("random", "", Random)]))]
    pub(crate) order: RequestOrder,
    /// Send only the datagrams of --pcap that go to this port
    #[arg(long, value_name = "N", requires = "pcap")]
    pub(crate) pcap_port: Option<u16>,
    /// Also send datagrams of --pcap that are inside tunnels: GRE, VXLAN, IP in IP
    ///
    /// Without this flag, udperf omits packets of tunnels. --pcap-port 4789 sends VXLAN packets as
    /// they are.
    #[arg(long, requires = "pcap")]
    pub(crate) pcap_inner: bool,
    /// Put an id into each request, replacing the bytes at that place: OFFSET:FORMAT, such as
    /// 0:u16be for DNS
    #[arg(long, value_name = "OFFSET:FORMAT", conflicts_with = "preset")]
    pub(crate) id_at: Option<IdAt>,
    /// How replies are matched: preset · id@OFFSET · after:TEXT · after-hex:BYTES · regex:EXPR ·
    /// dns · ntp · stun · memcached-udp · coap · echo (equal to the request) · any (any datagram) ·
    /// none (no reply expected)
    ///
    /// preset: by the rules of the protocol; without a protocol, by the id at the same place as in
    /// the request. If requests have no id, any datagram answers the oldest request of its socket.
    /// after:TEXT, after-hex:BYTES: by the id that follows this text or these bytes, anywhere in
    /// the reply. regex:EXPR: by the id in the first group of this expression. The id has the
    /// format of {id} in the request.
    /// dns, ntp, stun, memcached-udp, coap: by the rules of that preset, which also names errors,
    /// for requests from --pcap, --hex, --file, --lines or --text. Requests without an id get one
    /// at the place where the protocol has it. In CoAP, a new message id and a token of 8 bytes
    /// replace those of the request.
    #[arg(long = "match", value_name = "RULE", default_value = "preset")]
    pub(crate) rule: MatchRule,
    /// Count replies that fit none of these rules as errors named `unexpected`; repeatable
    ///
    /// RULE is prefix:TEXT (the reply begins with it) · text:TEXT (contains it) · hex:BYTES
    /// (contains them) · hex@OFFSET:BYTES · byte@OFFSET=VALUE (0 to 255, or 0x00 to 0xff) ·
    /// regex:EXPR (matches somewhere). Expressions have the syntax of Rust's regex crate, on bytes:
    /// classes such as \d and \w are ASCII. A reply that fits is not an error, even if its protocol
    /// reports one.
    #[arg(long = "expect", value_name = "RULE")]
    pub(crate) expected: Vec<ReplyRule>,
    /// Count replies that fit RULE as errors of this name; rules as in --expect; repeatable
    ///
    /// The first rule that fits gives the name; --expect comes after all of them. If an expression
    /// has a group (?<name>…), write it without NAME=: the text of the group is the name. Errors
    /// are answers: they count in `requests = answered + timeouts` and in latency. --fail-if
    /// 'errors>0' counts them.
    #[arg(long = "error", value_name = "NAME=RULE")]
    pub(crate) errors: Vec<ErrorRule>,
}

/// Where requests come from. `-` as a FILE is standard input.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SourceArgs {
    /// Requests of a protocol: dns · ntp · stun · memcached-udp · coap · statsd · syslog · quic-vn
    /// · quic-retry · a2s · sip-options · radius-status · snmp-get · bedrock-ping · tftp-read ·
    /// echo (any echo server; of --size)
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub(crate) preset: Option<PresetWord>,
    /// This text, with fields such as {id}; see --fields
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// These bytes: hex digits, with fields between them, such as '01 02 {id:u32be}'
    #[arg(long, value_name = "DIGITS")]
    pub(crate) hex: Option<String>,
    /// One request per line of this UTF-8 file, with fields, without the line ending; empty lines
    /// are skipped. At most 4 GiB; udperf does not copy files above 1 MiB
    #[arg(long, value_name = "FILE")]
    pub(crate) lines: Option<PathBuf>,
    /// The bytes of this file as one request
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The UDP datagrams in this capture, pcap or pcapng
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PresetArgs {
    /// dns: query this name
    #[arg(long, value_name = "NAME", requires = "preset", conflicts_with = "names")]
    pub(crate) name: Option<String>,
    /// dns: query these names, one per line, each with a type after it or with that of --type, as
    /// in dnsperf; lines that begin with ; or # are comments, and bad lines are skipped
    #[arg(long, value_name = "FILE", requires = "preset")]
    pub(crate) names: Option<PathBuf>,
    /// dns: refuse a --names file that has a bad line
    #[arg(long, requires = "names", conflicts_with = "name")]
    pub(crate) names_strict: bool,
    /// dns: record type: A · AAAA · TXT · … · TYPE65280 [default: A]
    #[arg(long = "type", value_name = "TYPE", requires = "preset")]
    pub(crate) rtype: Option<String>,
    /// dns: accept replies of up to this many bytes (EDNS) [default: 1232]
    #[arg(long, value_name = "SIZE", requires = "preset", conflicts_with = "no_edns")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "1232")]
    #[arg(value_parser = clap::value_parser!(u16).range(512..))]
    pub(crate) edns: Option<u16>,
    /// dns: without EDNS
    #[arg(long, requires = "preset")]
    pub(crate) no_edns: bool,
    /// dns: request signatures, too (DO bit)
    #[arg(long, requires = "preset", conflicts_with = "no_edns")]
    pub(crate) dnssec: bool,
    /// dns: send this client subnet (EDNS option 8), or those of FILE, one per line, in the order
    /// of --order; a line of --names can have its own: www.example A +ecs=10.1.0.0/16
    #[arg(long, value_name = "SUBNET|FILE", requires = "preset", conflicts_with = "no_edns")]
    #[arg(value_parser = parse_ecs)]
    pub(crate) ecs: Option<ClientSubnets>,
    /// dns: send this cookie (EDNS option 10) in hex: a client cookie of 8 bytes, with or without a
    /// server cookie; without HEX, a random client cookie. To a client cookie, each source port
    /// adds the latest server cookie that it received. A reply with another client cookie does not
    /// match
    #[arg(long, value_name = "HEX", requires = "preset", conflicts_with = "no_edns")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) cookie: Option<String>,
    /// dns: send this EDNS option, such as 3: (NSID, without data) or 65001:0a0b; repeatable
    #[arg(long = "edns-option", value_name = "CODE:HEX", action = ArgAction::Append)]
    #[arg(requires = "preset", conflicts_with = "no_edns")]
    pub(crate) edns_options: Vec<String>,
    /// dns: do not request recursion (no RD bit), for authoritative servers
    #[arg(long, requires = "preset")]
    pub(crate) no_recursion: bool,
    /// dns: put a label of N random letters before each name, so that it is in no cache; labels
    /// repeat in a run only after all 26^N were used
    #[arg(long, value_name = "N", requires = "preset")]
    pub(crate) random_subdomain: Option<usize>,
    /// stun: end requests with the attribute FINGERPRINT
    #[arg(long, requires = "preset")]
    pub(crate) fingerprint: bool,
    /// memcached-udp: get this key, which may have fields: 'user{random:dec3}' [default: udperf]
    #[arg(long, value_name = "KEY", requires = "preset")]
    pub(crate) key: Option<String>,
    /// coap: get this resource: path?query [default: .well-known/core]; tftp-read: read this file
    #[arg(long, value_name = "PATH", requires = "preset")]
    pub(crate) path: Option<String>,
    /// coap: do not request acknowledgements (NON)
    #[arg(long, requires = "preset")]
    pub(crate) non_confirmable: bool,
    /// coap: if a response has more blocks (RFC 7959), request them one after another, up to N
    /// blocks in all, at most 64; the latency is that of all of them [default: 1]
    #[arg(long, value_name = "N", requires = "preset")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) blocks: Option<u16>,
    /// sip-options: the URI of the request [default: sip: and the target as typed]
    #[arg(long, value_name = "URI", requires = "preset")]
    pub(crate) uri: Option<String>,
    /// radius-status: the secret shared with the server; required
    #[arg(long, value_name = "TEXT", requires = "preset")]
    pub(crate) secret: Option<String>,
    /// snmp-get: the community [default: public]
    #[arg(long, value_name = "TEXT", requires = "preset")]
    pub(crate) community: Option<String>,
    /// snmp-get: the object [default: 1.3.6.1.2.1.1.3.0, sysUpTime.0]
    #[arg(long, value_name = "OID", requires = "preset")]
    pub(crate) oid: Option<String>,
    /// statsd: the metric [default: udperf.requests:1|c]; syslog: the message [default: request
    /// {counter}]; both with fields
    #[arg(long, value_name = "TEXT", requires = "preset")]
    pub(crate) message: Option<String>,
}

/// The second request of each exchange. The presets a2s and tftp-read have their own.
#[derive(Debug, Args)]
pub(crate) struct SecondArgs {
    /// When the reply to a request arrives, send this second request from the same port: text with
    /// fields
    ///
    /// {reply@OFFSET:N} is replaced by N bytes of the reply, from OFFSET on. A reply that is too
    /// short counts as the error "short reply" and ends the exchange, as one that fits --error
    /// does. {id} is the same in both requests, and each reply must have it where its request has
    /// it. Each request has the whole --timeout. The table has the latency of the exchange, the
    /// report and the document also that of each step.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "preset")]
    pub(crate) then: Option<String>,
    /// Like --then, with hex digits and fields
    #[arg(long, value_name = "DIGITS", conflicts_with_all = ["preset", "then"])]
    pub(crate) then_hex: Option<String>,
    /// Send the second request only after replies with these bytes at this offset, such as 41@4;
    /// any other reply ends the exchange
    #[arg(long, value_name = "HEX@OFFSET", conflicts_with = "preset")]
    pub(crate) then_if: Option<BytesAt>,
    /// Accept replies from any port of the server, and send the second request to the port from
    /// which the first reply came; sockets are not connected
    #[arg(long, conflicts_with = "preset")]
    pub(crate) follow_port: bool,
}

impl RequestArgs {
    /// Whether --size gives the length of requests, which others have by themselves.
    pub(crate) fn takes_sizes(&self) -> bool {
        self.source.preset == Some(PresetWord::Echo)
    }

    /// The files to read, each with its flag.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let SourceArgs { lines, file, pcap, .. } = &self.source;
        let files =
            [("lines", lines), ("file", file), ("pcap", pcap), ("names", &self.preset.names)];
        let files = files.into_iter().filter_map(|(flag, path)| Some((flag, path.as_deref()?)));
        let subnets = match &self.preset.ecs {
            Some(ClientSubnets::File(path)) => Some(("ecs", path.as_path())),
            _ => None,
        };
        files.chain(subnets)
    }
}

/// Client subnets of queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientSubnets {
    One(Subnet),
    File(PathBuf),
}

/// A word that begins with an address is a subnet, any other one a file.
fn parse_ecs(word: &str) -> Result<ClientSubnets, PayloadError> {
    let address = word.split('/').next().unwrap_or(word);
    match address.parse::<IpAddr>() {
        Ok(_) => word.parse().map(ClientSubnets::One),
        Err(_) => Ok(ClientSubnets::File(PathBuf::from(word))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PresetWord {
    Dns,
    Ntp,
    Stun,
    MemcachedUdp,
    Coap,
    Statsd,
    Syslog,
    QuicVn,
    QuicRetry,
    A2s,
    SipOptions,
    RadiusStatus,
    SnmpGet,
    BedrockPing,
    TftpRead,
    Echo,
}
