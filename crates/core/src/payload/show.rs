//! Requests and match rules as text, for reports and for comparing runs.

use std::fmt;

use super::hex;
use super::protocol::{Dns, IdSearch, Matching, Names, Preset, Protocol, Rule};
use super::requests::RequestOrder;
use super::second::Then;
use super::spec::{RequestSource, Spec};

/// Characters of a text that are shown. Arbitrary: the description fits a line.
const SHOWN: usize = 48;

/// Differs for different specifications: length and CRC-32 stand for long parts.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            RequestSource::Text(text) => write!(f, "text {}", short(text))?,
            RequestSource::Hex(text) => write!(f, "hex {}", short(text))?,
            RequestSource::Lines(bytes) => write!(f, "lines of {}", sum(bytes))?,
            RequestSource::File(bytes) => f.write_str(&sum(bytes))?,
            RequestSource::Capture { bytes, port, inner } => {
                write!(f, "capture of {}", sum(bytes))?;
                port.map_or(Ok(()), |port| write!(f, ", port {port}"))?;
                f.write_str(if *inner { ", inside tunnels" } else { "" })?;
            }
            RequestSource::Preset(preset) => write!(f, "{preset}")?,
        }
        f.write_str(match (&self.source, self.fields) {
            (RequestSource::Text(_) | RequestSource::Hex(_) | RequestSource::Lines(_), false) => {
                ", fields off"
            }
            (RequestSource::File(_), true) => ", fields on",
            _ => "",
        })?;
        if self.encoding.name() != "UTF-8" {
            write!(f, ", {}", self.encoding.name())?;
        }
        if let Some(Then { template, is_hex, only_if }) = &self.then {
            write!(f, ", then {}{}", if *is_hex { "hex " } else { "" }, short(template))?;
            only_if.iter().try_for_each(|bytes| write!(f, " if {bytes}"))?;
        }
        if let Some(at) = self.id_at {
            write!(f, ", id at {at}")?;
        }
        f.write_str(if self.order == RequestOrder::Random { ", in random order" } else { "" })
    }
}

impl fmt::Display for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.search, self.rule) {
            (Some(IdSearch::After(finder)), Rule::Search(number)) => {
                return write!(f, "id ({number}) after {}", short_bytes(finder.needle()));
            }
            (Some(IdSearch::Regex(regex)), Rule::Search(number)) => {
                return write!(f, "id ({number}) in {}", short(&regex.to_string()));
            }
            _ => {}
        }
        f.write_str(match (self.rule, self.protocol) {
            (Rule::None, _) => "no replies",
            (Rule::Any, _) => "any datagram, in order",
            (Rule::Id(at), _) => return write!(f, "id at {at}"),
            (Rule::Echo(Some(_)), _) => "the whole request",
            (Rule::Echo(None), _) => "the whole request, in order",
            (_, Protocol::Unknown | Protocol::Ping) => "nothing",
            (_, Protocol::Dns) => "id and question of DNS",
            (_, Protocol::Ntp) => "origin timestamp of NTP",
            (_, Protocol::Stun) => "transaction id of STUN",
            (_, Protocol::Memcached) => "request id and key of memcached",
            (_, Protocol::Coap) => "token of CoAP",
            (_, Protocol::QuicRetry) => "connection ids of Retry",
            (_, Protocol::Quic) => "connection ids of QUIC",
            (_, Protocol::A2s) => "kind of A2S, in order",
            (_, Protocol::Sip) => "branch of SIP",
            (_, Protocol::Radius) => "id and authenticator of RADIUS",
            (_, Protocol::Snmp) => "request id of SNMP",
            (_, Protocol::Bedrock) => "time of RakNet",
            (_, Protocol::Tftp) => "kind of TFTP, in order",
        })
    }
}

impl Matching {
    /// The rules of the user for replies that are errors, in words.
    pub fn rules(&self) -> Vec<String> {
        let shown = self.expectations.shown.iter();
        shown.map(|(what, rules)| format!("{what} {}", short(rules))).collect()
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.about().0)?;
        match self {
            Self::Dns(dns) => write!(f, " {dns}"),
            Self::Stun { fingerprint: true } => f.write_str(" with FINGERPRINT"),
            Self::Ntp
            | Self::QuicVn
            | Self::QuicRetry
            | Self::Stun { .. }
            | Self::A2s
            | Self::Bedrock => Ok(()),
            Self::Radius { .. } => Ok(()),
            Self::Sip { uri } => write!(f, " {}", short(uri)),
            Self::Snmp { oid, .. } => write!(f, " {}", short(oid)),
            Self::Tftp { path } => write!(f, " {}", short(path)),
            // The key may be a secret.
            Self::Memcached { key } => write!(f, " get a key of {}", sum(key.as_bytes())),
            Self::Coap { path, confirmable, blocks } => {
                write!(f, " {} get {}", if *confirmable { "CON" } else { "NON" }, short(path))?;
                if *blocks > 1 { write!(f, ", up to {blocks} blocks") } else { Ok(()) }
            }
            Self::Statsd(line) | Self::Syslog(line) => write!(f, " {}", short(line)),
            Self::Echo { size } | Self::Ping { size } => write!(f, " of {size} bytes"),
        }
    }
}

impl fmt::Display for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names {
            Names::One(name) => write!(f, "{} {}", short(name), self.rtype.escape_debug())?,
            Names::Lines { bytes, .. } => {
                write!(f, "names of {}, {}", sum(bytes), self.rtype.escape_debug())?;
            }
        }
        if let Some(count) = self.random_subdomain {
            write!(f, ", {count} random letters before it")?;
        }
        match self.edns {
            Some(size) => write!(f, ", EDNS {size}")?,
            None => f.write_str(", no EDNS")?,
        }
        f.write_str(if self.dnssec { ", DO" } else { "" })?;
        write!(f, "{}", self.options)?;
        f.write_str(if self.recursion { "" } else { ", no RD" })
    }
}

/// Bytes as text in quotes if they are text, otherwise as hex.
fn short_bytes(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| hex::show(bytes), short)
}

/// A text, or its beginning, in quotes.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}… of {}", &text[..end], sum(text.as_bytes())),
    }
}

/// The length and checksum of bytes.
fn sum(bytes: &[u8]) -> String {
    format!("{} bytes, CRC {:08x}", bytes.len(), crc32fast::hash(bytes))
}
