//! The requested run, before it is known whether it is possible.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use super::engines::EngineWord;
use crate::engine::EnginePair;
use crate::plan::options::{PaceKind, Pinning, Route, TimestampKind, WaitKind};
use crate::unit::{Nanos, PayloadSize, Rate};

/// How long a cell measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// For this time.
    Time(Nanos),
    /// Until so many datagrams have been sent, all workers together.
    Count(u64),
}

/// IP options of our sockets; `None` leaves the system's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpOptions {
    /// Differentiated services code point, 0 to 63 (RFC 2474).
    pub dscp: Option<u8>,
    /// Time to live, or hop limit; 1 to 255.
    pub ttl: Option<u8>,
    /// Whether fragments are forbidden.
    pub df: bool,
    /// The device to send and receive by.
    pub dev: Option<String>,
}

/// Requests to a server, and how replies are matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RequestOptions {
    /// The requests, in words.
    pub requests: String,
    /// How replies are matched, in words.
    pub replies: String,
    /// How long a reply is waited for.
    #[serde(rename = "timeout_ns")]
    pub timeout: Nanos,
    /// Requests in flight at most, all workers together: a closed loop; `None`: an open one.
    pub outstanding: Option<u32>,
    /// When the requests of a capture were sent, in nanoseconds since the first; never decreasing.
    #[serde(skip)]
    pub recorded: Option<&'static [u64]>,
    /// Whether replies carry no id, and each answers the oldest request of its port.
    pub in_order: bool,
    /// Bits of the id that distinguishes requests of one port.
    pub id_bits: u32,
    /// Whether there are as many source ports as the ids need, and not as many as `streams` says.
    #[serde(skip)]
    pub spread: bool,
    /// Bits of the message id by which a server detects retransmissions, if there is one.
    #[serde(skip)]
    pub message_id_bits: Option<u32>,
    /// How many random labels there are; `None` where requests have none.
    #[serde(skip)]
    pub labels: Option<u64>,
}

/// A benchmark as asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scenario {
    /// Which way datagrams go.
    #[serde(serialize_with = "word")]
    pub route: Route,
    /// The other end, as typed; empty where both are here.
    pub target: String,
    /// Payloads, each a row.
    #[serde(serialize_with = "words")]
    pub sizes: Vec<PayloadSize>,
    /// Engines, each a row.
    #[serde(serialize_with = "words")]
    pub engines: Vec<EngineWord>,
    /// Rates.
    #[serde(serialize_with = "words")]
    pub rates: Vec<Rate>,
    /// How datagrams follow each other where there is a rate.
    #[serde(serialize_with = "word")]
    pub pace: PaceKind,
    /// How long each cell measures.
    #[serde(serialize_with = "limit")]
    pub limit: Limit,
    /// How long each cell warms up; zero: not at all.
    #[serde(rename = "warmup_ns")]
    pub warmup: Nanos,
    /// Repeats of every cell.
    pub trials: u32,
    /// Flows, each its own source port.
    pub streams: u16,
    /// Senders, and receivers.
    pub threads: u16,
    /// Cores.
    #[serde(serialize_with = "word")]
    pub pin: Pinning,
    /// How workers wait.
    #[serde(serialize_with = "word")]
    pub wait: WaitKind,
    /// Datagrams a system call at most, for engines that batch; `None`: what suits each best.
    pub batch: Option<u16>,
    /// Who says when a datagram arrived.
    #[serde(serialize_with = "word")]
    pub timestamps: TimestampKind,
    /// SO_SNDBUF and SO_RCVBUF to ask for, in bytes.
    pub socket_buffer: usize,
    /// Whether senders connect their sockets.
    pub connect: bool,
    /// Local address of both ends, or of this one; without meaning where `unix` says it.
    pub bind: IpAddr,
    /// What AF_UNIX receivers are named by, a path or `@NAME`: `PATH.0`, `PATH.1` …; `None`: UDP.
    pub unix: Option<String>,
    /// Address of the receivers, where both ends are in this process; `None`: `bind`.
    pub to: Option<IpAddr>,
    /// File of the network namespace that these receivers are in; `None`: ours.
    pub to_netns: Option<PathBuf>,
    /// Port of the first receiver; 0: any.
    pub port: u16,
    /// IP options.
    pub ip: IpOptions,
    /// Local ports of flows, first and last; `None`: any free ones.
    pub ports: Option<(u16, u16)>,
    /// Whether to send to broadcast addresses.
    pub broadcast: bool,
    /// Whether a sink gives flows to its receivers by a hash of where they come from.
    pub by_hash: bool,
    /// Requests, where datagrams are requests; `None`: they are not.
    pub asking: Option<RequestOptions>,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for Scenario {
    /// What `udperf bench` does without a flag.
    fn default() -> Self {
        Self {
            route: Route::Local,
            target: String::new(),
            sizes: [64, 512, 1_472, 8_972].map(PayloadSize::Fixed).to_vec(),
            engines: [EnginePair::PLAIN, EnginePair::BATCH, EnginePair::GSO_BATCH]
                .map(EngineWord::Pair)
                .to_vec(),
            rates: vec![Rate::Max, Rate::OfMax(0.5)],
            pace: PaceKind::Even,
            limit: Limit::Time(Nanos::from_millis(500)),
            warmup: Nanos::from_millis(100),
            trials: 1,
            streams: 1,
            threads: 1,
            pin: Pinning::Auto,
            wait: WaitKind::Hybrid,
            batch: None,
            timestamps: TimestampKind::User,
            socket_buffer: 4 << 20,
            connect: true,
            bind: Ipv4Addr::LOCALHOST.into(),
            unix: None,
            to: None,
            to_netns: None,
            port: 0,
            ip: IpOptions::default(),
            ports: None,
            broadcast: false,
            by_hash: false,
            asking: None,
            seed: 1,
        }
    }
}

fn word<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&value.to_string())
}

fn words<T: ToString, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

fn limit<S: Serializer>(value: &Limit, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Limit::Time(time) => serializer.collect_str(&format_args!("{}ns", time.0)),
        Limit::Count(count) => serializer.collect_str(&format_args!("{count} datagrams")),
    }
}
