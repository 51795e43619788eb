//! The parts of requests that differ: a few bytes at known offsets.

use super::number::Number;
use super::values::{
    ALNUM, AUTHENTICATOR_LEN, FINGERPRINT_LEN, LETTERS, RFC3339_LEN, SECOND_NS, authenticator,
    characters, fingerprint, ntp_time, rfc3339,
};
use crate::unit::hash_nth;

/// The format of message ids of CoAP; RFC 7252 §3.
const MESSAGE_ID: Number = Number::Be(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    Alnum,
    Letters,
}

/// Scope of a random value: each request has its own, or all requests of a flow share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Request,
    Stream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The id for matching replies.
    Id(Number),
    /// As much of the id as fits into a message id of CoAP above so many zero bits.
    MessageId {
        step_bits: u32,
    },
    /// The number of the request in the phase, or in its flow, times `step`, from `start`.
    Counter {
        number: Number,
        start: u64,
        step: u64,
        per: Per,
    },
    /// The number of the flow.
    Stream(Number),
    Random {
        key: u64,
        number: Number,
        per: Per,
    },
    Characters {
        key: u64,
        alphabet: Alphabet,
        count: u16,
        per: Per,
    },
    /// Time since 1970 in a unit of so many nanoseconds.
    Time {
        unit_ns: u64,
        number: Number,
    },
    /// The nanoseconds of the second.
    TimeNsec(Number),
    /// The timestamp format of NTP: seconds since 1900 and 32 bits of their fraction.
    TimeNtp(Number),
    /// Date and time of RFC 3339, in microseconds.
    Rfc3339,
    /// STUN's attribute FINGERPRINT over all bytes before it.
    Fingerprint,
    /// The attribute Message-Authenticator of RADIUS, the last one of a request.
    MessageAuthenticator,
    /// So many bytes of the reply to the first request, from this offset.
    Reply {
        offset: u16,
        count: u16,
    },
    /// One of a list, in turns, or with a key drawn at random.
    Entry {
        entries: Entries,
        key: Option<u64>,
    },
}

/// Entries of one width, leaked so that all threads can read them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entries {
    bytes: &'static [u8],
    width: usize,
}

impl Entries {
    /// `bytes` has one entry at least.
    pub(super) fn new(bytes: Vec<u8>, width: usize) -> Self {
        Self { bytes: Vec::leak(bytes), width }
    }

    #[inline]
    fn write(self, n: u64, key: Option<u64>, out: &mut [u8]) {
        let count = (self.bytes.len() / self.width) as u64;
        let at = key.map_or(n, |key| hash_nth(key, n)) % count;
        out.copy_from_slice(&self.bytes[at as usize * self.width..][..self.width]);
    }
}

impl PartialEq for Entries {
    /// Whether it is the same list: long ones are compared for each request that is compiled.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.bytes, other.bytes)
    }
}

impl Eq for Entries {}

impl What {
    /// Its number; `None` if it is written otherwise.
    const fn number(self) -> Option<Number> {
        match self {
            Self::Id(number)
            | Self::Counter { number, .. }
            | Self::Stream(number)
            | Self::Random { number, .. }
            | Self::TimeNsec(number)
            | Self::TimeNtp(number)
            | Self::Time { number, .. } => Some(number),
            Self::MessageId { .. } => Some(MESSAGE_ID),
            Self::Characters { .. }
            | Self::Rfc3339
            | Self::Fingerprint
            | Self::MessageAuthenticator
            | Self::Entry { .. }
            | Self::Reply { .. } => None,
        }
    }

    /// Bytes it takes at most.
    #[inline]
    pub(super) const fn width(self) -> usize {
        match (self, self.number()) {
            (_, Some(number)) => number.width(),
            (Self::Characters { count, .. } | Self::Reply { count, .. }, _) => count as usize,
            (Self::Fingerprint, _) => FINGERPRINT_LEN,
            (Self::MessageAuthenticator, _) => AUTHENTICATOR_LEN,
            (Self::Entry { entries, .. }, _) => entries.width,
            _ => RFC3339_LEN,
        }
    }

    /// Bytes that the reply to the first request must have for this field; 0 for other fields.
    pub(super) const fn needs_reply(self) -> usize {
        match self {
            Self::Reply { offset, count } => offset as usize + count as usize,
            _ => 0,
        }
    }

    /// Whether the bytes it takes depend on the request.
    pub(super) fn varies(self) -> bool {
        self.number().is_some_and(Number::varies)
    }

    /// Bytes it takes in this request.
    #[inline]
    pub(super) fn width_of(self, moment: &Moment<'_>) -> usize {
        match self.number() {
            Some(number) if number.varies() => number.width_of(self.value(moment)),
            _ => self.width(),
        }
    }

    pub(super) const fn is_time(self) -> bool {
        matches!(self, Self::Time { .. } | Self::TimeNsec(_) | Self::TimeNtp(_) | Self::Rfc3339)
    }

    pub(super) const fn is_text(self) -> bool {
        match self.number() {
            Some(number) => number.is_text(),
            None => matches!(self, Self::Characters { .. } | Self::Rfc3339),
        }
    }

    /// The number to write, if it is one.
    #[inline]
    fn value(self, moment: &Moment<'_>) -> u64 {
        match self {
            Self::Id(_) => moment.id,
            Self::MessageId { step_bits } => moment.id << step_bits,
            Self::Counter { start, step, per, .. } => {
                let count = if per == Per::Stream { moment.place } else { moment.n };
                start.wrapping_add(step.wrapping_mul(count))
            }
            Self::Stream(_) => moment.stream,
            Self::Random { key, per, .. } => hash_nth(key, moment.unique_of(per)),
            Self::Time { unit_ns, .. } => moment.now_ns / unit_ns.max(1),
            Self::TimeNsec(_) => moment.now_ns % SECOND_NS,
            Self::TimeNtp(_) => ntp_time(moment.now_ns),
            Self::Characters { .. }
            | Self::Rfc3339
            | Self::Fingerprint
            | Self::MessageAuthenticator
            | Self::Entry { .. }
            | Self::Reply { .. } => 0,
        }
    }

    /// Writes it over `out`, which is as long as [`Self::width_of`]; `before` is the request as far
    /// as it is written.
    #[inline]
    pub(super) fn write(self, moment: &Moment<'_>, before: &[u8], out: &mut [u8]) {
        match self {
            Self::Characters { key, alphabet, per, .. } => match alphabet {
                Alphabet::Alnum => characters(key, moment.unique_of(per), ALNUM, out),
                Alphabet::Letters => characters(key, moment.unique_of(per), LETTERS, out),
            },
            Self::Rfc3339 => rfc3339(moment.now_ns, out),
            Self::Fingerprint => fingerprint(before, out),
            Self::MessageAuthenticator => authenticator(moment.secret, before, out),
            Self::Entry { entries, key } => entries.write(moment.n, key, out),
            Self::Reply { offset, .. } => {
                let from = usize::from(offset);
                if let Some(bytes) = moment.reply.get(from..from + out.len()) {
                    out.copy_from_slice(bytes);
                }
            }
            _ => {
                if let Some(number) = self.number() {
                    number.write(self.value(moment), out);
                }
            }
        }
    }
}

/// A field at an offset that does not depend on the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patch {
    pub(super) offset: u32,
    pub(super) what: What,
}

/// What the fields of a request are derived from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment<'a> {
    pub(super) n: u64,
    pub(super) unique: u64,
    pub(super) stream: u64,
    pub(super) place: u64,
    pub(super) id: u64,
    pub(super) now_ns: u64,
    /// The reply to the first request; empty in a first request.
    pub(super) reply: &'a [u8],
    /// The key of a Message-Authenticator.
    pub(super) secret: &'a [u8],
}

impl Moment<'_> {
    #[inline]
    const fn unique_of(&self, per: Per) -> u64 {
        match per {
            Per::Request => self.unique,
            Per::Stream => self.stream,
        }
    }
}

impl Patch {
    #[inline]
    pub(super) fn apply(self, moment: &Moment<'_>, request: &mut [u8]) {
        let offset = self.offset as usize;
        let Some((before, rest)) = request.split_at_mut_checked(offset) else { return };
        let Some(out) = rest.get_mut(..self.what.width()) else { return };
        self.what.write(moment, before, out);
    }

    #[inline]
    pub(super) const fn place(self) -> std::ops::Range<usize> {
        self.offset as usize..self.offset as usize + self.what.width()
    }
}
