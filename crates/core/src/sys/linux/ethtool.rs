//! Driver and settings of a device by the ioctl SIOCETHTOOL. Its structures
//! (`include/uapi/linux/ethtool.h`) consist of 32-bit words and begin with the command.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::check;
use super::rtnetlink::text;

/// `SIOCETHTOOL` of `include/uapi/linux/sockios.h`.
const SIOCETHTOOL: u32 = 0x8946;

/// Commands of the same headers.
const GET_DRIVER: u32 = 0x03; // ETHTOOL_GDRVINFO
const GET_COALESCING: u32 = 0x0E; // ETHTOOL_GCOALESCE
const GET_RINGS: u32 = 0x10; // ETHTOOL_GRINGPARAM
const GET_STRINGS: u32 = 0x1B; // ETHTOOL_GSTRINGS
const GET_STRING_COUNTS: u32 = 0x37; // ETHTOOL_GSSET_INFO
const GET_FEATURES: u32 = 0x3A; // ETHTOOL_GFEATURES
const GET_CHANNELS: u32 = 0x3C; // ETHTOOL_GCHANNELS

/// `ETH_SS_FEATURES` of `enum ethtool_stringset`: the names of features.
const FEATURE_NAMES: u32 = 4;

/// `ETH_GSTRING_LEN` in words: a name with its padding.
const NAME_WORDS: usize = 8;

/// Maximum number of features, which bounds memory. Arbitrary: 64 words of 32; kernels have two.
const MOST_FEATURES: usize = 2_048;

/// Words of `struct ethtool_drvinfo`: 196 bytes.
const DRIVER_WORDS: usize = 49;

/// Features that affect UDP, by their common names (`net/ethtool/common.c`): checksums,
/// segmentation and coalescing, queue selection.
const OFFLOADS: &str = "highdma hw-tc-offload rx-checksum rx-gro rx-gro-hw rx-gro-list rx-hashing \
    rx-lro rx-ntuple-filter rx-udp-gro-forwarding tx-checksum-ip-generic tx-checksum-ipv4 \
    tx-checksum-ipv6 tx-generic-segmentation tx-gso-list tx-gso-partial tx-nocache-copy \
    tx-scatter-gather tx-tcp-segmentation tx-udp-segmentation";

fn request(device: &str) -> Option<libc::ifreq> {
    // SAFETY: ifreq is made of integers, pointers and arrays of such: all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = device.as_bytes();
    // The last byte stays the terminating zero.
    let fits = !name.is_empty() && name.len() < request.ifr_name.len() && !name.contains(&0);
    for (to, &byte) in request.ifr_name.iter_mut().zip(name) {
        *to = byte as libc::c_char;
    }
    fits.then_some(request)
}

fn ioctl(number: u32, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: socket(2) touches no memory of this process.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    // SAFETY: a file descriptor that was just opened, and that nobody else closes.
    let socket = unsafe { OwnedFd::from_raw_fd(check(socket)?) };
    // SAFETY: `request` is a complete ifreq; the memory that it points to outlives the call and has
    // the length that its command requires: see the callers.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), number as _, &raw mut *request) };
    check(result).map(|_| ())
}

/// Makes the kernel fill in `words`, a structure that begins with the command.
fn fill(device: &str, words: &mut [u32]) -> Option<()> {
    let mut request = request(device)?;
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    ioctl(SIOCETHTOOL, &mut request).ok()
}

pub(super) fn mtu(device: &str) -> Option<u64> {
    let mut request = request(device)?;
    ioctl(libc::SIOCGIFMTU as u32, &mut request).ok()?;
    // SAFETY: SIOCGIFMTU has filled in this field of the union.
    u64::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok()
}

/// The MAC address of a device, as /sys writes it: `02:fc:00:00:00:05`.
pub(super) fn mac_address(device: &str) -> Option<String> {
    let mut request = request(device)?;
    ioctl(libc::SIOCGIFHWADDR as u32, &mut request).ok()?;
    // SAFETY: SIOCGIFHWADDR has filled in this field of the union.
    let bytes = unsafe { request.ifr_ifru.ifru_hwaddr }.sa_data;
    let bytes: Vec<_> = bytes.iter().take(6).map(|byte| format!("{:02x}", *byte as u8)).collect();
    Some(bytes.join(":"))
}

pub(super) fn driver(device: &str) -> Option<String> {
    let mut words = [0; DRIVER_WORDS];
    words[0] = GET_DRIVER;
    fill(device, &mut words)?;
    // The name follows the command.
    name(&words[1..1 + NAME_WORDS])
}

fn name(words: &[u32]) -> Option<String> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    Some(text(&bytes)).filter(|name| !name.is_empty())
}

pub(super) fn offloads(device: &str) -> Option<BTreeMap<String, bool>> {
    let names = feature_names(device)?;
    // A block of four words for 32 features: available, requested, active, never changed.
    let blocks = names.len().div_ceil(32);
    let mut words = vec![0; 2 + 4 * blocks];
    (words[0], words[1]) = (GET_FEATURES, blocks as u32);
    fill(device, &mut words)?;
    Some(states(&names, &words[2..]))
}

fn states(names: &[Option<String>], blocks: &[u32]) -> BTreeMap<String, bool> {
    let state = |(bit, name): (usize, &Option<String>)| {
        let name = name.as_ref().filter(|name| OFFLOADS.split(' ').any(|known| known == *name))?;
        let active = blocks.get(4 * (bit / 32) + 2)?;
        Some((name.clone(), active >> (bit % 32) & 1 == 1))
    };
    names.iter().enumerate().filter_map(state).collect()
}

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
    Some(words[3..].chunks(NAME_WORDS).map(name).collect())
}

/// A 64-bit number as two words in native order.
const fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

fn numbers(
    device: &str,
    command: u32,
    len: usize,
    offsets: &[(&str, usize)],
) -> Option<BTreeMap<String, u64>> {
    let mut words = vec![0; len];
    words[0] = command;
    fill(device, &mut words)?;
    let number = |(name, at): &(&str, usize)| Some(((*name).to_owned(), (*words.get(*at)?).into()));
    offsets.iter().map(number).collect()
}

/// Lengths of a device's rings in packets, and their maxima.
pub(super) fn rings(device: &str) -> Option<BTreeMap<String, u64>> {
    numbers(device, GET_RINGS, 9, &[("rx_max", 1), ("tx_max", 4), ("rx", 5), ("tx", 8)])
}

/// Interrupt coalescing: microseconds, frames, and whether it adapts to the load (1) or not (0).
pub(super) fn coalescing(device: &str) -> Option<BTreeMap<String, u64>> {
    let usecs_and_frames = [("rx_usecs", 1), ("rx_frames", 2), ("tx_usecs", 5), ("tx_frames", 6)];
    let adaptive = [("adaptive_rx", 10), ("adaptive_tx", 11)];
    numbers(device, GET_COALESCING, 23, &[&usecs_and_frames[..], &adaptive].concat())
}

/// Channels of a device by kind, and their maxima.
pub(super) fn channels(device: &str) -> Option<BTreeMap<String, u64>> {
    let offsets =
        [("rx_max", 1), ("tx_max", 2), ("combined_max", 4), ("rx", 5), ("tx", 6), ("combined", 8)];
    numbers(device, GET_CHANNELS, 9, &offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_active_bit_of_each_feature() {
        let mut names = vec![None; 40];
        for (bit, name) in [
            (0, "tx-scatter-gather"),
            (3, "another feature"),
            (31, "rx-gro"),
            (33, "tx-udp-segmentation"),
            (34, "rx-gro-list"),
        ] {
            names[bit] = Some(name.to_owned());
        }
        let blocks = [0, u32::MAX, 1 << 31, 0, u32::MAX, 0, 1 << 1, u32::MAX];
        let expected = [
            ("rx-gro", true),
            ("rx-gro-list", false),
            ("tx-scatter-gather", false),
            ("tx-udp-segmentation", true),
        ];
        let expected = expected.map(|(name, on)| (name.to_owned(), on)).into();
        assert_eq!(states(&names, &blocks), expected);
        assert_eq!(states(&names, &blocks[..4]).len(), 2, "omits features without a block");
    }
}
