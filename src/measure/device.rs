//! Facts about the network device that datagrams pass.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An interrupt of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IrqFacts {
    /// Its number.
    pub number: u32,
    /// What the driver calls it.
    pub name: Option<String>,
    /// The CPUs that may take it, such as `0-3,8`.
    pub cpus: String,
}

/// A network device. What it, or the system, does not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// Its name, e.g. `eth0`.
    pub name: String,
    /// Its driver; of a virtual one what makes it, e.g. `veth`.
    pub driver: Option<String>,
    /// The largest IP packet it takes whole, in bytes.
    pub mtu: Option<u64>,
    /// Speed of its link in Mbit/s.
    pub speed_mbit: Option<u64>,
    /// Its root queueing discipline, e.g. `fq_codel`; `mq` has one more for each queue.
    pub qdisc: Option<String>,
    /// Receive queues in use.
    pub rx_queues: Option<u64>,
    /// Send queues in use.
    pub tx_queues: Option<u64>,
    /// CPUs that each receive queue spreads its packets over (RPS), by queue, as the kernel writes
    /// masks; of zeroes: it does not.
    pub rps_cpus: Option<Vec<String>>,
    /// CPUs that each send queue is for (XPS), in the same way.
    pub xps_cpus: Option<Vec<String>>,
    /// Its interrupts.
    pub irqs: Option<Vec<IrqFacts>>,
    /// What it takes off the CPU's hands, by the kernel's names, and whether that is on.
    pub offloads: Option<BTreeMap<String, bool>>,
    /// Lengths of its rings in packets: `rx`, `tx`, and the most that each can be: `rx_max`,
    /// `tx_max`.
    pub rings: Option<BTreeMap<String, u64>>,
    /// How long it holds interrupts back: `rx_usecs`, `rx_frames`, `tx_usecs`, `tx_frames`, and
    /// whether it adapts that to the load, 1, or not, 0: `adaptive_rx`, `adaptive_tx`.
    pub coalescing: Option<BTreeMap<String, u64>>,
    /// Its channels, `rx`, `tx` and `combined`, and the most it can have: `rx_max` and so on.
    pub channels: Option<BTreeMap<String, u64>>,
}
