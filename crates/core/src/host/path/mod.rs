//! Probes the path to a target with a few datagrams: who answers, how fast, and which sizes arrive.

mod mtu;
mod request;
mod sent;

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::clock::Clock;
use crate::document::{PathFacts, PathIcmp, PathMtu, TargetKind};
use crate::net::{Options, SocketError, Udp};
use crate::payload::{PingServer, ping_server, write_ping};
use crate::sys::{self, QueuedError, SendError, scope_of};
use crate::unit::{MAX_PAYLOAD, Nanos};
use mtu::{Reaction, follow, search};
pub use request::PathRequest;
use sent::Sent;

/// Pings before sizes are probed, their payload in bytes, and the wait for each reply. Arbitrary.
const PINGS: usize = 5;
const PING_LEN: usize = 64;
const PING_WAIT: Nanos = Nanos::from_millis(250);
/// The shortest time between two datagrams. Arbitrary: at most 100 a second.
const GAP: Nanos = Nanos::from_millis(10);
/// How often a size is sent before it counts as lost, if the target answers. Arbitrary: at 1 % of
/// loss each way, one size in 2,500 is taken for too long.
const TRIES: usize = 2;
/// The shortest and the longest wait for a reply to a size. Arbitrary: a busy host takes some ms.
const SIZE_WAIT: (Nanos, Nanos) = (Nanos::from_millis(60), Nanos::from_millis(300));
/// Round-trip times to wait for a reply. Arbitrary.
const RTTS: u64 = 3;
/// Bytes of a datagram beyond the MTU of the device, to see whether fragments arrive. Arbitrary: a
/// second fragment that is not tiny.
const BEYOND: usize = 256;
/// Requests of the protocol. Arbitrary: one lost each way leaves one.
const REQUESTS: u64 = 3;
/// Bytes of the headers of IPv4 and IPv6, each with that of UDP; RFC 791, RFC 8200, RFC 768.
const HEADERS: [usize; 2] = [20 + 8, 40 + 8];

/// What to probe.
#[derive(Debug, Clone)]
pub struct PathOptions {
    /// The target.
    pub target: SocketAddr,
    /// The local address; unspecified: that of the route.
    pub bind: IpAddr,
    /// The device to use.
    pub dev: Option<String>,
    /// When to end at the latest, on the monotonic clock.
    pub until: Nanos,
    /// The id of the first ping; random, so that replies to other runs do not count.
    pub first_id: u64,
    /// A request of the protocol that the target may serve; sent before pings.
    pub request: Option<PathRequest>,
}

/// Probes the path; the addresses besides the target and the clock are left empty. Fails without a
/// route, or if the socket cannot be set up.
pub fn probe_path(options: &PathOptions) -> Result<PathFacts, SocketError> {
    let mut prober = Prober::open(options)?;
    if !prober.ask_protocol() {
        prober.ping();
    }
    let target = options.target;
    let source = prober.socket.socket.local_addr().ok();
    let hop = prober.next_hop();
    let device = hop.as_ref().map(|hop| hop.device.clone());
    let device_mtu = device.as_deref().and_then(sys::device::facts).and_then(|facts| facts.mtu);
    let kind = prober.kind(hop.as_ref().and_then(|hop| hop.state));
    let mtu = match (kind, device_mtu) {
        (TargetKind::Unreachable, _) | (_, None) => PathMtu::default(),
        (kind, Some(mtu)) => prober.mtu(kind, mtu as usize),
    };
    let hop = prober.next_hop().or(hop);
    Ok(PathFacts {
        address: target.to_string(),
        other_addresses: Vec::new(),
        source: source.map(|source| source.ip().to_string()),
        device,
        device_mtu,
        gateway: hop.as_ref().map(|hop| hop.address).filter(|hop| *hop != target.ip()).map(text),
        neighbour: hop.and_then(|hop| hop.state).map(str::to_owned),
        target: kind,
        protocol: prober.protocol().map(str::to_owned),
        rtt: sent::rtt(&prober.sent, PINGS, PING_LEN),
        mtu,
        icmp: prober.icmp,
        unreachable: prober.unreachable.map(|why| why.to_string()),
        clock: None,
        clock_refused: None,
        datagrams: prober.sent.len() as u64,
    })
}

fn text(ip: IpAddr) -> String {
    ip.to_string()
}

struct Prober<'a> {
    options: &'a PathOptions,
    socket: Udp,
    sent: Vec<Sent>,
    server: Option<PingServer>,
    /// Whether other datagrams came back, and whether the port is closed.
    other: bool,
    refused: bool,
    unreachable: Option<sys::Unreachable>,
    icmp: Vec<PathIcmp>,
    buffer: Vec<u8>,
}

impl<'a> Prober<'a> {
    fn open(options: &'a PathOptions) -> Result<Self, SocketError> {
        let bind = match options.bind {
            IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, scope_of(&options.target)).into(),
            ip @ IpAddr::V4(_) => SocketAddr::new(ip, 0),
        };
        let socket = Options { bind, dev: options.dev.clone(), ..Options::default() };
        let socket = Udp::open(&socket)?;
        socket.connect(options.target)?;
        // Without it, only a path MTU that the kernel does not know yet is found.
        let _ = sys::probe_mtu(&socket.socket, options.target.is_ipv6(), true);
        Ok(Self {
            options,
            socket,
            sent: Vec::new(),
            server: None,
            other: false,
            refused: false,
            unreachable: None,
            icmp: Vec::new(),
            buffer: vec![0; 2 * MAX_PAYLOAD],
        })
    }

    fn next_hop(&self) -> Option<sys::NextHop> {
        sys::next_hop(self.options.target, self.options.dev.as_deref())
    }

    /// The protocol of which the target answered a request.
    fn protocol(&self) -> Option<&str> {
        let request = self.options.request.as_ref()?;
        self.sent.iter().any(Sent::is_answer).then_some(request.protocol.as_str())
    }

    /// Sends requests of the protocol; whether pings would show nothing more.
    fn ask_protocol(&mut self) -> bool {
        let options = self.options;
        let Some(request) = &options.request else { return false };
        for n in 0..REQUESTS {
            let now_ns = sys::realtime_ns();
            let write = |id: u64, slot: &mut [u8]| request.requests.write(n, id, now_ns, slot);
            let reaction = self.send(Some(now_ns), PING_WAIT, write);
            let is_over = matches!(reaction, Reaction::Unreachable | Reaction::OutOfTime);
            if is_over || self.refused {
                return true;
            }
        }
        self.protocol().is_some()
    }

    fn ping(&mut self) {
        for _ in 0..PINGS {
            let reaction = self.ask(PING_LEN, PING_WAIT);
            let is_over = matches!(reaction, Reaction::Unreachable | Reaction::OutOfTime);
            if is_over || self.refused {
                break;
            }
        }
        // Replies may take longer than pings are apart, and address resolution fails late.
        let is_resolving = || self.next_hop().is_some_and(|hop| hop.state == Some("incomplete"));
        let now = Clock::Monotonic.now();
        match self.slowest() {
            Some(rtt) if self.sent.iter().any(|one| one.rtt.is_none()) => {
                self.listen(None, now + rtt)
            }
            None if !self.refused && is_resolving() => self.listen(None, self.options.until),
            _ => Reaction::Silence,
        };
    }

    fn kind(&self, neighbour: Option<&str>) -> TargetKind {
        match self.server {
            Some(PingServer::Sink) => TargetKind::Sink,
            Some(PingServer::Echo) => TargetKind::Echo,
            None if self.other || self.protocol().is_some() => TargetKind::Other,
            None if self.refused => TargetKind::Refused,
            None if self.unreachable.is_some() => TargetKind::Unreachable,
            None if matches!(neighbour, Some("incomplete" | "failed")) => TargetKind::Unreachable,
            None => TargetKind::Silent,
        }
    }

    fn slowest(&self) -> Option<Nanos> {
        self.sent.iter().filter_map(|one| one.rtt).max()
    }

    /// Sends a ping of this payload, and waits for its reply.
    fn ask(&mut self, len: usize, wait: Nanos) -> Reaction {
        self.send(None, wait, |id, slot| {
            write_ping(id, &mut slot[..len]);
            len
        })
    }

    /// Sends the datagram that `write` puts into the slot, by its id, and waits for its reply.
    fn send(
        &mut self,
        request_ns: Option<u64>,
        wait: Nanos,
        write: impl Fn(u64, &mut [u8]) -> usize,
    ) -> Reaction {
        let due = self.sent.last().map_or(Nanos::ZERO, |last| last.at + GAP);
        sys::sleep_until_ns(due.0);
        let now = Clock::Monotonic.now();
        if now >= self.options.until {
            return Reaction::OutOfTime;
        }
        let number = self.sent.len();
        let first_id = self.options.first_id;
        let id = match self.options.request.as_ref().filter(|_| request_ns.is_some()) {
            Some(request) => request.id(first_id, number),
            None => first_id.wrapping_add(number as u64),
        };
        let len = write(id, &mut self.buffer[..MAX_PAYLOAD]);
        self.sent.push(Sent { len, at: now, rtt: None, request_ns });
        let (ping, socket) = (&self.buffer[..len], &self.socket.socket);
        // An error for an earlier datagram fails one call.
        let sent = socket.send(ping).or_else(|_| {
            sys::drain_error_queue(socket);
            socket.send(ping)
        });
        match sent {
            Err(error) => {
                let earlier = self.take_errors();
                earlier.unwrap_or_else(|| self.note(sys::send_error_of(&error)))
            }
            Ok(_) => self.listen(Some(number), (now + wait).min(self.options.until)),
        }
    }

    /// Takes in what comes back until a reaction to this datagram, or until this moment.
    fn listen(&mut self, to: Option<usize>, until: Nanos) -> Reaction {
        loop {
            if let Some(reaction) = self.take_errors() {
                return reaction;
            }
            let now = Clock::Monotonic.now();
            match self.socket.socket.recv(&mut self.buffer[MAX_PAYLOAD..]) {
                Ok(len) => match self.note_reply(len, now) {
                    Some(number) if to != Some(number) => {}
                    Some(_) => return Reaction::Arrived,
                    None => {
                        self.other = true;
                        return Reaction::Arrived;
                    }
                },
                Err(_) if now >= until => return Reaction::Silence,
                Err(error) => match sys::send_error_of(&error) {
                    SendError::WouldBlock => {
                        sys::wait_readable(&self.socket.socket, (until - now).0);
                    }
                    // On systems without an error queue, this is all there is.
                    error => match self.take_errors() {
                        Some(reaction) => return reaction,
                        None if error.unreachable().is_some() => return self.note(error),
                        None => {}
                    },
                },
            }
        }
    }

    /// Counts a reply; which ping it answers, `None` if it answers none.
    fn note_reply(&mut self, len: usize, now: Nanos) -> Option<usize> {
        let (options, last) = (self.options, self.sent.len().checked_sub(1)?);
        if let (Some(request), Some(now_ns)) = (&options.request, self.sent[last].request_ns) {
            let (scratch, reply) = self.buffer.split_at_mut(MAX_PAYLOAD);
            let moment = (last as u64, request.id(options.first_id, last), now_ns);
            let found = request.is_answered_by(&reply[..len], moment, scratch);
            let sent = &mut self.sent[last];
            sent.rtt = sent.rtt.or_else(|| found.then(|| now.since(sent.at)));
            // Pings show what answers otherwise.
            return Some(if found { last } else { usize::MAX });
        }
        let (ping, reply) = self.buffer.split_at_mut(MAX_PAYLOAD);
        let reply = &reply[..len];
        let id = u64::from_be_bytes(*reply.first_chunk()?);
        let number = usize::try_from(id.wrapping_sub(self.options.first_id)).ok()?;
        let sent = self.sent.get_mut(number)?;
        write_ping(id, &mut ping[..sent.len]);
        self.server = self.server.or(Some(ping_server(&ping[..sent.len], reply)?));
        sent.rtt = sent.rtt.or_else(|| Some(now.since(sent.at)));
        Some(number)
    }

    /// Takes in the error queue; the reaction that its latest error is.
    fn take_errors(&mut self) -> Option<Reaction> {
        let mut all = Vec::new();
        sys::take_queued_errors(&self.socket.socket, |error| all.push(error));
        let mut latest = None;
        for QueuedError { error, reporter, mtu, .. } in all {
            if let Some(code) = reporter.icmp_code() {
                self.note_icmp(&code, reporter, mtu);
            }
            let mtu = mtu.map(|mtu| mtu as usize);
            latest = Some(match self.note(error) {
                Reaction::TooBig(_) => Reaction::TooBig(mtu),
                other => other,
            });
        }
        latest
    }

    fn note_icmp(&mut self, code: &str, reporter: sys::Reporter, mtu: Option<u32>) {
        let from = match reporter {
            sys::Reporter::Icmp { from, .. } => from.map(text),
            _ => None,
        };
        let is_same = |one: &&mut PathIcmp| one.code == code && one.from == from;
        let mtu = mtu.map(u64::from);
        match self.icmp.iter_mut().find(is_same) {
            Some(one) => (one.count, one.mtu) = (one.count + 1, mtu.or(one.mtu)),
            None => self.icmp.push(PathIcmp {
                code: code.to_owned(),
                meaning: reporter.icmp_meaning().map(str::to_owned),
                from,
                mtu,
                count: 1,
            }),
        }
    }

    /// What an error says of the latest datagram.
    fn note(&mut self, error: SendError) -> Reaction {
        match error {
            SendError::TooBig => Reaction::TooBig(None),
            SendError::Unreachable(why) if why.is_closed_port() => {
                self.refused = true;
                Reaction::Arrived
            }
            SendError::Unreachable(why) => {
                self.unreachable = Some(why);
                Reaction::Unreachable
            }
            _ => Reaction::Silence,
        }
    }

    /// The path MTU, below that of the device.
    fn mtu(&mut self, kind: TargetKind, device: usize) -> PathMtu {
        let headers = HEADERS[usize::from(self.options.target.is_ipv6())];
        let highest = device.min(MAX_PAYLOAD + headers);
        let answers = matches!(kind, TargetKind::Sink | TargetKind::Echo);
        let wait = match self.slowest().filter(|_| answers) {
            Some(rtt) => Nanos(rtt.0.saturating_mul(RTTS)).clamp(SIZE_WAIT.0, SIZE_WAIT.1),
            None => PING_WAIT,
        };
        let tries = if answers { TRIES } else { 1 };
        let mut ask = |len: usize| {
            let mut reaction = Reaction::Silence;
            for _ in 0..tries {
                reaction = self.ask(len - headers, wait);
                if reaction != Reaction::Silence {
                    break;
                }
            }
            reaction
        };
        let lowest = (kind != TargetKind::Silent).then_some(PING_LEN + headers);
        let mut mtu = match lowest.filter(|_| answers) {
            Some(lowest) => search(lowest, highest, &mut ask),
            None => follow(lowest, highest, &mut ask),
        };
        let beyond = device + BEYOND - headers;
        let can_exceed = kind != TargetKind::Silent && beyond <= MAX_PAYLOAD;
        if can_exceed
            && sys::probe_mtu(&self.socket.socket, self.options.target.is_ipv6(), false).is_ok()
        {
            let mut reaction = Reaction::Silence;
            for _ in 0..tries {
                if reaction == Reaction::Silence {
                    reaction = self.ask(beyond, wait);
                }
            }
            mtu.fragments_arrive = match reaction {
                Reaction::Arrived => Some(true),
                Reaction::OutOfTime => None,
                _ => answers.then_some(false),
            };
        }
        mtu
    }
}
