//! The requested run, and the configurations of its workers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use super::options::{
    EngineWord, Member, PaceBy, PaceKind, Pinning, Route, TimestampKind, WaitKind,
};
use super::sources::Sources;
use crate::engine::{EnginePair, RxKind, TxKind};
use crate::sys::XdpMode;
use crate::unit::{Nanos, PacketRate, PayloadSize, Rate};

/// How long a cell measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// This time.
    Time(Nanos),
    /// Until all workers together have sent so many datagrams.
    Count(u64),
}

impl Limit {
    /// The time; `None` if a count decides.
    pub const fn time(self) -> Option<Nanos> {
        match self {
            Self::Time(time) => Some(time),
            Self::Count(_) => None,
        }
    }

    /// The time, or [`Nanos::NEVER`] if a count decides.
    pub fn latest_end(self) -> Nanos {
        self.time().unwrap_or(Nanos::NEVER)
    }
}

/// IP options of sockets; `None` is the system's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpOptions {
    /// Differentiated services code point, 0 to 63 (RFC 2474).
    pub dscp: Option<u8>,
    /// Time to live, or hop limit; 1 to 255.
    pub ttl: Option<u8>,
    /// Whether fragments are forbidden.
    pub df: bool,
    /// The device to bind to.
    pub dev: Option<String>,
}

/// How the engine `xdp` uses a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct XdpSettings {
    /// Where the receive program runs.
    pub mode: XdpMode,
    /// The queues to use, in turn by worker; none: all of the device.
    pub queues: Vec<u32>,
}

impl XdpSettings {
    /// Documents of other engines, and older ones, lack them.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Requests to a server, and how replies are matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct RequestOptions {
    pub requests: String,
    pub replies: String,
    /// Rules of the user for replies that are errors.
    pub rules: Vec<String>,
    /// How long to wait for a reply.
    #[serde(rename = "timeout_ns")]
    pub timeout: Nanos,
    /// Maximum requests in flight of all workers, in a closed loop; `None`: an open loop.
    pub outstanding: Option<u32>,
    /// Times of the requests of a capture, in nanoseconds since the first; never decreasing.
    #[serde(skip)]
    pub recorded: Option<&'static [u64]>,
    /// Whether replies carry no id, and each answers the oldest request of its port.
    pub in_order: bool,
    /// Bits of the id that distinguishes requests of one port.
    pub id_bits: u32,
    /// Whether the number of source ports follows from the ids, and not from `streams`.
    #[serde(skip)]
    pub spread: bool,
    /// Bits of the message id by which a server detects retransmissions, if there is one.
    #[serde(skip)]
    pub message_id_bits: Option<u32>,
    /// Whether a run without second requests does not test what was requested.
    pub requires_second: bool,
    /// How many random labels there are; `None` if requests have none.
    #[serde(skip)]
    pub labels: Option<u64>,
    /// Whether a second request of an exchange expects a reply, too.
    #[serde(skip)]
    pub expects_second_reply: bool,
}

/// A requested benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "other fields are as named; `PaceKind` and the like have docs")]
pub struct Scenario {
    #[serde(serialize_with = "word")]
    pub route: Route,
    /// The other end, as typed; empty if both ends are here.
    pub target: String,
    #[serde(serialize_with = "words")]
    pub sizes: Vec<PayloadSize>,
    #[serde(serialize_with = "words")]
    pub engines: Vec<EngineWord>,
    #[serde(serialize_with = "words")]
    pub rates: Vec<Rate>,
    /// The rate that shares such as `50%` refer to; `None`: what `max` delivers in the run.
    #[serde(skip)]
    pub capacity: Option<PacketRate>,
    #[serde(serialize_with = "word")]
    pub pace: PaceKind,
    #[serde(serialize_with = "word", skip_serializing_if = "is_user")]
    pub pace_by: PaceBy,
    #[serde(serialize_with = "limit")]
    pub limit: Limit,
    #[serde(rename = "warmup_ns")]
    pub warmup: Nanos,
    /// Width of the intervals that each cell counts by; `None`: none.
    #[serde(rename = "interval_ns")]
    pub interval: Option<Nanos>,
    pub trials: u32,
    /// Flows, each with its own source port.
    pub streams: u16,
    /// Number of senders and of receivers.
    pub threads: u16,
    /// The part of this process; flows and threads are those of each process.
    #[serde(skip)]
    pub member: Member,
    /// How much later than the process of the rank before each process of the run starts.
    #[serde(rename = "start_stagger_ns")]
    pub start_stagger: Nanos,
    #[serde(serialize_with = "word")]
    pub pin: Pinning,
    #[serde(serialize_with = "word")]
    pub wait: WaitKind,
    /// Whether workers run in real time, with memory locked.
    pub realtime: bool,
    /// Maximum datagrams per system call; `None`: the default of each engine.
    pub batch: Option<u16>,
    #[serde(serialize_with = "word")]
    pub timestamps: TimestampKind,
    /// SO_SNDBUF and SO_RCVBUF to request, in bytes.
    pub socket_buffer: usize,
    pub connect: bool,
    /// Local address of both ends, or of this one; unused with `unix`.
    pub bind: IpAddr,
    /// Source addresses of the flows, in turn; `None`: `bind` is that of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Sources>,
    /// Name of AF_UNIX receivers, a path or `@NAME`: `PATH.0`, `PATH.1` …; `None`: UDP.
    pub unix: Option<String>,
    /// Address of the receivers, if both ends are in this process; `None`: `bind`.
    pub to: Option<IpAddr>,
    /// File of the network namespace of these receivers; `None`: that of the process.
    pub to_netns: Option<PathBuf>,
    /// Port of the first receiver; 0: any.
    pub port: u16,
    pub ip: IpOptions,
    #[serde(skip_serializing_if = "XdpSettings::is_default")]
    pub xdp: XdpSettings,
    /// Local ports of flows, first and last; `None`: any free ones.
    pub ports: Option<(u16, u16)>,
    /// Whether to send to broadcast addresses.
    pub broadcast: bool,
    /// Whether a sink assigns flows to its receivers by a hash of their source.
    pub by_hash: bool,
    /// Requests; `None` if datagrams are not requests.
    pub asking: Option<RequestOptions>,
    pub seed: u64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            route: Route::Local,
            target: String::new(),
            sizes: [64, 512, 1_472, 8_972].map(PayloadSize::Fixed).to_vec(),
            engines: [EnginePair::PLAIN, EnginePair::BATCH, EnginePair::GSO_BATCH]
                .map(EngineWord::Pair)
                .to_vec(),
            rates: vec![Rate::Max, Rate::OfMax(0.5)],
            capacity: None,
            pace: PaceKind::Even,
            pace_by: PaceBy::User,
            limit: Limit::Time(Nanos::from_millis(500)),
            warmup: Nanos::from_millis(100),
            interval: None,
            trials: 1,
            streams: 1,
            threads: 1,
            member: Member::default(),
            start_stagger: Nanos::ZERO,
            pin: Pinning::Auto,
            wait: WaitKind::Hybrid,
            realtime: false,
            batch: None,
            timestamps: TimestampKind::User,
            socket_buffer: 4 << 20,
            connect: true,
            bind: Ipv4Addr::LOCALHOST.into(),
            sources: None,
            unix: None,
            to: None,
            to_netns: None,
            port: 0,
            ip: IpOptions::default(),
            xdp: XdpSettings::default(),
            ports: None,
            broadcast: false,
            by_hash: false,
            asking: None,
            seed: 1,
        }
    }
}

/// How the datagrams of workers follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum WorkerLoad {
    /// As fast as possible.
    FlatOut,
    /// With equal gaps.
    Even(PacketRate),
    /// In bursts of so many.
    Burst(PacketRate, u32),
    /// Exponential gaps, from a seed.
    Poisson(PacketRate, u64),
    /// From one rate to the other over this time.
    Ramp(PacketRate, PacketRate, Nanos),
    /// At these moments in nanoseconds, repeatedly; their mean rate.
    #[serde(skip)]
    Recorded(PacketRate, &'static [u64]),
}

impl WorkerLoad {
    /// The peak rate of all workers together; `None` flat out.
    pub fn peak_pps(&self) -> Option<f64> {
        match self {
            Self::Ramp(from, to, _) => Some(from.pps().max(to.pps())),
            other => other.mean_pps(),
        }
    }

    /// The mean rate of all workers together; `None` flat out.
    pub fn mean_pps(&self) -> Option<f64> {
        match self {
            Self::FlatOut => None,
            Self::Even(rate)
            | Self::Burst(rate, _)
            | Self::Poisson(rate, _)
            | Self::Recorded(rate, _) => Some(rate.pps()),
            Self::Ramp(from, to, _) => Some(f64::midpoint(from.pps(), to.pps())),
        }
    }
}

/// The configuration common to all workers of a cell.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct WorkerConfig {
    /// Number of this worker among its kind, from 0.
    pub worker: usize,
    /// How many of its kind there are on this host.
    pub workers: usize,
    /// The core to run on; `None`: any.
    pub core: Option<usize>,
    pub wait: WaitKind,
    /// Whether to run in real time.
    pub realtime: bool,
    /// Maximum datagrams per system call; `None`: the default of the engine.
    pub batch: Option<usize>,
    pub size: PayloadSize,
    /// The flows of this worker, by number.
    pub flows: Range<u16>,
    pub bind: SocketAddr,
    /// Source addresses of flows; `None`: `bind` is that of all.
    pub sources: Option<Sources>,
    /// The AF_UNIX name of the receiver of this number; `None`: UDP.
    pub unix: Option<String>,
    /// Socket buffer to request, in bytes.
    pub socket_buffer: usize,
    pub ip: IpOptions,
    pub xdp: XdpSettings,
    pub broadcast: bool,
    /// File of the network namespace; `None`: that of the process.
    pub netns: Option<PathBuf>,
}

/// The configuration of a sender.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct TxConfig {
    pub common: WorkerConfig,
    pub engine: TxKind,
    pub connect: bool,
    /// Number of this worker among those that share the load, from 0.
    pub part: usize,
    /// How many workers share the load.
    pub of: usize,
    /// The load of all workers together.
    pub load: WorkerLoad,
    /// Who paces the load.
    pub pace_by: PaceBy,
    pub seed: u64,
    /// Whether to abort if the target was never reached.
    pub abort_on_unreachable: bool,
    /// Whether the target answers datagrams.
    pub answers: bool,
    /// Whether the kernel timestamps a sample of sent datagrams.
    pub stamps: bool,
}

/// The configuration of a receiver.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct RxConfig {
    pub common: WorkerConfig,
    pub engine: RxKind,
    /// Whether the kernel timestamps received datagrams.
    pub stamps: bool,
    /// Whether the senders are on another host, with another clock.
    pub across: bool,
    /// How many receivers share these flows in turn; 1: this one may get any of them.
    pub of: usize,
    /// The slot of a sink's session, whose datagrams alone are for it; `None`: all of the port.
    pub slot: Option<u16>,
}

/// The configuration of a worker that sends requests and receives replies at the same ports.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct RequestConfig {
    pub tx: TxConfig,
    pub rx: RxKind,
    pub asking: RequestOptions,
    /// Maximum requests of this worker in flight, in a closed loop.
    pub window: Option<u64>,
}

/// Whether udperf paces, as in documents without the field.
fn is_user(by: &PaceBy) -> bool {
    *by == PaceBy::User
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
