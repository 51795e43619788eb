//! Sets up the workers of a cell.

use std::io;
use std::sync::atomic::Ordering;

use super::cell::{Outcome, SinkCell};
use super::session::SinkSession;
use crate::net::Slot;
use crate::net::steer::{BY_SOURCE, PROBE_PHASE, SLOT_SHIFT};
use crate::plan::{
    EnginePair, IpOptions, PaceBy, RxConfig, RxKind, TxConfig, TxKind, WaitKind, WorkerConfig,
};
use crate::remote::lock;
use crate::remote::protocol::spec::{CellSpec, ControlResponse, Ready};
use crate::run::RunError;
use crate::run::worker_pool::WorkerPool;
use crate::unit::{Nanos, PacketRate, show_pps};
use crate::wire::decode_own;

/// The most announcements read per socket at a time. Arbitrary: more than any client sends.
const MAX_ANNOUNCEMENTS: u32 = 65_536;

impl SinkSession {
    /// Checks the limits of this sink.
    fn check(&self, spec: &CellSpec) -> Result<(), String> {
        let options = &self.shared.options;
        if let Some(most) = options.max_rate.map(PacketRate::pps)
            && spec.client_peak_pps().is_none_or(|rate| rate > most)
        {
            return Err(format!(
                "the sink's --max-rate is {}; use a lower --rate, or --max-rate of a search",
                show_pps(most)
            ));
        }
        if let Some(most) = options.max_time
            && spec.time.is_none_or(|time| time > most)
        {
            return Err(format!("the sink's --max-time is {most}; use a shorter --time"));
        }
        spec.check().map_err(str::to_owned)
    }

    pub(super) fn prepare(&mut self, spec: CellSpec) -> Outcome {
        self.discard_cell();
        self.check(&spec)?;
        let EnginePair { tx, rx } = spec.engine;
        lock(&self.liveness).holds_queues =
            spec.forward && rx == RxKind::Xdp || spec.reverse && tx == TxKind::Xdp;
        let buffer = usize::try_from(spec.socket_buffer).unwrap_or(usize::MAX);
        let lease = self.shared.budget.reserve(&spec, self.receivers().into())?;
        let slot = self.sockets().take_slot(buffer)?;
        let mut pool = WorkerPool::new(spec.streams, None);
        self.shared.busy.fetch_add(slot.receivers(), Ordering::Relaxed);
        let targets = vec![None; usize::from(spec.threads)];
        if spec.forward
            && let Err(error) = self.receive(&mut pool, &spec, &slot)
        {
            // Closes their sockets before the slot is free again.
            let _ = pool.collect("sink");
            self.release_slot(&slot);
            return Err(error.into());
        }
        let spread = if spec.by_hash { BY_SOURCE } else { 0 };
        let tag = (slot.number << SLOT_SHIFT) | spread | slot.phase;
        let ports = slot.port.into_iter().collect();
        let source = if spec.reverse { self.source() } else { None };
        let ready = Ready { tag, ports, source, secret: self.secret };
        let device = self.device().map(|device| device.name);
        self.cell = Some(SinkCell {
            spec,
            pool,
            slot,
            lease,
            device,
            targets,
            phase: None,
            counters: None,
            interval: self.shared.options.interval,
            has_intervals: false,
            is_measured: false,
            intervals: Default::default(),
            began: Nanos::ZERO,
            drops: Default::default(),
        });
        Ok(ControlResponse::Ready(ready))
    }

    fn receive(&self, pool: &mut WorkerPool, spec: &CellSpec, slot: &Slot) -> Result<(), RunError> {
        let is_xdp = spec.engine.rx == RxKind::Xdp;
        // A device distributes datagrams to its queues by a hash of its own.
        let of = if spec.by_hash || is_xdp { 1 } else { slot.sockets.len() };
        for (worker, socket) in slot.sockets.iter().enumerate() {
            let socket = socket.duplicate()?;
            // Receivers and senders start at different cores, for clients on the same host.
            let at = (worker, worker + 1);
            let mut common =
                self.worker_config(spec, at, slot.sockets.len(), slot, 0..spec.streams);
            if is_xdp {
                common.ip.dev = self.device().map(|device| device.name);
                let called = self.called_address.unwrap_or_else(|| common.bind.ip());
                common.bind.set_ip(called);
            }
            let (engine, stamps) = (spec.engine.rx, spec.stamps);
            let slot = Some(slot.number);
            let config = RxConfig { common, engine, stamps, across: true, of, slot };
            pool.add_receiver(config, Some(socket))?;
        }
        Ok(())
    }

    /// The configuration that senders and receivers have in common. `at`: which core.
    fn worker_config(
        &self,
        spec: &CellSpec,
        (worker, at): (usize, usize),
        workers: usize,
        slot: &Slot,
        flows: std::ops::Range<u16>,
    ) -> WorkerConfig {
        let options = &self.shared.options;
        let cores = &options.cores;
        let at = usize::from(slot.number - 1) * slot.receivers() + at;
        let busy = self.shared.busy.load(Ordering::Relaxed);
        let client_threads = usize::from(spec.client_threads);
        // The client may be on this host, and its threads need CPUs, too.
        let is_crowded = busy + client_threads > cores.len().max(1);
        WorkerConfig {
            worker,
            workers,
            core: (!cores.is_empty()).then(|| cores[at % cores.len()]),
            wait: match options.wait {
                WaitKind::Hybrid if is_crowded => WaitKind::Epoll,
                wait => wait,
            },
            realtime: options.realtime,
            batch: spec.batch.map(usize::from),
            size: spec.size,
            flows,
            bind: self.sockets().local(),
            sources: None,
            unix: None,
            socket_buffer: usize::try_from(spec.socket_buffer).unwrap_or(usize::MAX),
            ip: IpOptions::default(),
            xdp: options.xdp.clone(),
            broadcast: false,
            netns: None,
        }
    }

    /// Reads announcements of the client's receiving sockets; sets up the senders once all sockets
    /// are known. An announcement must have the secret and come from the proved address.
    pub(super) fn reached(&mut self) -> Outcome {
        let mut cell = self.cell.take().ok_or("there is no cell")?;
        let mut payload = [0; 64];
        let expected = (cell.slot.number << SLOT_SHIFT) | PROBE_PHASE;
        let tags = [expected, expected | BY_SOURCE];
        for socket in &cell.slot.sockets {
            for _ in 0..MAX_ANNOUNCEMENTS {
                let (len, from) = match socket.socket.recv_from(&mut payload) {
                    Ok(received) => received,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // An ICMP error for an earlier cell.
                    Err(_) => continue,
                };
                let announcement = &payload[..len.min(payload.len())];
                let header = tags.iter().find_map(|&tag| decode_own(announcement, tag));
                let has_secret = announcement.get(16..32) == Some(&self.secret[..]);
                if let Some(header) =
                    header.filter(|_| has_secret && from.ip() == self.stats.from.ip())
                    && let Some(target) = cell.targets.get_mut(usize::from(header.flow))
                {
                    *target = Some(from);
                }
            }
        }
        let all = cell.targets.iter().all(Option::is_some);
        let is_due = all && cell.pool.senders() == 0;
        let added = if is_due { self.add_senders(&mut cell) } else { Ok(()) };
        self.cell = Some(cell);
        added?;
        Ok(ControlResponse::Reached(all))
    }

    fn add_senders(&self, cell: &mut SinkCell) -> Result<(), RunError> {
        let (threads, streams) = (usize::from(cell.spec.threads), usize::from(cell.spec.streams));
        let [rank, ranks] = [cell.spec.rank, cell.spec.ranks].map(usize::from);
        for (worker, target) in cell.targets.clone().into_iter().enumerate() {
            let first = streams * worker / threads;
            let end = streams * (worker + 1) / threads;
            let flows = first as u16..end as u16;
            let socket = &cell.slot.sockets[worker % cell.slot.sockets.len()];
            socket.report_queue_drops()?;
            // One handle for all flows: they share the port.
            let socket = socket.duplicate()?;
            let config = TxConfig {
                part: worker * ranks + rank,
                common: self.worker_config(
                    &cell.spec,
                    (worker, worker),
                    threads,
                    &cell.slot,
                    flows,
                ),
                engine: cell.spec.engine.tx,
                connect: false,
                of: threads * ranks,
                load: cell.spec.load,
                pace_by: PaceBy::User,
                seed: cell.spec.seed,
                abort_on_unreachable: false,
                answers: false,
                // Send timestamps need a socket of its own for each sender.
                stamps: cell.spec.stamps
                    && !cell.spec.forward
                    && threads <= cell.slot.sockets.len(),
            };
            let Some(target) = target else { continue };
            cell.pool.add_sender(config, target, Some(socket))?;
        }
        Ok(())
    }
}
