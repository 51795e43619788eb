//! Protocols of well-known servers: the requests of each, and how its replies are recognised.
//!
//! A new one needs a file here and a line in each `match` that the compiler reports; and a word and
//! its meaning in `cli/args/requests.rs` and `cli/requests.rs`.

mod a2s;
mod bedrock;
mod blocks;
pub(super) mod coap;
mod cookie;
mod dns;
mod echo;
mod edns;
mod follow;
mod matching;
mod memcached;
mod name_file;
mod ntp;
mod quic;
mod radius;
mod sip;
mod snmp;
mod stun;
mod tftp;

pub(super) use blocks::{Blocks, acknowledgement_of};
pub use blocks::{ExchangeProgress, MessageOf};
pub use cookie::ServerCookie;
pub use dns::{Dns, Names};
pub use echo::{PingServer, answer_ping, ping_server, write_ping};
pub use edns::{CLIENT_COOKIE_LEN, EdnsOptions, Subnet};
pub(super) use follow::Follow;
pub(super) use matching::{IdSearch, Rule};
pub use matching::{Matching, Protocol, Role};

use super::compile::Compiler;
use super::field::Piece;
use super::number::Number;
use super::patch::{Alphabet, Per, What};
use super::requests::{IdAt, RequestNumber, Requests};
use super::values::{AUTHENTICATOR_LEN, FINGERPRINT_LEN};
use super::{PayloadError, question, template};

/// The header of a syslog message: facility local0 and severity informational, version 1,
/// time, no host, the name `udperf`, no process, no id, no structured data; RFC 5424 §6.
const SYSLOG: &str = "<134>1 {time:rfc3339} - udperf - - - ";

/// A protocol and its request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are as named")]
pub enum Preset {
    /// DNS queries, RFC 1035.
    Dns(Dns),
    /// Requests of an NTP client, RFC 5905.
    Ntp,
    /// STUN binding requests, RFC 8489, with or without FINGERPRINT at their end (§14.7).
    Stun { fingerprint: bool },
    /// Gets of memcached over UDP; the key may have fields: `user{counter:dec6}`.
    Memcached { key: String },
    /// CoAP GET requests, RFC 7252, of a path and query such as `/sensors/temp?unit=c`. If
    /// confirmable (CON), they request an acknowledgement. Responses that request one get it. If a
    /// response has more blocks (RFC 7959), they are requested, too: up to `blocks` in all, which
    /// is 1 to 64.
    Coap { path: String, confirmable: bool, blocks: u16 },
    /// A metric for statsd, as a template; it is not answered.
    Statsd(String),
    /// A message for syslog, RFC 5424, as a template; it is not answered.
    Syslog(String),
    /// Requests for the versions of a QUIC server, RFC 8999.
    QuicVn,
    /// Initial packets of version 1 for QUIC servers that answer with Retry, RFC 9000 §8.1.2.
    QuicRetry,
    /// A2S_INFO of game servers; if a server replies with a challenge, again with that.
    A2s,
    /// OPTIONS of SIP, RFC 3261, to this URI.
    Sip { uri: String },
    /// Status-Server of RADIUS, RFC 5997, with the secret shared with the server.
    Radius { secret: String },
    /// A get of one object by SNMP version 2c, RFC 3416.
    Snmp { community: String, oid: String },
    /// Unconnected pings of RakNet, to servers of Minecraft: Bedrock Edition.
    Bedrock,
    /// Read requests of TFTP, RFC 1350, for this file; the first block is acknowledged.
    Tftp { path: String },
    /// Datagrams for servers that return what they receive: an id in 8 bytes, and random bytes; 16
    /// to 65,507 in all.
    Echo { size: usize },
    /// The same, which a udperf sink answers, too.
    Ping { size: usize },
}

impl Preset {
    /// Name on the command line, port by IANA's registry or custom, protocol and rule of replies.
    pub(super) const fn about(&self) -> (&'static str, Option<u16>, Protocol, Rule) {
        let (own, echo) = (Rule::Protocol, Rule::Echo(Some(echo::ID)));
        match self {
            Self::Dns(_) => ("dns", Some(53), Protocol::Dns, own),
            Self::Ntp => ("ntp", Some(123), Protocol::Ntp, own),
            Self::Stun { .. } => ("stun", Some(3_478), Protocol::Stun, own),
            Self::Memcached { .. } => ("memcached-udp", Some(11_211), Protocol::Memcached, own),
            Self::Coap { .. } => ("coap", Some(5_683), Protocol::Coap, own),
            Self::Statsd(_) => ("statsd", Some(8_125), Protocol::Unknown, Rule::None),
            Self::Syslog(_) => ("syslog", Some(514), Protocol::Unknown, Rule::None),
            Self::QuicVn => ("quic-vn", Some(443), Protocol::Quic, own),
            Self::QuicRetry => ("quic-retry", Some(443), Protocol::QuicRetry, own),
            Self::A2s => ("a2s", Some(27_015), Protocol::A2s, own),
            Self::Sip { .. } => ("sip-options", Some(5_060), Protocol::Sip, own),
            Self::Radius { .. } => ("radius-status", Some(1_812), Protocol::Radius, own),
            Self::Snmp { .. } => ("snmp-get", Some(161), Protocol::Snmp, own),
            Self::Bedrock => ("bedrock-ping", Some(19_132), Protocol::Bedrock, own),
            Self::Tftp { .. } => ("tftp-read", Some(69), Protocol::Tftp, own),
            Self::Echo { .. } => ("echo", None, Protocol::Unknown, echo),
            Self::Ping { .. } => ("ping", None, Protocol::Ping, echo),
        }
    }

    pub(super) fn compile(&self, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        let pieces = match self {
            Self::Dns(dns) => return dns.compile(to, seed),
            Self::Ntp => ntp::request(),
            Self::Stun { fingerprint } => stun::request(*fingerprint, seed),
            Self::Memcached { key } => memcached::request(key, seed)?,
            Self::Coap { path, confirmable, blocks } => {
                coap::request(path, *confirmable, Blocks::of(path, *blocks).step_bits())?
            }
            Self::Statsd(line) => template::text(line, seed)?,
            Self::Syslog(message) => {
                [template::text(SYSLOG, !seed)?, template::text(message, seed)?].concat()
            }
            Self::QuicVn => quic::request(quic::RESERVED, seed),
            Self::QuicRetry => quic::request(quic::VERSION_1, seed),
            Self::A2s => a2s::request(),
            Self::Sip { uri } => sip::request(uri, seed)?,
            Self::Radius { secret } => {
                to.requests.secret = secret.as_bytes().to_vec();
                radius::request(secret, seed)?
            }
            Self::Snmp { community, oid } => snmp::request(community, oid)?,
            Self::Bedrock => bedrock::request(seed),
            Self::Tftp { path } => tftp::request(path)?,
            Self::Echo { size } => echo::request("an echo", &[], *size, seed)?,
            Self::Ping { size } => echo::request("a ping", &echo::PING, *size, seed)?,
        };
        to.line(&pieces)
    }

    /// The second request, and what it follows.
    pub(super) fn second(&self) -> Result<Option<(Vec<Piece>, Follow)>, PayloadError> {
        Ok(Some(match self {
            Self::A2s => {
                let (pieces, only_if) = a2s::second();
                (pieces, Follow::Once { only_if: Some(only_if), abort: None })
            }
            Self::Tftp { .. } => {
                let (pieces, only_if, abort) = tftp::second();
                (pieces, Follow::Once { only_if: Some(only_if), abort: Some(abort) })
            }
            Self::Coap { path, confirmable, blocks } => {
                let blocks = Blocks::of(path, *blocks);
                (coap::request(path, *confirmable, blocks.step_bits())?, Follow::Blocks(blocks))
            }
            _ => return Ok(None),
        }))
    }

    /// Whether replies come from another port than requests are sent to.
    pub const fn follows_port(&self) -> bool {
        matches!(self, Self::Tftp { .. })
    }
}
