//! The requirements of a run on its hosts.

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
        let is_paced = plan.cells.iter().any(|cell| cell.rate != CellRate::Max);
        let here = Self::of_sides(&plan.scenario, route.sends(), route.receives(), is_paced);
        Self { tx_cores, rx_cores, ..here }
    }

    /// The requirements on the sink's host; the sink chooses its cores.
    #[must_use]
    pub fn of_sink(scenario: &Scenario) -> Self {
        let sends = matches!(scenario.route, Route::Reverse | Route::Both);
        let is_paced = scenario.rates.iter().any(|rate| *rate != Rate::Max);
        Self::of_sides(scenario, sends, scenario.route.sends(), is_paced)
    }

    fn of_sides(scenario: &Scenario, sends: bool, receives: bool, is_paced: bool) -> Self {
        Self {
            socket_buffer: scenario.socket_buffer,
            threads: scenario.threads.into(),
            sides: usize::from(sends) + usize::from(receives),
            paced: sends && is_paced,
            ..DEFAULT
        }
    }

    pub(crate) const fn workers(&self) -> usize {
        self.sides * self.threads
    }
}

/// The requirements of `udperf bench` without flags.
pub(super) const DEFAULT: HostRequirements<'static> = HostRequirements {
    // CONTRACT: the default of --socket-buffer.
    socket_buffer: 4 << 20,
    threads: 1,
    sides: 2,
    tx_cores: &[],
    rx_cores: &[],
    paced: true,
};

impl Default for HostRequirements<'_> {
    fn default() -> Self {
        DEFAULT
    }
}

/// Cores of the senders and of the receivers that this process has.
pub(crate) fn cores_here(plan: &Plan) -> (&[Option<usize>], &[Option<usize>]) {
    let route = plan.scenario.route;
    let tx: &[_] = if route.sends() { &plan.tx_cores } else { &[] };
    let rx: &[_] = if route.receives() { &plan.rx_cores } else { &[] };
    (tx, rx)
}
