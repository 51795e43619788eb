//! Configurations of workers.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::scenario::{IpOptions, RequestOptions};
use crate::engine::{RxKind, TxKind};
use crate::plan::options::WaitKind;
use crate::unit::{Nanos, PacketRate, PayloadSize};

/// How a worker's datagrams follow each other, with every number decided.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum WorkerLoad {
    /// As fast as the engine goes.
    FlatOut,
    /// At equal distances.
    Even(PacketRate),
    /// So many at once.
    Burst(PacketRate, u32),
    /// Exponential gaps, from a seed.
    Poisson(PacketRate, u64),
    /// From one rate to the other over this time.
    Ramp(PacketRate, PacketRate, Nanos),
    /// At these moments in nanoseconds, then the same again; their mean rate.
    #[serde(skip)]
    Recorded(PacketRate, &'static [u64]),
}

impl WorkerLoad {
    /// The highest rate of all workers together; `None` flat out.
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
pub struct WorkerConfig {
    /// Number of this worker among its kind, from 0.
    pub worker: usize,
    /// The core to run on; `None`: any.
    pub core: Option<usize>,
    /// How to wait.
    pub wait: WaitKind,
    /// Datagrams a system call at most; `None`: what suits the engine best.
    pub batch: Option<usize>,
    /// The payload.
    pub size: PayloadSize,
    /// The flows this worker sends, or receives, by number.
    pub flows: Range<u16>,
    /// Where to bind.
    pub bind: SocketAddr,
    /// In place of that, the name of the receiver of this number; `None`: UDP.
    pub unix: Option<String>,
    /// Socket buffer to ask for, in bytes.
    pub socket_buffer: usize,
    /// IP options.
    pub ip: IpOptions,
    /// Whether to send to broadcast addresses.
    pub broadcast: bool,
    /// File of the network namespace to be in; `None`: where the process is.
    pub netns: Option<PathBuf>,
}

/// The configuration of a sender.
#[derive(Debug, Clone, PartialEq)]
pub struct TxConfig {
    /// What it shares with a receiver.
    pub common: WorkerConfig,
    /// How to send.
    pub engine: TxKind,
    /// Whether to connect the sockets.
    pub connect: bool,
    /// How many workers share the load.
    pub of: usize,
    /// How datagrams follow each other, all workers together.
    pub load: WorkerLoad,
    /// Seed of the fill.
    pub seed: u64,
    /// Whether to abort if the target was never reached: nothing else reports a missing receiver.
    pub abort_on_unreachable: bool,
    /// Whether the target answers datagrams.
    pub answers: bool,
    /// Whether the kernel timestamps a sample of sent datagrams.
    pub stamps: bool,
}

/// The configuration of a receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct RxConfig {
    /// What it shares with a sender.
    pub common: WorkerConfig,
    /// How to receive.
    pub engine: RxKind,
    /// Whether the kernel timestamps received datagrams.
    pub stamps: bool,
    /// Whether the senders are on another host, with another clock.
    pub across: bool,
    /// How many receivers share these flows in turn; 1: this one may get any of them.
    pub of: usize,
}

/// The configuration of a worker that sends requests and receives replies at the same ports.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestConfig {
    /// Its sending side.
    pub tx: TxConfig,
    /// How to receive.
    pub rx: RxKind,
    /// How replies are waited for.
    pub asking: RequestOptions,
    /// Requests of this worker in flight at most, in a closed loop.
    pub window: Option<u64>,
}
