//! Protocols of well-known servers.
//!
//! A new one needs a file here that makes requests of pieces, a file in `reply/` that recognises
//! replies, and a line in each `match` that the compiler reports; on the command line, a word in
//! `cli/args/requests.rs` and its meaning in `cli/requests.rs`.

mod coap;
mod dns;
mod echo;
mod lines;
mod memcached;
mod name_file;
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

/// A protocol, and its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preset {
    /// Queries of DNS, RFC 1035.
    Dns(Dns),
    /// Requests of NTP clients, RFC 5905.
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
    /// Requests for the versions of a QUIC server, RFC 8999.
    QuicVn,
    /// For servers that return what they get.
    Echo(Echo),
    /// Echoes that a sink of ours answers, too.
    Ping(Ping),
}

impl Preset {
    /// Name on the command line, port by IANA's registry or custom, protocol and rule of replies.
    const fn about(&self) -> (&'static str, Option<u16>, Protocol, Rule) {
        let (own, echo) = (Rule::Protocol, Rule::Echo(Some(echo::ID)));
        match self {
            Self::Dns(_) => ("dns", Some(53), Protocol::Dns, own),
            Self::Ntp => ("ntp", Some(123), Protocol::Ntp, own),
            Self::Stun(_) => ("stun", Some(3_478), Protocol::Stun, own),
            Self::Memcached(_) => ("memcached-udp", Some(11_211), Protocol::Memcached, own),
            Self::Coap(_) => ("coap", Some(5_683), Protocol::Coap, own),
            Self::Statsd(_) => ("statsd", Some(8_125), Protocol::Unknown, Rule::None),
            Self::Syslog(_) => ("syslog", Some(514), Protocol::Unknown, Rule::None),
            Self::QuicVn => ("quic-vn", Some(443), Protocol::Quic, own),
            Self::Echo(_) => ("echo", None, Protocol::Unknown, echo),
            Self::Ping(_) => ("ping", None, Protocol::Ping, echo),
        }
    }

    /// Its name on the command line.
    pub const fn name(&self) -> &'static str {
        self.about().0
    }

    /// The usual port of servers of this protocol, if there is one.
    pub const fn port(&self) -> Option<u16> {
        self.about().1
    }

    pub(super) const fn reply(&self) -> (Protocol, Rule) {
        let (_, _, protocol, rule) = self.about();
        (protocol, rule)
    }

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
}
