//! Resolves the target, and refuses public addresses without --allow-public.

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::args::{NO_UNIX, PORT};
use super::error::CliError;
use super::output::warn_stderr;
use crate::net::{NetError, Options, Udp};
use crate::plan::Scenario;
use crate::report::format::text::style::distinct;
use crate::run::RunError;
use crate::unit::Rate;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    /// As the flags -4 and -6 have it.
    pub(crate) const fn of(ipv4: bool, ipv6: bool) -> Self {
        match (ipv4, ipv6) {
            (true, _) => Self::V4,
            (_, true) => Self::V6,
            _ => Self::Any,
        }
    }
}

/// Time to wait for an address to refuse a datagram. Arbitrary: longer than most round trips.
const REFUSAL_WAIT: Duration = Duration::from_millis(200);

/// Interval between checks for a refusal; arbitrary.
const REFUSAL_LOOK: Duration = Duration::from_millis(2);

/// Tries addresses in turn, and returns the result of `attempt` for the first one that works.
/// Errors of the others are printed as notices, unless `quiet`; if none works, the last error is
/// returned.
pub(crate) fn in_turn<A: Copy + fmt::Display, T>(
    addresses: &[A],
    quiet: bool,
    mut attempt: impl FnMut(A) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let Some((last, others)) = addresses.split_last() else {
        return Err(CliError::Contradiction("no more addresses to try".to_owned()));
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

/// The target as typed; for a name, with the address in use.
pub(crate) fn named(typed: &str, target: SocketAddr) -> String {
    let (host, _) = split(typed, target.port()).unwrap_or((typed, 0));
    let literal = host.split('%').next().is_some_and(|host| host.parse::<IpAddr>().is_ok());
    if literal { typed.to_owned() } else { format!("{typed} ({target})") }
}

/// All addresses of `HOST`, `HOST:PORT` or `[v6]:PORT` in that family; never empty.
pub(crate) fn resolve(
    target: &str,
    port: u16,
    family: Family,
) -> Result<Vec<SocketAddr>, CliError> {
    if target.starts_with("unix:") {
        return Err(CliError::Target { target: target.to_owned(), why: NO_UNIX.to_owned() });
    }
    let (host, port) = split(target, port)?;
    let wanted = |addr: &SocketAddr| match family {
        Family::Any => true,
        Family::V4 => addr.is_ipv4(),
        Family::V6 => addr.is_ipv6(),
    };
    let found = (host, port).to_socket_addrs().map_err(|error| {
        let text = error.to_string();
        let why = text.rsplit(": ").next().unwrap_or(&text).to_owned();
        CliError::Target { target: target.to_owned(), why: format!("{why}; check the name") }
    })?;
    // A hosts file may list an address twice.
    let addresses = distinct(found.filter(wanted));
    if addresses.is_empty() {
        let why = "it has no address of that family; omit -4 and -6".to_owned();
        return Err(CliError::Target { target: target.to_owned(), why });
    }
    Ok(addresses)
}

/// The first address of the name that belongs to this host, or with `elsewhere` the first one.
pub(crate) fn here(host: &str, family: Family, elsewhere: bool) -> Result<IpAddr, CliError> {
    let addresses: Vec<_> =
        resolve(host, PORT, family)?.into_iter().map(|address| address.ip()).collect();
    let is_ours = |address: &&IpAddr| elsewhere || UdpSocket::bind((**address, 0)).is_ok();
    addresses.iter().find(is_ours).copied().ok_or_else(|| {
        let all = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
        let why = format!("{all}: none is an address of this host; use one that `ip addr` lists");
        CliError::Target { target: host.to_owned(), why }
    })
}

fn split(target: &str, usual: u16) -> Result<(&str, u16), CliError> {
    let bad = |why: &str| CliError::Target { target: target.to_owned(), why: why.to_owned() };
    let port = |word: &str| {
        word.parse::<u16>()
            .ok()
            .filter(|&port| port > 0)
            .ok_or_else(|| bad("the port is invalid; use 1 to 65535"))
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

/// Finds out whether anything may be sent to this target, by sending nothing: what is wrong is told
/// with the flag that fixes it, before workers start. If there is a `next` address to try, an empty
/// datagram is sent to this one, which a closed port refuses.
pub(crate) fn reach(scenario: &Scenario, target: SocketAddr, next: bool) -> Result<(), CliError> {
    let options = Options {
        bind: SocketAddr::new(scenario.bind, 0),
        buffer: 0,
        dev: scenario.ip.dev.clone(),
        multicast: target.ip().is_multicast(),
        broadcast: scenario.broadcast,
        ..Options::default()
    };
    let failed = |error| CliError::from(RunError::Net(NetError::from(error)));
    let socket = Udp::open(&options).map_err(failed)?;
    socket.connect(target).map_err(failed)?;
    let refused = if next { refusal(&socket) } else { None };
    refused.map_or(Ok(()), |error| {
        let why = format!("it refuses datagrams ({error}); is the server running on this port?");
        Err(CliError::Target { target: target.to_string(), why })
    })
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

/// The local address on the way to this target; `None` without a route.
pub(crate) fn local_to(target: SocketAddr) -> Option<IpAddr> {
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Why nothing is sent to this public address; `None` if nothing forbids it.
pub(crate) fn public_address_error(
    addr: IpAddr,
    allow_public: bool,
    rates: &[Rate],
) -> Option<String> {
    let endless = |rate: &Rate| matches!(rate, Rate::Max | Rate::OfMax(_));
    if is_near(addr) {
        None
    } else if !allow_public {
        let why = "is a public address; add --allow-public if it is yours, and a rate";
        Some(format!("{addr} {why}"))
    } else {
        let why = "traffic to a public address needs a limit; add --rate";
        rates.iter().any(endless).then(|| why.to_owned())
    }
}

/// Whether traffic to this address stays with those who can be expected to want it: loopback,
/// private and link-local ranges, multicast groups of no wider scope than the organisation's, and
/// the range for benchmarks (RFC 1918, 2544, 2365, 3927, 4193, 4291).
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
    fn targets_are_read_in_every_form() {
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
        let all = |word, family| resolve(word, PORT, family);
        assert_eq!(all("127.0.0.1", Family::V4).unwrap(), ["127.0.0.1:7788".parse().unwrap()]);
        assert!(all("127.0.0.1", Family::V6).is_err());
        assert!(all("localhost:9", Family::V4).unwrap().iter().all(SocketAddr::is_ipv4));
    }

    #[test]
    fn the_address_behind_a_name_is_shown() {
        let at: SocketAddr = "127.0.0.1:9".parse().unwrap();
        assert_eq!(named("localhost:9", at), "localhost:9 (127.0.0.1:9)");
        for typed in ["127.0.0.1", "127.0.0.1:9", "::1", "[fe80::1%lo]:9"] {
            assert_eq!(named(typed, at), typed);
        }
    }

    #[test]
    fn addresses_are_tried_until_one_works() {
        let mut tried = Vec::new();
        let mut attempt = |works: u8| {
            in_turn(&[1_u8, 2, 3], true, |address| {
                tried.push(address);
                let why = || CliError::Contradiction(address.to_string());
                if address == works { Ok(address) } else { Err(why()) }
            })
        };
        assert_eq!(attempt(2).unwrap(), 2);
        assert_eq!(attempt(9).unwrap_err().to_string(), "3");
        assert_eq!(tried, [1, 2, 1, 2, 3]);
    }

    #[test]
    fn public_addresses_are_told_from_near_ones() {
        for near in [
            "127.9.9.9",
            "10.0.0.1",
            "172.31.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "198.19.0.1",
            "239.1.2.3",
            "224.0.0.251",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_near(near.parse().unwrap()), "{near}");
        }
        for public in [
            "8.8.8.8",
            "172.32.0.1",
            "198.20.0.1",
            "224.0.1.1",
            "2001:db8::1",
            "ff0e::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_near(public.parse().unwrap()), "{public}");
        }
    }
}
