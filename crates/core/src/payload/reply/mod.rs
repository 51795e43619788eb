//! Whether a datagram is the reply to a request, and to which. Total: no bytes make it panic.

pub(super) mod coap;
mod dns;
pub(super) mod memcached;
pub(super) mod ntp;
pub(super) mod quic;
pub(super) mod stun;

use super::number::Number;
use super::preset::{TURNED, is_turned};
use super::requests::{IdAt, RequestNumber, Requests};

/// How replies are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    None,
    /// Anything is a reply.
    Any,
    /// The id is at this place.
    Id(IdAt),
    /// The reply equals the request, which may have an id.
    Echo(Option<IdAt>),
    /// As the protocol defines.
    Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Unknown,
    Dns,
    Ntp,
    Stun,
    Memcached,
    Coap,
    Quic,
    Ping,
}

/// The role of a datagram for the request that its id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The whole reply.
    Whole,
    /// One of several datagrams of the reply.
    Part {
        /// Which, from 0.
        index: u16,
        /// How many there are; above `index`.
        of: u16,
    },
    /// An acknowledgement before the reply: the empty ACK of CoAP (RFC 7252 section 5.2.2).
    Acknowledgement,
}

impl Protocol {
    /// The place of the id in requests, if every message of the protocol has it at the same place.
    pub(super) const fn id_at(self) -> Option<IdAt> {
        Some(match self {
            Self::Dns | Self::Memcached => IdAt { offset: 0, number: Number::Be(2) },
            Self::Ntp => IdAt { offset: ntp::TRANSMIT_AT, number: Number::Be(8) },
            Self::Stun => IdAt { offset: stun::ID_AT, number: Number::Be(8) },
            Self::Unknown | Self::Coap | Self::Quic | Self::Ping => return None,
        })
    }
}

/// How replies are matched with requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    pub(super) rule: Rule,
    pub(super) protocol: Protocol,
    /// As many as the requests carry.
    pub(super) id_mask: u64,
}

impl Matching {
    /// Whether the server answers at all.
    pub const fn expects_reply(&self) -> bool {
        !matches!(self.rule, Rule::None)
    }

    /// Whether replies have no id: each answers the oldest open request of its socket, unless
    /// [`Self::answers`] denies it.
    pub const fn by_order(&self) -> bool {
        matches!(self.rule, Rule::Any | Rule::Echo(None))
    }

    /// The id of a reply, as far as requests carry it; `None` if it cannot be a reply. 0 if replies
    /// are matched by order.
    #[inline]
    pub fn id_of(&self, reply: &[u8]) -> Option<u64> {
        let id = match (self.rule, self.protocol) {
            (Rule::None, _) => None,
            (Rule::Any | Rule::Echo(None), _) => Some(0),
            (Rule::Id(spot) | Rule::Echo(Some(spot)), _) => spot.number.read(reply, spot.offset),
            (Rule::Protocol, Protocol::Dns) => dns::id(reply),
            (Rule::Protocol, Protocol::Ntp) => ntp::id(reply),
            (Rule::Protocol, Protocol::Stun) => stun::id(reply),
            (Rule::Protocol, Protocol::Memcached) => memcached::id(reply),
            (Rule::Protocol, Protocol::Coap) => coap::id(reply),
            (Rule::Protocol, Protocol::Quic) => quic::id(reply),
            (Rule::Protocol, Protocol::Unknown | Protocol::Ping) => None,
        };
        Some(id? & self.id_mask)
    }

    /// The low 16 bits of the id in a datagram with no more of it: the message id in an empty
    /// acknowledgement or a reset of CoAP.
    #[inline]
    pub fn short_id_of(&self, reply: &[u8]) -> Option<u64> {
        match (self.rule, self.protocol) {
            (Rule::Protocol, Protocol::Coap) => coap::empty_id(reply),
            _ => None,
        }
    }

    /// Whether this is a reply to request number `n` with this id. `scratch` is overwritten;
    /// without room for [`Requests::largest`] bytes, the answer is no.
    ///
    /// An echo must be the whole request but for times; a reply of DNS must repeat the question in
    /// any case (RFC 4343).
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
        if requests.largest() > scratch.len() {
            return false;
        }
        let len = requests.write(n, id, 0, scratch);
        let request = &mut scratch[..len];
        match (self.rule, self.protocol) {
            (Rule::Echo(_), Protocol::Ping) => {
                let turned = reply.get(TURNED).copied().filter(|byte| is_turned(*byte));
                if let Some((ours, theirs)) = request.get_mut(TURNED).zip(turned) {
                    *ours = theirs;
                }
                is_echo(requests, n.turn, request, reply)
            }
            (Rule::Echo(_), _) => is_echo(requests, n.turn, request, reply),
            (_, Protocol::Dns) => dns::answers(request, reply),
            (_, Protocol::Stun) => stun::answers(request, reply),
            (_, Protocol::Memcached) => memcached::answers(request, reply),
            (_, Protocol::Coap) => coap::answers(request, reply),
            (_, Protocol::Quic) => quic::answers(request, reply),
            (_, Protocol::Unknown | Protocol::Ping | Protocol::Ntp) => false,
        }
    }

    /// The role of a datagram for its request. For a reply in several datagrams, [`Self::answers`]
    /// recognises only the first one.
    #[inline]
    pub fn role_of(&self, reply: &[u8]) -> Role {
        match (self.rule, self.protocol) {
            (Rule::Protocol, Protocol::Memcached) => {
                memcached::part(reply).map_or(Role::Whole, |(index, of)| Role::Part { index, of })
            }
            (Rule::Protocol, Protocol::Coap) if coap::is_empty_ack(reply) => Role::Acknowledgement,
            _ => Role::Whole,
        }
    }

    /// Whether replies may come in several datagrams.
    pub fn has_parts(&self) -> bool {
        (self.rule, self.protocol) == (Rule::Protocol, Protocol::Memcached)
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
