//! Whether a datagram is the reply to a request, and to which. Total: no bytes make it panic.

use super::echo::{self, CHANGED_AT};
use super::{IdAt, Number, RequestNumber, Requests, coap, dns, memcached, ntp, quic, stun};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::payload) enum Rule {
    None,
    Any,
    Id(IdAt),
    /// The reply equals the request, which may have an id.
    Echo(Option<IdAt>),
    Protocol,
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
    /// Echoes of a udperf sink, or of another server.
    Ping,
}

impl Protocol {
    /// Protocols whose requests have their id at one place; names of the command line.
    pub(in crate::payload) const WITH_ID: [(Self, &'static str, IdAt); 4] = [
        (Self::Dns, "dns", IdAt { offset: 0, number: Number::Be(2) }),
        (Self::Ntp, "ntp", IdAt { offset: ntp::TRANSMIT_AT, number: Number::Be(8) }),
        (Self::Stun, "stun", IdAt { offset: stun::ID_AT, number: Number::Be(8) }),
        (Self::Memcached, "memcached-udp", IdAt { offset: 0, number: Number::Be(2) }),
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
    /// An acknowledgement before the reply: the empty ACK of CoAP (RFC 7252 section 5.2.2).
    Acknowledgement,
}

/// How replies are matched with requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    pub(in crate::payload) rule: Rule,
    pub(in crate::payload) protocol: Protocol,
    pub(in crate::payload) id_mask: u64,
}

impl Matching {
    /// Whether the server replies at all.
    pub const fn expects_reply(&self) -> bool {
        !matches!(self.rule, Rule::None)
    }

    /// Whether replies have no id: each answers the oldest open request of its socket, unless
    /// [`Self::answers`] denies it.
    pub const fn by_order(&self) -> bool {
        matches!(self.rule, Rule::Any | Rule::Echo(None))
    }

    /// The id of a reply, 0 if replies are matched by order; `None` if it cannot be a reply.
    #[inline]
    pub fn id_of(&self, reply: &[u8]) -> Option<u64> {
        let id = match (self.rule, self.protocol) {
            (Rule::None, _) => None,
            (Rule::Any | Rule::Echo(None), _) => Some(0),
            (Rule::Id(at) | Rule::Echo(Some(at)), _) => at.number.read(reply, at.offset),
            (_, Protocol::Dns) => dns::id(reply),
            (_, Protocol::Ntp) => ntp::id(reply),
            (_, Protocol::Stun) => stun::id(reply),
            (_, Protocol::Memcached) => memcached::id(reply),
            (_, Protocol::Coap) => coap::id(reply),
            (_, Protocol::Quic) => quic::id(reply),
            (_, Protocol::Unknown | Protocol::Ping) => None,
        };
        Some(id? & self.id_mask)
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

    /// Whether this is a reply to request number `n` with this id: an echo equals the request but
    /// for times; a reply of DNS repeats the question in any case (RFC 4343). `scratch` is
    /// overwritten, and needs [`Requests::largest`] bytes.
    #[inline]
    pub fn answers(
        &self,
        requests: &Requests,
        n: impl Into<RequestNumber>,
        id: u64,
        reply: &[u8],
        scratch: &mut [u8],
    ) -> bool {
        let n = n.into();
        match self.rule {
            Rule::None => return false,
            Rule::Any => return true,
            Rule::Id(_) => return self.id_of(reply) == Some(id & self.id_mask),
            // A reply of NTP has only the id of its request.
            Rule::Protocol if self.protocol == Protocol::Ntp => return ntp::id(reply) == Some(id),
            Rule::Echo(_) | Rule::Protocol => {}
        }
        if requests.largest > scratch.len() {
            return false;
        }
        let len = requests.write(n, id, 0, scratch);
        let request = &mut scratch[..len];
        match (self.rule, self.protocol) {
            (Rule::Echo(_), protocol) => {
                let changed = reply.get(CHANGED_AT).filter(|byte| echo::is_answer(**byte));
                if protocol == Protocol::Ping
                    && let Some((ours, theirs)) = request.get_mut(CHANGED_AT).zip(changed)
                {
                    *ours = *theirs;
                }
                is_echo(requests, n.turn, request, reply)
            }
            (_, Protocol::Dns) => dns::answers(request, reply),
            (_, Protocol::Stun) => stun::answers(request, reply),
            (_, Protocol::Memcached) => memcached::answers(request, reply),
            (_, Protocol::Coap) => coap::answers(request, reply),
            (_, Protocol::Quic) => quic::answers(request, reply),
            (_, Protocol::Unknown | Protocol::Ping | Protocol::Ntp) => false,
        }
    }

    /// The role of a datagram. [`Self::answers`] recognises only the first part of a reply.
    #[inline]
    pub fn role_of(&self, reply: &[u8]) -> Role {
        if self.follows(Protocol::Coap) && coap::is_empty_ack(reply) {
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

    /// The error that a reply reports in the terms of its protocol; `None` if it reports none.
    #[inline]
    pub fn code_of(&self, reply: &[u8]) -> Option<u16> {
        match self.protocol {
            Protocol::Unknown | Protocol::Quic | Protocol::Ping => None,
            Protocol::Dns => dns::code(reply),
            Protocol::Ntp => ntp::code(reply),
            Protocol::Stun => stun::code(reply),
            Protocol::Memcached => memcached::code(reply),
            Protocol::Coap => coap::code(reply),
        }
    }

    /// The usual name of a code of [`Self::code_of`]: `NXDOMAIN`, `4.04`.
    // cold: for reports
    pub fn code_name(&self, code: u16) -> String {
        match self.protocol {
            Protocol::Unknown | Protocol::Quic | Protocol::Ping => code.to_string(),
            Protocol::Dns => dns::code_name(code),
            Protocol::Ntp => ntp::code_name(code),
            Protocol::Stun => stun::code_name(code),
            Protocol::Memcached => memcached::code_name(code),
            Protocol::Coap => coap::code_name(code),
        }
    }
}

/// Whether a reply equals the request except for times.
#[inline]
fn is_echo(requests: &Requests, n: u64, request: &mut [u8], reply: &[u8]) -> bool {
    if request.len() != reply.len() {
        return false;
    }
    for place in requests.times(n) {
        if let (Some(ours), Some(theirs)) = (request.get_mut(place.clone()), reply.get(place)) {
            ours.copy_from_slice(theirs);
        }
    }
    request == reply
}
