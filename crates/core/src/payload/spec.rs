//! Specifications of requests, before they are compiled.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::capture::{Capture, PacketFilter};
use super::compile::{Compiler, IdPlace};
use super::expectations::{ErrorRule, Expectations};
use super::field::Piece;
use super::lines::{LARGE_FILE, LineFile, LineIndex, LineKind, lines_of};
use super::patch::What;
use super::pattern::{Regex, ReplyRule, finder};
use super::protocol::coap;
use super::protocol::{IdSearch, Matching, Preset, Protocol, Rule};
use super::requests::{IdAt, RequestOrder, Requests};
use super::second::Then;
use super::template::{self, TemplateBody};
use super::{Encoding, Number, PayloadError, hex};

/// Where requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "other variants are as named")]
pub enum RequestSource {
    Text(String),
    /// One request, as hex digits.
    Hex(String),
    /// A request per line, as text in UTF-8; empty lines are skipped, and lines may end in CR LF.
    Lines(Arc<Vec<u8>>),
    /// One request, as bytes.
    File(Vec<u8>),
    /// The datagrams of a capture, pcap or pcapng; with a port, only those to it; with `inner`,
    /// also those inside tunnels (GRE, VXLAN, IP in IP).
    Capture {
        bytes: Vec<u8>,
        port: Option<u16>,
        inner: bool,
    },
    Preset(Preset),
}

/// The requested way of matching replies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MatchRule {
    /// As the protocol defines; for other requests by their id, or without one by order.
    #[default]
    Preset,
    /// By the id, at this offset of the reply, in the format it has in the request.
    IdAt(usize),
    /// By the id that follows this text, in the format it has in the request.
    After(String),
    /// By the id that follows these bytes.
    AfterHex(Vec<u8>),
    /// By the id that the first group of this expression matches.
    Regex(Regex),
    /// The rule of DNS, NTP, STUN, memcached or CoAP for requests that get an id if they have none.
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
    /// Rules of which a reply must fit one, or it is an error; empty: any reply is fine.
    pub expected: Vec<ReplyRule>,
    /// Rules for replies that are errors.
    pub errors: Vec<ErrorRule>,
    /// The second request; presets have their own.
    pub then: Option<Then>,
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
            expected: Vec::new(),
            errors: Vec::new(),
            then: None,
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
        self.compile_above(seed, LARGE_FILE)
    }

    /// The same; lines of files above this size are composed when sent.
    pub(super) fn compile_above(
        &self,
        seed: u64,
        large_file: usize,
    ) -> Result<(Requests, Matching), PayloadError> {
        let mut to = Compiler::new(seed, self.order, large_file);
        let parse = |source: &[u8], body| {
            self.with_own_ids(template::parse(source, body, self.fields, seed)?)
        };
        let text = TemplateBody::Text(self.encoding);
        match &self.source {
            RequestSource::Text(source) => to.line(&parse(source.as_bytes(), text)?)?,
            RequestSource::Hex(digits) => {
                to.line(&parse(digits.as_bytes(), TemplateBody::Hex)?)?;
            }
            RequestSource::File(bytes) => to.line(&parse(bytes, TemplateBody::Bytes)?)?,
            RequestSource::Lines(bytes) => self.lines(bytes, &mut to, seed)?,
            RequestSource::Capture { bytes, port, inner } => {
                let filter = PacketFilter { port: *port, inner: *inner };
                self.capture(Capture::read(bytes, filter)?, &mut to)?
            }
            RequestSource::Preset(preset) => preset.compile(&mut to, seed)?,
        }
        let (mut requests, mut id_place) = to.finish()?;
        if requests.reply_len > 0 {
            return Err(PayloadError::EarlyReply);
        }
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

    /// For CoAP, whose tokens have several lengths, with ids of udperf unless the user placed one.
    fn with_own_ids(&self, pieces: Vec<Piece>) -> Result<Vec<Piece>, PayloadError> {
        let has_id = |piece: &Piece| matches!(piece, Piece::Field(What::Id(_)));
        if self.rule != MatchRule::Protocol(Protocol::Coap) || pieces.iter().any(has_id) {
            return Ok(pieces);
        }
        let mut pieces = pieces.into_iter();
        let own = match pieces.next() {
            Some(Piece::Bytes(message)) => coap::with_own_ids(&message),
            _ => None,
        };
        Ok(own.ok_or(PayloadError::NotCoap)?.into_iter().chain(pieces).collect())
    }

    /// Adds each line; those of a large file are only checked, and composed when they are sent.
    fn lines(
        &self,
        bytes: &Arc<Vec<u8>>,
        to: &mut Compiler,
        seed: u64,
    ) -> Result<(), PayloadError> {
        let (encoding, fields) = (self.encoding, self.fields);
        // Requests of CoAP get ids when they are compiled.
        let is_composed =
            bytes.len() > to.large_file && self.rule != MatchRule::Protocol(Protocol::Coap);
        let mut index = is_composed.then(LineIndex::default);
        for (line, number, start) in lines_of(bytes) {
            to.line_number = number;
            if let Some(index) = &mut index {
                index.add(start, !line.is_empty())?;
            }
            if line.is_empty() {
                continue;
            }
            if std::str::from_utf8(line).is_err() {
                return Err(PayloadError::NotText { number });
            }
            let added = match &index {
                Some(_) => template::check(line, TemplateBody::Text(encoding), fields, seed)
                    .and_then(|shape| to.composed(&shape, 1)),
                None => template::parse(line, TemplateBody::Text(encoding), fields, seed)
                    .and_then(|pieces| to.line(&self.with_own_ids(pieces)?)),
            };
            added.map_err(|error| error.in_line(number))?;
        }
        if let Some(index) = index {
            let kind = LineKind::Text { encoding, fields, seed };
            to.set_file(LineFile { bytes: Arc::clone(bytes), index, kind });
        }
        to.summarize_lines();
        Ok(())
    }

    fn capture(&self, mut capture: Capture<'_>, to: &mut Compiler) -> Result<(), PayloadError> {
        if self.rule == MatchRule::Protocol(Protocol::Coap) {
            capture.leave_out_others(|message| coap::with_own_ids(message).is_some());
        } else if let Some(IdAt { offset, number }) = self.id_place() {
            let width = number.width();
            if let Some(len) = capture.leave_out_below(offset.saturating_add(width)) {
                return Err(PayloadError::IdBeyond { offset, width, len });
            }
        }
        let (moments, input) = capture.summary()?;
        for payload in capture.payloads() {
            to.line(&self.with_own_ids(vec![Piece::Bytes(payload.to_vec())])?)?;
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
        let mut search = None;
        let rule = match (&self.rule, preset) {
            (MatchRule::None, _) => Rule::None,
            (MatchRule::Any, _) => Rule::Any,
            (MatchRule::Preset, Some(rule)) => rule,
            (MatchRule::Preset, None) => ids?.map_or(Rule::Any, Rule::Id),
            (MatchRule::Protocol(of), _) => {
                protocol = *of;
                let at = of.id_at();
                if at.is_none() || at != ids? {
                    let place = at.map(|at| at.to_string()).unwrap_or_default();
                    return Err(PayloadError::OtherId { rule: self.rule.to_string(), place });
                }
                Rule::Protocol
            }
            (MatchRule::IdAt(offset), _) => {
                let number = ids?.ok_or_else(no_id)?.number;
                Rule::Id(IdAt { offset: *offset, number }.in_reply()?)
            }
            (MatchRule::After(_) | MatchRule::AfterHex(_) | MatchRule::Regex(_), _) => {
                search = Some(self.search()?);
                Rule::Search(format_of(ids)?.ok_or_else(no_id)?)
            }
            (MatchRule::Echo, _) => match ids? {
                None if !requests.are_equal() => return Err(no_id()),
                at => Rule::Echo(at),
            },
        };
        let expectations = Expectations::compile(&self.expected, &self.errors, self.encoding)?;
        if rule == Rule::None && !expectations.is_empty() {
            return Err(PayloadError::NoReplies);
        }
        Ok(Matching { rule, protocol, id_mask: requests.id_mask(), search, expectations })
    }

    fn search(&self) -> Result<IdSearch, PayloadError> {
        let (rule, encoded) = (self.rule.to_string(), |text| self.encoding.encode(text));
        let bytes = match &self.rule {
            MatchRule::Regex(regex) if regex.has_group() => {
                return Ok(IdSearch::Regex(regex.clone()));
            }
            MatchRule::Regex(_) => return Err(PayloadError::NoGroup { rule }),
            MatchRule::After(text) => {
                encoded(text).map_err(|error| error.moved_by(AFTER.len()).in_rule(&rule))?
            }
            MatchRule::AfterHex(bytes) => bytes.clone(),
            _ => Vec::new(),
        };
        if bytes.is_empty() {
            Err(PayloadError::EmptyRule { rule })
        } else {
            Ok(IdSearch::After(finder(&bytes)))
        }
    }
}

/// The format of the ids, which may be at several places.
fn format_of(ids: IdPlace) -> Result<Option<Number>, PayloadError> {
    match ids {
        Err(PayloadError::MovingId { format: Some(format), .. }) => Ok(Some(format)),
        ids => Ok(ids?.map(|at| at.number)),
    }
}

/// The first characters of rules with an argument.
const AFTER: &str = "after:";
const AFTER_HEX: &str = "after-hex:";
const REGEX: &str = "regex:";

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
            (Self::After(text), _) => write!(f, "{AFTER}{text}"),
            (Self::AfterHex(bytes), _) => write!(f, "{AFTER_HEX}{}", hex::show(bytes)),
            (Self::Regex(regex), _) => write!(f, "{REGEX}{regex}"),
            (_, named) => f.write_str(named.map_or("", |(_, name)| name)),
        }
    }
}

impl FromStr for MatchRule {
    type Err = PayloadError;

    fn from_str(word: &str) -> Result<Self, PayloadError> {
        if let Some(text) = word.strip_prefix(AFTER) {
            return Ok(Self::After(text.to_owned()));
        }
        if let Some(digits) = word.strip_prefix(AFTER_HEX) {
            let moved = |error: PayloadError| error.moved_by(AFTER_HEX.len()).in_rule(word);
            return hex::parse(digits).map(Self::AfterHex).map_err(moved);
        }
        if let Some(regex) = word.strip_prefix(REGEX) {
            return regex.parse().map(Self::Regex);
        }
        let offset = || Some(Self::IdAt(word.strip_prefix("id@")?.parse().ok()?));
        let named = Self::named().find(|(_, name)| *name == word).map(|(rule, _)| rule);
        named.or_else(offset).ok_or_else(|| PayloadError::Rule { requested: word.to_owned() })
    }
}
