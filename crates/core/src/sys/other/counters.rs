//! Kernel counters, which are unavailable on this system.

use std::net::SocketAddr;

use crate::sys::{DeviceDrops, IpSnmp, NetLink, UdpSnmp};

/// Unknown here.
#[must_use]
pub fn udp_counters() -> Option<UdpSnmp> {
    None
}

/// Unknown here.
#[must_use]
pub fn backlog_drops() -> Option<Vec<(u32, u32)>> {
    None
}

/// Unknown here.
#[must_use]
pub fn device_drops(_of: Option<&[NetLink]>) -> Option<DeviceDrops> {
    None
}

/// Unknown here.
#[must_use]
pub fn qdisc_drops(_of: Option<&[NetLink]>) -> Option<u64> {
    None
}

/// Unknown here.
#[must_use]
pub fn ip_counters() -> Option<IpSnmp> {
    None
}

/// Unknown here.
#[must_use]
pub fn neighbour_unresolved(_target: SocketAddr, _device: Option<&str>) -> Option<bool> {
    None
}
