//! Two network namespaces joined by a veth pair, made for one test and gone with it.
//!
//! Side `A` is 10.78.0.1, side `B` 10.78.0.2. Neighbours are written down and IPv6 is off, so that
//! nothing but the test's own datagrams is on the wire.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::relay::is_root;

/// Begins the names of our namespaces; the process id follows.
const PREFIX: &str = "udperf-x";

/// Where `ip netns` keeps its namespaces (ip-netns(8)).
const KEPT: &str = "/var/run/netns";

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    A,
    B,
}

impl Side {
    pub const fn ip(self) -> Ipv4Addr {
        match self {
            Self::A => Ipv4Addr::new(10, 78, 0, 1),
            Self::B => Ipv4Addr::new(10, 78, 0, 2),
        }
    }
}

/// A sink on side A, at the port that sinks have by default.
pub const SINK: SocketAddr = SocketAddr::new(IpAddr::V4(Side::A.ip()), 7788);

/// Where a program runs: words put in front of it.
#[derive(Debug, Clone, Default)]
pub struct Place(Vec<String>);

impl Place {
    /// Here, without any words in front.
    pub fn here() -> Self {
        Self::default()
    }

    /// The same, entered by these words first.
    pub fn behind(&self, words: &str) -> Self {
        let first = words.split_whitespace().map(str::to_owned);
        Self(first.chain(self.0.iter().cloned()).collect())
    }

    pub fn command(&self, program: &str) -> Command {
        let mut words = self.0.iter().map(String::as_str).chain([program]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        command
    }
}

/// The two, removed when dropped.
pub struct Nets {
    a: String,
    b: String,
}

pub use crate::common::skip::missing as skip;

/// Whether this is root and has these programs; says what is missing.
pub fn has(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).exists());
    let missing: Vec<_> = programs.iter().copied().filter(|name| !there(name)).collect();
    if !is_root() {
        skip("namespaces need root");
    } else if !missing.is_empty() {
        skip(format!("no {}", missing.join(", ")));
    }
    is_root() && missing.is_empty()
}

/// Runs a script; what it prints, or what it complains of.
pub fn shell(place: &Place, script: &str) -> Result<String, String> {
    let output = place.command("sh").args(["-ec", script]).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{script}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Removes what a process left behind that was killed in the middle.
fn sweep() {
    let names = std::fs::read_dir(KEPT).into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
            let _ = shell(&Place::here(), &format!("ip netns del {name}"));
        }
    }
}

impl Nets {
    /// `None`, reported as skipped, without root or a program.
    pub fn make(programs: &[&str]) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !has(&[&["ip", "sh"], programs].concat()) {
            return None;
        }
        sweep();
        let stem =
            format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // From here on, whatever fails takes the names away again.
        let nets = Self { a: format!("{stem}a"), b: format!("{stem}b") };
        let (a, b) = (&nets.a, &nets.b);
        let mut script = format!(
            "ip netns add {a}; ip netns add {b}; \
             for side in {a} {b}; do \
               ip netns exec $side sh -c 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6'; \
             done; \
             ip link add x0 netns {a} address 02:00:00:00:00:01 type veth \
               peer name x0 netns {b} address 02:00:00:00:00:02; "
        );
        for (name, own, other) in [(a, 1, 2), (b, 2, 1)] {
            script += &format!(
                "ip -n {name} addr add 10.78.0.{own}/24 dev x0; \
                 ip -n {name} link set lo up; ip -n {name} link set x0 up; \
                 ip -n {name} neigh replace 10.78.0.{other} lladdr 02:00:00:00:00:0{other} \
                   nud permanent dev x0; "
            );
        }
        match shell(&Place::here(), &script) {
            Ok(_) => Some(nets),
            Err(why) => {
                skip(&why);
                None
            }
        }
    }

    pub fn name(&self, side: Side) -> &str {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    pub fn place(&self, side: Side) -> Place {
        Place::here().behind(&format!("ip netns exec {}", self.name(side)))
    }

    /// Runs a script on one side, which has to succeed; gives what it printed.
    #[track_caller]
    pub fn run(&self, side: Side, script: &str) -> String {
        shell(&self.place(side), script).unwrap()
    }

    /// Has the device of this side split super-packets before they are on the wire
    /// (`gso_features_check`, net/core/dev.c), so that the other side's firewall sees datagrams.
    #[track_caller]
    pub fn cut(&self, side: Side) {
        self.run(side, "ip link set x0 gso_max_segs 1");
    }

    /// What a thread has to do to be on that side.
    pub fn entrance(&self, side: Side) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        let path = format!("{KEPT}/{}", self.name(side));
        move || enter(&path)
    }
}

#[allow(unsafe_code)]
fn enter(path: &str) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    // SAFETY: setns(2) takes a descriptor, which is open, and flags; it moves this thread alone.
    match unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Drop for Nets {
    fn drop(&mut self) {
        for name in [&self.a, &self.b] {
            let _ = shell(&Place::here(), &format!("ip netns del {name}"));
        }
    }
}

#[test]
fn they_reach_each_other_and_are_gone_afterwards() {
    let Some(nets) = Nets::make(&[]) else { return };
    let names = [nets.a.clone(), nets.b.clone()];
    let entered = std::thread::spawn(nets.entrance(Side::B));
    entered.join().unwrap().unwrap();
    let enter_a = nets.entrance(Side::A);
    let enter_b = nets.entrance(Side::B);
    let at = std::thread::spawn(move || {
        enter_a().unwrap();
        let socket = std::net::UdpSocket::bind((Side::A.ip(), 0)).unwrap();
        (socket.local_addr().unwrap(), socket)
    });
    let (at, receiver) = at.join().unwrap();
    let sender = std::thread::spawn(move || {
        enter_b().unwrap();
        std::net::UdpSocket::bind((Side::B.ip(), 0)).unwrap().send_to(b"well", at).unwrap()
    });
    assert_eq!(sender.join().unwrap(), 4);
    receiver.set_read_timeout(Some(crate::proc::PATIENCE)).unwrap();
    let mut buffer = [0; 8];
    let (len, from) = receiver.recv_from(&mut buffer).unwrap();
    assert_eq!((len, from.ip()), (4, IpAddr::V4(Side::B.ip())));
    // As a test that fails.
    let failed = std::thread::spawn(move || {
        let _nets = nets;
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(failed.join().is_err());
    for name in names {
        assert!(!std::path::Path::new(KEPT).join(&name).exists(), "{name}");
    }
}
