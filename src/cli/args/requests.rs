//! Flags for requests, as typed.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{on_off, words};
use crate::payload::RequestOrder::{self, Random, Turns};
use crate::payload::{Encoding, IdAt, MatchRule};

#[derive(Debug, Args)]
#[command(next_help_heading = "Requests")]
pub(crate) struct RequestArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) preset: PresetArgs,
    /// Encoding of text: utf-8, gbk, latin1, utf-16le and other labels of the Encoding Standard
    /// [default: utf-8]
    #[arg(long, value_name = "LABEL", conflicts_with_all = ["preset", "hex", "file", "pcap"])]
    pub(crate) encoding: Option<Encoding>,
    /// Whether braces hold fields [default: on; --file: off]
    ///
    /// Fields get a new value in each request:
    ///   {id}           the id that the reply is matched by; {id:FORMAT}
    ///   {counter}      the number of the request, from 0; {counter:FORMAT}
    ///   {random}       {random:FORMAT} · {random:alnum:N} · {random:letters:N}
    ///   {time}         since 1970: {time:ns} · us · ms · s, each with :FORMAT; {time:rfc3339}
    ///   {choice:a|b|c} one of these, in the order of --order
    /// FORMAT is u8, u16be, u16le, u32be, u32le, u64be, u64le, hex1 to hex16, or dec1 to dec20; a
    /// number that does not fit loses its highest digits. Without it {id} and {counter} are dec10
    /// and {random} is hex8; in --hex all are u32be and times u64be. {{ and }} are braces.
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
    /// Put an id into each request, replacing the bytes at that place: OFFSET:FORMAT, such as
    /// 0:u16be for DNS
    #[arg(long, value_name = "OFFSET:FORMAT", conflicts_with = "preset")]
    pub(crate) id_at: Option<IdAt>,
    /// How replies are matched: preset · id@OFFSET · dns · ntp · stun · memcached-udp · echo (equal
    /// to the request) · any (any datagram) · none (no reply expected)
    ///
    /// preset: by the rules of the protocol; without a protocol, by the id at the same place as in
    /// the request. If requests have no id, any datagram answers the oldest request of its socket.
    /// dns, ntp, stun, memcached-udp: as in that preset, with its errors, for requests from --pcap,
    /// --hex, --file, --lines or --text. Requests without an id get one at the protocol's place.
    #[arg(long = "match", value_name = "RULE", default_value = "preset")]
    pub(crate) rule: MatchRule,
}

/// Where requests come from. `-` as a FILE is standard input.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SourceArgs {
    /// Requests of a protocol: dns · ntp · stun · memcached-udp · coap · statsd · syslog · quic-vn
    /// · echo (any echo server; of --size)
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub(crate) preset: Option<PresetWord>,
    /// This text, with fields such as {id}; see --fields
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// These bytes: hex digits, with fields between them, such as '01 02 {id:u32be}'
    #[arg(long, value_name = "DIGITS")]
    pub(crate) hex: Option<String>,
    /// One request per line of this UTF-8 file, with fields, without the line ending; empty lines
    /// are skipped
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
    /// coap: get this resource: path?query [default: .well-known/core]
    #[arg(long, value_name = "PATH", requires = "preset")]
    pub(crate) path: Option<String>,
    /// coap: do not request acknowledgements (NON)
    #[arg(long, requires = "preset")]
    pub(crate) non_confirmable: bool,
    /// statsd: the metric [default: udperf.requests:1|c]; syslog: the message [default: request
    /// {counter}]; both with fields
    #[arg(long, value_name = "TEXT", requires = "preset")]
    pub(crate) message: Option<String>,
}

impl RequestArgs {
    /// The files to read, each with its flag.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let SourceArgs { lines, file, pcap, .. } = &self.source;
        let files =
            [("lines", lines), ("file", file), ("pcap", pcap), ("names", &self.preset.names)];
        files.into_iter().filter_map(|(flag, path)| Some((flag, path.as_deref()?)))
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
    Echo,
}
