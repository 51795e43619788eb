//! A member: carries out the orders of the leader.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::protocol::{Answer, FleetCommand, MemberHost, MemberParts, Order, read, send};
use super::{FleetError, ProcessGroup};
use crate::plan::{CellRate, Plan, WorkerLoad};
use crate::run::{CellRunner, RunError, StartRule};
use crate::sys;
use crate::unit::Nanos;

/// How long to wait for another ping without sleeping. Arbitrary: the round-trip time of a site.
const NEXT_PING: Duration = Duration::from_millis(2);

/// The rank of the leader.
const LEADER: u16 = 0;

/// Receives the orders of the leader.
pub struct MemberOrders {
    group: Rc<dyn ProcessGroup>,
    /// Whether the latest order was a ping, so that another is likely.
    was_pinged: Cell<bool>,
    /// Whether there are no more orders.
    has_ended: Cell<bool>,
}

impl MemberOrders {
    /// Joins the leader.
    pub fn new(group: Rc<dyn ProcessGroup>, own: MemberHost) -> Result<Self, FleetError> {
        send(&*group, LEADER, &Answer::Joined(own))?;
        Ok(Self { group, was_pinged: Cell::new(false), has_ended: Cell::new(false) })
    }

    /// The rank of this process.
    pub fn rank(&self) -> u16 {
        self.group.rank()
    }

    /// How many processes there are.
    pub fn size(&self) -> u16 {
        self.group.size()
    }

    /// Waits for the next command; `None`: there are no more.
    pub fn next_command(&self) -> Result<Option<Box<FleetCommand>>, FleetError> {
        while !self.has_ended.get() {
            match self.order()? {
                Order::Prepare(command) => return Ok(Some(command)),
                Order::End => {}
                // Of a command that this process could not prepare.
                Order::Close => {}
                Order::Ping => self.answer_ping()?,
                Order::Check { rounds } => self.check(rounds)?,
                _ => return Err(FleetError::Damaged { rank: LEADER }),
            }
        }
        Ok(None)
    }

    /// Tells the leader why this process cannot measure the command.
    pub fn refuse(&self, why: String) -> Result<(), FleetError> {
        self.answer(&Answer::Prepared(Err(why)))
    }

    pub(super) fn answer(&self, answer: &Answer) -> Result<(), FleetError> {
        send(&*self.group, LEADER, answer)
    }

    fn order(&self) -> Result<Order, FleetError> {
        if self.was_pinged.take() {
            // Without sleeping, so that the delay of a ping is that of the network.
            let begin = Instant::now();
            let late = || begin.elapsed() > NEXT_PING;
            match self.group.receive_at_once(LEADER, &late) {
                Err(FleetError::Silent { .. }) => {}
                received => return self.read(&received?),
            }
        }
        // The launcher ends this process if the leader is gone.
        self.read(&self.group.receive(LEADER, &|| false)?)
    }

    fn read(&self, message: &[u8]) -> Result<Order, FleetError> {
        let order = read(LEADER, message)?;
        self.has_ended.set(matches!(order, Order::End));
        Ok(order)
    }

    fn answer_ping(&self) -> Result<(), FleetError> {
        let received_ns = sys::monotonic_ns();
        self.was_pinged.set(true);
        let answered_ns = sys::monotonic_ns();
        self.answer(&Answer::Pong { received_ns, answered_ns })
    }
}

impl std::fmt::Debug for MemberOrders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberOrders").field("rank", &self.rank()).finish_non_exhaustive()
    }
}

/// Begins when the leader says.
pub(super) struct OrderedStart<'a> {
    pub(super) orders: &'a MemberOrders,
    /// How much later than the leader.
    pub(super) delay: Nanos,
}

impl StartRule for OrderedStart<'_> {
    fn start_at(&self, earliest: Nanos) -> Result<Nanos, RunError> {
        let Self { orders, delay } = *self;
        let remote = |error| RunError::Remote(Box::new(error));
        let ready = Answer::Ready { earliest_ns: earliest.0 };
        orders.answer(&ready).map_err(remote)?;
        match orders.order().map_err(remote)? {
            Order::Start { at_ns } => Ok(Nanos(at_ns) + delay),
            Order::Abandon => Err(remote(FleetError::Abandoned)),
            _ => Err(remote(FleetError::Damaged { rank: LEADER })),
        }
    }
}

/// Measures the cells of a plan that the leader orders, until it closes the command.
pub fn serve(
    orders: &MemberOrders,
    plan: &Plan,
    runner: &mut dyn CellRunner,
    stop: &Arc<AtomicBool>,
) -> Result<(), FleetError> {
    orders.answer(&Answer::Prepared(Ok(Vec::new())))?;
    loop {
        match orders.order()? {
            Order::Ping => orders.answer_ping()?,
            Order::Measure { index, load } => {
                let result = measure(orders, plan, runner, (index, load), stop);
                orders.answer(&Answer::Measured(result))?;
            }
            Order::Close | Order::End => return Ok(()),
            _ => return Err(FleetError::Damaged { rank: LEADER }),
        }
    }
}

/// Tells the leader where this process listens, and waits until it closes the command.
pub fn listen(orders: &MemberOrders, addresses: Vec<SocketAddr>) -> Result<(), FleetError> {
    orders.answer(&Answer::Prepared(Ok(addresses)))?;
    loop {
        match orders.order()? {
            Order::Ping => orders.answer_ping()?,
            Order::Close | Order::End => return Ok(()),
            _ => return Err(FleetError::Damaged { rank: LEADER }),
        }
    }
}

fn measure(
    orders: &MemberOrders,
    plan: &Plan,
    runner: &mut dyn CellRunner,
    (index, load): (u32, Option<WorkerLoad>),
    stop: &Arc<AtomicBool>,
) -> Result<MemberParts, String> {
    let cell = plan.cells.get(index as usize).ok_or("the plan has no such cell")?;
    let ((Some(load), _) | (None, CellRate::Paced(load))) = (load, cell.rate) else {
        return Err("the cell has no load".to_owned());
    };
    if stop.load(Ordering::Relaxed) {
        return Err("stopped by a signal".to_owned());
    }
    let stagger = plan.scenario.start_stagger.0;
    let delay = Nanos(stagger.saturating_mul(plan.scenario.member.rank.into()));
    let start = OrderedStart { orders, delay };
    let parts = runner.measure(plan, cell, load, stop, &mut |_| {}, &start);
    let parts = parts.map_err(|error| error.to_string())?;
    let error = parts.iter().find_map(|part| Some(part.error.as_ref()?.to_string()));
    Ok((parts.into_iter().map(|part| (part.direction, part.result)).collect(), error))
}
