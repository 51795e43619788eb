//! What a relay is to do, what it has done, and what a receiver must count after it.
#![allow(missing_docs, dead_code, unreachable_pub)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use udperf::wire;

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the client to the sink.
    Forward,
    /// From the sink to the client.
    Back,
}

/// What is done to a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It does not go on.
    Drop,
    /// It goes on, and so many times more.
    Repeat(u32),
    /// It goes on behind so many later ones of its direction.
    Delay(u32),
    /// It goes on damaged.
    Damage(Damage),
    /// It goes on, and a damaged copy in front of it.
    Copy(Damage),
}

/// How a datagram is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// This bit of the datagram is flipped; the first byte has bits 0 to 7.
    Bit(usize),
    /// This bit of its sequence number is flipped, with a check that fits: it is forged.
    Number(u32),
}

/// The damaged datagram.
pub fn damaged(bytes: &[u8], damage: Damage) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match damage {
        Damage::Bit(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
        Damage::Number(bit) => {
            let header = wire::decode_own(&bytes, tag_of(&bytes)).expect("it is one of ours");
            let sequence = header.sequence ^ 1 << bit;
            wire::encode(wire::Header { sequence, ..header }, &mut bytes);
        }
    }
    bytes
}

/// How control is mistreated, in percent of its messages, each way.
#[derive(Debug, Clone, Copy)]
pub struct Mistreat {
    pub seed: u64,
    pub drop: u64,
    pub repeat: u64,
    /// Held until the next control message of that direction, or a silence.
    pub delay: u64,
}

/// The list of actions.
#[derive(Debug, Default)]
pub struct Orders {
    listed: HashMap<(Way, u64), Action>,
    rules: Vec<(Way, u64, u64, Action)>,
    thinned: HashMap<(Way, u16), u64>,
    lags: HashMap<Way, Duration>,
    pub how: Option<Mistreat>,
}

impl Orders {
    pub fn on(mut self, way: Way, index: u64, action: Action) -> Self {
        self.listed.insert((way, index), action);
        self
    }

    /// To `first`, `first + every`, `first + 2 * every`…; what is listed by index goes before.
    pub fn every(mut self, way: Way, every: u64, first: u64, action: Action) -> Self {
        self.rules.push((way, every, first, action));
        self
    }

    /// Drops of one flow the first datagram that comes, and every so many after it; 1: all.
    pub fn thin(mut self, way: Way, flow: u16, every: u64) -> Self {
        self.thinned.insert((way, flow), every);
        self
    }

    /// All that goes this way, control too, takes so much longer.
    pub fn lag(mut self, way: Way, lag: Duration) -> Self {
        self.lags.insert(way, lag);
        self
    }

    /// How much longer all takes that goes this way.
    pub fn lag_of(&self, way: Way) -> Option<Duration> {
        self.lags.get(&way).copied()
    }

    pub fn mistreat(mut self, how: Mistreat) -> Self {
        self.how = Some(how);
        self
    }

    /// How many datagrams of this one's flow there are for one that is dropped.
    pub fn thins(&self, way: Way, bytes: &[u8]) -> Option<(u16, u64)> {
        let flow = wire::decode_own(bytes, tag_of(bytes))?.flow;
        self.thinned.get(&(way, flow)).map(|every| (flow, *every))
    }

    pub fn action(&self, way: Way, index: u64) -> Option<Action> {
        let ruled = self.rules.iter().find(|(of, every, first, _)| {
            *of == way && index >= *first && (index - first).is_multiple_of(*every)
        });
        self.listed.get(&(way, index)).copied().or_else(|| ruled.map(|rule| rule.3))
    }
}

/// What happened one way. `distinct` to `extent` are what a receiver must count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Data datagrams that came.
    pub came: u64,
    /// Those not passed on.
    pub dropped: u64,
    /// Passed on once more than came.
    pub repeated: u64,
    /// Held back for a while.
    pub delayed: u64,
    /// Passed on damaged, instead of the datagram or beside it.
    pub damaged: u64,
    /// Sequence numbers passed on, each once.
    pub distinct: u64,
    /// Passed on although passed on before.
    pub duplicate: u64,
    /// Passed on for the first time after a higher number of their flow (RFC 4737).
    pub reordered: u64,
    /// The largest distance of such to the highest number before.
    pub extent: u64,
    /// Control messages that came.
    pub control: u64,
    /// Control messages not passed on.
    pub control_dropped: u64,
    /// Datagrams by which a socket showed itself; they are treated as control.
    pub shown: u64,
    /// Neither data nor control: passed on as they are.
    pub other: u64,
    /// Passed on in vain: the system refused them.
    pub refused: u64,
}

/// What the relay has done.
#[derive(Debug, Default, Clone)]
pub struct Account {
    pub forward: Lane,
    pub back: Lane,
    /// Source addresses of clients.
    pub sources: usize,
    /// Where the sink knows them by, in the order they came.
    pub upstream: Vec<SocketAddr>,
    /// Dropped at its own sockets: an account of a test that has any is worth nothing.
    pub lost_by_relay: u64,
    /// The first control messages, in the order they came.
    pub messages: Vec<(Way, Vec<u8>)>,
}

impl Account {
    pub fn lane(&self, way: Way) -> &Lane {
        match way {
            Way::Forward => &self.forward,
            Way::Back => &self.back,
        }
    }

    /// The account, once it is sure that the relay itself lost nothing.
    #[track_caller]
    pub fn sound(self) -> Self {
        assert_eq!(self.lost_by_relay, 0, "the relay could not keep up: send more slowly");
        assert_eq!(self.forward.refused + self.back.refused, 0, "the relay could not send");
        self
    }
}

/// What a receiver knows of one flow.
#[derive(Default)]
pub struct Flow {
    highest: Option<u64>,
    seen: HashSet<u64>,
}

/// Held back: until so many of its direction have gone on.
pub struct Held {
    pub due: u64,
    pub source: usize,
    pub bytes: Vec<u8>,
}

/// One direction at work.
#[derive(Default)]
pub struct LaneWork {
    pub lane: Lane,
    /// Data datagrams that went on in their turn.
    pub passed: u64,
    pub held: Vec<Held>,
    pub held_control: Vec<(usize, Vec<u8>)>,
    /// What takes longer: when it goes on.
    pub lagging: VecDeque<(Instant, usize, Vec<u8>)>,
    /// Datagrams of a flow of which some are dropped.
    pub thinned: HashMap<u16, u64>,
    /// By source, tag and flow.
    flows: HashMap<(usize, u16, u16), Flow>,
}

impl LaneWork {
    /// What the receiver makes of it.
    pub fn count(&mut self, source: usize, bytes: &[u8]) {
        let tag = tag_of(bytes);
        let Some(header) = wire::decode_own(bytes, tag) else { return };
        let flow = self.flows.entry((source, tag, header.flow)).or_default();
        if !flow.seen.insert(header.sequence) {
            self.lane.duplicate += 1;
            return;
        }
        self.lane.distinct += 1;
        match flow.highest {
            Some(highest) if highest > header.sequence => {
                self.lane.reordered += 1;
                self.lane.extent = self.lane.extent.max(highest - header.sequence);
            }
            _ => flow.highest = Some(header.sequence),
        }
    }

    /// Those whose turn it is now, or all.
    pub fn ripe(&mut self, all: bool) -> Vec<Held> {
        let passed = self.passed;
        self.held.extract_if(.., |held| all || held.due <= passed).collect()
    }
}

pub fn tag_of(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |tag| u16::from_be_bytes(*tag))
}
