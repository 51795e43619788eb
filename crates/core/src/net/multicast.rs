//! Multicast: choice of the device, and joining groups.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use socket2::{InterfaceIndexOrAddress, Socket};

use super::options::Options;
use crate::sys;

/// The index of the device; 0 (the system chooses) without one.
fn device_index(device: Option<&String>) -> io::Result<u32> {
    device.map_or(Ok(0), |device| sys::device_index(device))
}

/// The IPv4 address that selects the device: the bound one, unless it is unspecified or a group.
fn device_address(options: &Options) -> Ipv4Addr {
    match options.bind.ip() {
        IpAddr::V4(ip) if !ip.is_multicast() => ip,
        _ => Ipv4Addr::UNSPECIFIED,
    }
}

/// Sends multicast on the requested device. An IPv4 socket bound to a device needs no interface.
pub(super) fn send_multicast(socket: &Socket, options: &Options) -> io::Result<()> {
    let ttl = options.ttl.map(u32::from);
    if options.bind.is_ipv6() {
        socket.set_multicast_if_v6(device_index(options.dev.as_ref())?)?;
        socket.set_multicast_loop_v6(true)?;
        ttl.map_or(Ok(()), |ttl| socket.set_multicast_hops_v6(ttl))
    } else {
        if options.dev.is_none() {
            socket.set_multicast_if_v4(&device_address(options))?;
        }
        socket.set_multicast_loop_v4(true)?;
        ttl.map_or(Ok(()), |ttl| socket.set_multicast_ttl_v4(ttl))
    }
}

/// Joins a multicast group.
pub(super) fn join(socket: &Socket, options: &Options, group: IpAddr) -> io::Result<()> {
    let dev = options.join_dev.as_ref().or(options.dev.as_ref());
    match group {
        IpAddr::V6(group) => socket.join_multicast_v6(&group, device_index(dev)?),
        IpAddr::V4(group) if dev.is_none() => {
            socket.join_multicast_v4(&group, &device_address(options))
        }
        IpAddr::V4(group) => {
            let by = InterfaceIndexOrAddress::Index(device_index(dev)?);
            socket.join_multicast_v4_n(&group, &by)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::net::Udp;

    fn options(bind: &str) -> Options {
        Options { bind: bind.parse().unwrap(), buffer: 65_536, ..Options::default() }
    }

    /// Checks that a datagram from `sender` reaches `receiver` by its group.
    fn multicast(receiver: &Options, sender: &Options) {
        let (receiver, sender) = (Udp::open(receiver).unwrap(), Udp::open(sender).unwrap());
        let group: SocketAddr = if receiver.local.is_ipv6() {
            SocketAddr::new("ff02::4d9e".parse().unwrap(), receiver.local.port())
        } else {
            SocketAddr::new("239.77.158.1".parse().unwrap(), receiver.local.port())
        };
        match sender.socket.send_to(b"to all", group) {
            Ok(sent) => assert_eq!(sent, 6),
            Err(error) => return eprintln!("SKIPPED: no multicast to {group}: {error}"),
        }
        let mut buffer = [0; 16];
        // Loopback may deliver after the send has returned.
        let read = (0..1_000_000).find_map(|_| receiver.socket.recv(&mut buffer).ok());
        assert_eq!(&buffer[..read.unwrap()], b"to all");
    }

    #[test]
    fn who_joins_a_group_gets_what_is_sent_to_it() {
        let join = Some("239.77.158.1".parse().unwrap());
        let dev = Some("lo".to_owned());
        let sender = Options { multicast: true, ttl: Some(1), ..options("127.0.0.1:0") };
        if sys::device_index("lo").is_err() {
            return eprintln!("SKIPPED: no device lo");
        }
        let receiver = Options { join, dev: dev.clone(), ..options("0.0.0.0:0") };
        multicast(&receiver, &sender);
        multicast(&receiver, &Options { dev: dev.clone(), ..sender.clone() });
        let join = Some("ff02::4d9e".parse().unwrap());
        let six = Options { join, dev, ..options("[::]:0") };
        if std::net::UdpSocket::bind("[::1]:0").is_err() {
            return eprintln!("SKIPPED: no IPv6");
        }
        multicast(&six, &Options { join: None, multicast: true, ..six.clone() });
    }

    #[test]
    fn broadcast_is_off_by_default() {
        for broadcast in [false, true] {
            let udp = Udp::open(&Options { broadcast, ..options("127.0.0.1:0") }).unwrap();
            assert_eq!(socket2::SockRef::from(&udp.socket).broadcast().unwrap(), broadcast);
        }
    }

    #[test]
    fn what_is_no_group_cannot_be_joined() {
        let join = Some("192.0.2.1".parse().unwrap());
        let error = Udp::open(&Options { join, ..options("0.0.0.0:0") }).unwrap_err().to_string();
        assert!(error.contains("--join"), "{error}");
    }
}
