//! A sink whose sockets were bound by a service manager, as sd_listen_fds(3) describes.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common::serving::Serving;
use crate::common::{number, only, skip, stderr};

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use udperf::net::{Group, GroupOptions, Options, SocketError};

/// Binds sockets of a kind to one port, gives up the privileges of root, and becomes the program.
/// The user who bound a port is then another one than that of the program, as with systemd.
const PASS: &str = "
import fcntl, os, socket, sys
count, kind, port = int(sys.argv[1]), int(sys.argv[2]), 0
program = os.open(sys.argv[3], os.O_RDONLY)
sockets = []
for _ in range(count):
    one = socket.socket(socket.AF_INET, kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(('127.0.0.1', port))
    port = one.getsockname()[1]
    # Above those that become the first ones.
    sockets.append(fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100))
program = fcntl.fcntl(program, fcntl.F_DUPFD_CLOEXEC, 200)
for number, one in enumerate(sockets):
    os.dup2(one, 3 + number)
    os.close(one)
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.execve(program, ['udperf'] + sys.argv[4:], os.environ)
";

/// A command that passes so many sockets to `udperf` with these words.
fn passing(count: usize, kind: Type, words: &str) -> Option<Command> {
    let mut command = Command::new("python3");
    if command.arg("--version").output().is_err() {
        skip::missing("python3");
        return None;
    }
    let mut command = Command::new("python3");
    command.args(["-c", PASS, &count.to_string(), &i32::from(kind).to_string()]);
    command.arg(env!("CARGO_BIN_EXE_udperf")).args(words.split_whitespace());
    Some(command)
}

fn sink(count: usize, words: &str) -> Option<Serving> {
    let command = passing(count, Type::DGRAM, &format!("sink -q -J {words}"))?;
    Some(Serving::of_command("sink", command))
}

fn received(report: &Value) -> u64 {
    number(only(report), "rx.datagrams")
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_sink_serves_clients_at_the_sockets_of_another_user() {
    for sockets in [1, 3] {
        let Some(sink) = sink(sockets, "--pin off") else { return };
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            skip::missing("root, to bind the port as another user");
        }
        for way in ["", "--reverse", "--bidir"] {
            let report = sink.blast(&format!("-n 500 -l 64 -e plain -r 5k --pin off {way}"));
            let cells = report["cells"].as_array().unwrap();
            for cell in cells {
                assert_eq!(number(cell, "rx.datagrams"), 500, "{sockets} sockets {way}: {cell}");
            }
        }
        let document = sink.end();
        assert_eq!(document["clients"].as_array().unwrap().len(), 3, "{document}");
    }
}

#[test]
fn passed_sockets_exclude_addresses_and_other_kinds() {
    for (kind, words, code, part) in [
        (Type::DGRAM, "sink -p 7799", 2, "set the addresses in the socket unit"),
        (Type::DGRAM, "sink -B 127.0.0.1", 2, "set the addresses in the socket unit"),
        (Type::STREAM, "sink", 1, "socket 1 of the service manager is not a UDP socket"),
    ] {
        let Some(mut command) = passing(1, kind, words) else { return };
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{words}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{words}: {}", stderr(&output));
    }
}

/// Sets the variables, and perhaps binds a socket, or two, of which only one is reached.
const WRONG: &str = "
import os, socket, sys
fds = sys.argv[1]
def bound(port=0, kind=socket.SOCK_DGRAM, protocol=0):
    one = socket.socket(socket.AF_INET, kind, protocol)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(('127.0.0.1', port))
    return one
sockets = []
if fds == 'unbound':
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
elif fds == 'connected':
    sockets = [bound()]
    sockets[0].connect(sockets[0].getsockname())
elif fds == 'twice':
    sockets = [bound()]
    sockets.append(sockets[0].dup())
elif fds == 'hidden':
    sockets = [bound()]
    sockets.append(bound(sockets[0].getsockname()[1]))
elif fds == 'lite':
    sockets = [bound(0, socket.SOCK_DGRAM, 136)]
above = [os.dup2(one.fileno(), 100 + number) for number, one in enumerate(sockets)]
os.closerange(3, 100)
for number, one in enumerate(above):
    os.dup2(one, 3 + number)
os.closerange(100, 200)
count = str(len(sockets)) if sockets else fds
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count)
os.execve(sys.argv[2], ['udperf', 'sink', '-q', '--idle-timeout', '1'], os.environ)
";

#[test]
#[ignore = "long: scripts/check runs it"]
fn sockets_that_cannot_serve_are_refused() {
    if Command::new("python3").arg("--version").output().is_err() {
        return skip::missing("python3");
    }
    for (wrong, part) in [
        ("abc", "LISTEN_FDS must be the number"),
        ("-1", "LISTEN_FDS must be the number"),
        ("99999999999", "LISTEN_FDS must be the number"),
        ("1", "Bad file descriptor"),
        ("unbound", "socket 1 of the service manager is not bound to a port"),
        ("connected", "socket 1 of the service manager is connected to one client"),
        ("twice", "socket 2 of the service manager is passed twice"),
        ("hidden", "socket 2 of the service manager hides another one at its address"),
        ("lite", "socket 1 of the service manager is not a UDP socket"),
    ] {
        let program = env!("CARGO_BIN_EXE_udperf");
        let output = Command::new("python3").args(["-c", WRONG, wrong, program]).output().unwrap();
        let error = stderr(&output);
        if wrong == "lite" && error.contains("Protocol not supported") {
            continue;
        }
        assert_eq!(output.status.code(), Some(1), "{wrong}: {error}");
        assert!(error.contains(part) && !error.contains("ulimit"), "{wrong}: {error}");
    }
}

#[test]
fn variables_that_are_meant_for_another_process_have_no_effect() {
    let mut command = crate::common::udperf();
    command.args(["sink", "-q", "-J", "-B", "127.0.0.1", "-p", "0", "--pin", "off"]);
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "3");
    let sink = Serving::of_command("sink", command);
    assert_eq!(received(&sink.blast("-n 100 -l 64 -e plain -r 5k --pin off")), 100);
    sink.end();
}

/// So many sockets at one port.
fn bound(count: usize) -> Vec<Socket> {
    let mut at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sockets = (0..count).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&at.into()).unwrap();
        at = socket.local_addr().unwrap().as_socket().unwrap();
        socket
    });
    sockets.collect()
}

#[test]
fn a_group_has_as_many_slots_as_sockets_were_passed() {
    let options = GroupOptions {
        socket: Options { bind: (Ipv4Addr::LOCALHOST, 0).into(), ..Options::default() },
        listeners: 1,
        per_slot: 1,
        steer: true,
    };
    let sockets = bound(3);
    let at = sockets[0].local_addr().unwrap().as_socket().unwrap();
    let mut group = Group::open_passed(&options, sockets).unwrap();
    assert_eq!((group.can_steer(), group.local()), (true, at));
    let slots = [(); 2].map(|()| group.take_slot(1 << 16).unwrap());
    assert_eq!(slots.each_ref().map(|slot| (slot.number, slot.port)), [(1, None), (2, None)]);
    assert!(matches!(group.take_slot(1 << 16), Err(SocketError::Slots { slots: 2, .. })));
    group.release_slot(2, 1);
    assert_eq!(group.take_slot(1 << 16).unwrap().number, 2);

    // One socket: each slot has a port of its own.
    let mut group = Group::open_passed(&options, bound(1)).unwrap();
    assert!(!group.can_steer());
    assert!(group.take_slot(1 << 16).unwrap().port.is_some());
}
