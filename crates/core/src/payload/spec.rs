//! What was asked for, before it is compiled.

use std::fmt;
use std::str::FromStr;

use super::capture::Capture;
use super::compile::{Compiler, Ids, Piece};
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
    /// A request a line, as text in UTF-8; empty lines are skipped, and a CR before the end of a
    /// line is none of it.
    Lines(Vec<u8>),
    /// One request, as bytes.
    File(Vec<u8>),
    /// The datagrams in a capture, pcap or pcapng, one after the other.
    Capture {
        /// The file.
        bytes: Vec<u8>,
        /// Only those to this port.
        port: Option<u16>,
    },
    /// A protocol that is known.
    Preset(Preset),
}

/// How replies are to be matched, as the user has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatchRule {
    /// As the protocol has it; where requests are the user's own, by the id at the place where the
    /// request has it, and without an id by order.
    #[default]
    Preset,
    /// By the id, at this offset of the reply, in the format it has in the request.
    IdAt(usize),
    /// The rule of this protocol, for requests from a capture, a file or a template. Requests
    /// without an id get one at the protocol's place.
    Protocol(MatchProtocol),
    /// The reply is the request.
    Echo,
    /// Whatever comes answers the oldest request.
    Any,
    /// There are no replies.
    None,
}

/// Protocols whose rule can match replies to requests from other sources.
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
    /// All of them.
    const ALL: [Self; 4] = [Self::Dns, Self::Ntp, Self::Stun, Self::Memcached];

    /// Its name on the command line, as that of the preset.
    const fn word(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Ntp => "ntp",
            Self::Stun => "stun",
            Self::Memcached => "memcached-udp",
        }
    }

    const fn protocol(self) -> Protocol {
        match self {
            Self::Dns => Protocol::Dns,
            Self::Ntp => Protocol::Ntp,
            Self::Stun => Protocol::Stun,
            Self::Memcached => Protocol::Memcached,
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Where requests come from.
    pub source: RequestSource,
    /// In which order those of several lines are sent.
    pub order: RequestOrder,
    /// How text is sent.
    pub encoding: Encoding,
    /// Whether braces hold fields, in sources other than presets; otherwise they are text.
    pub fields: bool,
    /// Put an id here, over what stands there.
    pub id_at: Option<IdAt>,
    /// How replies are matched.
    pub rule: MatchRule,
}

impl Spec {
    /// Requests from there, in turns, with fields, in UTF-8, matched as suits them.
    #[must_use]
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

    /// The port that such servers listen on, where one is known.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match &self.source {
            RequestSource::Preset(preset) => preset.port(),
            RequestSource::Capture { port, .. } => *port,
            _ => None,
        }
    }

    /// Makes all ready to be sent. All that is random follows from `seed`.
    ///
    /// # Errors
    /// Whatever cannot be, and where.
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

    /// The place of the id in each request: as asked, or the place that the protocol defines.
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
        for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
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
        let (protocol, usual) = match &self.source {
            RequestSource::Preset(preset) => {
                let (protocol, rule) = preset.reply();
                (protocol, Some(rule))
            }
            _ => (Protocol::Unknown, None),
        };
        let rule = match (self.rule, usual) {
            (MatchRule::None, _) => Rule::None,
            (MatchRule::Any, _) => Rule::Any,
            (MatchRule::Preset, Some(rule)) => rule,
            (MatchRule::Protocol(word), _) => {
                let id_mask = id_mask(requests);
                let (rule, protocol, at) =
                    (Rule::Protocol, word.protocol(), word.protocol().id_at());
                if at.is_none() || at != spot(ids)? {
                    let place = at.map_or_else(String::new, |IdAt { offset, number }| {
                        format!("{offset}:{number}")
                    });
                    return Err(PayloadError::OtherId { rule: self.rule.to_string(), place });
                }
                return Ok(Matching { rule, protocol, id_mask });
            }
            (MatchRule::Preset, None) => spot(ids)?.map_or(Rule::Any, Rule::Id),
            (MatchRule::IdAt(offset), _) => match spot(ids)? {
                Some(IdAt { number, .. }) => Rule::Id(IdAt { offset, number }),
                None => return Err(PayloadError::NoId { rule: self.rule.to_string() }),
            },
            (MatchRule::Echo, _) => match spot(ids)? {
                Some(spot) => Rule::Echo(Some(spot)),
                None if requests.are_equal() => Rule::Echo(None),
                None => return Err(PayloadError::NoId { rule: self.rule.to_string() }),
            },
        };
        Ok(Matching { rule, protocol, id_mask: id_mask(requests) })
    }
}

/// As many bits as requests have of an id.
fn id_mask(requests: &Requests) -> u64 {
    u64::MAX.checked_shr(u64::BITS - requests.id_bits()).unwrap_or_default()
}

/// The one place of the id.
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
            Self::Protocol(word) => f.write_str(word.word()),
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
                let named = MatchProtocol::ALL.into_iter().find(|protocol| protocol.word() == word);
                if let Some(protocol) = named {
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

    /// `0:u16be`: offset and format.
    fn from_str(word: &str) -> Result<Self, PayloadError> {
        let parts = word.split_once(':');
        let parsed = parts.and_then(|(offset, format)| {
            Some(Self { offset: offset.parse().ok()?, number: Number::parse(format)? })
        });
        parsed.ok_or_else(|| PayloadError::Place { asked: word.to_owned() })
    }
}
