//! How a session sets up the workers of a cell.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use super::cell::SinkCell;
use super::session::SinkSession;
use crate::net::Slot;
use crate::net::steer::{BY_SOURCE, SHOWN, SLOT_SHIFT};
use crate::plan::{IpOptions, RxConfig, TxConfig, WaitKind, WorkerConfig};
use crate::remote::protocol::spec::{CellSpec, ControlResponse, Ready};
use crate::run::RunError;
use crate::run::worker_pool::WorkerPool;
use crate::unit::show_pps;
use crate::wire::decode_own;

/// Datagrams looked at for those that show a socket, each time. Arbitrary: no client has so many.
const MOST_SHOWN: u32 = 65_536;

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Sender,
    Receiver,
}

impl SinkSession {
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

    pub(super) fn prepare(&mut self, spec: CellSpec) -> Result<ControlResponse, RunError> {
        self.put_down();
        if let Some(why) = self.objection(&spec) {
            return Ok(ControlResponse::Refused(why));
        }
        let buffer = usize::try_from(spec.socket_buffer).unwrap_or(usize::MAX);
        let taken = match self.house.budget.take(&spec, self.receivers().into()) {
            Ok(taken) => taken,
            Err(why) => return Ok(ControlResponse::Refused(why)),
        };
        let slot = self.sockets().take_slot(buffer)?;
        let mut crew = WorkerPool::new(spec.streams, None);
        self.house.busy.fetch_add(slot.receivers(), Ordering::Relaxed);
        let targets = vec![None; usize::from(spec.threads)];
        if spec.ways.forward
            && let Err(error) = self.receive(&mut crew, &spec, &slot)
        {
            // Their sockets are closed before anybody else gets the slot.
            let _ = crew.collect("sink");
            self.give_back(&slot);
            return Err(error);
        }
        let spread = if spec.by_hash { BY_SOURCE } else { 0 };
        let tag = (slot.number << SLOT_SHIFT) | spread | slot.phase;
        let ports = slot.port.into_iter().collect();
        let source = if spec.ways.reverse { self.source() } else { None };
        let ready = Ready { tag, ports, source, secret: self.secret };
        let device = self.device().map(|device| device.name);
        let (phase, seen) = (None, None);
        self.cell = Some(SinkCell { spec, crew, slot, taken, device, targets, phase, seen });
        Ok(ControlResponse::Ready(ready))
    }

    /// Starts the receivers of a cell.
    fn receive(&self, crew: &mut WorkerPool, spec: &CellSpec, slot: &Slot) -> Result<(), RunError> {
        let of = if spec.by_hash { 1 } else { slot.sockets.len() };
        for (worker, socket) in slot.sockets.iter().enumerate() {
            let given = socket.duplicate()?;
            let common = self.share(Role::Receiver, spec, worker, slot, 0..spec.streams);
            let (engine, stamps) = (spec.engine.rx, spec.stamps);
            let share = RxConfig { common, engine, stamps, across: true, of };
            crew.add_receiver(share, Some(given))?;
        }
        Ok(())
    }

    /// What workers of a cell have in common.
    fn share(
        &self,
        role: Role,
        spec: &CellSpec,
        worker: usize,
        slot: &Slot,
        flows: std::ops::Range<u16>,
    ) -> WorkerConfig {
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
        WorkerConfig {
            worker,
            core: (!cores.is_empty()).then(|| cores[at % cores.len()]),
            wait: match options.wait {
                WaitKind::Hybrid if crowded => WaitKind::Epoll,
                asked => asked,
            },
            batch: spec.batch.map(usize::from),
            size: spec.size,
            flows,
            bind: self.sockets().local(),
            unix: None,
            socket_buffer: usize::try_from(spec.socket_buffer).unwrap_or(usize::MAX),
            ip: IpOptions::default(),
            broadcast: false,
            netns: None,
        }
    }

    /// Looks which of the client's receiving sockets have shown themselves, and once all have, sets
    /// up the senders. A socket must know the secret, and be at the address that was proved.
    pub(super) fn reached(&mut self) -> Result<ControlResponse, RunError> {
        let Some(mut cell) = self.cell.take() else {
            return Ok(ControlResponse::Refused("there is no cell".into()));
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
        Ok(ControlResponse::Reached(all))
    }

    /// Whether this is the address that was proved.
    fn is_from(&self, ip: IpAddr) -> bool {
        self.from.ip() == ip
    }

    fn add_senders(&self, cell: &mut SinkCell) -> Result<(), RunError> {
        let (of, streams) = (usize::from(cell.spec.threads), usize::from(cell.spec.streams));
        for (worker, target) in cell.targets.clone().into_iter().enumerate() {
            let (first, end) = (streams * worker / of, streams * (worker + 1) / of);
            let flows = first as u16..end as u16;
            let socket = &cell.slot.sockets[worker % cell.slot.sockets.len()];
            socket.report_queue_drops()?;
            // One handle for all flows: they leave by the same port anyway.
            let given = socket.duplicate()?;
            let share = TxConfig {
                common: self.share(Role::Sender, &cell.spec, worker, &cell.slot, flows),
                engine: cell.spec.engine.tx,
                connect: false,
                of,
                load: cell.spec.load,
                seed: cell.spec.seed,
                abort_on_unreachable: false,
                answers: false,
                // A stamp is one of a socket, which must be this sender's alone.
                stamps: cell.spec.stamps
                    && !cell.spec.ways.forward
                    && of <= cell.slot.sockets.len(),
            };
            let Some(target) = target else { continue };
            cell.crew.add_sender(share, target, Some(given))?;
        }
        Ok(())
    }
}
