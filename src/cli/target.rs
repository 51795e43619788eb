//! Resolves the target, and refuses public addresses without --allow-public.

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::args::{FamilyArgs, NO_UNIX, PORT};
use super::error::{CliError, CliResult, usage};
use super::output::warn_stderr;
use crate::net::{GroupJoin, Options, Udp};
use crate::plan::{Scenario, Sources};
use crate::report::format::text::style::distinct;
use crate::run::RunError;
use crate::unit::Rate;

/// Time to wait for an address to refuse a datagram. Arbitrary: longer than most round trips.
const REFUSAL_WAIT: Duration = Duration::from_millis(200);
/// Interval between checks for a refusal; arbitrary.
const REFUSAL_LOOK: Duration = Duration::from_millis(2);

/// Tries addresses in turn; returns the first result, or the last error. Prints the other errors.
pub(crate) fn in_turn<A: Copy + fmt::Display, T>(
    addresses: &[A],
    quiet: bool,
    mut attempt: impl FnMut(A) -> CliResult<T>,
) -> CliResult<T> {
    let Some((last, others)) = addresses.split_last() else {
        return usage("no more addresses to try");
    };
    for address in others {
        match attempt(*address) {
            Err(error) if !quiet => {
                warn_stderr(&format!("{address} does not work, trying the next address: {error}"));
            }
            Err(_) => {}
            done => return done,
        }
    }
    attempt(*last)
}

pub(crate) fn named(typed: &str, target: SocketAddr) -> String {
    let (host, _) = split(typed, target.port()).unwrap_or((typed, 0));
    let literal = host.split('%').next().is_some_and(|host| host.parse::<IpAddr>().is_ok());
    if literal { typed.to_owned() } else { format!("{typed} ({target})") }
}

/// All addresses of `HOST`, `HOST:PORT` or `[v6]:PORT` in that family; never empty.
pub(crate) fn resolve(target: &str, port: u16, family: FamilyArgs) -> CliResult<Vec<SocketAddr>> {
    let error = |why: String| CliError::Target { target: target.to_owned(), why };
    if target.starts_with("unix:") {
        return Err(error(NO_UNIX.to_owned()));
    }
    let (host, port) = split(target, port)?;
    let found = (host, port).to_socket_addrs().map_err(|source| {
        let text = source.to_string();
        let why = text.rsplit(": ").next().unwrap_or(&text);
        error(format!("{why}; check the name"))
    })?;
    // A hosts file may list an address twice.
    let addresses = distinct(found.filter(|addr| family.has(addr.ip())));
    if addresses.is_empty() {
        return Err(error("it has no address of that family; omit -4 and -6".to_owned()));
    }
    Ok(addresses)
}

/// The first address of the name that belongs to this host, or with `elsewhere` the first one.
pub(crate) fn here(host: &str, family: FamilyArgs, elsewhere: bool) -> CliResult<IpAddr> {
    let addresses = resolve(host, PORT, family)?;
    let addresses: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
    let is_ours = |address: &&IpAddr| elsewhere || UdpSocket::bind((**address, 0)).is_ok();
    addresses.iter().find(is_ours).copied().ok_or_else(|| {
        let all = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
        let why = format!("{all}: none is an address of this host; use one that `ip addr` lists");
        CliError::Target { target: host.to_owned(), why }
    })
}

fn split(target: &str, usual: u16) -> CliResult<(&str, u16)> {
    let bad = |why: &str| CliError::Target { target: target.to_owned(), why: why.to_owned() };
    let port = |word: &str| {
        let port = word.parse().ok().filter(|port| *port > 0);
        port.ok_or_else(|| bad("the port is invalid; use 1 to 65535"))
    };
    if let Some(rest) = target.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| bad("a ] is missing"))?;
        return match rest.strip_prefix(':') {
            Some(word) => Ok((host, port(word)?)),
            None if rest.is_empty() => Ok((host, usual)),
            None => Err(bad("write [address]:port")),
        };
    }
    match target.rsplit_once(':') {
        // More than one colon, and no brackets: an IPv6 address alone.
        Some((host, _)) if host.contains(':') => Ok((target, usual)),
        Some(("", _)) => Err(bad("the host is missing; use HOST:PORT")),
        Some((host, word)) => Ok((host, port(word)?)),
        None if target.is_empty() => Err(bad("the host is missing; use HOST or HOST:PORT")),
        None => Ok((target, usual)),
    }
}

/// Checks that datagrams may go to this target, without sending any unless there is a `next`
/// address to try: then a closed port refuses an empty datagram.
pub(crate) fn reach(scenario: &Scenario, target: SocketAddr, next: bool) -> CliResult<()> {
    let source = scenario.sources.as_ref().map(Sources::first);
    let options = Options {
        bind: SocketAddr::new(source.unwrap_or(scenario.bind), 0),
        is_source: source.is_some(),
        buffer: 0,
        dev: scenario.ip.dev.clone(),
        multicast: target.ip().is_multicast(),
        broadcast: scenario.broadcast,
        ..Options::default()
    };
    let socket = Udp::open(&options).map_err(RunError::from)?;
    socket.connect(target).map_err(RunError::from)?;
    let Some(error) = next.then(|| refusal(&socket)).flatten() else { return Ok(()) };
    let why = format!("it refuses datagrams ({error}); is the server running on this port?");
    Err(CliError::Target { target: target.to_string(), why })
}

/// The error that an empty datagram to the peer causes, if it comes back in time.
fn refusal(socket: &Udp) -> Option<std::io::Error> {
    if let Err(error) = socket.socket.send(&[]) {
        return Some(error);
    }
    let end = Instant::now() + REFUSAL_WAIT;
    while Instant::now() < end {
        match socket.socket.recv(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Some(error),
            Ok(_) => return None,
        }
        std::thread::sleep(REFUSAL_LOOK);
    }
    None
}

/// Refuses groups from which these addresses receive nothing, and groups that are joined twice.
pub(crate) fn check_joins(joins: &[GroupJoin], addrs: &[IpAddr]) -> CliResult<()> {
    for (at, GroupJoin { group, source, dev }) in joins.iter().enumerate() {
        let receives = |addr: &IpAddr| {
            addr == group || addr.is_unspecified() && addr.is_ipv4() == group.is_ipv4()
        };
        if !addrs.iter().any(receives) {
            let addrs = addrs.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
            return usage(format!(
                "--join {group}: a socket that is bound to {addrs} receives no datagrams of that \
                 group; omit --bind and the other family, and name the device with --dev"
            ));
        }
        // A socket has one list of senders for each group and device.
        let is_same = |one: &GroupJoin| {
            let overlaps = one.source == *source || one.source.is_none() || source.is_none();
            one.group == *group && one.dev == *dev && overlaps
        };
        if joins[..at].iter().any(is_same) {
            return usage(format!(
                "--join {group} is given twice for the same senders; give it once, or with a \
                 SOURCE@ each"
            ));
        }
    }
    Ok(())
}

/// The local address on the way to this target; `None` without a route.
pub(crate) fn local_to(target: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((any(target.ip()), 0)).ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

pub(crate) fn is_of_this_host(target: SocketAddr) -> bool {
    target.ip().is_loopback() || local_to(target) == Some(target.ip())
}

pub(crate) const fn any(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// Why nothing is sent to this public address; `None` if nothing forbids it.
pub(crate) fn public_address_error(
    addr: IpAddr,
    allow_public: bool,
    rates: &[Rate],
) -> Option<String> {
    if is_near(addr) {
        return None;
    }
    if !allow_public {
        return Some(format!(
            "{addr} is a public address; add --allow-public if it is yours, and a rate"
        ));
    }
    let is_unlimited = rates.iter().any(|rate| matches!(rate, Rate::Max | Rate::OfMax(_)));
    is_unlimited.then(|| "traffic to a public address needs a limit; add --rate".to_owned())
}

/// Whether traffic to this address needs no --allow-public: loopback, private and link-local
/// ranges, multicast groups of no wider scope than the organisation's, and the range for benchmarks
/// (RFC 1918, 2544, 2365, 3927, 4193, 4291).
pub(crate) fn is_near(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4 == Ipv4Addr::BROADCAST
                || (a == 198 && b & 0xFE == 18)
                || a == 239
                || v4.octets()[..3] == [224, 0, 0]
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_near(v4.into());
            }
            let [first, ..] = v6.segments();
            let multicast_scope = first & 0xF;
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || (first >> 8 == 0xFF && multicast_scope <= 8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_targets() {
        for (word, host, port) in [
            ("lab7", "lab7", 7_788),
            ("lab7:9", "lab7", 9),
            ("192.0.2.1:65535", "192.0.2.1", 65_535),
            ("::1", "::1", 7_788),
            ("[::1]", "::1", 7_788),
            ("[fe80::1%2]:80", "fe80::1%2", 80),
        ] {
            assert_eq!(split(word, PORT).unwrap(), (host, port), "{word}");
        }
        for word in ["", ":9", "lab7:", "lab7:0", "lab7:65536", "lab7:x", "[::1", "[::1]9"] {
            assert!(split(word, PORT).is_err(), "{word}");
        }
    }

    #[test]
    fn resolves_names_in_a_family() {
        let at: SocketAddr = "127.0.0.1:7788".parse().unwrap();
        let [v4, v6] = ["0.0.0.0", "::"].map(|any| FamilyArgs::of(any.parse().unwrap()));
        assert_eq!(resolve("127.0.0.1", PORT, v4).unwrap(), [at]);
        assert!(resolve("127.0.0.1", PORT, v6).is_err());
        assert!(resolve("localhost:9", PORT, v4).unwrap().iter().all(SocketAddr::is_ipv4));
        assert_eq!(named("localhost:7788", at), "localhost:7788 (127.0.0.1:7788)");
        for typed in ["127.0.0.1", "127.0.0.1:9", "::1", "[fe80::1%lo]:9"] {
            assert_eq!(named(typed, at), typed);
        }
    }

    #[test]
    fn tries_addresses_until_one_works() {
        let mut tried = Vec::new();
        let error = in_turn(&[1_u8, 2, 3], true, |address| -> CliResult {
            tried.push(address);
            usage(address.to_string())
        });
        assert_eq!((error.unwrap_err().to_string(), tried), ("3".to_owned(), vec![1, 2, 3]));
        assert_eq!(in_turn(&[1_u8, 2], true, Ok).unwrap(), 1);
    }

    #[test]
    fn tells_public_addresses_from_near_ones() {
        let near = "127.9.9.9 10.0.0.1 172.31.0.1 192.168.0.1 169.254.1.1 198.19.0.1 239.1.2.3 \
                    224.0.0.251 ::1 fe80::1 fd00::1 ff02::1 ::ffff:10.0.0.1";
        let public = "8.8.8.8 172.32.0.1 198.20.0.1 224.0.1.1 2001:db8::1 ff0e::1 ::ffff:8.8.8.8";
        for (words, expected) in [(near, true), (public, false)] {
            for word in words.split(' ') {
                assert_eq!(is_near(word.parse().unwrap()), expected, "{word}");
            }
        }
    }
}
