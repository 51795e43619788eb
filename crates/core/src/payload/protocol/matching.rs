//! Whether a datagram is the reply to a request, and to which. Total: no bytes make it panic.

use memchr::memmem::Finder;

use super::coap::{TOKEN, TOKEN_LEN};
use super::echo::{self, CHANGED_AT};
use super::{
    IdAt, Number, RequestNumber, Requests, a2s, bedrock, coap, dns, memcached, ntp, quic, radius,
    sip, snmp, stun, tftp,
};
use crate::payload::expectations::Expectations;
use crate::payload::pattern::Regex;
use crate::unit::ErrorCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::payload) enum Rule {
    None,
    Any,
    Id(IdAt),
    /// The reply equals the request, which may have an id.
    Echo(Option<IdAt>),
    Protocol,
    /// An id in this format, at the place that an [`IdSearch`] finds.
    Search(Number),
}

/// How the id of a reply is found.
#[derive(Debug, Clone)]
pub(in crate::payload) enum IdSearch {
    /// It follows these bytes.
    After(Box<Finder<'static>>),
    /// It is the first group of this expression.
    Regex(Regex),
}

impl IdSearch {
    /// The first number in this format that is where an id should be.
    #[inline]
    fn find(&self, number: Number, reply: &[u8]) -> Option<u64> {
        match self {
            Self::After(finder) => {
                let (len, mut from) = (finder.needle().len(), 0);
                // Places may overlap.
                while let Some(at) = reply.get(from..).and_then(|rest| finder.find(rest)) {
                    let id = number.read(reply, from + at + len);
                    if id.is_some() {
                        return id;
                    }
                    from += at + 1;
                }
                None
            }
            Self::Regex(regex) => number.read_all(regex.group(reply, 1)?),
        }
    }
}

/// The protocol of replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "other variants are as named")]
pub enum Protocol {
    /// None, or one whose replies report no errors.
    Unknown,
    Dns,
    Ntp,
    Stun,
    Memcached,
    Coap,
    Quic,
    QuicRetry,
    A2s,
    Sip,
    Radius,
    Snmp,
    Bedrock,
    Tftp,
    /// Echoes of a udperf sink, or of another server.
    Ping,
}

impl Protocol {
    /// Protocols whose requests have their id at one place; names of the command line.
    pub(in crate::payload) const WITH_ID: [(Self, &'static str, IdAt); 5] = [
        (Self::Dns, "dns", IdAt { offset: 0, number: Number::Be(2) }),
        (Self::Ntp, "ntp", IdAt { offset: ntp::TRANSMIT_AT, number: Number::Be(8) }),
        (Self::Stun, "stun", IdAt { offset: stun::ID_AT, number: Number::Be(8) }),
        (Self::Memcached, "memcached-udp", IdAt { offset: 0, number: Number::Be(2) }),
        (Self::Coap, "coap", IdAt { offset: TOKEN.start, number: Number::Be(TOKEN_LEN) }),
    ];

    pub(in crate::payload) fn id_at(self) -> Option<IdAt> {
        Self::WITH_ID.iter().find(|(protocol, ..)| *protocol == self).map(|(.., at)| *at)
    }
}

/// The role of a datagram for the request that its id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are as named")]
pub enum Role {
    /// A complete reply.
    Whole,
    /// One of several datagrams of the reply; `index` counts from 0.
    Part { index: u16, of: u16 },
    /// An acknowledgement before the reply: the empty ACK of CoAP (RFC 7252 section 5.2.2), and
    /// provisional responses of SIP (RFC 3261 section 7.2).
    Acknowledgement,
}

/// How replies are matched with requests, and which of them are errors. Each thread needs its own
/// clone: expressions search in memory of the clone.
#[derive(Debug, Clone)]
pub struct Matching {
    pub(in crate::payload) rule: Rule,
    pub(in crate::payload) protocol: Protocol,
    pub(in crate::payload) id_mask: u64,
    pub(in crate::payload) search: Option<IdSearch>,
    pub(in crate::payload) expectations: Expectations,
}

impl Matching {
    /// Whether the server replies at all.
    pub const fn expects_reply(&self) -> bool {
        !matches!(self.rule, Rule::None)
    }

    /// Whether replies have no id: each answers the oldest open request of its socket, unless
    /// [`Self::answers`] denies it.
    pub const fn by_order(&self) -> bool {
        matches!(
            (self.rule, self.protocol),
            (Rule::Any | Rule::Echo(None), _) | (Rule::Protocol, Protocol::A2s | Protocol::Tftp)
        )
    }

    /// The id of a reply, 0 if replies are matched by order; `None` if it cannot be a reply.
    #[inline]
    pub fn id_of(&self, reply: &[u8]) -> Option<u64> {
        let id = match (self.rule, self.protocol) {
            (Rule::None, _) => None,
            (Rule::Any | Rule::Echo(None), _) => Some(0),
            (Rule::Id(at) | Rule::Echo(Some(at)), _) => at.number.read(reply, at.offset),
            (Rule::Search(number), _) => self.search.as_ref()?.find(number, reply),
            (_, Protocol::Dns) => dns::id(reply),
            (_, Protocol::Ntp) => ntp::id(reply),
            (_, Protocol::Stun) => stun::id(reply),
            (_, Protocol::Memcached) => memcached::id(reply),
            (_, Protocol::Coap) => coap::id(reply),
            (_, Protocol::Quic) => quic::id(reply),
            (_, Protocol::QuicRetry) => quic::retry_id(reply),
            (_, Protocol::A2s) => a2s::is_reply(reply).then_some(0),
            (_, Protocol::Sip) => sip::id(reply),
            (_, Protocol::Radius) => radius::id(reply),
            (_, Protocol::Snmp) => snmp::id(reply),
            (_, Protocol::Bedrock) => bedrock::id(reply),
            (_, Protocol::Tftp) => tftp::is_reply(reply).then_some(0),
            (_, Protocol::Unknown | Protocol::Ping) => None,
        };
        // No request has a larger one.
        id.filter(|id| id & !self.id_mask == 0)
    }

    /// Whether a reply with the id of a request answers it, so that [`Self::answers`] adds nothing.
    #[inline]
    pub const fn id_is_enough(&self) -> bool {
        matches!(self.rule, Rule::Id(_) | Rule::Search(_))
    }

    /// The low 16 bits of the id in an empty acknowledgement or reset of CoAP: its message id.
    #[inline]
    pub fn short_id_of(&self, reply: &[u8]) -> Option<u64> {
        if self.follows(Protocol::Coap) { coap::empty_id(reply) } else { None }
    }

    #[inline]
    fn follows(&self, protocol: Protocol) -> bool {
        self.rule == Rule::Protocol && self.protocol == protocol
    }

    /// Whether this is a reply to request number `n` with this id, due at `now_ns` since 1970: an
    /// echo equals the request; a reply of DNS repeats the question in any case (RFC 4343).
    /// `scratch` is overwritten, and needs [`Requests::largest`] bytes.
    #[inline]
    pub fn answers(
        &self,
        requests: &Requests,
        n: impl Into<RequestNumber>,
        id: u64,
        now_ns: u64,
        reply: &[u8],
        scratch: &mut [u8],
    ) -> bool {
        match self.rule {
            Rule::None => return false,
            Rule::Any => return true,
            Rule::Id(_) | Rule::Search(_) => {
                return self.id_of(reply) == Some(id & self.id_mask);
            }
            // A reply of NTP has only the id of its request.
            Rule::Protocol if self.protocol == Protocol::Ntp => return ntp::id(reply) == Some(id),
            // These replies have nothing of their request but an id, or not even that.
            Rule::Protocol
                if matches!(
                    self.protocol,
                    Protocol::A2s
                        | Protocol::Sip
                        | Protocol::Snmp
                        | Protocol::Bedrock
                        | Protocol::Tftp
                ) =>
            {
                return self.id_of(reply) == Some(if self.by_order() { 0 } else { id });
            }
            Rule::Echo(_) | Rule::Protocol => {}
        }
        if requests.largest > scratch.len() {
            return false;
        }
        let len = requests.write(n, id, now_ns, scratch);
        let request = &mut scratch[..len];
        match (self.rule, self.protocol) {
            (Rule::Echo(_), protocol) => {
                let changed = reply.get(CHANGED_AT).filter(|byte| echo::is_answer(**byte));
                if protocol == Protocol::Ping
                    && let Some((ours, theirs)) = request.get_mut(CHANGED_AT).zip(changed)
                {
                    *ours = *theirs;
                }
                *request == *reply
            }
            (_, Protocol::Dns) => dns::answers(request, reply),
            (_, Protocol::Stun) => stun::answers(request, reply),
            (_, Protocol::Memcached) => memcached::answers(request, reply),
            (_, Protocol::Coap) => coap::answers(request, reply),
            (_, Protocol::Quic) => quic::answers(request, reply),
            (_, Protocol::QuicRetry) => quic::retries(request, reply),
            (_, Protocol::Radius) => radius::answers(request, reply, &requests.secret),
            _ => false,
        }
    }

    /// The role of a datagram. [`Self::answers`] recognises only the first part of a reply.
    #[inline]
    pub fn role_of(&self, reply: &[u8]) -> Role {
        if self.follows(Protocol::Coap) && coap::is_empty_ack(reply) {
            return Role::Acknowledgement;
        }
        if self.follows(Protocol::Sip) && sip::is_provisional(reply) {
            return Role::Acknowledgement;
        }
        let part = if self.has_parts() { memcached::part(reply) } else { None };
        part.map_or(Role::Whole, |(index, of)| Role::Part { index, of })
    }

    /// Whether replies may come in several datagrams.
    #[inline]
    pub fn has_parts(&self) -> bool {
        self.follows(Protocol::Memcached)
    }

    /// The error that a reply is, by the rules of the user, or else in the terms of its protocol;
    /// `None` if it is none.
    #[inline]
    pub fn code_of(&self, reply: &[u8]) -> Option<ErrorCode> {
        if self.expectations.is_empty() {
            return self.protocol_code_of(reply).map(ErrorCode::Number);
        }
        self.expectations.judge(reply, || self.protocol_code_of(reply))
    }

    /// The name by the first error rule of the user that a reply fits.
    #[inline]
    pub fn named_error_of(&self, reply: &[u8]) -> Option<ErrorCode> {
        self.expectations.named_error(reply)
    }

    #[inline]
    fn protocol_code_of(&self, reply: &[u8]) -> Option<u16> {
        match self.protocol {
            Protocol::Unknown | Protocol::Quic | Protocol::Ping => None,
            Protocol::A2s | Protocol::Radius | Protocol::Bedrock => None,
            Protocol::QuicRetry => quic::retry_code(reply),
            Protocol::Sip => sip::code(reply),
            Protocol::Snmp => snmp::code(reply),
            Protocol::Tftp => tftp::code(reply),
            Protocol::Dns => dns::code(reply),
            Protocol::Ntp => ntp::code(reply),
            Protocol::Stun => stun::code(reply),
            Protocol::Memcached => memcached::code(reply),
            Protocol::Coap => coap::code(reply),
        }
    }

    /// The usual name of a code of [`Self::code_of`]: `NXDOMAIN`, `4.04`.
    // cold: for reports
    pub fn code_name(&self, code: ErrorCode) -> String {
        let ErrorCode::Number(code) = code else { return code.to_string() };
        match self.protocol {
            Protocol::Unknown | Protocol::Quic | Protocol::Ping | Protocol::Sip => code.to_string(),
            Protocol::A2s | Protocol::Radius | Protocol::Bedrock => code.to_string(),
            Protocol::QuicRetry => quic::RETRY_ERROR.to_owned(),
            Protocol::Snmp => snmp::code_name(code),
            Protocol::Tftp => tftp::code_name(code),
            Protocol::Dns => dns::code_name(code),
            Protocol::Ntp => ntp::code_name(code),
            Protocol::Stun => stun::code_name(code),
            Protocol::Memcached => memcached::code_name(code),
            Protocol::Coap => coap::code_name(code),
        }
    }
}
