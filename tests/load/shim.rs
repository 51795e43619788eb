//! A server that does to each request what a list says.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use udperf::sys;

use crate::actions::Action;
use crate::protocols::Protocol;

/// The next datagram. A thread that was stopped and goes on is told so where a socket has a
/// timeout (signal(7)), and waits again.
pub fn heard(socket: &UdpSocket, slot: &mut [u8]) -> std::io::Result<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(slot) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            heard => return heard,
        }
    }
}

/// What a server does.
#[derive(Debug, Clone)]
pub struct Orders {
    pub protocol: Protocol,
    /// By the order in which requests come; what comes beyond it is answered.
    pub list: Vec<Action>,
    /// Behind so many later requests of the same port comes a late reply.
    pub behind: usize,
    /// From this request on nothing is answered for so long, and then all.
    pub hold: Option<(usize, Duration)>,
    /// The first so many are answered together.
    pub gather: usize,
}

impl Orders {
    pub fn new(protocol: Protocol, list: &[Action]) -> Self {
        Self { protocol, list: list.to_vec(), behind: 1, hold: None, gather: 0 }
    }
}

/// What it has done.
#[derive(Debug, Default, Clone)]
pub struct Account {
    /// Requests that came.
    pub came: usize,
    /// How many came while nothing was answered, the first of them included.
    pub held: usize,
    /// Late replies that never left, because no later requests came.
    pub never_left: usize,
    /// The ports that requests came from.
    pub ports: usize,
    /// The first requests.
    pub first: Vec<Vec<u8>>,
}

/// A running one.
pub struct Shim {
    pub at: SocketAddr,
    stopper: UdpSocket,
    thread: JoinHandle<Account>,
}

/// How many requests an account keeps; arbitrary.
const KEPT: usize = 100;

/// How long it waits for what must come; only a test that failed takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

impl Shim {
    pub fn start(orders: Orders) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // As much as may be: at the rates of these tests it is some hundred milliseconds.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let at = socket.local_addr().unwrap();
        let stopper = UdpSocket::bind("127.0.0.1:0").unwrap();
        let stop_at = stopper.local_addr().unwrap();
        let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
        let work = Work {
            socket,
            elsewhere,
            orders,
            stop_at,
            late: HashMap::new(),
            account: Account::default(),
        };
        Self { at, stopper, thread: std::thread::spawn(move || work.serve()) }
    }

    /// One that answers everything.
    pub fn well(protocol: Protocol) -> Self {
        Self::start(Orders::new(protocol, &[]))
    }

    /// Ends it behind all that has come; what it has done.
    #[track_caller]
    pub fn end(self) -> Account {
        self.stopper.send_to(b"", self.at).unwrap();
        self.thread.join().unwrap()
    }
}

/// Replies that wait, each for so many more requests of its port.
type Waiting = Vec<(usize, Vec<u8>)>;

struct Work {
    socket: UdpSocket,
    /// Another port.
    elsewhere: UdpSocket,
    orders: Orders,
    stop_at: SocketAddr,
    late: HashMap<SocketAddr, Waiting>,
    account: Account,
}

impl Work {
    fn serve(mut self) -> Account {
        let mut gathered = Vec::new();
        while let Some((request, from)) = self.next() {
            let index = self.account.came;
            self.account.came += 1;
            if index < KEPT {
                self.account.first.push(request.clone());
            }
            if index < self.orders.gather {
                gathered.push((index, request, from));
                if index + 1 == self.orders.gather {
                    for (index, request, from) in std::mem::take(&mut gathered) {
                        self.treat(index, &request, from);
                    }
                }
                continue;
            }
            match self.orders.hold {
                Some((first, hold)) if index == first => self.hold(index, request, from, hold),
                _ => self.treat(index, &request, from),
            }
        }
        let drops = sys::socket_drops(&self.socket);
        assert_eq!(drops.unwrap_or(0), 0, "the shim could not keep up: send more slowly");
        self.account.never_left = self.late.values().map(Vec::len).sum();
        self.account.ports = self.late.len();
        self.account
    }

    /// The next request; `None` at the end.
    fn next(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        let mut slot = vec![0; 65_536];
        let (len, from) = heard(&self.socket, &mut slot).ok()?;
        slot.truncate(len);
        (from != self.stop_at).then_some((slot, from))
    }

    /// Answers nothing for so long, and then all.
    fn hold(&mut self, first: usize, request: Vec<u8>, from: SocketAddr, hold: Duration) {
        let until = Instant::now() + hold;
        let mut held = vec![(request, from)];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut slot = vec![0; 65_536];
            match heard(&self.socket, &mut slot) {
                Ok((len, from)) => held.push((slot[..len].to_vec(), from)),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
                }
            }
        }
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        self.account.held = held.len();
        self.account.came += held.len() - 1;
        for (index, (request, from)) in (first..).zip(held) {
            self.treat(index, &request, from);
        }
    }

    fn treat(&mut self, index: usize, request: &[u8], from: SocketAddr) {
        let Orders { protocol, behind, .. } = self.orders;
        // Whose turn it is now: all of them were asked long before this one.
        let waiting = self.late.entry(from).or_default();
        waiting.iter_mut().for_each(|(more, _)| *more -= 1);
        for (_, reply) in waiting.extract_if(.., |(more, _)| *more == 0) {
            self.socket.send_to(&reply, from).unwrap();
        }
        let send = |bytes: &[u8]| {
            self.socket.send_to(bytes, from).unwrap();
        };
        match self.orders.list.get(index).copied().unwrap_or(Action::Answer) {
            Action::Answer => send(&protocol.answer(request)),
            Action::Silent => {}
            Action::Times(times) => (0..times).for_each(|_| send(&protocol.answer(request))),
            Action::Late => waiting.push((behind, protocol.answer(request))),
            Action::Garbage => send(b"?"),
            Action::Cut => send(&protocol.cut(request)),
            Action::OtherId => send(&protocol.other_id(request)),
            Action::OtherQuestion => send(&protocol.other_question(request)),
            Action::OtherPort => {
                self.elsewhere.send_to(&protocol.answer(request), from).unwrap();
            }
            Action::OtherCase => send(&protocol.other_case(request)),
            Action::Error(code) => send(&protocol.error(request, code)),
            Action::Parts(more) => protocol.parts(request, more).iter().for_each(|part| send(part)),
            Action::PartsBackwards(more) => {
                let parts = protocol.parts(request, more);
                parts.iter().rev().take(1).chain(parts.iter().rev()).for_each(|part| send(part));
            }
            Action::PartsButLast(more) => {
                protocol.parts(request, more).iter().rev().skip(1).for_each(|part| send(part));
            }
            Action::PartsButFirst(more) => {
                protocol.parts(request, more).iter().skip(1).for_each(|part| send(part));
            }
            Action::PartThenWhole => {
                send(&protocol.parts(request, 1)[0]);
                send(&protocol.answer(request));
            }
            Action::GarbageFirst => {
                send(b"?");
                send(&protocol.answer(request));
            }
        }
    }
}
