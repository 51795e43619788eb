//! From arguments to the transport of a conversation.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::cli::args::{FamilyArgs, Here, PORT, TalkArgs};
use crate::cli::error::{CliError, CliResult, usage};
use crate::cli::scenario::listen_at;
use crate::cli::target::{any, is_near, resolve};
use crate::net::{Options, UnixName};
use crate::report::format::text::style::distinct;
use crate::talk::{PeerAddr, Transport};

/// SO_SNDBUF and SO_RCVBUF in bytes. Arbitrary: enough for many of the largest datagrams.
const BUFFER: usize = 1 << 20;

pub(super) fn transport(args: &TalkArgs, by_hand: bool) -> CliResult<Transport> {
    let peer = args.peer.as_deref();
    let unix_peer = peer.and_then(|peer| peer.strip_prefix("unix:"));
    if unix_peer.is_some() || matches!(args.bind, Some(Here::Unix(_))) {
        return unix(args, unix_peer);
    }
    if args.stream {
        return usage("--stream is for unix:PATH; say --tcp, or omit it");
    }
    let (bound, scope) = match args.bind {
        Some(Here::Ip(Some((ip, scope)), _)) => (Some(ip), scope),
        _ => (None, 0),
    };
    let own = listen_at(bound, args.family)?;
    let port = port(args)?;
    let Some(peer) = peer else {
        let at = own.into_iter().map(|ip| scoped(ip, port.unwrap_or(PORT), scope));
        return Ok(if args.tcp {
            Transport::TcpListen(at.collect())
        } else {
            let sockets = at.map(socket).collect();
            Transport::Udp { sockets, peer: None, others: Vec::new() }
        });
    };
    let mut peers = resolve(peer, PORT, bound.map_or(args.family, FamilyArgs::of))?;
    peers.iter().try_for_each(|to| refuse(args, peer, to.ip(), by_hand))?;
    let from =
        |to: &SocketAddr| scoped(bound.unwrap_or_else(|| any(to.ip())), port.unwrap_or(0), scope);
    if args.tcp {
        let is_chosen = bound.is_some() || port.is_some_and(|port| port > 0);
        let routes = peers.iter().map(|to| (is_chosen.then(|| from(to)), *to)).collect();
        return Ok(Transport::TcpConnect(routes));
    }
    let sockets = distinct(peers.iter().map(from)).into_iter().map(socket).collect();
    let first = peers.remove(0);
    Ok(Transport::Udp { sockets, peer: Some(first), others: peers })
}

fn scoped(ip: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
    }
}

pub(super) fn peer_addr(word: &str) -> CliResult<PeerAddr> {
    match word.strip_prefix("unix:") {
        Some(name) => Ok(PeerAddr::Unix(UnixName::new(name))),
        None => resolve(word, PORT, FamilyArgs::default()).map(|all| PeerAddr::Ip(all[0])),
    }
}

fn socket(bind: SocketAddr) -> Options {
    Options { bind, buffer: BUFFER, broadcast: true, only_v6: true, ..Options::default() }
}

fn port(args: &TalkArgs) -> CliResult<Option<u16>> {
    match (&args.bind, args.port) {
        (Some(Here::Ip(_, Some(bound))), Some(port)) if *bound != port => {
            usage(format!("--bind names port {bound}, and --port {port}; omit one of them"))
        }
        (Some(Here::Ip(_, Some(port))), _) => Ok(Some(*port)),
        (_, port) => Ok(port),
    }
}

fn unix(args: &TalkArgs, peer: Option<&str>) -> CliResult<Transport> {
    let unsupported = [
        ("-4", args.family.ipv4),
        ("-6", args.family.ipv6),
        ("--port", args.port.is_some()),
        ("--tcp", args.tcp),
        ("--bind with an IP address", matches!(args.bind, Some(Here::Ip(..)))),
        ("a PEER without unix:", args.peer.is_some() && peer.is_none()),
    ];
    if let Some((flag, _)) = unsupported.into_iter().find(|(_, is_given)| *is_given) {
        return usage(format!(
            "{flag} is not supported with AF_UNIX sockets; omit it or unix: (streams are --stream)"
        ));
    }
    if peer == Some("") {
        return usage("unix: has no name; use such as unix:/tmp/udperf");
    }
    let peer = peer.map(UnixName::new);
    let name = match &args.bind {
        Some(Here::Unix(name)) => Some(name.clone()),
        _ => None,
    };
    match (args.stream, peer, name) {
        (true, Some(_), Some(_)) => {
            usage("a stream to unix:PATH needs no name of its own; omit --bind")
        }
        (true, Some(to), None) => Ok(Transport::UnixConnect(to)),
        (true, None, Some(at)) => Ok(Transport::UnixListen(at)),
        // Without a local name, no peer could answer.
        (_, peer, name) => {
            let name = name.unwrap_or_else(|| UnixName::new(""));
            Ok(Transport::UnixDatagrams { name, peer })
        }
    }
}

/// Refuses to send to public addresses unless a person types the lines.
fn refuse(args: &TalkArgs, peer: &str, to: IpAddr, by_hand: bool) -> CliResult<()> {
    if by_hand || args.allow_public || is_near(to) {
        return Ok(());
    }
    Err(CliError::Target {
        target: peer.to_owned(),
        why: format!(
            "{to} is a public address, and a person does not type the lines; if its owner agrees, \
             add --allow-public"
        ),
    })
}
