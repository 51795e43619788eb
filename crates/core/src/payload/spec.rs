//! Specifications of requests, before they are compiled.

use std::fmt;
use std::str::FromStr;

use super::capture::Capture;
use super::compile::{Compiler, IdPlace, Piece};
use super::encoding::lines_of;
use super::protocol::{Matching, Preset, Protocol, Rule};
use super::requests::{IdAt, RequestOrder, Requests};
use super::template::{self, TemplateBody};
use super::{Encoding, PayloadError};

/// Where requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "other variants are as named")]
pub enum RequestSource {
    Text(String),
    /// One request, as hex digits.
    Hex(String),
    /// A request per line, as text in UTF-8; empty lines are skipped, and lines may end in CR LF.
    Lines(Vec<u8>),
    /// One request, as bytes.
    File(Vec<u8>),
    /// The datagrams of a capture, pcap or pcapng; with a port, only those to it.
    Capture {
        bytes: Vec<u8>,
        port: Option<u16>,
    },
    Preset(Preset),
}

/// The requested way of matching replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatchRule {
    /// As the protocol defines; for other requests by their id, or without one by order.
    #[default]
    Preset,
    /// By the id, at this offset of the reply, in the format it has in the request.
    IdAt(usize),
    /// The rule of DNS, NTP, STUN or memcached for requests that get an id if they have none.
    Protocol(Protocol),
    /// The reply equals the request.
    Echo,
    /// Any datagram answers the oldest request.
    Any,
    /// There are no replies.
    None,
}

/// A specification of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct Spec {
    pub source: RequestSource,
    pub order: RequestOrder,
    pub encoding: Encoding,
    /// Whether braces hold fields, in sources other than presets; otherwise they are text.
    pub fields: bool,
    /// Where to put an id, over what stands there.
    pub id_at: Option<IdAt>,
    pub rule: MatchRule,
}

impl Spec {
    /// Requests of this source, in turns, with fields, in UTF-8, and the default match rule.
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
            RequestSource::Preset(preset) => preset.about().1,
            RequestSource::Capture { port, .. } => *port,
            _ => None,
        }
    }

    /// Compiles requests and matching; random fields follow from `seed`.
    pub fn compile(&self, seed: u64) -> Result<(Requests, Matching), PayloadError> {
        let mut to = Compiler::new(seed, self.order);
        let parse = |source: &[u8], body| template::parse(source, body, self.fields, seed);
        let text = TemplateBody::Text(self.encoding);
        match &self.source {
            RequestSource::Text(source) => to.line(&parse(source.as_bytes(), text)?)?,
            RequestSource::Hex(digits) => {
                to.line(&parse(digits.as_bytes(), TemplateBody::Hex)?)?;
            }
            RequestSource::File(bytes) => to.line(&parse(bytes, TemplateBody::Bytes)?)?,
            RequestSource::Lines(bytes) => {
                for (line, number) in lines_of(bytes).filter(|(line, _)| !line.is_empty()) {
                    if std::str::from_utf8(line).is_err() {
                        return Err(PayloadError::NotText { number });
                    }
                    let added = parse(line, text).and_then(|pieces| to.line(&pieces));
                    added.map_err(|error| error.in_line(number))?;
                }
            }
            RequestSource::Capture { bytes, port } => {
                self.capture(Capture::read(bytes, *port)?, &mut to)?
            }
            RequestSource::Preset(preset) => preset.compile(&mut to, seed)?,
        }
        let (mut requests, mut id_place) = to.finish()?;
        let has_none = id_place == Ok(None);
        if let Some(at) = self.id_place().filter(|_| self.id_at.is_some() || has_none) {
            if !has_none {
                return Err(PayloadError::TwoIds);
            }
            requests.put_id(at)?;
            id_place = Ok(Some(at));
        }
        let matching = self.matching(&requests, id_place)?;
        Ok((requests, matching))
    }

    /// The requested place of the id, or that of the protocol.
    fn id_place(&self) -> Option<IdAt> {
        match self.rule {
            MatchRule::Protocol(protocol) => self.id_at.or_else(|| protocol.id_at()),
            _ => self.id_at,
        }
    }

    fn capture(&self, mut capture: Capture<'_>, to: &mut Compiler) -> Result<(), PayloadError> {
        if let Some(IdAt { offset, number }) = self.id_place() {
            let width = number.width();
            if let Some(len) = capture.leave_out_below(offset.saturating_add(width)) {
                return Err(PayloadError::IdBeyond { offset, width, len });
            }
        }
        let (moments, input) = capture.summary()?;
        for payload in capture.payloads() {
            to.line(&[Piece::Bytes(payload.to_vec())])?;
        }
        // In random order, times have no meaning.
        to.requests.recorded = (self.order == RequestOrder::Turns).then_some(moments);
        to.requests.input = Some(input);
        Ok(())
    }

    fn matching(&self, requests: &Requests, ids: IdPlace) -> Result<Matching, PayloadError> {
        let (mut protocol, preset) = match &self.source {
            RequestSource::Preset(preset) => {
                let (_, _, protocol, rule) = preset.about();
                (protocol, Some(rule))
            }
            _ => (Protocol::Unknown, None),
        };
        let no_id = || PayloadError::NoId { rule: self.rule.to_string() };
        let rule = match (self.rule, preset) {
            (MatchRule::None, _) => Rule::None,
            (MatchRule::Any, _) => Rule::Any,
            (MatchRule::Preset, Some(rule)) => rule,
            (MatchRule::Preset, None) => ids?.map_or(Rule::Any, Rule::Id),
            (MatchRule::Protocol(of), _) => {
                protocol = of;
                let at = of.id_at();
                if at.is_none() || at != ids? {
                    let place = at.map(|at| at.to_string()).unwrap_or_default();
                    return Err(PayloadError::OtherId { rule: self.rule.to_string(), place });
                }
                Rule::Protocol
            }
            (MatchRule::IdAt(offset), _) => {
                Rule::Id(IdAt { offset, number: ids?.ok_or_else(no_id)?.number })
            }
            (MatchRule::Echo, _) => match ids? {
                None if !requests.are_equal() => return Err(no_id()),
                at => Rule::Echo(at),
            },
        };
        Ok(Matching { rule, protocol, id_mask: requests.id_mask() })
    }
}

impl MatchRule {
    /// All rules with a name on the command line, besides `id@OFFSET`.
    fn named() -> impl Iterator<Item = (Self, &'static str)> {
        let rules = [Self::Preset, Self::Echo, Self::Any, Self::None].into_iter();
        let protocols = Protocol::WITH_ID.map(|(of, name, _)| (Self::Protocol(of), name));
        rules.zip(["preset", "echo", "any", "none"]).chain(protocols)
    }
}

impl fmt::Display for MatchRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, Self::named().find(|(rule, _)| rule == self)) {
            (Self::IdAt(offset), _) => write!(f, "id@{offset}"),
            (_, named) => f.write_str(named.map_or("", |(_, name)| name)),
        }
    }
}

impl FromStr for MatchRule {
    type Err = PayloadError;

    fn from_str(word: &str) -> Result<Self, PayloadError> {
        let offset = || Some(Self::IdAt(word.strip_prefix("id@")?.parse().ok()?));
        let named = Self::named().find(|(_, name)| *name == word).map(|(rule, _)| rule);
        named.or_else(offset).ok_or_else(|| PayloadError::Rule { requested: word.to_owned() })
    }
}
