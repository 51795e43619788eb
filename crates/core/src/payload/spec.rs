//! Specifications of requests, before they are compiled.

use std::fmt;
use std::str::FromStr;

use super::capture::Capture;
use super::compile::{Compiler, Ids, Piece};
use super::encoding::without_mark;
use super::number::Number;
use super::preset::Preset;
use super::reply::{Matching, Protocol, Rule};
use super::requests::{IdAt, RequestOrder, Requests};
use super::template::{self, TemplateBody};
use super::{Encoding, PayloadError};

/// Where requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestSource {
    /// One request, as text.
    Text(String),
    /// One request, as hex digits.
    Hex(String),
    /// A request per line, as text in UTF-8; empty lines are skipped, and lines may end in CR LF.
    Lines(Vec<u8>),
    /// One request, as bytes.
    File(Vec<u8>),
    /// The datagrams of a capture, pcap or pcapng.
    Capture {
        /// The file.
        bytes: Vec<u8>,
        /// Only those to this port.
        port: Option<u16>,
    },
    /// A known protocol.
    Preset(Preset),
}

/// How replies are matched, as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatchRule {
    /// As the protocol defines; for other requests by their id, or without one by order.
    #[default]
    Preset,
    /// By the id, at this offset of the reply, in the format it has in the request.
    IdAt(usize),
    /// The rule of this protocol for other requests, which get an id at its place if they lack one.
    Protocol(MatchProtocol),
    /// The reply is the request.
    Echo,
    /// Whatever comes answers the oldest request.
    Any,
    /// There are no replies.
    None,
}

/// Protocols whose rule can match replies to other requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchProtocol {
    /// By id and question, RFC 1035.
    Dns,
    /// By the origin timestamp, RFC 5905.
    Ntp,
    /// By the transaction id, RFC 8489.
    Stun,
    /// By request id and key, memcached's protocol.txt.
    Memcached,
}

impl MatchProtocol {
    /// All, in order, with their names on the command line.
    const ALL: [(Self, &'static str, Protocol); 4] = [
        (Self::Dns, "dns", Protocol::Dns),
        (Self::Ntp, "ntp", Protocol::Ntp),
        (Self::Stun, "stun", Protocol::Stun),
        (Self::Memcached, "memcached-udp", Protocol::Memcached),
    ];

    const fn protocol(self) -> Protocol {
        Self::ALL[self as usize].2
    }
}

/// A specification of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Where requests come from.
    pub source: RequestSource,
    /// The order of lines and choices.
    pub order: RequestOrder,
    /// The encoding of text.
    pub encoding: Encoding,
    /// Whether braces hold fields, in sources other than presets; otherwise they are text.
    pub fields: bool,
    /// Where to put an id, over what stands there.
    pub id_at: Option<IdAt>,
    /// How replies are matched.
    pub rule: MatchRule,
}

impl Spec {
    /// Requests of this source, in turns, with fields, in UTF-8, matched as usual.
    pub fn of(source: RequestSource) -> Self {
        Self {
            source,
            order: RequestOrder::Turns,
            encoding: Encoding::UTF_8,
            fields: true,
            id_at: None,
            rule: MatchRule::Preset,
        }
    }

    /// The usual port of servers, if it is known.
    pub const fn port(&self) -> Option<u16> {
        match &self.source {
            RequestSource::Preset(preset) => preset.port(),
            RequestSource::Capture { port, .. } => *port,
            _ => None,
        }
    }

    /// Compiles requests and matching; all that is random follows from `seed`.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn compile(&self, seed: u64) -> Result<(Requests, Matching), PayloadError> {
        let mut to = Compiler::new(seed, self.order);
        match &self.source {
            RequestSource::Text(text) => {
                self.one(text.as_bytes(), TemplateBody::Text(self.encoding), &mut to, seed)
            }
            RequestSource::Hex(text) => self.one(text.as_bytes(), TemplateBody::Hex, &mut to, seed),
            RequestSource::File(bytes) => self.one(bytes, TemplateBody::Bytes, &mut to, seed),
            RequestSource::Lines(bytes) => self.lines(bytes, &mut to, seed),
            RequestSource::Capture { bytes, port } => self.capture(bytes, *port, &mut to),
            RequestSource::Preset(preset) => preset.compile(&mut to, seed),
        }?;
        let (mut requests, mut ids) = to.finish()?;
        if let Some(at) = self.id_place().filter(|_| self.id_at.is_some() || ids == Ids::None) {
            if ids != Ids::None {
                return Err(PayloadError::TwoIds);
            }
            ids = requests.put_id(at)?;
        }
        let matching = self.matching(&requests, ids)?;
        Ok((requests, matching))
    }

    /// The place of the id in each request: as asked, or as the protocol defines.
    fn id_place(&self) -> Option<IdAt> {
        match self.rule {
            MatchRule::Protocol(word) => self.id_at.or_else(|| word.protocol().id_at()),
            _ => self.id_at,
        }
    }

    fn one(
        &self,
        source: &[u8],
        body: TemplateBody,
        to: &mut Compiler,
        seed: u64,
    ) -> Result<(), PayloadError> {
        let pieces = match self.fields {
            true => template::parse(source, body, seed)?,
            false => template::plain(source, body)?,
        };
        to.line(&pieces)
    }

    fn lines(&self, bytes: &[u8], to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        for (line, number) in without_mark(bytes).split(|byte| *byte == b'\n').zip(1..) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            if std::str::from_utf8(line).is_err() {
                return Err(PayloadError::NotText { number });
            }
            let body = TemplateBody::Text(self.encoding);
            self.one(line, body, to, seed).map_err(|error| error.in_line(number))?;
        }
        Ok(())
    }

    fn capture(
        &self,
        bytes: &[u8],
        port: Option<u16>,
        to: &mut Compiler,
    ) -> Result<(), PayloadError> {
        let mut capture = Capture::read(bytes, port)?;
        let id_place = self.id_place();
        let least = id_place.map_or(0, |at| at.offset.saturating_add(at.number.width()));
        let longest = capture.at_least(least);
        let (counts, (moments, clock)) = (capture.counts(), capture.moments());
        let input = counts.input(clock);
        if let (0, Some(len), Some(IdAt { offset, number })) = (input.used, longest, id_place) {
            return Err(PayloadError::IdBeyond { offset, width: number.width(), len });
        }
        if input.used == 0 {
            return Err(PayloadError::NoDatagram {
                kind: counts.kind(),
                packets: input.records,
                reasons: counts.reasons(port),
            });
        }
        for payload in capture.payloads() {
            to.line(&[Piece::Bytes(payload.to_vec())])?;
        }
        to.recorded(moments);
        to.read_from(input, counts.notes(port));
        Ok(())
    }

    fn matching(&self, requests: &Requests, ids: Ids) -> Result<Matching, PayloadError> {
        let (mut protocol, usual) = match &self.source {
            RequestSource::Preset(preset) => {
                let (protocol, rule) = preset.reply();
                (protocol, Some(rule))
            }
            _ => (Protocol::Unknown, None),
        };
        let no_id = || PayloadError::NoId { rule: self.rule.to_string() };
        let rule = match (self.rule, usual) {
            (MatchRule::None, _) => Rule::None,
            (MatchRule::Any, _) => Rule::Any,
            (MatchRule::Preset, Some(rule)) => rule,
            (MatchRule::Protocol(word), _) => {
                protocol = word.protocol();
                let at = protocol.id_at();
                if at.is_none() || at != spot(ids)? {
                    let place = at.map(|IdAt { offset, number }| format!("{offset}:{number}"));
                    let (rule, place) = (self.rule.to_string(), place.unwrap_or_default());
                    return Err(PayloadError::OtherId { rule, place });
                }
                Rule::Protocol
            }
            (MatchRule::Preset, None) => spot(ids)?.map_or(Rule::Any, Rule::Id),
            (MatchRule::IdAt(offset), _) => {
                Rule::Id(IdAt { offset, number: spot(ids)?.ok_or_else(no_id)?.number })
            }
            (MatchRule::Echo, _) => match spot(ids)? {
                None if !requests.are_equal() => return Err(no_id()),
                spot => Rule::Echo(spot),
            },
        };
        Ok(Matching { rule, protocol, id_mask: id_mask(requests) })
    }
}

fn id_mask(requests: &Requests) -> u64 {
    u64::MAX.checked_shr(u64::BITS - requests.id_bits()).unwrap_or_default()
}

fn spot(ids: Ids) -> Result<Option<IdAt>, PayloadError> {
    match ids {
        Ids::None => Ok(None),
        Ids::Here(spot) => Ok(Some(spot)),
        Ids::Some => Err(PayloadError::SomeIds),
        Ids::Moving(here, there) => Err(PayloadError::MovingId {
            here: here.offset,
            format: here.number.to_string(),
            there: there.offset,
            other: there.number.to_string(),
        }),
    }
}

impl fmt::Display for MatchRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preset => f.write_str("preset"),
            Self::IdAt(offset) => write!(f, "id@{offset}"),
            Self::Protocol(word) => f.write_str(MatchProtocol::ALL[*word as usize].1),
            Self::Echo => f.write_str("echo"),
            Self::Any => f.write_str("any"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for MatchRule {
    type Err = PayloadError;

    fn from_str(word: &str) -> Result<Self, PayloadError> {
        Ok(match word {
            "preset" => Self::Preset,
            "echo" => Self::Echo,
            "any" => Self::Any,
            "none" => Self::None,
            _ => {
                let named = MatchProtocol::ALL.into_iter().find(|(_, name, _)| *name == word);
                if let Some((protocol, ..)) = named {
                    return Ok(Self::Protocol(protocol));
                }
                let offset = word.strip_prefix("id@").and_then(|offset| offset.parse().ok());
                let wrong = || PayloadError::Rule { asked: word.to_owned() };
                Self::IdAt(offset.ok_or_else(wrong)?)
            }
        })
    }
}

impl FromStr for IdAt {
    type Err = PayloadError;

    fn from_str(word: &str) -> Result<Self, PayloadError> {
        let parts = word.split_once(':');
        let parsed = parts.and_then(|(offset, format)| {
            Some(Self { offset: offset.parse().ok()?, number: Number::parse(format)? })
        });
        parsed.ok_or_else(|| PayloadError::Place { asked: word.to_owned() })
    }
}
