//! Protocols that servers out there speak.
//!
//! A new one is a file here that makes requests of pieces, a file in `reply/` that knows replies by
//! what they repeat, and a line in each `match` that the compiler then misses; on the command line,
//! a word in `cli/args/requests.rs` and its meaning in `cli/requests.rs`.

mod coap;
mod dns;
mod echo;
mod lines;
mod memcached;
mod names;
mod ntp;
mod ping;
mod quic;
mod stun;

pub use coap::Coap;
pub use dns::{Dns, Names};
pub use echo::Echo;
pub use memcached::Memcached;
pub use ping::{Ping, answer_ping};
pub(super) use ping::{TURNED, is_turned};
pub use stun::Stun;

use super::PayloadError;
use super::compile::Compiler;
use super::reply::{Protocol, Rule};

/// A protocol, and what is said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preset {
    /// Queries of DNS, RFC 1035.
    Dns(Dns),
    /// What clients of NTP ask, RFC 5905.
    Ntp,
    /// Binding requests of STUN, RFC 8489.
    Stun(Stun),
    /// Gets of memcached over UDP.
    Memcached(Memcached),
    /// Gets of CoAP, RFC 7252.
    Coap(Coap),
    /// A metric for statsd, as a template; it is not answered.
    Statsd(String),
    /// A message for syslog, RFC 5424, as a template; it is not answered.
    Syslog(String),
    /// What makes a server of QUIC tell its versions, RFC 8999.
    QuicVn,
    /// For servers that return what they get.
    Echo(Echo),
    /// Echoes that a sink of ours answers, too.
    Ping(Ping),
}

impl Preset {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Ntp => "ntp",
            Self::Stun(_) => "stun",
            Self::Memcached(_) => "memcached-udp",
            Self::Coap(_) => "coap",
            Self::Statsd(_) => "statsd",
            Self::Syslog(_) => "syslog",
            Self::QuicVn => "quic-vn",
            Self::Echo(_) => "echo",
            Self::Ping(_) => "ping",
        }
    }

    /// The port that servers of this protocol listen on, by the registry of IANA or by custom;
    /// `None` where there is no such port.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        Some(match self {
            Self::Dns(_) => 53,
            Self::Ntp => 123,
            Self::Stun(_) => 3_478,
            Self::Memcached(_) => 11_211,
            Self::Coap(_) => 5_683,
            Self::Statsd(_) => 8_125,
            Self::Syslog(_) => 514,
            Self::QuicVn => 443,
            Self::Echo(_) | Self::Ping(_) => return None,
        })
    }

    /// Adds all requests.
    pub(super) fn compile(&self, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        match self {
            Self::Dns(dns) => dns.compile(to, seed),
            Self::Ntp => ntp::compile(to),
            Self::Stun(stun) => stun.compile(to, seed),
            Self::Memcached(memcached) => memcached.compile(to, seed),
            Self::Coap(coap) => coap.compile(to),
            Self::Statsd(line) => lines::statsd(line, to, seed),
            Self::Syslog(message) => lines::syslog(message, to, seed),
            Self::QuicVn => quic::compile(to, seed),
            Self::Echo(echo) => echo.compile(to, seed),
            Self::Ping(ping) => ping.compile(to, seed),
        }
    }

    /// How its replies are told.
    pub(super) const fn reply(&self) -> (Protocol, Rule) {
        match self {
            Self::Dns(_) => (Protocol::Dns, Rule::Protocol),
            Self::Ntp => (Protocol::Ntp, Rule::Protocol),
            Self::Stun(_) => (Protocol::Stun, Rule::Protocol),
            Self::Memcached(_) => (Protocol::Memcached, Rule::Protocol),
            Self::Coap(_) => (Protocol::Coap, Rule::Protocol),
            Self::QuicVn => (Protocol::Quic, Rule::Protocol),
            Self::Statsd(_) | Self::Syslog(_) => (Protocol::Unknown, Rule::None),
            Self::Echo(_) => (Protocol::Unknown, Rule::Echo(Some(echo::ID))),
            Self::Ping(_) => (Protocol::Ping, Rule::Echo(Some(echo::ID))),
        }
    }
}
