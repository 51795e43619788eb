//! From what was typed to what carries the conversation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::cli::args::{Here, PORT, TalkArgs};
use crate::cli::error::CliError;
use crate::cli::target::{Family, is_near, resolve};
use crate::net::{Options, UnixName};
use crate::talk::{PeerAddr, Transport};

/// SO_SNDBUF and SO_RCVBUF to ask for, in bytes. Arbitrary: enough for many of the largest
/// datagrams.
const BUFFER: usize = 1 << 20;

/// What carries the conversation.
pub(super) fn via(args: &TalkArgs, by_hand: bool) -> Result<Transport, CliError> {
    let peer = args.peer.as_deref();
    let unix_peer = peer.and_then(|peer| peer.strip_prefix("unix:"));
    let unix_bind = matches!(args.bind, Some(Here::Unix(_)));
    if unix_peer.is_some() || unix_bind {
        return unix(args, unix_peer);
    }
    if args.stream {
        return Err(wrong("--stream is for unix:PATH; say --tcp, or leave it away"));
    }
    let family = match (args.ipv4, args.ipv6) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        _ => Family::Any,
    };
    let (bound, scope) = match &args.bind {
        Some(Here::Ip(Some(addr), _)) => (Some(addr.ip()), addr.scope_id()),
        _ => (None, 0),
    };
    let family = match bound {
        Some(addr) => family_of(addr, family)?,
        None => family,
    };
    let port = port(args)?;
    let Some(peer) = peer else {
        let at = listening(bound, family, port.unwrap_or(PORT));
        let at = at.into_iter().map(|at| scoped(at, scope));
        return Ok(if args.tcp {
            Transport::TcpListen(at.collect())
        } else {
            let sockets = at.map(socket).collect();
            Transport::Udp { sockets, peer: None, others: Vec::new() }
        });
    };
    let mut peers = resolve(peer, PORT, family)?;
    peers.iter().try_for_each(|to| refuse(args, peer, to.ip(), by_hand))?;
    let from = |to: &SocketAddr| {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        scoped(SocketAddr::new(bound.unwrap_or(any), port.unwrap_or(0)), scope)
    };
    if args.tcp {
        let chosen = bound.is_some() || port.is_some_and(|port| port > 0);
        let routes = peers.iter().map(|to| (chosen.then(|| from(to)), *to)).collect();
        return Ok(Transport::TcpConnect(routes));
    }
    let mut sockets: Vec<SocketAddr> = Vec::new();
    for from in peers.iter().map(from) {
        if !sockets.contains(&from) {
            sockets.push(from);
        }
    }
    let sockets = sockets.into_iter().map(socket).collect();
    let first = peers.remove(0);
    Ok(Transport::Udp { sockets, peer: Some(first), others: peers })
}

/// The address with the interface index, if a device was named.
const fn scoped(mut addr: SocketAddr, scope: u32) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut addr {
        v6.set_scope_id(scope);
    }
    addr
}

/// A place that was named in the conversation.
pub(super) fn place(word: &str) -> Result<PeerAddr, CliError> {
    match word.strip_prefix("unix:") {
        Some(name) => Ok(PeerAddr::Unix(UnixName::new(name))),
        None => resolve(word, PORT, Family::Any).map(|all| PeerAddr::Ip(all[0])),
    }
}

/// A socket that may send wherever a person wants to.
fn socket(bind: SocketAddr) -> Options {
    Options { bind, buffer: BUFFER, broadcast: true, only_v6: true, ..Options::default() }
}

/// Where to receive: at the address asked for, or at any of both families.
fn listening(bound: Option<IpAddr>, family: Family, port: u16) -> Vec<SocketAddr> {
    let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    let of_family = |addr: &IpAddr| match family {
        Family::Any => true,
        Family::V4 => addr.is_ipv4(),
        Family::V6 => addr.is_ipv6(),
    };
    let addrs = bound.map_or_else(|| any.into_iter().filter(of_family).collect(), |it| vec![it]);
    addrs.into_iter().map(|addr| SocketAddr::new(addr, port)).collect()
}

/// The one family that a local address leaves.
fn family_of(addr: IpAddr, asked: Family) -> Result<Family, CliError> {
    match (addr, asked) {
        (IpAddr::V4(_), Family::V6) | (IpAddr::V6(_), Family::V4) => Err(wrong(&format!(
            "--bind {addr} is not of the family asked for; leave -4 or -6 away"
        ))),
        (IpAddr::V4(_), _) => Ok(Family::V4),
        (IpAddr::V6(_), _) => Ok(Family::V6),
    }
}

/// The local port, if one was named.
fn port(args: &TalkArgs) -> Result<Option<u16>, CliError> {
    match (&args.bind, args.port) {
        (Some(Here::Ip(_, Some(bound))), Some(port)) if *bound != port => Err(wrong(&format!(
            "--bind names port {bound}, and --port {port}; leave one of them away"
        ))),
        (Some(Here::Ip(_, Some(port))), _) => Ok(Some(*port)),
        (_, port) => Ok(port),
    }
}

/// Conversations over AF_UNIX.
fn unix(args: &TalkArgs, peer: Option<&str>) -> Result<Transport, CliError> {
    let means_nothing = [
        ("-4", args.ipv4),
        ("-6", args.ipv6),
        ("--port", args.port.is_some()),
        ("--tcp", args.tcp),
        ("--bind with an IP address", matches!(args.bind, Some(Here::Ip(..)))),
        ("a PEER that is none", args.peer.is_some() && peer.is_none()),
    ];
    if let Some((flag, _)) = means_nothing.into_iter().find(|(_, given)| *given) {
        return Err(wrong(&format!(
            "{flag} means nothing to AF_UNIX; leave it or unix: away (streams are --stream)"
        )));
    }
    if peer == Some("") {
        return Err(wrong("unix: names nobody; write such as unix:/tmp/udperf"));
    }
    let peer = peer.map(UnixName::new);
    let name = match &args.bind {
        Some(Here::Unix(name)) => Some(name.clone()),
        _ => None,
    };
    match (args.stream, peer, name) {
        (true, Some(_), Some(_)) => {
            Err(wrong("a stream to unix:PATH needs no name of its own; leave --bind away"))
        }
        (true, Some(to), None) => Ok(Transport::UnixConnect(to)),
        (true, None, Some(at)) => Ok(Transport::UnixListen(at)),
        // Without a name of our own, nobody could answer.
        (_, peer, name) => {
            let name = name.unwrap_or_else(|| UnixName::new(""));
            Ok(Transport::UnixDatagrams { name, peer })
        }
    }
}

/// What a person types may go anywhere, as a person types slowly and to a purpose.
fn refuse(args: &TalkArgs, peer: &str, to: IpAddr, by_hand: bool) -> Result<(), CliError> {
    if by_hand || args.allow_public || is_near(to) {
        return Ok(());
    }
    Err(CliError::Target {
        target: peer.to_owned(),
        why: format!(
            "{to} is a public address, and lines come from no terminal; if its owner wants them, \
             add --allow-public"
        ),
    })
}

fn wrong(why: &str) -> CliError {
    CliError::Contradiction(why.to_owned())
}
