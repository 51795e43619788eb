//! Programs for received packets by bpf(2): the receive program of the engine `xdp`, its maps, and
//! its link to a device. All of them end with the process.
#![allow(unsafe_code)]

mod code;
mod program;
#[cfg(test)]
mod tests;

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::sys::{MAX_XDP_QUEUES, PortRule, XDP_CAPABILITIES, XdpAbilities, XdpError, XdpMode};

// Commands, types and flags of `include/uapi/linux/bpf.h` and `if_link.h`.
const MAP_CREATE: libc::c_int = 0; // BPF_MAP_CREATE
const MAP_UPDATE: libc::c_int = 2; // BPF_MAP_UPDATE_ELEM
const MAP_DELETE: libc::c_int = 3; // BPF_MAP_DELETE_ELEM
const PROGRAM_LOAD: libc::c_int = 5; // BPF_PROG_LOAD
const LINK_CREATE: libc::c_int = 28; // BPF_LINK_CREATE
const ARRAY: u32 = 2; // BPF_MAP_TYPE_ARRAY
const SOCKETS: u32 = 17; // BPF_MAP_TYPE_XSKMAP
const PROGRAM_TYPE: u32 = 6; // BPF_PROG_TYPE_XDP
const ATTACH_TYPE: u32 = 37; // BPF_XDP
const IN_STACK: u32 = 1 << 1; // XDP_FLAGS_SKB_MODE
const IN_DRIVER: u32 = 1 << 2; // XDP_FLAGS_DRV_MODE

/// Entries of the map of ports: every port.
const PORTS: u32 = 1 << 16;

/// How long to wait until the program that this process attached before is gone: a process that it
/// starts meanwhile holds a copy of the link until it executes its program. Arbitrary: longer than
/// that takes.
const DETACH_MS: u64 = 100;

/// Bytes for the log of the verifier. Arbitrary: its last lines name the fault.
const LOG_LEN: usize = 1 << 16;

/// The program calls no function that only GPL programs may call.
const LICENCE: &CStr = c"MIT OR Apache-2.0";

/// Bits of [`XDP_CAPABILITIES`], and of capabilities that include them: `CAP_*` of
/// `include/uapi/linux/capability.h`. Before Linux 5.8, CAP_SYS_ADMIN had what CAP_BPF has.
const CAPABILITY_BITS: [&[u32]; XDP_CAPABILITIES.len()] = [&[13], &[12], &[39, 21], &[14]];

/// Words of an IPv6 address (RFC 4291 section 2).
const WHOLE_ADDRESS: u16 = 4;

/// An entry of the map by which the receive program selects. Its key is the destination port; it
/// has the fields of [`PortRule::Tagged`] and the destination address.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct PortValue {
    /// 0: any payload.
    shortest: u16,
    mask: u16,
    lowest: u16,
    /// 0: no datagram.
    highest: u16,
    /// How many words of the destination must equal those of `address`; 0: any destination.
    words: u16,
    /// The kernel loads the address by words.
    padding: u16,
    /// As an IPv6 address.
    address: [u8; 16],
}

impl PortValue {
    /// The rule for datagrams to an address; unspecified: to all of IPv4, or of both families.
    fn new(to: IpAddr, rule: PortRule) -> Self {
        let (shortest, mask, lowest, highest) = match rule {
            PortRule::Pass => (0, 0, 0, 0),
            PortRule::All => (0, 0, 0, u16::MAX),
            PortRule::Tagged { shortest, mask, lowest, highest } => {
                (shortest.max(1), mask, lowest, highest)
            }
        };
        let (words, address) = match to.to_canonical() {
            IpAddr::V4(ip) if ip.is_unspecified() => (program::V4_PREFIX, ip.to_ipv6_mapped()),
            IpAddr::V4(ip) => (WHOLE_ADDRESS, ip.to_ipv6_mapped()),
            IpAddr::V6(ip) if ip.is_unspecified() => (0, ip),
            IpAddr::V6(ip) => (WHOLE_ADDRESS, ip),
        };
        let address = address.octets();
        Self { shortest, mask, lowest, highest, words, padding: 0, address }
    }
}

/// The first fields of `union bpf_attr` for each command; the kernel takes the others as zero.
#[repr(C)]
struct MapAttributes {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
struct ElementAttributes {
    map: u32,
    /// The kernel aligns the next field.
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

#[repr(C)]
struct LinkAttributes {
    program: u32,
    device: u32,
    attach_type: u32,
    flags: u32,
}

/// The receive program, attached to a device until this value is dropped or the process ends.
#[derive(Debug)]
pub struct XdpFilter {
    ports: OwnedFd,
    sockets: OwnedFd,
    program: OwnedFd,
    link: Option<OwnedFd>,
    mode: XdpMode,
}

impl XdpFilter {
    /// Attaches the program to the device of this number in the calling thread's network
    /// namespace. It lets everything pass until it has ports and sockets.
    pub fn attach(device: u32, mode: XdpMode) -> Result<Self, XdpError> {
        let mut filter = Self::load()?;
        let link = |flags| {
            let is_busy = |error: &XdpError| matches!(error, XdpError::Busy);
            super::wait_while(DETACH_MS, is_busy, || filter.link(device, flags))
        };
        let native = || link(IN_DRIVER).map(|link| (link, XdpMode::Native));
        let generic = || link(IN_STACK).map(|link| (link, XdpMode::Generic));
        let (link, mode) = match mode {
            XdpMode::Native => native()?,
            XdpMode::Generic => generic()?,
            XdpMode::Auto => match native() {
                Err(XdpError::NoNative(_)) => generic()?,
                done => done?,
            },
        };
        filter.link = Some(link);
        filter.mode = mode;
        Ok(filter)
    }

    /// Where the program runs: `Native` or `Generic`.
    pub const fn mode(&self) -> XdpMode {
        self.mode
    }

    /// Decides which datagrams to this address and port go to the sockets; those to other addresses
    /// do not. Unspecified: those to all addresses of IPv4 (`0.0.0.0`), or of both families (`::`).
    pub fn set_port(&self, to: SocketAddr, rule: PortRule) -> io::Result<()> {
        set(&self.ports, u32::from(to.port()), &PortValue::new(to.ip(), rule))
    }

    /// Gives the datagrams of this receive queue to an AF_XDP socket.
    pub fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        set(&self.sockets, queue, &socket.as_raw_fd())
    }

    /// Gives the datagrams of this receive queue to ordinary sockets again.
    pub fn remove_socket(&self, queue: u32) -> io::Result<()> {
        let attributes = element(&self.sockets, &queue, 0);
        // SAFETY: the key is a u32, as the map has it, and outlives the call, which does not keep
        // its address.
        unsafe { bpf(MAP_DELETE, &attributes) }.map(|_| ())
    }

    /// The program with its maps, not attached.
    fn load() -> Result<Self, XdpError> {
        let ports = map(ARRAY, size_of::<PortValue>(), PORTS)?;
        let sockets = map(SOCKETS, size_of::<libc::c_int>(), MAX_XDP_QUEUES)?;
        let unassembled = || XdpError::Other {
            step: "assemble the XDP program",
            source: io::ErrorKind::InvalidData.into(),
        };
        let program = program::program(ports.as_raw_fd(), sockets.as_raw_fd());
        let program = load(&program.ok_or_else(unassembled)?)?;
        Ok(Self { ports, sockets, program, link: None, mode: XdpMode::Auto })
    }

    fn link(&self, device: u32, flags: u32) -> Result<OwnedFd, XdpError> {
        let program = self.program.as_raw_fd() as u32;
        let attributes = LinkAttributes { program, device, attach_type: ATTACH_TYPE, flags };
        // SAFETY: the command opens a file descriptor; its attributes have no addresses.
        let result = unsafe { open(LINK_CREATE, &attributes) };
        let step = "attach the XDP program";
        result.map_err(|source| match source.raw_os_error() {
            Some(libc::EBUSY | libc::EEXIST) => XdpError::Busy,
            Some(libc::EPERM) => XdpError::Forbidden { step },
            _ if flags == IN_DRIVER => XdpError::NoNative(source),
            _ => XdpError::Other { step, source },
        })
    }
}

fn map(map_type: u32, value_size: usize, max_entries: u32) -> Result<OwnedFd, XdpError> {
    let (key_size, value_size) = (size_of::<u32>() as u32, value_size as u32);
    let attributes = MapAttributes { map_type, key_size, value_size, max_entries };
    // SAFETY: the command opens a file descriptor; its attributes have no addresses.
    let result = unsafe { open(MAP_CREATE, &attributes) };
    let step = "create a map of the XDP program";
    result.map_err(|source| match source.raw_os_error() {
        Some(libc::EPERM) => XdpError::Forbidden { step },
        _ => XdpError::Other { step, source },
    })
}

fn load(program: &[program::Encoded]) -> Result<OwnedFd, XdpError> {
    let mut attributes = LoadAttributes {
        program_type: PROGRAM_TYPE,
        instruction_count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        licence: LICENCE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    // SAFETY: the command opens a file descriptor. The instructions and the licence, which ends in
    // zero, outlive the call.
    let error = match unsafe { open(PROGRAM_LOAD, &attributes) } {
        Ok(loaded) => return Ok(loaded),
        Err(error) => error,
    };
    if error.raw_os_error() == Some(libc::EPERM) {
        return Err(XdpError::Forbidden { step: "load the XDP program" });
    }
    let mut log = vec![0_u8; LOG_LEN];
    (attributes.log_level, attributes.log_size) = (1, LOG_LEN as u32);
    attributes.log = log.as_mut_ptr() as u64;
    // SAFETY: as above; the log is writable, has this size, and is not used during the call.
    match unsafe { open(PROGRAM_LOAD, &attributes) } {
        Ok(loaded) => Ok(loaded),
        Err(source) => {
            let log = super::rtnetlink::text(&log).trim_end().to_owned();
            Err(XdpError::Rejected { source, log })
        }
    }
}

fn set<T>(map: &OwnedFd, key: u32, value: &T) -> io::Result<()> {
    let attributes = element(map, &key, std::ptr::from_ref(value) as u64);
    // SAFETY: the key is a u32 and the value of the type that the map was created with; both
    // outlive the call, which does not keep their addresses.
    unsafe { bpf(MAP_UPDATE, &attributes) }.map(|_| ())
}

fn element(map: &OwnedFd, key: &u32, value: u64) -> ElementAttributes {
    let key = std::ptr::from_ref(key) as u64;
    ElementAttributes { map: map.as_raw_fd() as u32, padding: 0, key, value, flags: 0 }
}

/// # Safety
/// Addresses in the attributes have to be valid for what the command reads and writes there.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_int> {
    let (attributes, size) = (std::ptr::from_ref(attributes), size_of::<T>());
    // SAFETY: the attributes are readable for this size; the caller vouches for addresses in them.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size) };
    super::check(result as libc::c_int)
}

/// Calls a command that opens a file descriptor.
///
/// # Safety
/// As for [`bpf`], and the command has to be such a command.
unsafe fn open<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller vouches for both.
    let fd = unsafe { bpf(command, attributes) }?;
    // SAFETY: the file descriptor was just opened, close-on-exec, and nobody else closes it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the kernel has AF_XDP, and what this thread lacks to use it.
pub fn xdp_abilities() -> XdpAbilities {
    // SAFETY: socket(2) touches no memory of this process.
    let socket = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    let in_kernel = match super::check(socket) {
        Ok(fd) => {
            // SAFETY: the file descriptor was just opened, and nobody else closes it.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
            Some(true)
        }
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => None,
        Err(_) => Some(false),
    };
    XdpAbilities {
        in_kernel,
        missing_capabilities: missing_capabilities(effective_capabilities()),
        lockable_bytes: lockable_bytes(),
    }
}

/// Of those that AF_XDP needs. None is named if `held` is unknown, as the error of the first call
/// that lacks one then names the cause.
fn missing_capabilities(held: Option<u64>) -> Vec<&'static str> {
    let held = held.unwrap_or(u64::MAX);
    let lacks = |any: &[u32]| any.iter().all(|bit| held >> bit & 1 == 0);
    let needed = XDP_CAPABILITIES.iter().zip(CAPABILITY_BITS);
    needed.filter_map(|(name, any)| lacks(any).then_some(*name)).collect()
}

/// `__user_cap_header_struct` and `__user_cap_data_struct` of `include/uapi/linux/capability.h`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    /// 0: the calling thread.
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Default)]
struct CapabilityWord {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The version with two words of each set: `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// By capget(2), as /proc may be unreadable.
fn effective_capabilities() -> Option<u64> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let mut words = [CapabilityWord::default(), CapabilityWord::default()];
    // SAFETY: the header is valid, and this version writes two words.
    let result = unsafe {
        libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) as libc::c_int
    };
    super::check(result).ok()?;
    Some(u64::from(words[1].effective) << 32 | u64::from(words[0].effective))
}

#[allow(clippy::unnecessary_cast, reason = "32-bit systems have a narrower type")]
fn lockable_bytes() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit for the whole call.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur as u64)
}
