//! The MAC address of the next hop, which may change while a sender runs (VRRP, for example).
//! The kernel does not see frames of AF_XDP and does not report a change, so a thread asks for it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, Thread};
use std::time::Duration;

use crate::sys::{self, EthernetPath};

/// How often the kernel is asked. Frames to an old address are lost until then. It is far below
/// the 30 s after which an entry of the neighbour table is no longer confirmed
/// (`base_reachable_time_ms` of `Documentation/networking/ip-sysctl.rst`). Measured over
/// 20 s, in a debug build: the thread uses 0.4 ms of CPU time a second, not on the sender's core.
const REFRESH: Duration = Duration::from_secs(1);

/// CPU numbers that a thread may have. Arbitrary: the kernel ignores those that do not exist.
const CPUS: usize = 1_024;

/// The next hop of a sender. A thread asks for its address until this value is dropped.
#[derive(Debug)]
pub(super) struct NextHopWatch {
    shared: Arc<Shared>,
    /// The address in the frames.
    used: u64,
    /// `None`: the address cannot change.
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Shared {
    mac: AtomicU64,
    is_over: AtomicBool,
}

/// How to find the path again.
#[derive(Debug)]
struct Route {
    to: SocketAddr,
    from: Option<IpAddr>,
    device: Option<String>,
    /// The device whose queue the sender has.
    device_index: u32,
}

impl Route {
    /// The address of the next hop on the sender's device; `None` if the route has moved to another
    /// one, where frames of this queue do not go.
    // cold: a thread of its own
    fn next_mac(&self, now: &EthernetPath) -> Option<u64> {
        (now.device.index == self.device_index).then(|| number(now.next_mac))
    }
}

impl NextHopWatch {
    /// Watches the next hop of a path from the calling thread's network namespace. If the thread
    /// cannot start, the address stays as it is.
    // cold: set-up
    pub(super) fn watch(
        path: &EthernetPath,
        to: SocketAddr,
        from: Option<IpAddr>,
        device: Option<&str>,
    ) -> Self {
        let used = number(path.next_mac);
        let shared =
            Arc::new(Shared { mac: AtomicU64::new(used), is_over: AtomicBool::new(false) });
        let (device, device_index) = (device.map(str::to_owned), path.device.index);
        let route = Route { to, from, device, device_index };
        // The lowest bit of the first byte is set in addresses of groups (IEEE 802.3). They are
        // computed from the destination.
        let may_change = path.next_mac[0] & 1 == 0;
        let (of_thread, name) = (Arc::clone(&shared), "udperf-next-hop".to_owned());
        let thread = may_change.then(|| {
            Builder::new().name(name).spawn(move || {
                refresh(&of_thread, &route);
            })
        });
        let thread = thread.and_then(Result::ok).map(|handle| handle.thread().clone());
        Self { shared, used, thread }
    }

    /// The new address, once, if it has changed.
    #[inline]
    pub(super) fn changed(&mut self) -> Option<[u8; 6]> {
        let now = self.shared.mac.load(Ordering::Relaxed);
        if now == self.used {
            return None;
        }
        self.used = now;
        let [_, _, mac @ ..] = now.to_be_bytes();
        Some(mac)
    }
}

impl Drop for NextHopWatch {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.thread.iter().for_each(Thread::unpark);
    }
}

// cold: set-up
fn number([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// Asks until the sender ends. If the next hop does not answer, or the route moves to another
/// device, the address stays as it is.
// cold: a thread of its own
fn refresh(shared: &Shared, route: &Route) {
    // Not on the sender's core, which is busy.
    sys::set_affinity(&(0..CPUS).collect::<Vec<_>>());
    loop {
        std::thread::park_timeout(REFRESH);
        if shared.is_over.load(Ordering::Relaxed) {
            return;
        }
        let now = sys::ethernet_path(route.to, route.from, route.device.as_deref());
        if let Some(mac) = now.ok().and_then(|now| route.next_mac(&now)) {
            shared.mac.store(mac, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::sys::NetLink;

    #[test]
    fn a_route_that_moves_to_another_device_changes_no_address() {
        let ip = IpAddr::from(Ipv4Addr::LOCALHOST);
        let path = |index| EthernetPath {
            device: NetLink { name: "x0".to_owned(), index },
            mtu: 1_500,
            rx_queues: 1,
            tx_queues: 1,
            source_mac: [2, 0, 0, 0, 0, 1],
            next_mac: [2, 0, 0, 0, 0, 2],
            source: ip,
            next_hop: ip,
        };
        let route = Route { to: (ip, 9).into(), from: None, device: None, device_index: 7 };
        assert_eq!(route.next_mac(&path(7)), Some(0x0200_0000_0002));
        assert_eq!(route.next_mac(&path(8)), None);
    }
}
