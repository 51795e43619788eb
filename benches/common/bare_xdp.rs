//! AF_XDP over a veth pair between two network namespaces: full batches into the ring of the
//! sender, against the ring of the receiver. Headers are written once; nobody verifies a checksum.

use std::hint::black_box;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use udperf::net::enter_netns;
use udperf::plan::Scenario;
use udperf::sys::{
    PortRule, XdpFilter, XdpMode, XskOptions, device_index, ethernet_path, open_xsk, xsk_stride,
};

use super::{Shape, race_halves};

/// The device in each namespace, and its address: of the sender and of the receiver.
const DEVICE: &str = "x0";
const ADDRESSES: [&str; 2] = ["10.79.0.1", "10.79.0.2"];
/// Arbitrary.
const PORT: u16 = 7_789;

/// Slots and frames, and bytes before a payload, as the engine has them.
const TX_SLOTS: u32 = 512;
const RX_FRAMES: u32 = 8_192;
const HEADROOM: usize = 64;

/// Headers of Ethernet, IPv4 (RFC 791) and UDP (RFC 768).
const HEADERS: usize = 14 + 20 + 8;

/// The namespaces, removed when dropped.
struct Nets;

fn shell(script: &str) -> Result<(), String> {
    let output = Command::new("sh").args(["-ec", script]).output();
    let output = output.map_err(|error| error.to_string())?;
    let why = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("needs root and `ip`: {}", why())) }
}

/// The namespaces of this process.
fn names() -> [String; 2] {
    ["a", "b"].map(|side| format!("udperf-bench{}{side}", std::process::id()))
}

fn netns(side: usize) -> PathBuf {
    PathBuf::from("/var/run/netns").join(&names()[side])
}

impl Nets {
    fn make() -> Result<Self, String> {
        let nets = Self;
        let [a, b] = &names();
        let mut script = format!(
            "ip netns add {a}; ip netns add {b}; \
             ip link add {DEVICE} netns {a} type veth peer name {DEVICE} netns {b}; "
        );
        for (name, address) in names().iter().zip(ADDRESSES) {
            script += &format!(
                "ip -n {name} addr add {address}/24 dev {DEVICE}; ip -n {name} link set lo up; \
                 ip -n {name} link set {DEVICE} up; "
            );
        }
        // As `scripts/netns` does.
        script += &format!(
            "ip netns exec {b} sh -c 'cd /sys/class/net/{DEVICE} && \
             echo 2 >napi_defer_hard_irqs && echo 20000 >gro_flush_timeout'"
        );
        shell(&script).map(|()| nets)
    }
}

impl Drop for Nets {
    fn drop(&mut self) {
        for name in names() {
            let _ = shell(&format!("ip netns delete {name}"));
        }
    }
}

/// Runs a comparison on a thread in the sender's namespace.
pub fn between_namespaces<T: Send>(
    run: impl FnOnce() -> Result<T, String> + Send,
) -> Result<T, String> {
    let _nets = Nets::make()?;
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            enter_netns(&netns(0)).map_err(|error| error.to_string())?;
            run()
        });
        running.join().unwrap()
    })
}

/// The same cell between the two namespaces.
pub fn between(scenario: Scenario) -> Scenario {
    let [bind, to] = ADDRESSES.map(|address| address.parse().unwrap());
    Scenario { bind, to: Some(to), to_netns: Some(netns(1)), ..scenario }
}

/// Runs the loop, between the namespaces of [`between_namespaces`].
pub fn run(size: usize, shape: Shape, time: Duration) -> io::Result<f64> {
    let receive = move || receiver(size, shape.batch);
    race_halves(time, shape.idle, || sender(size, shape.batch), receive)
}

fn options(device: u32, payload: usize) -> XskOptions {
    XskOptions {
        device,
        queue: 0,
        tx_slots: TX_SLOTS,
        rx_frames: RX_FRAMES,
        slot_headroom: HEADROOM,
        payload,
        copy: false,
        busy_poll: false,
    }
}

fn sender(size: usize, batch: usize) -> io::Result<impl FnMut()> {
    let [from, to] = ADDRESSES.map(|address| SocketAddr::new(address.parse().unwrap(), PORT));
    let path = ethernet_path(to, Some(from.ip()), None).map_err(io::Error::other)?;
    let (mut tx, rx) = open_xsk(&options(path.device.index, size))?;
    let mut headers = Vec::with_capacity(HEADERS);
    headers.extend(path.next_mac);
    headers.extend(path.source_mac);
    headers.extend(0x0800_u16.to_be_bytes());
    let (ip_len, udp_len) = ((20 + 8 + size) as u16, (8 + size) as u16);
    headers.extend([0x45, 0]);
    headers.extend(ip_len.to_be_bytes());
    headers.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 79, 0, 1, 10, 79, 0, 2]);
    for field in [PORT, PORT, udp_len, 0] {
        headers.extend(field.to_be_bytes());
    }
    let (stride, slots) = (xsk_stride(HEADROOM, size), TX_SLOTS as usize);
    for slot in 0..slots {
        let at = slot * stride + HEADROOM - HEADERS;
        tx.bytes_mut(at, HEADERS).copy_from_slice(&headers);
    }
    let mut next = 0;
    Ok(move || {
        let _open = &rx;
        tx.complete(|_| ());
        for _ in 0..batch {
            tx.put(next * stride + HEADROOM - HEADERS, HEADERS + size);
            next = (next + 1) % slots;
        }
        tx.send();
    })
}

fn receiver(size: usize, batch: usize) -> io::Result<impl FnMut() -> u64> {
    enter_netns(&netns(1)).map_err(io::Error::other)?;
    let device = device_index(DEVICE)?;
    let filter = XdpFilter::attach(device, XdpMode::Auto).map_err(io::Error::other)?;
    let (tx, mut rx) = open_xsk(&options(device, size))?;
    filter.set_port((Ipv4Addr::UNSPECIFIED, PORT).into(), PortRule::All)?;
    filter.set_socket(0, rx.as_fd())?;
    Ok(move || {
        let _open = (&filter, &tx);
        let count = rx.arrived().0.min(batch);
        for index in 0..count {
            let (at, len) = rx.frame(index);
            black_box(rx.bytes(at, len).first());
        }
        if count > 0 {
            rx.release(count);
        }
        count as u64
    })
}
