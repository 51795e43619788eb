//! The document of a search: goals, trials, and results.

use serde::{Deserialize, Serialize};

use super::Report;

/// A finished search: a report with the cells of its final trials, and the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SearchDocument {
    /// A report of kind `search`: the scenario is that of the inner command, the cells are the
    /// trials of full length (`final` and `verify`), in their order.
    #[serde(flatten)]
    pub report: Report,
    /// The inner command: `bench`, `blast`, `load` or `ping`.
    pub inner: String,
    /// The goals as typed. All must hold for a rate to pass.
    pub goals: Vec<String>,
    /// The time that all searches together may take (`--budget`) in ns; `null`: no limit.
    #[serde(default)]
    pub budget_ns: Option<u64>,
    /// One per size and engine.
    pub searches: Vec<Found>,
}

/// The result for one size and engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Found {
    /// `gso+batch/45`: engine and payload bytes.
    pub id: String,
    /// Payload in bytes; of a mix, its mean, rounded.
    pub size: u64,
    /// The engine, as in cell ids.
    pub engine: String,
    /// The highest rate that passed in trials of full length, below all failed ones, in datagrams
    /// per second; `null` if none did.
    pub low_pps: Option<f64>,
    /// The lowest rate that failed; `null` if none did.
    pub high_pps: Option<f64>,
    /// What limits the rate.
    pub limited_by: LimitedBy,
    /// Why the search ended early: `budget` (of `--budget`), `interrupted`, `unreachable` (the
    /// target); `null` if it ended by itself.
    #[serde(default)]
    pub cut_short_because: Option<String>,
    /// The highest rate at which a trial of any length held, below those that failed; only if the
    /// search was cut short before `low_pps` was known.
    #[serde(default)]
    pub tentative_low_pps: Option<f64>,
    /// The lowest rate at which trials of any length failed; only if the search was cut short
    /// before `high_pps` was known.
    #[serde(default)]
    pub tentative_high_pps: Option<f64>,
    /// Trials of full length at `low_pps`, how many of them held.
    pub passed: Option<TrialCount>,
    /// The same at `high_pps`.
    pub failed: Option<TrialCount>,
    /// Length of those in ns.
    pub trial_ns: u64,
    /// Requested width of the interval, as a share.
    pub precision: f64,
    /// The 99th percentile of latency at `low_pps` in ns, median of its trials of full length.
    pub p99_ns: Option<u64>,
    /// The verification at a lower rate; `null` if it is undecided, or there is no lower rate.
    pub verified: Option<Verified>,
    /// The highest rate sent at `high_pps` in generator-limited trials; `null` without such trials.
    pub generator_pps: Option<f64>,
    /// Trials that were disturbed: repeated, or counted as failed after several.
    pub disturbed: u64,
    /// The result of the probe.
    pub probe: ProbeFigures,
    /// Latency and loss by rate: the trials of the curve and those of full length, by rate.
    pub curve: Vec<CurvePoint>,
    /// All trials in order.
    pub trials: Vec<TrialDocument>,
}

/// What limits the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitedBy {
    /// Goals fail above it, or the path does not take more.
    Target,
    /// The generator cannot send faster; the target may take more.
    Generator,
    /// The highest allowed rate passed.
    MaxRate,
    /// The search ended undecided.
    NotSettled,
}

/// Trials at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrialCount {
    /// Trials that passed.
    pub k: u32,
    /// Number of trials.
    pub n: u32,
}

/// A rate below the result, and whether it held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verified {
    /// Datagrams per second.
    pub rate_pps: f64,
    /// How many trials of full length held.
    pub passed: u32,
    /// Number of trials.
    pub of: u32,
}

/// The result of a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProbeFigures {
    /// Delivered or answered per second; `null` if unknown.
    pub delivered_pps: Option<f64>,
    /// Sent per second.
    pub sent_pps: f64,
}

/// A point of the latency curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CurvePoint {
    /// Requested datagrams per second; medians of its trials follow.
    pub rate_pps: f64,
    /// Trials that count; if all were disturbed, the disturbed ones.
    pub trials: u64,
    /// Delivered or answered per second.
    pub delivered_pps: Option<f64>,
    /// Lost or not answered, as a share of those sent.
    pub loss: Option<f64>,
    /// Median of latency in ns.
    pub p50_ns: Option<u64>,
    /// Its 99th percentile in ns.
    pub p99_ns: Option<u64>,
    /// Trials that passed.
    pub passed: u64,
}

/// The verdict of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TrialVerdict {
    /// All goals held.
    Pass,
    /// A goal failed, or the path took less than requested.
    Fail,
    /// All held, but the generator sent less than requested.
    GeneratorLimited,
    /// A goal failed or less was sent: workers stalled, or the generator lagged or lost replies.
    Disturbed,
}

/// A trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrialDocument {
    /// Requested datagrams per second.
    pub rate_pps: f64,
    /// Its length in ns.
    pub time_ns: u64,
    /// `short`, `middle`, `final`, `verify` or `curve`.
    pub purpose: String,
    /// Datagrams sent per second.
    pub sent_pps: f64,
    /// Its verdict.
    pub verdict: TrialVerdict,
    /// Codes of the reasons why it is invalid; empty if it is valid.
    #[serde(default)]
    pub invalid_because: Vec<String>,
    /// Why it did not pass: the goals that failed and by how much, why it is invalid, or what
    /// disturbed it; `null` if it passed.
    #[serde(default)]
    pub reason: Option<String>,
    /// Its figures.
    #[serde(flatten)]
    pub figures: TrialFigures,
}

/// The figures of a trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrialFigures {
    /// Delivered or answered per second.
    pub delivered_pps: Option<f64>,
    /// Lost or not answered, as a share of those sent.
    pub loss: Option<f64>,
    /// Median of latency in ns.
    pub p50_ns: Option<u64>,
    /// Its 99th percentile in ns.
    pub p99_ns: Option<u64>,
    /// The figure of each goal with its unit, in the order of the goals; `null` if unknown.
    pub goals: Vec<Option<String>>,
}
