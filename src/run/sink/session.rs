//! One client's cells at a sink: a thread that sets up workers, leads them through phases and hands
//! over what they measured, one request after the other.

use std::cell::OnceCell;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cell::Cell;
use super::home::Home;
use super::options::SinkOptions;
use crate::measure::{Device, HostFacts};
use crate::net::steer::{BY_SOURCE, SHOWN, SLOT_SHIFT};
use crate::net::{Slot, Udp, UnixFile};
use crate::plan::{IpOptions, Limit, RxShare, Share, TxShare, WaitKind};
use crate::run::RunError;
use crate::run::across::spec::{Ask, CellSpec, Ended, Halves, PeerFacts, PhaseSpec, Ready, Told};
use crate::run::crew::Crew;
use crate::sys;
use crate::unit::{Nanos, Place, show_pps};
use crate::wire::decode_own;

/// Datagrams looked at for those that show a socket, each time. Arbitrary: no client has so many.
const MOST_SHOWN: u32 = 65_536;

/// What the thread of a session is told.
#[derive(Debug)]
pub(super) enum Command {
    /// A request, with its number.
    Ask(u32, Vec<u8>),
    /// The client's clock was found to be off by so much more.
    Shift(i64),
}

/// What all sessions share.
#[derive(Debug)]
pub(super) struct House {
    pub(super) options: SinkOptions,
    pub(super) facts: HostFacts,
    /// Receivers that run now, of all sessions.
    pub(super) busy: AtomicUsize,
}

/// One client.
pub(super) struct Session {
    pub(super) house: Arc<House>,
    pub(super) home: Arc<Mutex<Home>>,
    pub(super) from: Place,
    /// Where it was called from there; `None`: that is not known.
    pub(super) called: Option<IpAddr>,
    pub(super) secret: [u8; 16],
    pub(super) cell: Option<Cell>,
    /// The device on the way to the client, looked for once: others may be measuring.
    pub(super) way: OnceCell<Option<Device>>,
    pub(super) served: Tally,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Sender,
    Receiver,
}

/// What a session came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) cells: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl Session {
    /// Does what it is told until nobody tells anything any more.
    pub(super) fn run(
        mut self,
        commands: &Receiver<Command>,
        reply: &dyn Fn(u32, Vec<u8>),
    ) -> Tally {
        while let Ok(command) = commands.recv() {
            match command {
                Command::Ask(number, body) => {
                    let told = match postcard::from_bytes(&body) {
                        Ok(ask) => self.answer(ask),
                        Err(_) => Told::Refused(
                            "the request cannot be read; run the same udperf at both ends".into(),
                        ),
                    };
                    // All that is told can be written: it has no map with keys of unknown kind.
                    reply(number, postcard::to_stdvec(&told).unwrap_or_default());
                }
                Command::Shift(by_ns) => {
                    if let Some(cell) = &self.cell {
                        cell.shift(by_ns);
                    }
                }
            }
        }
        self.put_down();
        self.served
    }

    fn answer(&mut self, ask: Ask) -> Told {
        let told = match ask {
            Ask::Host => Ok(Told::Host(Box::new(self.facts()))),
            Ask::Prepare(spec) => self.prepare(spec),
            Ask::Reached => self.reached(),
            Ask::Start(order) => Ok(self.start(order)),
            Ask::Finish(ended) => self.finish(&ended),
            Ask::Stop => {
                if let Some(cell) = &self.cell {
                    cell.halt();
                }
                Ok(Told::Done)
            }
            Ask::Collect => self.collect(),
        };
        told.unwrap_or_else(|error: RunError| {
            self.put_down();
            Told::Refused(error.to_string())
        })
    }

    fn facts(&self) -> PeerFacts {
        let house = &self.house;
        let machine = crate::run::machine(&house.facts);
        PeerFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            facts: HostFacts { device: self.device(), ..house.facts.clone() },
            missing: machine.missing,
            clock: sys::clock_identity(),
            network: sys::network_identity(),
            receivers: self.home().receivers(house.options.threads),
        }
    }

    /// The device of the address that we listen at; bound to any, that on the way to the client.
    fn device(&self) -> Option<Device> {
        let towards = || match self.from {
            Place::Ip(client) => {
                let bind = self.home().local().ip();
                crate::run::device_towards(client, bind, None)
            }
            Place::Unix(_) => None,
        };
        self.house.facts.device.clone().or_else(|| self.way.get_or_init(towards).clone())
    }

    /// Where senders here send from, if not from where the client has called.
    fn source(&self) -> Option<IpAddr> {
        let (Place::Ip(client), Some(called)) = (self.from, self.called) else { return None };
        let source = crate::run::source_towards(client, self.home().local().ip())?;
        (source != called).then_some(source)
    }

    fn home(&self) -> MutexGuard<'_, Home> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What of a cell this sink does not do.
    fn objection(&self, spec: &CellSpec) -> Option<String> {
        let options = &self.house.options;
        let rate = spec.load.peak_pps();
        if let Some(most) = options.max_rate
            && rate.is_none_or(|rate| rate > most.pps())
        {
            return Some(format!(
                "its --max-rate is {}; ask for no more, by --rate, or by --max-rate of a search",
                show_pps(most.pps())
            ));
        }
        if let Some(most) = options.max_time
            && spec.time.is_none_or(|time| time > most)
        {
            return Some(format!("its --max-time is {most}; ask for no more, by --time"));
        }
        spec.objection().map(str::to_owned)
    }

    fn prepare(&mut self, spec: CellSpec) -> Result<Told, RunError> {
        self.put_down();
        if let Some(why) = self.objection(&spec) {
            return Ok(Told::Refused(why));
        }
        let buffer = usize::try_from(spec.socket_buffer).unwrap_or(usize::MAX);
        if spec.ways.reverse && matches!(*self.home(), Home::Unix { .. }) {
            return Ok(Told::Refused("by AF_UNIX it only receives; leave --reverse away".into()));
        }
        let slot = self.home().take_slot(buffer)?;
        let mut crew = Crew::new(spec.streams, None);
        self.house.busy.fetch_add(slot.receivers(), Ordering::Relaxed);
        let targets = vec![None; usize::from(spec.threads)];
        let mut berths = (Vec::new(), None);
        if spec.ways.forward {
            match self.receive(&mut crew, &spec, &slot, buffer) {
                Ok(open) => berths = open,
                Err(error) => {
                    // Their sockets are closed before anybody else gets the slot.
                    let _ = crew.collect("sink");
                    self.give_back(&slot);
                    return Err(error);
                }
            }
        }
        let (paths, file) = berths;
        let spread = if spec.by_hash { BY_SOURCE } else { 0 };
        let tag = (slot.number << SLOT_SHIFT) | spread | slot.phase;
        let ports = slot.port.into_iter().collect();
        let source = if spec.ways.reverse { self.source() } else { None };
        let ready = Ready { tag, ports, paths, source, secret: self.secret };
        self.cell = Some(Cell { spec, crew, slot, file, targets, phase: None, seen: None });
        Ok(Told::Ready(ready))
    }

    /// Starts the receivers of a cell; returns their names and file, where they have some.
    fn receive(
        &self,
        crew: &mut Crew,
        spec: &CellSpec,
        slot: &Slot,
        buffer: usize,
    ) -> Result<(Vec<String>, Option<UnixFile>), RunError> {
        let (given, paths, file) = self.home().open(slot, buffer)?;
        for (worker, given) in given.into_iter().enumerate() {
            let common = self.share(Role::Receiver, spec, worker, slot, 0..spec.streams);
            let (engine, stamps) = (spec.engine.rx, spec.stamps);
            let share = RxShare { common, engine, stamps, across: true };
            crew.add_receiver(share, Some(given))?;
        }
        Ok((paths, file))
    }

    /// What workers of a cell have in common.
    fn share(
        &self,
        role: Role,
        spec: &CellSpec,
        worker: usize,
        slot: &Slot,
        flows: std::ops::Range<u16>,
    ) -> Share {
        let options = &self.house.options;
        let cores = &options.cores;
        // A receiver here and a sender of the client are neighbours, as are a sender here and a
        // receiver there: on distinct cores, where both ends are on one host.
        let at = usize::from(slot.number - 1) * slot.receivers() + worker;
        let at = if role == Role::Receiver { at + 1 } else { at };
        let busy = self.house.busy.load(Ordering::Relaxed);
        let near = usize::from(spec.neighbours);
        // The client may be on this very host, and its threads want CPUs too.
        let crowded = busy + near > cores.len().max(1);
        Share {
            worker,
            core: (!cores.is_empty()).then(|| cores[at % cores.len()]),
            wait: match options.wait {
                WaitKind::Hybrid if crowded => WaitKind::Epoll,
                asked => asked,
            },
            batch: spec.batch.map(usize::from),
            size: spec.size,
            flows,
            bind: self.home().local(),
            unix: None,
            socket_buffer: usize::try_from(spec.socket_buffer).unwrap_or(usize::MAX),
            ip: IpOptions::default(),
            broadcast: false,
            netns: None,
        }
    }

    /// Looks which of the client's receiving sockets have shown themselves, and once all have, sets
    /// up the senders. A socket must know the secret, and be at the address that was proved.
    fn reached(&mut self) -> Result<Told, RunError> {
        let Some(mut cell) = self.cell.take() else {
            return Ok(Told::Refused("there is no cell".into()));
        };
        let mut payload = [0; 64];
        let expected = (cell.slot.number << SLOT_SHIFT) | SHOWN;
        let tags = [expected, expected | BY_SOURCE];
        for socket in &cell.slot.sockets {
            for _ in 0..MOST_SHOWN {
                let (len, from) = match socket.socket.recv_from(&mut payload) {
                    Ok(came) => came,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // An ICMP error for what was sent to somebody who is gone; told, and forgotten.
                    Err(_) => continue,
                };
                let shown = &payload[..len.min(payload.len())];
                let header = tags.iter().find_map(|&tag| decode_own(shown, tag));
                let knows = shown.get(16..32) == Some(&self.secret[..]);
                if let Some(header) = header.filter(|_| knows && self.is_from(from.ip()))
                    && let Some(target) = cell.targets.get_mut(usize::from(header.flow))
                {
                    *target = Some(from);
                }
            }
        }
        let all = cell.targets.iter().all(Option::is_some);
        let wanted = all && cell.crew.senders() == 0;
        let added = if wanted { self.add_senders(&mut cell) } else { Ok(()) };
        self.cell = Some(cell);
        added?;
        Ok(Told::Reached(all))
    }

    /// Whether this is the address that was proved.
    fn is_from(&self, ip: IpAddr) -> bool {
        matches!(self.from, Place::Ip(from) if from.ip() == ip)
    }

    fn add_senders(&self, cell: &mut Cell) -> Result<(), RunError> {
        let (of, streams) = (usize::from(cell.spec.threads), usize::from(cell.spec.streams));
        for (worker, target) in cell.targets.clone().into_iter().enumerate() {
            let (first, end) = (streams * worker / of, streams * (worker + 1) / of);
            let flows = first as u16..end as u16;
            let socket = &cell.slot.sockets[worker % cell.slot.sockets.len()];
            socket.report_queue_drops()?;
            let given: Result<Vec<Udp>, _> = flows.clone().map(|_| socket.duplicate()).collect();
            let share = TxShare {
                common: self.share(Role::Sender, &cell.spec, worker, &cell.slot, flows),
                engine: cell.spec.engine.tx,
                connect: false,
                of,
                load: cell.spec.load,
                seed: cell.spec.seed,
                heeds_unreachable: false,
                // A stamp is one of a socket, which must be this sender's alone.
                stamps: cell.spec.stamps
                    && !cell.spec.ways.forward
                    && of <= cell.slot.sockets.len(),
            };
            let Some(target) = target else { continue };
            cell.crew.add_sender(share, target, given?)?;
        }
        Ok(())
    }

    fn start(&mut self, order: PhaseSpec) -> Told {
        let max_time = self.house.options.max_time;
        let too_long = match order.limit {
            Limit::Time(time) => max_time.is_some_and(|most| time > most),
            Limit::Count(_) => max_time.is_some(),
        };
        if too_long {
            return Told::Refused("that is longer than its --max-time".into());
        }
        if let Some(why) = order.objection(Nanos(sys::monotonic_ns())) {
            return Told::Refused(why.to_owned());
        }
        match &mut self.cell {
            Some(cell) => cell.start(order),
            None => Told::Refused("there is no cell to start".into()),
        }
    }

    fn finish(&mut self, ended: &Ended) -> Result<Told, RunError> {
        match &mut self.cell {
            Some(cell) => cell.finish(ended),
            None => Ok(Told::Refused("there is no cell to finish".into())),
        }
    }

    fn collect(&mut self) -> Result<Told, RunError> {
        let Some(mut cell) = self.cell.take() else {
            return Ok(Told::Refused("there is no cell to hand over".into()));
        };
        cell.abandon();
        let Cell { crew, slot, seen, .. } = cell;
        let collected = crew.collect("sink");
        self.give_back(&slot);
        let (tx, rx) = collected?;
        let mut halves = Halves { tx, rx };
        if let Some(seen) = seen {
            halves.tx.iter_mut().for_each(|half| seen.into_tx(half));
            halves.rx.iter_mut().for_each(|half| seen.into_rx(half));
        }
        self.served.cells += 1;
        self.served.sent += halves.tx.as_ref().map_or(0, |half| half.tally.sent);
        self.served.received += halves.rx.as_ref().map_or(0, |half| half.tally.received);
        Ok(Told::Halves(Box::new(halves)))
    }

    /// Ends a cell that nobody will ask for any more.
    fn put_down(&mut self) {
        if let Some(mut cell) = self.cell.take() {
            cell.abandon();
            let Cell { crew, slot, .. } = cell;
            // What went wrong has been told.
            let _ = crew.collect("sink");
            self.give_back(&slot);
        }
    }

    fn give_back(&self, slot: &Slot) {
        self.house.busy.fetch_sub(slot.receivers(), Ordering::Relaxed);
        self.home().give_back(slot.number, slot.phase);
    }
}
