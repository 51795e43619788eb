//! From what was typed to what carries the conversation.

use std::net::{IpAddr, SocketAddr};

use crate::cli::args::{Here, PORT, TalkArgs};
use crate::cli::error::CliError;
use crate::cli::scenario::{any, listen_at};
use crate::cli::target::{Family, is_near, resolve};
use crate::net::{Options, UnixName};
use crate::report::format::text::style::distinct;
use crate::talk::{PeerAddr, Transport};

/// SO_SNDBUF and SO_RCVBUF in bytes. Arbitrary: enough for many of the largest datagrams.
const BUFFER: usize = 1 << 20;

pub(super) fn via(args: &TalkArgs, by_hand: bool) -> Result<Transport, CliError> {
    let peer = args.peer.as_deref();
    let unix_peer = peer.and_then(|peer| peer.strip_prefix("unix:"));
    let unix_bind = matches!(args.bind, Some(Here::Unix(_)));
    if unix_peer.is_some() || unix_bind {
        return unix(args, unix_peer);
    }
    if args.stream {
        return Err(wrong("--stream is for unix:PATH; say --tcp, or omit it"));
    }
    let (bound, scope) = match &args.bind {
        Some(Here::Ip(Some(addr), _)) => (Some(addr.ip), addr.scope_id),
        _ => (None, 0),
    };
    let own = listen_at(bound, args.ipv4, args.ipv6)?;
    let family = match bound {
        Some(addr) => Family::of(addr.is_ipv4(), addr.is_ipv6()),
        None => Family::of(args.ipv4, args.ipv6),
    };
    let port = port(args)?;
    let Some(peer) = peer else {
        let at = own.into_iter().map(|ip| SocketAddr::new(ip, port.unwrap_or(PORT)));
        let at = at.map(|at| scoped(at, scope));
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
        let ip = bound.unwrap_or_else(|| any(to.ip()));
        scoped(SocketAddr::new(ip, port.unwrap_or(0)), scope)
    };
    if args.tcp {
        let chosen = bound.is_some() || port.is_some_and(|port| port > 0);
        let routes = peers.iter().map(|to| (chosen.then(|| from(to)), *to)).collect();
        return Ok(Transport::TcpConnect(routes));
    }
    let sockets = distinct(peers.iter().map(from)).into_iter().map(socket).collect();
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

/// The argument of `/to`.
pub(super) fn place(word: &str) -> Result<PeerAddr, CliError> {
    match word.strip_prefix("unix:") {
        Some(name) => Ok(PeerAddr::Unix(UnixName::new(name))),
        None => resolve(word, PORT, Family::Any).map(|all| PeerAddr::Ip(all[0])),
    }
}

fn socket(bind: SocketAddr) -> Options {
    Options { bind, buffer: BUFFER, broadcast: true, only_v6: true, ..Options::default() }
}

fn port(args: &TalkArgs) -> Result<Option<u16>, CliError> {
    match (&args.bind, args.port) {
        (Some(Here::Ip(_, Some(bound))), Some(port)) if *bound != port => {
            Err(wrong(&format!("--bind names port {bound}, and --port {port}; omit one of them")))
        }
        (Some(Here::Ip(_, Some(port))), _) => Ok(Some(*port)),
        (_, port) => Ok(port),
    }
}

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
            "{flag} is not supported with AF_UNIX sockets; omit it or unix: (streams are --stream)"
        )));
    }
    if peer == Some("") {
        return Err(wrong("unix: has no name; use such as unix:/tmp/udperf"));
    }
    let peer = peer.map(UnixName::new);
    let name = match &args.bind {
        Some(Here::Unix(name)) => Some(name.clone()),
        _ => None,
    };
    match (args.stream, peer, name) {
        (true, Some(_), Some(_)) => {
            Err(wrong("a stream to unix:PATH needs no name of its own; omit --bind"))
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

/// Refuses to send what no person types to public addresses.
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
