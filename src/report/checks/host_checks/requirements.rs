//! What a check of a host depends on, and its result.

use crate::document::DoctorCheck;
use crate::plan::{CellRate, Plan, Route, Scenario};
use crate::report::checks::warning_codes::Code;
use crate::unit::Rate;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostRequirements<'a> {
    /// Socket buffers in bytes.
    pub socket_buffer: usize,
    /// Senders, and receivers.
    pub threads: usize,
    /// Number of sides (sending, receiving) on this host.
    pub sides: usize,
    /// Cores of the senders, if already chosen.
    pub tx_cores: &'a [Option<usize>],
    pub rx_cores: &'a [Option<usize>],
    pub paced: bool,
}

impl<'a> HostRequirements<'a> {
    /// The requirements of `udperf bench` without flags.
    pub(crate) const DEFAULT: Self = Self {
        // CONTRACT: the default of --socket-buffer.
        socket_buffer: 4 << 20,
        threads: 1,
        sides: 2,
        tx_cores: &[],
        rx_cores: &[],
        paced: true,
    };

    pub(crate) fn of(plan: &'a Plan) -> Self {
        let (tx_cores, rx_cores) = cores_here(plan);
        let route = plan.scenario.route;
        let is_paced = plan.cells.iter().any(|cell| cell.rate != CellRate::Max);
        let here = Self::of_sides(&plan.scenario, route.sends(), route.receives(), is_paced);
        Self { tx_cores, rx_cores, ..here }
    }

    /// The requirements on the sink's host; the sink chooses its cores.
    pub(crate) fn of_sink(scenario: &Scenario) -> Self {
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
            ..Self::DEFAULT
        }
    }

    pub(crate) const fn workers(&self) -> usize {
        self.sides * self.threads
    }
}

/// Cores of the senders and of the receivers that this process has.
pub(crate) fn cores_here(plan: &Plan) -> (&[Option<usize>], &[Option<usize>]) {
    let route = plan.scenario.route;
    let tx: &[_] = if route.sends() { &plan.tx_cores } else { &[] };
    let rx: &[_] = if route.receives() { &plan.rx_cores } else { &[] };
    (tx, rx)
}

/// How much a check matters, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    Good,
    /// Worth knowing; does not distort figures by itself.
    Note,
    /// Distorts figures.
    Warn,
    /// Makes figures worthless.
    Bad,
}

impl Grade {
    /// Its name in documents.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

pub(crate) struct HostCheck {
    /// Its code, whose text has the effect on figures.
    pub code: &'static Code,
    pub subject: &'static str,
    pub grade: Grade,
    /// The finding; readable without the subject.
    pub found: String,
    pub fix: Option<String>,
    /// What to do where no command fixes it.
    pub advice: &'static str,
}

impl HostCheck {
    /// The finding, and the command that fixes it if both fit a line, or else the advice.
    pub(super) fn message(&self) -> String {
        /// Columns left beside the prefix of the sink's host. Arbitrary.
        const COLUMNS: usize = 88;
        let fits = |fix: &&str| self.found.len() + fix.len() + 2 <= COLUMNS;
        let fix = self.fix.as_deref().filter(fits).unwrap_or(self.advice);
        format!("{}; {fix}", self.found)
    }
}

impl From<&HostCheck> for DoctorCheck {
    fn from(check: &HostCheck) -> Self {
        Self {
            subject: check.subject.to_owned(),
            grade: check.grade.word().to_owned(),
            found: check.found.clone(),
            effect: (check.grade > Grade::Good).then(|| check.code.text.to_owned()),
            fix: check.fix.clone(),
        }
    }
}

/// The grade of a check, its finding, and a command that fixes it.
pub(super) type Finding = (Grade, String, Option<String>);

pub(super) fn finding(grade: Grade, found: impl Into<String>) -> Finding {
    (grade, found.into(), None)
}

pub(super) fn fixable(grade: Grade, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    (grade, found.into(), Some(fix.into()))
}
