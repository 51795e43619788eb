//! A sender and a receiver on loopback in one thread, and the model of what they must count.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use udperf::document::Ledger;
use udperf::engine::{Pull, Push};
use udperf::measure::{
    KernelDelta, LedgerIdentity, RxTally, TxTally, attribute_losses, ledger_identities,
};
use udperf::net::{Options, Udp, pin_to};
use udperf::sys;
use udperf::unit::{Nanos, PayloadSize};

use crate::engines::{Inlet, Outlet, Pair, Receiver};
use crate::ours::{accept, stamp};

/// How long to wait for what a kernel under load has put off; only a failure takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of a receive buffer that a datagram of this size takes at most, bookkeeping included.
const fn cost(size: usize) -> usize {
    2 * size + 1_280
}

/// The longest payload that is sure to stay whole: `gso_max_size` of a device is 65,536 bytes
/// unless set, and what reaches it with Ethernet, IPv6 and UDP headers is split before the device
/// by newer kernels (`gso_features_check`, net/core/dev.c).
const WHOLE_MOST: usize = 65_535 - 14 - 40 - 8;

/// What a socket should be.
pub fn options(ip: IpAddr) -> Options {
    let bind = SocketAddr::new(ip, 0);
    Options { bind, ..Options::default() }
}

/// Keeps this test on one core, whose backlog is a queue: what is sent first arrives first.
fn stay() {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PINNED: () = {
            let cores = CORES.get_or_init(|| sys::affinity().unwrap_or_default());
            if !cores.is_empty() {
                let _ = pin_to(cores[NEXT.fetch_add(1, Ordering::Relaxed) % cores.len()]);
            }
        };
    }
    PINNED.with(|()| ());
}

/// A receiver, and what came out of it.
pub struct Inbox {
    pub rx: Box<dyn Inlet>,
    pub at: SocketAddr,
    pub tally: RxTally,
    pub name: String,
    /// What SO_RCVBUF was granted, in bytes.
    granted: usize,
    drops_before: u32,
}

impl Inbox {
    pub fn open(
        engine: &Receiver,
        options: &Options,
        size: PayloadSize,
        batch: Option<usize>,
    ) -> Self {
        stay();
        let udp = Udp::open(options).unwrap();
        let (at, granted) = (udp.local, udp.receive_buffer.unwrap());
        let name = format!("{}, {}", engine.name, at.ip());
        let mut rx = (engine.make)(udp.socket, size, batch)
            .unwrap_or_else(|error| panic!("{name}: this host is said to have it: {error}"));
        let drops_before = sys::socket_drops(&rx.sockets()[0]).unwrap();
        Self { rx, at, tally: RxTally::default(), name, granted, drops_before }
    }

    /// One pull, counted as a probe counts it, and checked for what holds of each.
    pub fn pull(&mut self, visit: &mut dyn FnMut(&[u8], Option<Nanos>)) -> Pull {
        let (pull, name) = (self.rx.pull(), &self.name);
        let mut visited = 0;
        self.rx.each(&mut |payload, waited| {
            visited += 1;
            visit(payload, waited);
        });
        self.rx.release();
        assert_eq!(visited, pull.datagrams, "{name}: {pull:?}");
        assert!(pull.packets <= pull.datagrams as u64, "{name}: {pull:?}");
        assert!(pull.uncut <= pull.datagrams as u64, "{name}: {pull:?}");
        assert!(pull.truncated <= pull.packets, "{name}: {pull:?}");
        assert!(pull.datagrams > 0 || pull.packets == 0, "{name}: {pull:?}");
        let tally = &mut self.tally;
        tally.arrived += pull.datagrams as u64;
        tally.packets += pull.packets;
        tally.uncut += pull.uncut;
        tally.truncated += pull.truncated;
        tally.no_buffers += pull.no_buffers;
        tally.errors += pull.errors;
        tally.syscalls += pull.syscalls;
        pull
    }

    /// Pulls until so many more datagrams have come, and the queue is seen empty behind them.
    pub fn pull_all(&mut self, count: u64, visit: &mut dyn FnMut(&[u8], Option<Nanos>)) {
        let (end, start) = (self.tally.arrived + count, Instant::now());
        while self.tally.arrived < end {
            if self.pull(visit).datagrams == 0 {
                let arrived = self.tally.arrived;
                assert!(start.elapsed() < PATIENCE, "{}: {arrived} of {end} came", self.name);
                std::thread::yield_now();
            }
        }
        // A ring that had run out of buffers may need a pull to find that out.
        loop {
            let pull = self.pull(visit);
            assert_eq!(pull.datagrams, 0, "{}: more than sent", self.name);
            if pull.drained {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{}: never drained", self.name);
        }
    }

    /// The next so many datagrams, and how long each had waited.
    pub fn take(&mut self, count: u64) -> Vec<(Vec<u8>, Option<Nanos>)> {
        let mut taken = Vec::new();
        self.pull_all(count, &mut |payload, waited| taken.push((payload.to_vec(), waited)));
        taken
    }

    /// What the socket has dropped since it was opened, as the kernel counts it.
    pub fn dropped(&mut self) -> u64 {
        let now = sys::socket_drops(&self.rx.sockets()[0]).unwrap();
        u64::from(now.wrapping_sub(self.drops_before))
    }
}

/// How a rig differs from the usual one.
#[derive(Clone)]
pub struct Setup {
    pub size: PayloadSize,
    pub batch: Option<usize>,
    pub flows: usize,
    /// SO_RCVBUF of the receiver; `None`: a large one.
    pub receive_buffer: Option<usize>,
    /// SO_SNDBUF of the senders; `None`: a large one.
    pub send_buffer: Option<usize>,
    pub df: bool,
}

impl Setup {
    pub const fn of(size: PayloadSize) -> Self {
        Self { size, batch: None, flows: 1, receive_buffer: None, send_buffer: None, df: false }
    }

    pub const fn fixed(bytes: u16) -> Self {
        Self::of(PayloadSize::Fixed(bytes))
    }
}

/// A sender and a receiver.
pub struct Rig {
    pub tx: Box<Outlet>,
    pub inbox: Inbox,
    pub name: String,
    /// The address of each flow.
    pub from: Vec<SocketAddr>,
    pub sent: TxTally,
    pub setup: Setup,
    /// The next sequence number of each flow, as sender and as receiver.
    next: Vec<u64>,
    come: Vec<u64>,
    /// Datagrams that left in super-packets of several.
    uncut: u64,
    /// Whether there were super-packets that a device may not take whole.
    huge: bool,
}

impl Rig {
    pub fn new(pair: Pair, setup: &Setup) -> Self {
        Self::with(pair, setup, |_, _| ())
    }

    /// The same; `adjust` gets the senders' sockets and the receiver's before they are used.
    pub fn with(pair: Pair, setup: &Setup, adjust: impl Fn(&[Udp], &mut Inbox)) -> Self {
        let own = options(pair.ip);
        let buffer = setup.receive_buffer.unwrap_or(own.buffer);
        let mut inbox =
            Inbox::open(pair.rx, &Options { buffer, ..own.clone() }, setup.size, setup.batch);
        let buffer = setup.send_buffer.unwrap_or(own.buffer);
        let options = Options { df: setup.df, buffer, ..own };
        let udps: Vec<_> = (0..setup.flows).map(|_| Udp::open(&options).unwrap()).collect();
        adjust(&udps, &mut inbox);
        if pair.connected {
            udps.iter().for_each(|udp| udp.connect(inbox.at).unwrap());
        }
        let from = udps.iter().map(|udp| udp.local).collect();
        let sockets = udps.into_iter().map(|udp| udp.socket).collect();
        let to = (!pair.connected).then_some(inbox.at);
        let name = format!("{pair}, {} bytes, batch {:?}", setup.size, setup.batch);
        let tx = (pair.tx.make)(sockets, to, setup.size, setup.batch)
            .unwrap_or_else(|error| panic!("{name}: this host is said to have it: {error}"));
        let (next, come) = (vec![0; setup.flows], vec![0; setup.flows]);
        let (sent, setup) = (TxTally::default(), setup.clone());
        Self { tx, inbox, name, from, sent, setup, next, come, uncut: 0, huge: false }
    }

    /// Datagrams in a super-packet; 1 where there are none.
    pub fn segments(&self) -> usize {
        self.tx.segments().map_or(1, |segments| segments.now)
    }

    /// How many datagrams the receive buffer has room for, whatever they cost.
    pub fn room(&self) -> usize {
        self.inbox.granted / cost(self.setup.size.largest())
    }

    /// Stamps and pushes up to `want` datagrams, as a sender does; checks what holds of each push.
    pub fn push(&mut self, flow: usize, want: usize) -> Push {
        let (first, size, stride) = (self.next[flow], self.setup.size, self.tx.stride());
        let slots = self.tx.lease(want);
        let leased = slots.len() / stride;
        assert!(leased <= want && leased >= 1, "{}: {leased} of {want}", self.name);
        for (slot, sequence) in slots.chunks_exact_mut(stride).zip(first..) {
            stamp(flow, sequence, &mut slot[..size.at(sequence)]);
        }
        let segments = self.segments();
        let push = self.tx.push(flow, first, leased);
        self.check_push(&push, leased, segments);
        self.note(&push, flow, segments);
        push
    }

    fn check_push(&self, push: &Push, leased: usize, segments: usize) {
        let name = &self.name;
        assert!(push.sent <= leased, "{name}: {push:?} of {leased}");
        assert_eq!(push.error.is_some(), push.refused > 0, "{name}: {push:?}");
        assert_eq!(push.packets, push.sent.div_ceil(segments) as u64, "{name}: {push:?}");
        let fell = self.segments() < segments;
        assert!(push.sent + push.refused > 0 || fell, "{name}: {push:?} leads nowhere");
        assert!(push.syscalls > 0, "{name}: {push:?}");
    }

    fn note(&mut self, push: &Push, flow: usize, segments: usize) {
        self.next[flow] += push.sent as u64;
        self.sent.sent += push.sent as u64;
        self.sent.packets += push.packets;
        self.sent.syscalls += push.syscalls;
        if let Some(error) = push.error {
            self.sent.refused.count(error, push.refused as u64);
        }
        if segments > 1 {
            self.uncut += (push.sent - usize::from(push.sent % segments == 1)) as u64;
        }
        self.huge |= segments * self.setup.size.largest() > WHOLE_MOST;
    }

    /// Leaves out one datagram of a flow, for one that cannot leave.
    pub fn skip(&mut self, flow: usize) {
        self.next[flow] += 1;
    }

    /// Pushes so many datagrams, flow after flow, reading none.
    pub fn push_all(&mut self, count: usize) {
        self.push_in_turns(count, usize::MAX, false);
    }

    /// Pushes so many datagrams, flow after flow, and reads them; all must arrive.
    pub fn transfer(&mut self, count: usize) {
        let room = self.room();
        assert!(room > 0, "{}", self.name);
        self.push_in_turns(count, room, true);
        self.check();
    }

    fn push_in_turns(&mut self, count: usize, room: usize, read: bool) {
        let (mut left, mut flow) = (count, 0);
        while left > 0 {
            let want = left.min(self.tx.batch(false)).min(room);
            let push = self.push(flow, want);
            assert_eq!(push.error, None, "{}: {push:?}", self.name);
            left -= push.sent;
            if read {
                self.read(push.sent as u64);
            }
            flow = (flow + 1) % self.next.len();
        }
    }

    /// Reads so many datagrams, each of which must be one of ours, whole, and behind the one
    /// before.
    pub fn read(&mut self, count: u64) {
        let Self { inbox, come, next, setup, name, .. } = self;
        let mut received = 0;
        inbox.pull_all(count, &mut |payload, _| {
            accept(payload, setup.size, come, next, name);
            received += 1;
        });
        inbox.tally.received += received;
    }

    /// Reads what there is until, with what the socket dropped, all is told.
    pub fn read_the_rest(&mut self) {
        let start = Instant::now();
        loop {
            let Self { inbox, come, next, setup, name, .. } = self;
            let mut received = 0;
            let pull = inbox.pull(&mut |payload, _| {
                accept(payload, setup.size, come, next, name);
                received += 1;
            });
            inbox.tally.received += received;
            let whole = inbox.rx.takes_super_packets();
            let (sent, got) = if whole {
                (self.sent.packets, inbox.tally.packets)
            } else {
                (self.sent.sent, inbox.tally.received)
            };
            if pull.datagrams == 0 {
                let dropped = inbox.dropped();
                assert!(got + dropped <= sent, "{name}: {got} and {dropped} dropped of {sent}");
                if got + dropped == sent {
                    return;
                }
                assert!(start.elapsed() < PATIENCE, "{name}: {got} and {dropped} of {sent}");
                std::thread::yield_now();
            }
        }
    }

    /// What sender, receiver and kernel say, settled.
    pub fn ledger(&mut self) -> Ledger {
        let kernel = KernelDelta { sockets: Some(self.inbox.dropped()), ..KernelDelta::default() };
        let whole = self.inbox.rx.takes_super_packets();
        let ledger = attribute_losses(&self.sent, &self.inbox.tally, &kernel.into(), whole);
        let adds_up = ledger_identities(&ledger).iter().all(LedgerIdentity::holds);
        assert!(adds_up, "{}: {ledger:?}", self.name);
        assert_eq!(ledger.unaccounted, Some(0), "{}: {ledger:?}", self.name);
        ledger
    }

    /// All that was sent has arrived, in as many pieces as it must.
    pub fn check(&mut self) {
        let ledger = self.ledger();
        let (sent, got, name) = (&self.sent, &self.inbox.tally, &self.name);
        assert_eq!((ledger.lost, got.received), (Some(0), sent.sent), "{name}");
        assert_eq!(got.arrived, sent.sent, "{name}");
        let (packets, uncut) = if self.inbox.rx.takes_super_packets() {
            (sent.packets, self.uncut)
        } else {
            (got.arrived, 0)
        };
        if !self.huge {
            assert_eq!((got.packets, got.uncut), (packets, uncut), "{name}");
        }
        assert_eq!((got.truncated, got.errors), (0, 0), "{name}");
        assert_eq!(self.next, self.come, "{name}");
    }
}
