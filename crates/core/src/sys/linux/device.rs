//! Facts about one network device: from ioctls, which use the network namespace of the calling
//! thread, and from /sys, which shows the namespace of the process that mounted it. Values of /sys
//! are used only if they are of the same device.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::device_index;
use super::ethtool::{self, mac_address};
use super::network::link;
use super::qdisc::root_qdisc;
use super::rtnetlink::{attribute, get_generic, push_attribute, u16_at};
use crate::sys::host::{number, raw};
use crate::sys::{Device, Irq, XdpSupport};

pub use super::network::addresses;

/// The settings of this device; `None` if there is none.
pub fn facts(device: &str) -> Option<Device> {
    // Every device has an MTU.
    let mtu = Some(ethtool::mtu(device)?);
    let folder = folder(device);
    let folder = folder.as_deref();
    let speed = || number(folder?.join("speed"));
    let queues = |kind| Some(queue_folders(folder?, kind)?.len() as u64);
    let masks = |kind, file| queue_masks(folder?, kind, file);
    Some(Device {
        name: device.to_owned(),
        driver: ethtool::driver(device).or_else(|| linked_driver(folder?)),
        mtu,
        // Unknown is -1, which older kernels show as the largest 32-bit number.
        speed_mbit: speed().filter(|&speed| speed < u64::from(u32::MAX)),
        qdisc: device_index(device).ok().and_then(root_qdisc),
        rx_queues: queues("rx"),
        tx_queues: queues("tx"),
        rps_cpus: masks("rx", "rps_cpus"),
        xps_cpus: masks("tx", "xps_cpus"),
        irqs: folder.and_then(|folder| irqs(folder, device)),
        offloads: ethtool::offloads(device),
        rings: ethtool::rings(device),
        coalescing: ethtool::coalescing(device),
        channels: ethtool::channels(device),
    })
}

// Numbers of `include/uapi/linux/genetlink.h` and `netdev.h`, and the name of the family.
const CONTROL: u16 = 0x10; // GENL_ID_CTRL
const GET_FAMILY: u8 = 3; // CTRL_CMD_GETFAMILY
const FAMILY_ID: u16 = 1; // CTRL_ATTR_FAMILY_ID
const FAMILY_NAME: u16 = 2; // CTRL_ATTR_FAMILY_NAME
const NETDEV: &[u8] = b"netdev\0"; // NETDEV_FAMILY_NAME
const GET_DEVICE: u8 = 1; // NETDEV_CMD_DEV_GET
const INDEX: u16 = 1; // NETDEV_A_DEV_IFINDEX
const FEATURES: u16 = 3; // NETDEV_A_DEV_XDP_FEATURES
const RUNS_AND_REDIRECTS: u64 = 0b11; // NETDEV_XDP_ACT_BASIC, NETDEV_XDP_ACT_REDIRECT
const ZERO_COPY: u64 = 0b1000; // NETDEV_XDP_ACT_XSK_ZEROCOPY

/// What the driver of a device can do for the engine `xdp`; `None` if the kernel does not report
/// it: before Linux 6.3.
pub fn xdp_support(device: &str) -> Option<XdpSupport> {
    let attributes = |kind, value: &[u8]| {
        let mut attributes = Vec::new();
        push_attribute(&mut attributes, kind, value);
        attributes
    };
    let family = get_generic(CONTROL, GET_FAMILY, &attributes(FAMILY_NAME, NETDEV))?;
    let family = u16_at(attribute(&family, FAMILY_ID)?, 0)?;
    let index = device_index(device).ok()?.to_ne_bytes();
    let found = get_generic(family, GET_DEVICE, &attributes(INDEX, &index))?;
    let features = u64::from_ne_bytes(*attribute(&found, FEATURES)?.first_chunk()?);
    Some(XdpSupport {
        is_native: features & RUNS_AND_REDIRECTS == RUNS_AND_REDIRECTS,
        zero_copy: features & ZERO_COPY != 0,
    })
}

/// Whether a device has Ethernet frames, which the engine `xdp` needs.
pub fn is_ethernet(device: &str) -> bool {
    let link = device_index(device).ok().and_then(link);
    link.is_some_and(|link| link.hardware == libc::ARPHRD_ETHER)
}

/// The folder of a device, if it belongs to this thread's network namespace.
fn folder(device: &str) -> Option<PathBuf> {
    let index = device_index(device).ok()?;
    let folder = Path::new("/sys/class/net").join(device);
    let address = raw(folder.join("address"))?;
    let address = address.trim();
    // Devices of several namespaces have the same numbers, but other addresses.
    let same = address.is_empty() || address.starts_with(&mac_address(device)?);
    (number(folder.join("ifindex")) == Some(u64::from(index)) && same).then_some(folder)
}

fn linked_driver(folder: &Path) -> Option<String> {
    let driver = fs::read_link(folder.join("device/driver")).ok()?;
    Some(driver.file_name()?.to_str()?.to_owned())
}

/// A CPU mask of each queue of this kind, by number (`Documentation/networking/scaling.rst`);
/// `None` if any is unknown.
fn queue_masks(folder: &Path, kind: &str, file: &str) -> Option<Vec<String>> {
    let folders = queue_folders(folder, kind)?;
    let mask = |queue: &PathBuf| Some(raw(queue.join(file))?.trim().to_owned());
    folders.values().map(mask).collect()
}

fn queue_folders(device: &Path, kind: &str) -> Option<BTreeMap<usize, PathBuf>> {
    let entries = fs::read_dir(device.join("queues")).ok()?.filter_map(Result::ok);
    let queue = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let number = name.to_str()?.strip_prefix(kind)?.strip_prefix('-')?.parse().ok()?;
        Some((number, entry.path()))
    };
    Some(entries.filter_map(queue).collect())
}

fn irqs(folder: &Path, device: &str) -> Option<Vec<Irq>> {
    let bus = fs::canonicalize(folder.join("device")).ok()?;
    let names = irq_names(&raw("/proc/interrupts").unwrap_or_default());
    let parent = bus.file_name().and_then(|name| name.to_str()).unwrap_or(device);
    let numbers = message_irqs(&bus, parent).unwrap_or_else(|| {
        // Without message-signalled interrupts, by the names of the device and of its bus device.
        let ours = |name: &str| [device, parent].iter().any(|of| is_of(name, of));
        names.iter().filter(|(_, name)| ours(name)).map(|(number, _)| *number).collect()
    });
    let irq = |number| {
        let cpus = raw(format!("/proc/irq/{number}/smp_affinity_list"))?.trim().to_owned();
        Some(Irq { number, name: names.get(&number).cloned(), cpus })
    };
    let irqs: Vec<_> = numbers.into_iter().filter_map(irq).collect();
    (!irqs.is_empty()).then_some(irqs)
}

/// The message-signalled interrupts of a bus device, ascending, if it has any. Those of a virtio
/// device belong to the PCI device around it; other devices are inside a bridge with its own
/// interrupts.
fn message_irqs(bus: &Path, name: &str) -> Option<Vec<u32>> {
    let around = bus.parent().filter(|_| name.starts_with("virtio"));
    let numbers = |bus: &Path| -> Vec<u32> {
        let entries = fs::read_dir(bus.join("msi_irqs")).into_iter().flatten();
        let mut numbers: Vec<_> =
            entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    };
    [Some(bus), around].into_iter().flatten().map(numbers).find(|found| !found.is_empty())
}

/// The names in /proc/interrupts by number: the last word of each line.
fn irq_names(table: &str) -> BTreeMap<u32, String> {
    let name = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        Some((number.trim().parse().ok()?, rest.split_whitespace().last()?.to_owned()))
    };
    table.lines().filter_map(name).collect()
}

/// Whether an interrupt of this name, such as `eth0-TxRx-1`, belongs to the device.
fn is_of(name: &str, device: &str) -> bool {
    let rest = name.strip_prefix(device);
    rest.is_some_and(|rest| !rest.starts_with(|first: char| first.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{in_new_netns, lacks_root, sh};
    use super::*;

    #[test]
    fn missing_devices_have_no_facts() {
        for device in ["no-such-dev", "../net/lo", "", "longer than any name of a device"] {
            assert_eq!(folder(device), None, "{device}");
            assert_eq!(facts(device), None);
            assert_eq!((ethtool::driver(device), ethtool::offloads(device)), (None, None));
        }
    }

    #[test]
    fn loopback_and_missing_devices_are_no_ethernet() {
        if lacks_root() {
            return;
        }
        in_new_netns(|| {
            sh("ip link add v0 type veth peer name v1; ip addr add 10.85.0.1/32 dev lo");
            assert_eq!(["v0", "lo", "v9"].map(is_ethernet), [true, false, false]);
        });
    }

    #[test]
    fn reads_interrupt_names() {
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
    fn finds_message_interrupts_of_the_device() {
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
    fn sorts_queues_by_number() {
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
