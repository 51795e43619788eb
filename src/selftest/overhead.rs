//! What udperf adds to each datagram, against a bare loop of the same two system calls.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::Interest;

use super::cell::{TestContext, scenario};
use super::fault::DeliberateFault;
use super::finding::{CheckFinding, CheckResult, SelftestError};
use crate::engine::{NullLink, NullRx, NullTx, Rx, Tx};
use crate::net::Waiter;
use crate::plan::{EnginePair, Limit, Plan, WorkerLoad};
use crate::run::{Phase, PhaseState, ReceiveProbe, RunError, SendJob, send};
use crate::sys;
use crate::unit::{Nanos, PayloadSize, median};
use crate::wire::{self, Header};

/// The payload. Arbitrary: the smallest default of `bench`.
const SIZE: u16 = 64;
/// Rounds of udperf's loops and the bare loop, in turns; their medians count. Arbitrary.
const ROUNDS: usize = 5;
/// Datagrams of the bare loop for each one of udperf's. Arbitrary: both loops take about as long.
const BARE_SHARE: u64 = 16;
/// The largest share of the bare loop's time. Arbitrary: ten times what release builds take.
const MOST_SHARE: f64 = if cfg!(debug_assertions) { 2.0 } else { 0.2 };

/// CPU time of this thread for `work`, in ns; elapsed time where that is unknown.
fn timed<E>(work: impl FnOnce() -> Result<(), E>) -> Result<f64, E> {
    let now = || sys::thread_cpu_ns().unwrap_or_else(sys::monotonic_ns);
    let start = now();
    work()?;
    Ok(now().saturating_sub(start) as f64)
}

/// The loop of a sender and the accounts of a receiver, without system calls, in ns a datagram.
fn ours(context: &TestContext<'_>, count: u64) -> Result<f64, SelftestError> {
    let plan = Plan::new(scenario(EnginePair::NULL, 0.0, count), context.machine);
    let plan = plan.map_err(RunError::from)?;
    let none = || RunError::NothingTried;
    let config = plan
        .cells
        .first()
        .and_then(|cell| plan.tx_configs(cell, WorkerLoad::FlatOut).into_iter().next());
    let config = config.ok_or_else(none)?;
    let size = PayloadSize::Fixed(SIZE);
    let mut tx = NullTx::new(NullLink::unbounded(1), 0, size);
    let mut job = SendJob::new(&config, &tx);
    let waiter = Waiter::new(Waiter::SPIN, Interest::WRITABLE);
    let mut waiter = waiter.map_err(|source| RunError::Wait { source })?;
    let control = PhaseState::new(Arc::new(AtomicBool::new(false)), 1);
    let (limit, load, epoch) = (Limit::Count(count), WorkerLoad::FlatOut, job.clock.now());
    let phase = Phase { epoch, tag: 1, limit, load, control: Arc::clone(&control) };
    job.start(&config, &phase);
    let sending = timed(|| {
        send(&mut tx, &mut job, &mut waiter, &control);
        Ok::<_, SelftestError>(())
    })?;
    let link = NullLink::unbounded(1);
    let mut tx = NullTx::new(Arc::clone(&link), 0, size);
    tx.lease(64);
    tx.push(0, count - 1, 1);
    let mut rx = NullRx::new(link, 0, 1, size, |slot: &mut [u8], _, sequence, _| {
        wire::encode(Header { tag: 1, flow: 0, sequence, intended_ns: 0 }, slot);
    });
    let mut probe = ReceiveProbe::new(0, 1, size);
    probe.start(1, false, Nanos::ZERO);
    let receiving = timed(|| {
        while probe.tally.received < count {
            let pull = rx.pull();
            // Latencies differ, as in a run.
            let now = Nanos(2_000 + sys::monotonic_ns() % 1_000);
            probe.pulled(&pull, now, Nanos::ZERO);
            rx.each(|payload, waited| probe.datagram(payload, now, waited));
            probe.pull_ends();
        }
        Ok::<_, SelftestError>(())
    })?;
    Ok((sending + receiving) / count as f64)
}

/// `send` and `recv` over loopback in turns, in ns a datagram.
fn bare(count: u64) -> std::io::Result<f64> {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    from.connect(to.local_addr()?)?;
    to.set_nonblocking(true)?;
    let mut buffer = [0x55; SIZE as usize];
    let all = timed(|| {
        for _ in 0..count {
            from.send(&buffer)?;
            // Over loopback, it has arrived; otherwise the next call gets it.
            let _ = to.recv(&mut buffer);
        }
        Ok::<_, std::io::Error>(())
    })?;
    Ok(all / count as f64)
}

pub(super) fn overhead(context: &TestContext<'_>) -> CheckResult {
    let count = context.quick_or(100_000, 300_000);
    let (mut own, mut loops) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        own.push(ours(context, count)?);
        let bare = bare(count / BARE_SHARE);
        loops
            .push(bare.map_err(|error| SelftestError::CannotRun(format!("a bare loop: {error}")))?);
    }
    let fault = if context.has_fault(DeliberateFault::Overhead) { 100.0 } else { 1.0 };
    let (Some(own), Some(bare)) = (median(own), median(loops)) else {
        return Ok(CheckFinding::default());
    };
    let own = own * fault;
    let most = MOST_SHARE * bare;
    let expected =
        format!("at most {most:.0} ns per datagram, {:.0} % of the bare loop", 100.0 * MOST_SHARE);
    let seen = format!("{own:.1} ns per datagram, bare loop {bare:.0} ns");
    Ok(CheckFinding::of(own <= most, expected, seen))
}
