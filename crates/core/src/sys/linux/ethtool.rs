//! What a device's driver says of itself and how it is set: the ioctl SIOCETHTOOL.
//!
//! All of its structures, as `include/uapi/linux/ethtool.h` has them, begin with the number of the
//! command and are made of words of 32 bits, so each is a slice of such here; places in them are
//! counted in words.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::check;

/// `SIOCETHTOOL` of `include/uapi/linux/sockios.h`.
const SIOCETHTOOL: u32 = 0x8946;

/// `ETHTOOL_GDRVINFO`: which driver.
const GET_DRIVER: u32 = 0x03;

/// `ETHTOOL_GCOALESCE`: how long interrupts are held back.
const GET_COALESCING: u32 = 0x0E;

/// `ETHTOOL_GRINGPARAM`: how long the rings are.
const GET_RINGS: u32 = 0x10;

/// `ETHTOOL_GSTRINGS`: names.
const GET_STRINGS: u32 = 0x1B;

/// `ETHTOOL_GSSET_INFO`: how many names.
const GET_STRING_COUNTS: u32 = 0x37;

/// `ETHTOOL_GFEATURES`: what is on.
const GET_FEATURES: u32 = 0x3A;

/// `ETHTOOL_GCHANNELS`: how many queues.
const GET_CHANNELS: u32 = 0x3C;

/// `ETH_SS_FEATURES` of `enum ethtool_stringset`: the names of features.
const FEATURE_NAMES: u32 = 4;

/// `ETH_GSTRING_LEN` in words: a name with its padding.
const NAME_WORDS: usize = 8;

/// Features that a kernel may have at most, so that no driver makes us take memory without end.
/// Arbitrary: 64 words of 32, kernels of today have two.
const MOST_FEATURES: usize = 2_048;

/// Words of `struct ethtool_drvinfo`: 196 bytes.
const DRIVER_WORDS: usize = 49;

/// Features by the names that drivers share (`net/ethtool/common.c`) which UDP meets on its way:
/// checksums, cutting up and joining, choosing a queue.
const OFFLOADS: &str = "highdma hw-tc-offload rx-checksum rx-gro rx-gro-hw rx-gro-list rx-hashing rx-lro \
     rx-ntuple-filter rx-udp-gro-forwarding tx-checksum-ip-generic tx-checksum-ipv4 \
     tx-checksum-ipv6 tx-generic-segmentation tx-gso-list tx-gso-partial tx-nocache-copy \
     tx-scatter-gather tx-tcp-segmentation tx-udp-segmentation";

/// A request about a device, with nothing to pass along yet.
fn request(device: &str) -> Option<libc::ifreq> {
    // SAFETY: ifreq is made of integers, pointers and arrays of such: all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = device.as_bytes();
    // The last byte stays the terminating zero.
    let fits = !name.is_empty() && name.len() < request.ifr_name.len() && !name.contains(&0);
    fits.then(|| {
        let places = request.ifr_name.iter_mut();
        places.zip(name).for_each(|(place, &byte)| *place = byte as libc::c_char);
        request
    })
}

/// Makes a request; any socket will do to ask by (netdevice(7)).
fn ask(number: u32, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: socket(2) touches no memory of ours.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    // SAFETY: a file descriptor that was just opened, and that nobody else closes.
    let socket = unsafe { OwnedFd::from_raw_fd(check(socket)?) };
    // SAFETY: `request` is a whole ifreq, and what it points to outlives the call and is as long
    // as the command in it says: see the callers.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), number as _, &raw mut *request) };
    check(result).map(|_| ())
}

/// Has the kernel fill in `words`, the first of which is the command, and which are as many as its
/// structure has.
fn fill(device: &str, words: &mut [u32]) -> Option<()> {
    let mut request = request(device)?;
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    ask(SIOCETHTOOL, &mut request).ok()
}

/// The largest IP packet that a device takes whole, in bytes.
pub fn mtu(device: &str) -> Option<u64> {
    let mut request = request(device)?;
    ask(libc::SIOCGIFMTU as u32, &mut request).ok()?;
    // SAFETY: SIOCGIFMTU has filled in this field of the union.
    u64::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok()
}

/// The first six bytes of a device's hardware address, as /sys writes them: `02:fc:00:00:00:05`.
pub(super) fn hardware_address(device: &str) -> Option<String> {
    let mut request = request(device)?;
    ask(libc::SIOCGIFHWADDR as u32, &mut request).ok()?;
    // SAFETY: SIOCGIFHWADDR has filled in this field of the union.
    let bytes = unsafe { request.ifr_ifru.ifru_hwaddr }.sa_data;
    let bytes: Vec<_> = bytes.iter().take(6).map(|byte| format!("{:02x}", *byte as u8)).collect();
    Some(bytes.join(":"))
}

/// The name of a device's driver.
pub(super) fn driver(device: &str) -> Option<String> {
    let mut words = [0; DRIVER_WORDS];
    words[0] = GET_DRIVER;
    fill(device, &mut words)?;
    // The name follows the command.
    text(&words[1..1 + NAME_WORDS])
}

/// A text with zeroes behind it.
fn text(words: &[u32]) -> Option<String> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// What a device takes off our hands, by name, and whether that is on.
pub fn offloads(device: &str) -> Option<BTreeMap<String, bool>> {
    let names = feature_names(device)?;
    // A block of four words for 32 features: changeable, wanted, active, never to be changed.
    let blocks = names.len().div_ceil(32);
    let mut words = vec![0; 2 + 4 * blocks];
    (words[0], words[1]) = (GET_FEATURES, blocks as u32);
    fill(device, &mut words)?;
    Some(states(&names, &words[2..]))
}

/// Those of these features that matter here, with their states in these blocks.
fn states(names: &[Option<String>], blocks: &[u32]) -> BTreeMap<String, bool> {
    let state = |(bit, name): (usize, &Option<String>)| {
        let name = name.as_ref().filter(|name| OFFLOADS.split(' ').any(|known| known == *name))?;
        let active = blocks.get(4 * (bit / 32) + 2)?;
        Some((name.clone(), active >> (bit % 32) & 1 == 1))
    };
    names.iter().enumerate().filter_map(state).collect()
}

/// The names of all features, by bit.
fn feature_names(device: &str) -> Option<Vec<Option<String>>> {
    let [low, high] = halves(1 << FEATURE_NAMES);
    let mut counts = [GET_STRING_COUNTS, 0, low, high, 0];
    fill(device, &mut counts)?;
    let count = counts[4] as usize;
    if count == 0 || count > MOST_FEATURES {
        return None;
    }
    let mut words = vec![0; 3 + count * NAME_WORDS];
    (words[0], words[1], words[2]) = (GET_STRINGS, FEATURE_NAMES, count as u32);
    fill(device, &mut words)?;
    Some(words[3..].chunks(NAME_WORDS).map(text).collect())
}

/// A number of 64 bits as two words, in the order of this machine's memory.
const fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

/// Some words of an answer of so many, by name.
fn numbers(
    device: &str,
    command: u32,
    len: usize,
    places: &[(&str, usize)],
) -> Option<BTreeMap<String, u64>> {
    let mut words = vec![0; len];
    words[0] = command;
    fill(device, &mut words)?;
    let number = |(name, at): &(&str, usize)| Some(((*name).to_owned(), (*words.get(*at)?).into()));
    places.iter().map(number).collect()
}

/// Lengths of a device's rings in packets: `rx`, `tx`, and the most that each can be.
pub fn rings(device: &str) -> Option<BTreeMap<String, u64>> {
    let places = [("rx_max", 1), ("tx_max", 4), ("rx", 5), ("tx", 8)];
    numbers(device, GET_RINGS, 9, &places)
}

/// How long a device holds interrupts back: microseconds, frames, and whether it adapts that to
/// the load (1) or not (0).
pub fn coalescing(device: &str) -> Option<BTreeMap<String, u64>> {
    let places = [
        ("rx_usecs", 1),
        ("rx_frames", 2),
        ("tx_usecs", 5),
        ("tx_frames", 6),
        ("adaptive_rx", 10),
        ("adaptive_tx", 11),
    ];
    numbers(device, GET_COALESCING, 23, &places)
}

/// How many channels a device has, of each kind, and the most that it can have.
pub fn channels(device: &str) -> Option<BTreeMap<String, u64>> {
    let places =
        [("rx_max", 1), ("tx_max", 2), ("combined_max", 4), ("rx", 5), ("tx", 6), ("combined", 8)];
    numbers(device, GET_CHANNELS, 9, &places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_feature_is_the_bit_of_its_name() {
        let name = |name: &str| Some(name.to_owned());
        let mut names = vec![None; 40];
        names[0] = name("tx-scatter-gather");
        names[3] = name("a feature of another trade");
        names[31] = name("rx-gro");
        names[33] = name("tx-udp-segmentation");
        names[34] = name("rx-gro-list");
        // Changeable, wanted, active, never to be changed: the third word counts.
        let blocks = [0, u32::MAX, 1 << 31, 0, u32::MAX, 0, 1 << 1, u32::MAX];
        let found = states(&names, &blocks);
        let expected = [
            ("rx-gro", true),
            ("rx-gro-list", false),
            ("tx-scatter-gather", false),
            ("tx-udp-segmentation", true),
        ];
        assert_eq!(found, expected.map(|(name, on)| (name.to_owned(), on)).into());
        assert_eq!(states(&names, &blocks[..4]).len(), 2, "what is not told is left out");
    }

    #[test]
    fn a_text_ends_at_its_first_zero() {
        let words = |bytes: &[u8; 8]| {
            let [a, b, c, d, e, f, g, h] = *bytes;
            [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
        };
        assert_eq!(text(&words(b"veth\0\0\0\0")).as_deref(), Some("veth"));
        assert_eq!(text(&words(b"\0eth\0\0\0\0")), None);
    }

    #[test]
    fn loopback_tells_its_offloads() {
        let Some(found) = offloads("lo") else {
            return eprintln!("SKIPPED: this network namespace has no device lo that tells");
        };
        assert_eq!(found.get("tx-scatter-gather"), Some(&true), "{found:?}");
        assert!(found.contains_key("rx-gro"), "{found:?}");
    }
}
