//! Requests and rules of matching as text, for reports and for comparing runs.

use std::fmt;

use super::preset::{Dns, Names, Preset};
use super::reply::{Matching, Protocol, Rule};
use super::requests::RequestOrder;
use super::spec::{RequestSource, Spec};

/// Characters of a text that are shown. Arbitrary: with the rest, a line.
const SHOWN: usize = 48;

/// Equal only for equal specifications: length and CRC-32 stand for long parts.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |on: bool| if self.fields == on { "" } else { ", fields off" };
        match &self.source {
            RequestSource::Text(text) => write!(f, "text {}{}", Short(text), fields(true))?,
            RequestSource::Hex(text) => write!(f, "hex {}{}", Short(text), fields(true))?,
            RequestSource::Lines(bytes) => write!(f, "lines of {}{}", Sum(bytes), fields(true))?,
            RequestSource::File(bytes) => {
                write!(f, "{}{}", Sum(bytes), if self.fields { ", fields on" } else { "" })?;
            }
            RequestSource::Capture { bytes, port } => {
                write!(f, "capture of {}", Sum(bytes))?;
                if let Some(port) = port {
                    write!(f, ", port {port}")?;
                }
            }
            RequestSource::Preset(preset) => self.preset(preset, f)?,
        }
        if self.encoding.name() != "UTF-8" {
            write!(f, ", {}", self.encoding)?;
        }
        if let Some(at) = self.id_at {
            write!(f, ", id at {}:{}", at.offset, at.number)?;
        }
        match self.order {
            RequestOrder::Turns => Ok(()),
            RequestOrder::Random => f.write_str(", in random order"),
        }
    }
}

impl fmt::Display for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Unknown | Protocol::Ping => "nothing",
            Protocol::Dns => "id and question of DNS",
            Protocol::Ntp => "origin timestamp of NTP",
            Protocol::Stun => "transaction id of STUN",
            Protocol::Memcached => "request id and key of memcached",
            Protocol::Coap => "token of CoAP",
            Protocol::Quic => "connection ids of QUIC",
        };
        match self.rule {
            Rule::None => f.write_str("no replies"),
            Rule::Any => f.write_str("whatever comes, in order"),
            Rule::Id(at) => write!(f, "id at {}:{}", at.offset, at.number),
            Rule::Echo(Some(_)) => f.write_str("the whole request"),
            Rule::Echo(None) => f.write_str("the whole request, in order"),
            Rule::Protocol => f.write_str(protocol),
        }
    }
}

impl Spec {
    fn preset(&self, preset: &Preset, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(preset.name())?;
        match preset {
            Preset::Dns(dns) => write!(f, " {dns}"),
            Preset::Ntp | Preset::QuicVn => Ok(()),
            Preset::Stun(stun) if stun.fingerprint => f.write_str(" with FINGERPRINT"),
            Preset::Stun(_) => Ok(()),
            Preset::Memcached(memcached) => write!(f, " get {}", Short(&memcached.key)),
            Preset::Coap(coap) => {
                let kind = if coap.confirmable { "CON" } else { "NON" };
                write!(f, " {kind} get {}", Short(&coap.path))
            }
            Preset::Statsd(line) | Preset::Syslog(line) => write!(f, " {}", Short(line)),
            Preset::Echo(echo) => write!(f, " of {} bytes", echo.size),
            Preset::Ping(ping) => write!(f, " of {} bytes", ping.size),
        }
    }
}

impl fmt::Display for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names {
            Names::One(name) => write!(f, "{} {}", Short(name), self.rtype.escape_debug())?,
            Names::Lines { bytes, .. } => {
                write!(f, "names of {}, {}", Sum(bytes), self.rtype.escape_debug())?;
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
        f.write_str(if self.recursion { "" } else { ", no RD" })
    }
}

/// A text, or its beginning, in quotes.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => {
                let (start, whole) = (self.0.get(..end).unwrap_or_default(), self.0.as_bytes());
                write!(f, "{start:?}… of {}", Sum(whole))
            }
        }
    }
}

/// The length and checksum of bytes.
struct Sum<'a>(&'a [u8]);

impl fmt::Display for Sum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, CRC {:08x}", self.0.len(), crc32fast::hash(self.0))
    }
}
