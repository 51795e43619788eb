//! Facts about one network device: from its ioctls, which ask in the network namespace of the
//! calling thread, and from /sys, which shows that of whoever mounted it. What stands in /sys is
//! believed only where it is about the same device.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::ethtool::hardware_address;
use super::host::number;
use super::qdisc::root_qdisc;
use super::socket::device_index;
use crate::sys::{Address, InterruptLine};

pub use super::ethtool::{channels, coalescing, mtu, offloads, rings};

/// All addresses of the devices of this thread's network namespace, IPv4 and IPv6.
pub fn addresses() -> Vec<Address> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `first` is writable for the whole call, which leaves a list there or fails.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = first;
    // SAFETY: `next` is null or a node of the list, which lives until it is freed below.
    while let Some(node) = unsafe { next.as_ref() } {
        next = node.ifa_next;
        if let Some((ip, scope)) = read_address(node.ifa_addr) {
            // SAFETY: the name of a node is a string with a terminating zero, of the same life.
            let name = unsafe { CStr::from_ptr(node.ifa_name) };
            found.push(Address { device: name.to_string_lossy().into_owned(), ip, scope });
        }
    }
    // SAFETY: the list that getifaddrs(3) made, freed once; nothing of it is kept.
    unsafe { libc::freeifaddrs(first) };
    found
}

/// An address of getifaddrs(3) and its scope; `None` if it is null or of another family.
fn read_address(at: *const libc::sockaddr) -> Option<(IpAddr, u32)> {
    // SAFETY: null or a sockaddr, whose family says how long it really is.
    match i32::from(unsafe { at.as_ref() }?.sa_family) {
        libc::AF_INET => {
            // SAFETY: of this family it is a sockaddr_in, which malloc(3) has aligned.
            let v4 = unsafe { &*at.cast::<libc::sockaddr_in>() };
            Some((Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into(), 0))
        }
        libc::AF_INET6 => {
            // SAFETY: of this family it is a sockaddr_in6, which malloc(3) has aligned.
            let v6 = unsafe { &*at.cast::<libc::sockaddr_in6>() };
            Some((Ipv6Addr::from(v6.sin6_addr.s6_addr).into(), v6.sin6_scope_id))
        }
        _ => None,
    }
}

/// The folder of a device, where it is one of this thread's network namespace.
fn folder(device: &str) -> Option<PathBuf> {
    let index = device_index(device).ok()?;
    let folder = Path::new("/sys/class/net").join(device);
    let told = fs::read_to_string(folder.join("address")).ok()?;
    let told = told.trim();
    // One namespace's devices are counted like another's; their addresses differ.
    let same = told.is_empty() || told.starts_with(&hardware_address(device)?);
    (number(folder.join("ifindex")) == Some(u64::from(index)) && same).then_some(folder)
}

/// The driver of a device; of a virtual one what makes it, e.g. `veth`.
pub fn driver(device: &str) -> Option<String> {
    let linked = || {
        let driver = fs::read_link(folder(device)?.join("device/driver")).ok()?;
        Some(driver.file_name()?.to_str()?.to_owned())
    };
    super::ethtool::driver(device).or_else(linked)
}

/// The speed of its link in Mbit/s; `None` where it has none, or says none.
pub fn speed_mbit(device: &str) -> Option<u64> {
    // Unknown is -1, which older kernels show as the largest number of 32 bits.
    number(folder(device)?.join("speed")).filter(|&speed| speed < u64::from(u32::MAX))
}

/// The root queueing discipline of a device, e.g. `fq_codel`; `mq` has one more for each queue.
pub fn qdisc(device: &str) -> Option<String> {
    root_qdisc(device_index(device).ok()?)
}

/// How many queues of this kind (`rx`, `tx`) are in use.
pub fn queues(device: &str, kind: &str) -> Option<usize> {
    Some(queue_folders(&folder(device)?, kind)?.len())
}

/// A CPU mask of each queue of this kind, by number (`Documentation/networking/scaling.rst`);
/// `None` if any is unknown.
pub fn queue_masks(device: &str, kind: &str, file: &str) -> Option<Vec<String>> {
    let folders = queue_folders(&folder(device)?, kind)?;
    let mask = |queue: &PathBuf| Some(fs::read_to_string(queue.join(file)).ok()?.trim().to_owned());
    folders.values().map(mask).collect()
}

/// The folders of the queues of this kind, by number.
fn queue_folders(device: &Path, kind: &str) -> Option<BTreeMap<usize, PathBuf>> {
    let entries = fs::read_dir(device.join("queues")).ok()?.filter_map(Result::ok);
    let queue = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let number = name.to_str()?.strip_prefix(kind)?.strip_prefix('-')?.parse().ok()?;
        Some((number, entry.path()))
    };
    Some(entries.filter_map(queue).collect())
}

/// The interrupts of a device and their CPUs; `None` without any known.
pub fn irqs(device: &str) -> Option<Vec<InterruptLine>> {
    let bus = fs::canonicalize(folder(device)?.join("device")).ok()?;
    let table = fs::read_to_string("/proc/interrupts").unwrap_or_default();
    let names = irq_names(&table);
    let sits_on = bus.file_name().and_then(|name| name.to_str()).unwrap_or(device);
    let mut numbers = message_irqs(&bus, sits_on);
    if numbers.is_none() {
        // Without message-signalled ones there are names, of the device or of what it sits on.
        let ours = |name: &str| [device, sits_on].iter().any(|of| is_of(name, of));
        let named = names.iter().filter(|(_, name)| ours(name)).map(|(number, _)| *number);
        numbers = Some(named.collect());
    }
    let irq = |number| {
        let cpus = fs::read_to_string(format!("/proc/irq/{number}/smp_affinity_list")).ok()?;
        let name = names.get(&number).cloned();
        Some(InterruptLine { number, name, cpus: cpus.trim().to_owned() })
    };
    let irqs: Vec<_> = numbers.into_iter().flatten().filter_map(irq).collect();
    (!irqs.is_empty()).then_some(irqs)
}

/// The message-signalled interrupts of a device's bus device, if it has any. Those of a virtio
/// device belong to the PCI device around it; other devices are inside a bridge with its own
/// interrupts.
fn message_irqs(bus: &Path, sits_on: &str) -> Option<Vec<u32>> {
    let around = bus.parent().filter(|_| sits_on.starts_with("virtio"));
    let listed = [Some(bus), around].into_iter().flatten();
    listed.map(msi_irqs).find(|found| !found.is_empty())
}

/// The message-signalled interrupts of a PCI device, ascending.
fn msi_irqs(bus: &Path) -> Vec<u32> {
    let entries = fs::read_dir(bus.join("msi_irqs")).into_iter().flatten().filter_map(Result::ok);
    let mut numbers: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// The interrupts of /proc/interrupts by number: the last word of each line is the name.
fn irq_names(table: &str) -> BTreeMap<u32, String> {
    let name = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        Some((number.trim().parse().ok()?, rest.split_whitespace().last()?.to_owned()))
    };
    table.lines().filter_map(name).collect()
}

/// Whether an interrupt of this name is one of that device: `eth0`, `eth0-TxRx-1`, `virtio3-input`.
fn is_of(name: &str, device: &str) -> bool {
    let rest = name.strip_prefix(device);
    rest.is_some_and(|rest| !rest.starts_with(|first: char| first.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_its_address_and_what_every_device_has() {
        let all = addresses();
        let Some(lo) = all.iter().find(|address| address.ip == Ipv4Addr::LOCALHOST) else {
            return eprintln!("SKIPPED: this network namespace has no loopback");
        };
        assert_eq!(mtu(&lo.device), Some(65_536));
        assert_eq!(qdisc(&lo.device).as_deref(), Some("noqueue"));
        assert_eq!(speed_mbit(&lo.device), None);
        assert_eq!(irqs(&lo.device), None);
    }

    #[test]
    fn of_a_device_that_is_not_there_nothing_is_known() {
        for device in ["no-such-dev", "../net/lo", "", "longer than any name of a device"] {
            assert_eq!(folder(device), None, "{device}");
            assert_eq!((mtu(device), qdisc(device), driver(device)), (None, None, None));
            assert_eq!((queues(device, "rx"), offloads(device)), (None, None));
        }
    }

    #[test]
    fn interrupts_are_named_by_their_last_word() {
        let table = "           CPU0       CPU1
  8:          0          0   IO-APIC   8-edge      rtc0
 53:     410022          0 PCI-MSIX-0000:00:04.0   1-edge      virtio3-input.0
 61:          7         12 PCI-MSI 524289-edge      eth1-TxRx-0
NMI:          0          0   Non-maskable interrupts\n";
        let names = irq_names(table);
        assert_eq!(names.keys().collect::<Vec<_>>(), [&8, &53, &61]);
        assert_eq!(names[&53], "virtio3-input.0");
        assert!(is_of(&names[&53], "virtio3") && !is_of(&names[&53], "virtio30"));
        assert!(is_of(&names[&61], "eth1") && !is_of("eth10-TxRx-0", "eth1"));
    }

    #[test]
    fn interrupts_of_a_bridge_are_not_those_of_a_device_behind_it() {
        let port = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = port.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "msix\n").unwrap();
        };
        write("msi_irqs/24");
        write("0000:00:04.0/msi_irqs/53");
        write("0000:00:04.0/msi_irqs/52");
        write("0000:00:05.0/irq");
        write("virtio3/uevent");
        let found = |name: &str| message_irqs(&port.path().join(name), name);
        assert_eq!(found("0000:00:04.0"), Some(vec![52, 53]));
        assert_eq!(found("0000:00:05.0"), None);
        assert_eq!(found("virtio3"), Some(vec![24]));
    }

    #[test]
    fn queues_are_in_the_order_of_their_numbers() {
        let device = tempfile::tempdir().unwrap();
        for queue in ["rx-0", "rx-2", "rx-10", "tx-0"] {
            fs::create_dir_all(device.path().join("queues").join(queue)).unwrap();
        }
        let found = queue_folders(device.path(), "rx").unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [&0, &2, &10]);
        assert_eq!(queue_folders(device.path(), "tx").unwrap().len(), 1);
        assert_eq!(queue_folders(&device.path().join("none"), "rx"), None);
    }
}
