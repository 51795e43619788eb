//! The kernel runs the program on frames (`BPF_PROG_TEST_RUN`), and attaches it to devices of a
//! namespace of the test. Without root, these tests report that they do not run.

use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::thread;

use etherparse::PacketBuilder;

use super::super::testing::{in_new_netns, lacks_root, sh};
use super::super::{check, device_index};
use super::*;

/// `BPF_PROG_TEST_RUN` of `include/uapi/linux/bpf.h`, and the actions of `enum xdp_action`.
const TEST_RUN: libc::c_int = 10;
const PASSED: u32 = 2;
const REDIRECTED: u32 = 4;

/// The ports of the tests: one for each rule.
const ALL: u16 = 5_001;
const DATA: u16 = 5_002;
const SLOT: u16 = 5_003;
const OTHER: u16 = 5_004;

#[repr(C)]
#[derive(Default)]
struct RunAttributes {
    program: u32,
    result: u32,
    len_in: u32,
    len_out: u32,
    frame_in: u64,
    frame_out: u64,
    repeat: u32,
    duration: u32,
}

fn socket() -> OwnedFd {
    // SAFETY: socket(2) touches no memory of this process.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    // SAFETY: the file descriptor was just opened, and nobody else closes it.
    unsafe { OwnedFd::from_raw_fd(check(fd).unwrap()) }
}

/// This port of all addresses.
fn any(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), port)
}

/// The program with rules for the ports above, and a socket for queue 0, which the map has until
/// the socket is closed.
fn filter() -> (XdpFilter, OwnedFd) {
    let filter = XdpFilter::load().unwrap();
    let tagged = |lowest, highest| PortRule::Tagged { shortest: 16, mask: 0xFFC0, lowest, highest };
    filter.set_port(any(ALL), PortRule::All).unwrap();
    filter.set_port(any(DATA), tagged(0x40, 0xFFFF)).unwrap();
    filter.set_port(any(SLOT), tagged(7 << 6, 7 << 6)).unwrap();
    let socket = socket();
    filter.set_socket(0, socket.as_fd()).unwrap();
    (filter, socket)
}

fn run(filter: &XdpFilter, frame: &[u8]) -> u32 {
    let mut attributes = RunAttributes {
        program: filter.program.as_raw_fd() as u32,
        len_in: frame.len() as u32,
        frame_in: frame.as_ptr() as u64,
        ..RunAttributes::default()
    };
    let (at, size) = (&raw mut attributes, size_of::<RunAttributes>());
    // SAFETY: the attributes are readable and writable for this size, the frame for its length.
    let result = unsafe { libc::syscall(libc::SYS_bpf, TEST_RUN, at, size) };
    check(result as libc::c_int).unwrap();
    attributes.result
}

/// A payload of this length that begins with this tag.
fn payload(tag: u16, len: usize) -> Vec<u8> {
    let mut payload = vec![0xEE; len.max(2)];
    payload[..2].copy_from_slice(&tag.to_be_bytes());
    payload.truncate(len);
    payload
}

fn v4(port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    let builder = builder.udp(4_000, port);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

fn v6(port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6([1; 16], [2; 16], 64);
    let mut frame = Vec::new();
    builder.udp(4_000, port).write(&mut frame, payload).unwrap();
    frame
}

/// The frame with these bytes inserted at an offset.
fn with(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    [&frame[..at], bytes, &frame[at..]].concat()
}

#[test]
fn redirects_by_port_and_payload() {
    if lacks_root() {
        return;
    }
    let (filter, _socket) = filter();
    let slot = 7 << 6;
    for frame in [v4, v6] {
        for (port, tag, len, expected) in [
            (ALL, 0, 16, REDIRECTED),
            (ALL, 1, 600, REDIRECTED),
            (ALL, 0, 1, REDIRECTED),
            (ALL, 0, 0, REDIRECTED),
            (DATA, 0x40, 16, REDIRECTED),
            (DATA, 0xFFFF, 1_400, REDIRECTED),
            // The tag of control messages, and slot 0.
            (DATA, 1, 53, PASSED),
            (DATA, 0x3F, 16, PASSED),
            (DATA, 0x40, 15, PASSED),
            (DATA, 0x40, 0, PASSED),
            (SLOT, slot, 16, REDIRECTED),
            (SLOT, slot | 0x3F, 18, REDIRECTED),
            (SLOT, slot - 1, 18, PASSED),
            (SLOT, slot + 0x40, 18, PASSED),
            (SLOT, slot, 4, PASSED),
            (OTHER, slot, 64, PASSED),
            (OTHER.swap_bytes(), slot, 64, PASSED),
            (ALL.swap_bytes(), slot, 64, PASSED),
        ] {
            let frame = frame(port, &payload(tag, len));
            assert_eq!(run(&filter, &frame), expected, "port {port}, tag {tag:#x}, {len} bytes");
        }
    }
    filter.set_port(any(DATA), PortRule::Pass).unwrap();
    assert_eq!(run(&filter, &v4(DATA, &payload(0x40, 16))), PASSED);
    filter.remove_socket(0).unwrap();
    assert_eq!(run(&filter, &v4(ALL, &payload(0x40, 16))), PASSED);
}

#[test]
fn redirects_by_address() {
    if lacks_root() {
        return;
    }
    let (filter, _socket) = filter();
    let (four, six) = (v4(OTHER, &[0; 16]), v6(OTHER, &[0; 16]));
    for (to, v4_result, v6_result) in [
        ("0.0.0.0", REDIRECTED, PASSED),
        ("::", REDIRECTED, REDIRECTED),
        ("10.0.0.2", REDIRECTED, PASSED),
        ("::ffff:10.0.0.2", REDIRECTED, PASSED),
        // Other addresses of this host: one byte differs.
        ("10.0.0.3", PASSED, PASSED),
        ("11.0.0.2", PASSED, PASSED),
        ("202:202:202:202:202:202:202:202", PASSED, REDIRECTED),
        ("203:202:202:202:202:202:202:202", PASSED, PASSED),
        ("202:202:203:202:202:202:202:202", PASSED, PASSED),
        ("202:202:202:202:202:203:202:202", PASSED, PASSED),
        ("202:202:202:202:202:202:202:203", PASSED, PASSED),
        // The same bytes as the IPv4 address, in the other family.
        ("::10.0.0.2", PASSED, PASSED),
    ] {
        let to = SocketAddr::new(to.parse().unwrap(), OTHER);
        filter.set_port(to, PortRule::All).unwrap();
        assert_eq!((run(&filter, &four), run(&filter, &six)), (v4_result, v6_result), "{to}");
    }
}

#[test]
fn a_frame_with_padding_has_the_length_of_its_datagram() {
    if lacks_root() {
        return;
    }
    let (filter, _socket) = filter();
    let mut frame = v4(DATA, &payload(0x40, 15));
    frame.resize(80, 0);
    assert_eq!(run(&filter, &frame), PASSED);
    let mut frame = v4(DATA, &payload(0x40, 16));
    frame.resize(80, 0);
    assert_eq!(run(&filter, &frame), REDIRECTED);
}

#[test]
fn takes_one_vlan_tag_and_options() {
    if lacks_root() {
        return;
    }
    let (filter, _socket) = filter();
    let tag = |kind: u16| [kind.to_be_bytes(), [0, 9]].concat();
    for frame in [v4(ALL, &[0; 16]), v6(ALL, &[0; 16])] {
        let once = with(&frame, 12, &tag(0x8100));
        assert_eq!(run(&filter, &once), REDIRECTED);
        assert_eq!(run(&filter, &with(&frame, 12, &tag(0x88A8))), REDIRECTED);
        assert_eq!(run(&filter, &with(&once, 12, &tag(0x88A8))), PASSED, "two tags");
        assert_eq!(run(&filter, &with(&frame, 12, &tag(0x9100))), PASSED);
    }
    // Options of IPv4: up to 40 bytes.
    for words in 1..=10_u8 {
        let mut frame = with(&v4(ALL, &[0; 16]), 34, &vec![1; usize::from(words) * 4]);
        frame[14] = 0x45 + words;
        assert_eq!(run(&filter, &frame), REDIRECTED, "{words} words");
    }
    let mut frame = v4(ALL, &[0; 16]);
    frame[14] = 0x44;
    assert_eq!(run(&filter, &frame), PASSED, "a header that is too short");
}

#[test]
fn passes_all_that_is_no_whole_udp_datagram() {
    if lacks_root() {
        return;
    }
    let (filter, _socket) = filter();
    // Flags and offset of a fragment: the first, a later one, the last. Not: don't fragment.
    for (bits, expected) in
        [(0x2000_u16, PASSED), (0x2001, PASSED), (0x0002, PASSED), (0x4000, REDIRECTED)]
    {
        let mut frame = v4(ALL, &[0; 64]);
        frame[20..22].copy_from_slice(&bits.to_be_bytes());
        assert_eq!(run(&filter, &frame), expected, "{bits:#x}");
    }
    // IPv6 with hop-by-hop options, routing, fragment, destination options before UDP.
    for kind in [0, 43, 44, 60] {
        let mut frame = with(&v6(ALL, &[0; 64]), 54, &[17, 0, 0, 0, 0, 0, 0, 0]);
        frame[20] = kind;
        assert_eq!(run(&filter, &frame), PASSED, "next header {kind}");
    }
    for protocol in [1, 6, 132] {
        let (mut four, mut six) = (v4(ALL, &[0; 64]), v6(ALL, &[0; 64]));
        (four[23], six[20]) = (protocol, protocol);
        assert_eq!((run(&filter, &four), run(&filter, &six)), (PASSED, PASSED), "{protocol}");
    }
    let mut arp = v4(ALL, &[0; 64]);
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(run(&filter, &arp), PASSED);
}

#[test]
fn passes_truncated_frames() {
    if lacks_root() {
        return;
    }
    let (filter, _socket) = filter();
    for (port, least) in [(ALL, 0), (DATA, 16)] {
        for (frame, headers) in
            [(v4(port, &payload(0x40, 20)), 42), (v6(port, &payload(0x40, 20)), 62)]
        {
            // Test runs take 14 bytes and more.
            for len in 14..=frame.len() {
                let whole = len >= headers + least;
                let expected = if whole { REDIRECTED } else { PASSED };
                assert_eq!(run(&filter, &frame[..len]), expected, "{len} bytes to {port}");
            }
        }
    }
}

/// Held by a test that has a program attached, and by one whose child has copies of all links.
static ATTACHED: Mutex<()> = Mutex::new(());

#[test]
fn attaches_to_one_device_at_a_time() {
    if lacks_root() {
        return;
    }
    let _attached = ATTACHED.lock().unwrap_or_else(PoisonError::into_inner);
    in_new_netns(|| {
        sh("ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up");
        let index = device_index("v0").unwrap();
        let attached = || sh("ip -d link show v0");
        for (mode, expected, text) in [
            (XdpMode::Auto, XdpMode::Native, " xdp "),
            (XdpMode::Native, XdpMode::Native, " xdp "),
            (XdpMode::Generic, XdpMode::Generic, " xdpgeneric "),
        ] {
            let filter = XdpFilter::attach(index, mode).unwrap();
            assert_eq!(filter.mode(), expected);
            assert!(attached().contains(text), "{}", attached());
            for second in [XdpMode::Auto, XdpMode::Native, XdpMode::Generic] {
                let second = XdpFilter::attach(index, second);
                assert!(matches!(second, Err(XdpError::Busy)), "{second:?}");
            }
            drop(filter);
            // A process that another test has started has a copy of the link until it executes its
            // program. Each look starts a process, too, so that 200 last longer.
            let is_detached = (0..200).any(|_| !attached().contains("prog/"));
            assert!(is_detached, "{}", attached());
        }
        // A driver without native XDP.
        sh("ip link add b0 type bridge");
        let index = device_index("b0").unwrap();
        let native = XdpFilter::attach(index, XdpMode::Native);
        assert!(matches!(native, Err(XdpError::NoNative(_))), "{native:?}");
        assert_eq!(XdpFilter::attach(index, XdpMode::Auto).unwrap().mode(), XdpMode::Generic);
    });
}

#[test]
fn programs_end_with_their_process() {
    if lacks_root() {
        return;
    }
    let _attached = ATTACHED.lock().unwrap_or_else(PoisonError::into_inner);
    in_new_netns(|| {
        sh("ip link add v0 type veth peer name v1");
        let index = device_index("v0").unwrap();
        let (mut ready, mut say) = io::pipe().unwrap();
        // SAFETY: the child calls nothing but system calls until it is killed.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let filter = XdpFilter::attach(index, XdpMode::Auto);
            let _ = io::Write::write(&mut say, &[u8::from(filter.is_ok())]);
            loop {
                thread::park();
            }
        }
        let mut byte = [0];
        io::Read::read_exact(&mut ready, &mut byte).unwrap();
        let attached = sh("ip -d link show v0");
        // SAFETY: both calls touch no memory but the null pointer, which waitpid(2) permits.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        assert!(byte == [1] && attached.contains("prog/"), "{attached}");
        assert!(!sh("ip -d link show v0").contains("prog/"));
    });
}

#[test]
fn no_capability_is_missing_that_cannot_be_read() {
    assert_eq!(missing_capabilities(Some(0)), XDP_CAPABILITIES);
    assert_eq!(missing_capabilities(None), [""; 0]);
}

#[test]
fn names_missing_capabilities() {
    if lacks_root() {
        return;
    }
    let all = xdp_abilities();
    assert_eq!((all.in_kernel, all.missing_capabilities), (Some(true), vec![]));
    // Capabilities belong to a thread.
    let without = thread::spawn(|| {
        for id in [libc::SYS_setresuid, libc::SYS_setresgid] {
            // SAFETY: these system calls touch no memory, and change the calling thread only.
            unsafe { libc::syscall(id, 65_534, 65_534, 65_534) };
        }
        let mode = XdpFilter::attach(1, XdpMode::Auto);
        (xdp_abilities(), mode.unwrap_err().to_string())
    });
    let (without, error) = without.join().unwrap();
    assert_eq!(without.in_kernel, None);
    assert_eq!(without.missing_capabilities, XDP_CAPABILITIES);
    assert!(error.contains("not permitted to create a map"), "{error}");
}
