//! What a run requires of its hosts.

use crate::plan::{CellRate, Plan, Route, Scenario};
use crate::unit::Rate;

/// The requirements of a run on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostRequirements<'a> {
    /// Socket buffers in bytes.
    pub socket_buffer: usize,
    /// Senders, and receivers.
    pub threads: usize,
    /// Number of sides (sending, receiving) on this host.
    pub sides: usize,
    /// Cores of the senders, if already chosen.
    pub tx_cores: &'a [Option<usize>],
    /// Cores of the receivers.
    pub rx_cores: &'a [Option<usize>],
    /// Whether there is a schedule to keep.
    pub paced: bool,
}

impl<'a> HostRequirements<'a> {
    /// The requirements of this plan.
    #[must_use]
    pub fn of(plan: &'a Plan) -> Self {
        let (tx_cores, rx_cores) = cores_here(plan);
        let route = plan.scenario.route;
        Self {
            socket_buffer: plan.scenario.socket_buffer,
            threads: plan.scenario.threads.into(),
            sides: usize::from(route.sends()) + usize::from(route.receives()),
            tx_cores,
            rx_cores,
            paced: route.sends() && plan.cells.iter().any(|cell| cell.rate != CellRate::Max),
        }
    }

    /// The requirements on the sink's host; the sink chooses its cores.
    #[must_use]
    pub fn of_sink(scenario: &Scenario) -> Self {
        let route = scenario.route;
        let sends = matches!(route, Route::Reverse | Route::Both);
        Self {
            socket_buffer: scenario.socket_buffer,
            threads: scenario.threads.into(),
            sides: usize::from(sends) + usize::from(route.sends()),
            tx_cores: &[],
            rx_cores: &[],
            paced: sends && scenario.rates.iter().any(|rate| *rate != Rate::Max),
        }
    }

    pub(crate) const fn workers(&self) -> usize {
        self.sides * self.threads
    }
}

impl Default for HostRequirements<'_> {
    /// The requirements of `udperf bench` without flags.
    fn default() -> Self {
        Self {
            // CONTRACT: the default of --socket-buffer.
            socket_buffer: 4 << 20,
            threads: 1,
            sides: 2,
            tx_cores: &[],
            rx_cores: &[],
            paced: true,
        }
    }
}

/// Cores of the senders and of the receivers that this process has.
pub(crate) fn cores_here(plan: &Plan) -> (&[Option<usize>], &[Option<usize>]) {
    let route = plan.scenario.route;
    let tx: &[_] = if route.sends() { &plan.tx_cores } else { &[] };
    let rx: &[_] = if route.receives() { &plan.rx_cores } else { &[] };
    (tx, rx)
}
