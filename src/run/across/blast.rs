//! The client's end of cells between two hosts. It leads: it says what the sink's workers are to
//! be, when a phase begins, and when it is over, and puts both halves together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::link::{Follow, Link};
use super::spec::{Ask, CellSpec, Ended, Halves, PeerFacts, PhaseSpec, Ready, Told, Ways};
use crate::clock::Offset;
use crate::measure::{Ends, Harvest, HostFacts, OneWay, RxHalf, TxHalf};
use crate::net::{Options, Udp};
use crate::plan::{Cell, Direction, Limit, Load, Missing, Plan, Route, Share, TimestampKind};
use crate::run::RunError;
use crate::run::control::Control;
use crate::run::counters::Watch;
use crate::run::crew::{Crew, Running};
use crate::run::session::{Bed, Part};
use crate::run::worker::Phase;
use crate::sys;
use crate::unit::Nanos;
use crate::wire::control::Key;
use crate::wire::{Header, encode};

/// How much lies between the order of a phase and its start at least, for the order to get there:
/// beside the time that workers need, so many round trips. Arbitrary: retries take a few.
const LEAD_TRIPS: u64 = 4;

/// How much before its start a phase must have been confirmed: workers are awake by then.
/// Arbitrary; a wake-up takes about 60 µs (measured).
const MARGIN: Nanos = Nanos::from_micros(300);

/// How often a phase is ordered anew, each time with twice the lead. Arbitrary: the last one has
/// minutes, more than the line's patience.
const ATTEMPTS: u32 = 12;

/// How much the receivers' clock is set back beyond what the clocks are known within: whatever
/// moves the estimate meanwhile shall not make a latency negative. Arbitrary.
const SLACK: Nanos = Nanos::from_micros(50);

/// How often the end of a phase on the other host is asked for; arbitrary.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// How often the sockets that shall be sent to show themselves before that is given up: with 20 ms
/// between, 5 s. Arbitrary.
const SHOWS: u32 = 250;

/// What the other end is.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where.
    pub target: SocketAddr,
    /// The version of the program there.
    pub version: String,
    /// What was found out about its host.
    pub facts: HostFacts,
    /// Engines that it does not have.
    pub missing: Vec<Missing>,
    /// Receivers that each client gets.
    pub receivers: u16,
    /// Whether both ends read the same clock.
    pub same_clock: bool,
    /// Whether both ends are in one network namespace.
    pub same_network: bool,
    /// How much later its clock is; `None` where no comparison has succeeded.
    pub offset: Option<Offset>,
}

/// The client's end.
pub struct Blast {
    link: Link,
    peer: Peer,
}

impl Blast {
    /// Gets in touch with the sink at this address, from a socket with these options.
    ///
    /// # Errors
    /// [`RunError`], after 10 s without an answer.
    pub fn open(
        target: SocketAddr,
        options: &Options,
        key: Option<Key>,
        nonce: u64,
    ) -> Result<Self, RunError> {
        let socket = Udp::open(options).map_err(crate::net::NetError::from)?;
        socket.connect(target).map_err(crate::net::NetError::from)?;
        let mut link = Link::open(socket, target, key, nonce)?;
        let Told::Host(told) = link.ask(&Ask::Host)? else {
            return Err(RunError::Damaged { target });
        };
        let PeerFacts { version, facts, missing, clock, network, receivers } = *told;
        link.compare();
        if clock.is_some() && clock == sys::clock_identity() {
            link.trust_same_clock();
        }
        let same_clock = link.same_clock();
        let same_network = network.is_some() && network == sys::network_identity();
        let offset = link.offset();
        let peer =
            Peer { target, version, facts, missing, receivers, same_clock, same_network, offset };
        Ok(Self { link, peer })
    }

    /// The other end; how its clock goes, as known by now.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer { offset: self.link.offset(), ..self.peer.clone() }
    }

    /// Sets up both ends of a cell.
    fn set_up(&self, plan: &Plan, cell: &Cell, load: Load) -> Result<Stage<'_>, RunError> {
        let spec = spec(plan, cell, load);
        let Told::Ready(ready) = self.link.ask(&Ask::Prepare(spec.clone()))? else {
            return Err(self.damaged());
        };
        let target = data_address(self.peer.target, &ready);
        let mut crew = Crew::new(plan.scenario.streams);
        if spec.ways.reverse {
            let mut shown = Vec::new();
            for share in plan.rx_shares(cell) {
                let socket = Udp::open(&options(&share.common)).map_err(net)?;
                socket.connect(target).map_err(net)?;
                shown.push(socket.duplicate().map_err(net)?);
                crew.add_receiver(share, Some(socket))?;
            }
            self.show(&shown, &ready)?;
        }
        if spec.ways.forward {
            for share in plan.tx_shares(cell, load) {
                crew.add_sender(share, target, Vec::new())?;
            }
        }
        Ok(Stage { blast: self, spec, crew, tag: ready.tag, load })
    }

    /// Has the receiving sockets send to the sink, so that every box on the way lets the answers
    /// through, and that the sink sends to nobody who did not ask for it.
    fn show(&self, sockets: &[Udp], ready: &Ready) -> Result<(), RunError> {
        for _ in 0..SHOWS {
            for (worker, socket) in sockets.iter().enumerate() {
                let mut payload = [0; 32];
                let header =
                    Header { tag: ready.tag | PHASES, flow: worker as u16, ..Header::default() };
                encode(header, &mut payload);
                payload[16..].copy_from_slice(&ready.secret);
                // What does not get through is sent again.
                let _ = socket.socket.send(&payload);
            }
            match self.link.ask(&Ask::Reached)? {
                Told::Reached(true) => return Ok(()),
                Told::Reached(false) => thread::sleep(ASK_EVERY),
                _ => return Err(self.damaged()),
            }
        }
        Err(RunError::NotReached { target: self.peer.target })
    }

    fn damaged(&self) -> RunError {
        RunError::Damaged { target: self.peer.target }
    }

    /// How the ends of a cell stand to each other.
    fn ends(&self) -> Ends {
        if self.peer.same_network { Ends::Together } else { Ends::Apart }
    }
}

fn net(error: crate::net::SocketError) -> RunError {
    RunError::Net(error.into())
}

/// What the sink has to know of a cell.
fn spec(plan: &Plan, cell: &Cell, load: Load) -> CellSpec {
    let scenario = &plan.scenario;
    let ways = Ways {
        forward: scenario.route.sends(),
        reverse: matches!(scenario.route, Route::Reverse | Route::Both),
    };
    let both = u16::from(ways.forward) + u16::from(ways.reverse);
    CellSpec {
        ways,
        engine: cell.engine,
        size: cell.size,
        load,
        streams: scenario.streams,
        threads: scenario.threads,
        neighbours: both * scenario.threads,
        time: match scenario.limit {
            Limit::Time(time) => Some(time.max(scenario.warmup)),
            Limit::Count(_) => None,
        },
        batch: scenario.batch,
        stamps: scenario.timestamps == TimestampKind::Kernel,
        socket_buffer: scenario.socket_buffer as u64,
        ip: crate::plan::IpOptions { dev: None, ..scenario.ip.clone() },
        seed: scenario.seed,
        by_hash: scenario.by_hash,
    }
}

/// Where data go: to the sink's port, unless it has another one for them.
fn data_address(target: SocketAddr, ready: &Ready) -> SocketAddr {
    let port = ready.ports.first().copied();
    port.map_or(target, |port| SocketAddr::new(target.ip(), port))
}

/// What a socket of this share is.
fn options(share: &Share) -> Options {
    Options {
        bind: share.bind,
        buffer: share.socket_buffer,
        dscp: share.ip.dscp,
        ttl: share.ip.ttl,
        df: share.ip.df,
        dev: share.ip.dev.clone(),
        ..Options::default()
    }
}

/// A cell that is set up at both ends.
struct Stage<'a> {
    blast: &'a Blast,
    spec: CellSpec,
    crew: Crew,
    /// Of the phase to come.
    tag: u16,
    load: Load,
}

/// A phase that has begun.
struct Begun {
    /// What the senders here share.
    tx: Arc<Control>,
    /// What the receivers here share.
    rx: Arc<Control>,
    /// Stops the senders here.
    halt: Arc<AtomicBool>,
    running: Running,
    /// How much earlier than their senders receivers begin.
    bias: Nanos,
    /// When it began, on our clock.
    epoch: Nanos,
    offset_ns: i64,
}

impl Stage<'_> {
    /// Begins a phase at both ends at the same moment; again where the order comes too late.
    fn begin(&mut self, limit: Limit, stop: &Arc<AtomicBool>) -> Result<Begun, RunError> {
        let link = &self.blast.link;
        for attempt in 0..ATTEMPTS {
            let offset = link.offset().unwrap_or_else(Offset::same_clock);
            let bias = match link.same_clock() {
                true => Nanos::ZERO,
                false => Nanos(offset.bound_ns.saturating_mul(2)) + SLACK,
            };
            let trips = Nanos(link.rtt().0.saturating_mul(LEAD_TRIPS));
            // Twice what workers need: the sink's need it too, after the order has come.
            let least = self.crew.lead() + self.crew.lead() + trips;
            let lead = Nanos(least.0.saturating_mul(1 << attempt));
            let epoch = Nanos(sys::monotonic_ns()) + lead + MARGIN;
            let offset_ns = offset.at(epoch.0);
            let there = Nanos(epoch.0.saturating_add_signed(offset_ns));
            let window_end = match limit {
                Limit::Time(time) => time + bias,
                Limit::Count(_) => Nanos::NEVER,
            };
            let halt = Arc::new(AtomicBool::new(stop.load(Ordering::Relaxed)));
            let tx = Control::new(Arc::clone(&halt), self.crew.senders());
            let rx = Control::across(Arc::clone(stop), self.crew.receivers(), window_end);
            let (tag, load) = (self.tag, self.load);
            self.tag = next_phase(tag);
            let phase = Phase { epoch, tag, limit, load, control: Arc::clone(&tx) };
            let rx_phase = Phase { epoch: epoch - bias, control: Arc::clone(&rx), ..phase.clone() };
            let mut running = self.crew.running();
            self.crew.begin_receivers(&rx_phase);
            let order = PhaseSpec { tag, epoch: there, rx_epoch: there - bias, limit, window_end };
            let told = link.ask(&Ask::Start(order))?;
            let in_time = Nanos(sys::monotonic_ns()) + MARGIN < epoch;
            match told {
                Told::Started if in_time || self.crew.senders() == 0 => {
                    self.crew.begin_senders(&phase);
                    let receivers = (self.crew.receivers() > 0).then(|| Arc::clone(&rx));
                    link.follow(Follow { offset_ns, receivers, shifts: Vec::new() });
                    return Ok(Begun { tx, rx, halt, running, bias, epoch, offset_ns });
                }
                Told::Started | Told::TooLate => {}
                _ => return Err(self.blast.damaged()),
            }
            // Nobody here has sent anything: the receivers have nothing to wait for.
            rx.senders_done(Nanos::ZERO, &vec![0; self.crew.receivers()]);
            running.workers -= self.crew.senders();
            self.crew.await_end(&mut running, &mut || {})?;
        }
        Err(RunError::NeverInTime { target: self.blast.peer.target })
    }

    /// Waits until the phase is over at both ends.
    fn finish(
        &self,
        begun: &mut Begun,
        limit: Limit,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<Ended, RunError> {
        let link = &self.blast.link;
        let senders = self.crew.senders();
        let receivers = self.crew.receivers();
        while begun.running.workers > receivers {
            if !self.crew.look(&mut begun.running, ASK_EVERY)? {
                tick();
            }
            if stop.load(Ordering::Relaxed) || link.has_failed() {
                begun.halt.store(true, Ordering::Relaxed);
            }
        }
        if senders == 0
            && let Limit::Time(time) = limit
        {
            wait_until(begun.epoch + time, stop, tick);
        }
        let ended = Ended {
            end: if senders > 0 { begun.tx.window_end() + begun.bias } else { Nanos::ZERO },
            sent_to: self.sent_to_receivers(&begun.running),
            sent: begun.running.sent,
            received: 0,
        };
        let mut told_to_stop = false;
        let there = loop {
            if stop.load(Ordering::Relaxed) && !told_to_stop && self.spec.ways.reverse {
                link.ask(&Ask::Stop)?;
                told_to_stop = true;
            }
            match link.ask(&Ask::Finish(ended.clone()))? {
                Told::Finished(there) => break there,
                Told::Running => {
                    tick();
                    thread::sleep(ASK_EVERY);
                }
                _ => return Err(self.blast.damaged()),
            }
        };
        begun.rx.senders_done(there.end + begun.bias, &there.sent_to);
        self.crew.await_end(&mut begun.running, tick)?;
        Ok(there)
    }

    /// What each receiver of the sink should get; empty where only a hash knows.
    fn sent_to_receivers(&self, running: &Running) -> Vec<u64> {
        let receivers = usize::from(self.blast.peer.receivers.max(1));
        if self.spec.by_hash && receivers > 1 {
            return Vec::new();
        }
        let mut sent_to = vec![0; receivers];
        for (flow, sent) in running.sent_by_flow.iter().enumerate() {
            sent_to[flow % receivers] += sent;
        }
        sent_to
    }

    /// How far all latencies of a phase are off, in ns, and how far that may be wrong.
    fn correction(&self, begun: &Begun, follow: Option<Follow>) -> (i64, Nanos) {
        let link = &self.blast.link;
        if link.same_clock() {
            return (0, Nanos::ZERO);
        }
        let Some(offset) = link.offset() else {
            return (begun.bias.0 as i64, Nanos::NEVER);
        };
        // What was believed and corrected meanwhile against what is known now, at every moment
        // that the correction changed and just before.
        let shifts = follow.map(|follow| follow.shifts).unwrap_or_default();
        let mut in_force = 0;
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        let mut look = |at_ns: u64, shift_ns: i64| {
            let error = offset.at(at_ns).saturating_sub(begun.offset_ns.saturating_add(shift_ns));
            (least, most) = (least.min(error), most.max(error));
        };
        look(begun.epoch.0, 0);
        for (at_ns, shift_ns) in shifts {
            look(at_ns, in_force);
            look(at_ns, shift_ns);
            in_force = shift_ns;
        }
        let middle = least.midpoint(most);
        let spread = Nanos(most.abs_diff(least).div_ceil(2));
        (middle, Nanos(offset.bound_ns) + spread)
    }
}

/// The tag of the next phase of a cell: the five low bits count phases.
const fn next_phase(tag: u16) -> u16 {
    (tag & !PHASES) | (tag.wrapping_add(1) & PHASES)
}

/// The bits of a tag that count phases; see `net/steer.rs`.
const PHASES: u16 = 0x1F;

/// Sleeps until a moment, showing progress, or until stopped.
fn wait_until(at: Nanos, stop: &Arc<AtomicBool>, tick: &mut dyn FnMut()) {
    loop {
        let left = at.since(Nanos(sys::monotonic_ns()));
        if left == Nanos::ZERO || stop.load(Ordering::Relaxed) {
            return;
        }
        tick();
        thread::sleep(left.to_duration().min(ASK_EVERY));
    }
}

impl Bed for Blast {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &Cell,
        load: Load,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<Part>, RunError> {
        self.link.compare();
        let mut stage = self.set_up(plan, cell, load)?;
        let warmup = plan.scenario.warmup;
        let mut warmed = [(0, 0); 2];
        if warmup > Nanos::ZERO {
            let mut begun = stage.begin(Limit::Time(warmup), stop)?;
            let there = stage.finish(&mut begun, Limit::Time(warmup), stop, tick)?;
            let here = &begun.running;
            warmed = [(here.sent, there.received), (there.sent, here.received)];
            self.link.release();
        }
        let limit = plan.scenario.limit;
        let watch = Watch::begin();
        let mut begun = stage.begin(limit, stop)?;
        stage.finish(&mut begun, limit, stop, tick)?;
        let seen = watch.end();
        let follow = self.link.release();
        self.link.compare();
        let (error_ns, bound) = stage.correction(&begun, follow);
        let Told::Halves(there) = self.link.ask(&Ask::Collect)? else {
            return Err(self.damaged());
        };
        let (ways, bias) = (stage.spec.ways, begun.bias.0 as i64);
        let (tx, rx) = stage.crew.collect(&cell.id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        seen.into_both(&mut tx, &mut rx);
        let Halves { tx: tx_there, rx: rx_there } = *there;
        let mut parts = Vec::new();
        if ways.forward {
            let rx = set_right(rx_there.unwrap_or_default(), -(bias + error_ns), bound);
            parts.push(self.part(Direction::Forward, tx, rx, warmed[0]));
        }
        if ways.reverse {
            let rx = set_right(rx, -(bias - error_ns), bound);
            parts.push(self.part(Direction::Reverse, tx_there.unwrap_or_default(), rx, warmed[1]));
        }
        Ok(parts)
    }
}

impl Blast {
    fn part(&self, direction: Direction, tx: TxHalf, rx: RxHalf, warmed: (u64, u64)) -> Part {
        let mut harvest = Harvest::of(tx, Some(rx), self.ends());
        harvest.warmup = (warmed.0, warmed.0.saturating_sub(warmed.1));
        Part { direction: Some(direction), harvest }
    }
}

/// Moves all latencies to where they belong.
fn set_right(mut rx: RxHalf, by_ns: i64, bound: Nanos) -> RxHalf {
    if by_ns != 0 || bound > Nanos::ZERO {
        rx.latency = OneWay::shifted(&rx.latency, by_ns, bound);
        rx.samples.iter_mut().for_each(|sample| *sample = sample.shifted(by_ns));
    }
    rx
}
