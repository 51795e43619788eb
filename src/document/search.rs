//! A search in the document: what was sought, what every trial said, and where the limit is.

use serde::{Deserialize, Serialize};

use super::Report;

/// A finished search: a report whose cells are those of the trials that decided, and what they
/// were made for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SearchDocument {
    /// Of kind `search`; its scenario is that of the inner command, its cells are those of trials
    /// of full length (`final` and `verify`), in their order.
    #[serde(flatten)]
    pub report: Report,
    /// The inner command: `bench`, `blast`, `load` or `ping`.
    pub inner: String,
    /// The goals as typed. All of them have to hold for a rate to pass.
    pub goals: Vec<String>,
    /// One per size and engine.
    pub searches: Vec<Found>,
}

/// What was found for one size and engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Found {
    /// `gso+batch/45`: engine and payload bytes.
    pub id: String,
    /// Payload in bytes; of a mix, its mean, rounded.
    pub size: u64,
    /// The engine, as cells' ids name it.
    pub engine: String,
    /// The highest rate that passed by trials of full length, below all that failed, in datagrams a
    /// second; `null` where none did.
    pub low_pps: Option<f64>,
    /// The lowest rate that failed; `null` where none did.
    pub high_pps: Option<f64>,
    /// What kept it from being higher.
    pub limited_by: LimitedBy,
    /// Trials of full length at `low_pps`, how many of them held.
    pub passed: Option<TrialCount>,
    /// The same at `high_pps`.
    pub failed: Option<TrialCount>,
    /// Length of those in ns.
    pub trial_ns: u64,
    /// Width of the interval as asked for, as a share.
    pub precision: f64,
    /// The 99th percentile of latency at `low_pps` in ns, median of its trials of full length.
    pub p99_ns: Option<u64>,
    /// The rate below that had to hold, too; `null` where it was not decided on, or there is none
    /// below.
    pub verified: Option<Verified>,
    /// The most that the generator sent in a second at `high_pps`, in trials that count and in
    /// which it was the limit; `null` where there are none.
    pub generator_pps: Option<f64>,
    /// Trials that were disturbed: repeated, or counted as failed after several.
    pub disturbed: u64,
    /// What the search began with.
    pub probe: ProbeFigures,
    /// Latency and loss by rate: the trials of the curve and those of full length, by rate.
    pub curve: Vec<CurvePoint>,
    /// All trials, in the order they were made.
    pub trials: Vec<TrialDocument>,
}

/// What keeps a rate from being higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitedBy {
    /// Goals fail above it, or what is below the generator takes no more.
    Target,
    /// The generator cannot send faster: the target may well take more.
    Generator,
    /// Nobody wanted to know of more.
    MaxRate,
    /// The search ended before it knew.
    NotSettled,
}

/// Trials at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrialCount {
    /// How many held.
    pub k: u32,
    /// Of how many.
    pub n: u32,
}

/// A rate below the result, and whether it held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verified {
    /// Datagrams a second.
    pub rate_pps: f64,
    /// How many trials of full length held.
    pub passed: u32,
    /// Of how many.
    pub of: u32,
}

/// What a search began with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProbeFigures {
    /// Delivered, or answered, a second; `null` where nothing is known of that.
    pub delivered_pps: Option<f64>,
    /// Sent a second.
    pub sent_pps: f64,
}

/// A rate, and what it was like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CurvePoint {
    /// Datagrams a second as asked; medians of its trials follow.
    pub rate_pps: f64,
    /// Trials that count; where all were disturbed, those.
    pub trials: u64,
    /// Delivered, or answered, a second.
    pub delivered_pps: Option<f64>,
    /// Lost, or not answered, as a share of those sent.
    pub loss: Option<f64>,
    /// Median of latency in ns.
    pub p50_ns: Option<u64>,
    /// Its 99th percentile in ns.
    pub p99_ns: Option<u64>,
    /// How many trials held.
    pub passed: u64,
}

/// What a trial was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TrialVerdict {
    /// All goals held.
    Pass,
    /// One did not, or the path took less than was asked for.
    Fail,
    /// All held, but of less than was asked for: the generator could not send that.
    GeneratorLimited,
    /// One did not hold, or less was sent, while something else was wrong: workers stood still, or
    /// the generator was late or lost replies.
    Disturbed,
}

impl TrialVerdict {
    /// Its word in the document.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::GeneratorLimited => "generator_limited",
            Self::Disturbed => "disturbed",
        }
    }
}

/// A trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrialDocument {
    /// Datagrams a second as asked.
    pub rate_pps: f64,
    /// Its length in ns.
    pub time_ns: u64,
    /// `short`, `middle`, `final`, `verify` or `curve`.
    pub purpose: String,
    /// Datagrams sent a second.
    pub sent_pps: f64,
    /// What it was found to be.
    pub verdict: TrialVerdict,
    /// Codes of the reasons why it did not test what was asked; empty where it did.
    #[serde(default)]
    pub invalid_because: Vec<String>,
    /// What it measured.
    #[serde(flatten)]
    pub figures: TrialFigures,
}

/// What a trial measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrialFigures {
    /// Delivered, or answered, a second.
    pub delivered_pps: Option<f64>,
    /// Lost, or not answered, as a share of those sent.
    pub loss: Option<f64>,
    /// Median of latency in ns.
    pub p50_ns: Option<u64>,
    /// Its 99th percentile in ns.
    pub p99_ns: Option<u64>,
    /// The figure of each goal, as people read it, in the order of the goals; `null` where it is
    /// not known.
    pub goals: Vec<Option<String>>,
}
