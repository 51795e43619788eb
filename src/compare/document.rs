//! The document of a comparison.

use serde::{Deserialize, Serialize};

use crate::document::{Head, Warning};

/// Number of resamples; Efron and Tibshirani, section 13.3, recommend at least 1,000.
pub(super) const RESAMPLES: u64 = 2_000;

/// The result of comparing runs, `kind` `compare` or `ab`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Comparison {
    /// The first fields; `kind` is `compare` for stored runs, `ab` for runs made for it.
    #[serde(flatten)]
    pub(crate) head: Head,
    /// The overall verdict: `cannot_compare` if a side is invalid; else worse if any cell is; else
    /// undecided if any is; else better if any is; else the same.
    pub(crate) verdict: Verdict,
    /// Why the two cannot be compared; empty if they can.
    #[serde(default)]
    pub(crate) invalid: Vec<InvalidSide>,
    /// The rules of the comparison.
    pub(crate) rules: Rules,
    /// The reference runs: BASE, or A.
    pub(crate) base: Runs,
    /// The judged runs: NEW, or B.
    pub(crate) new: Runs,
    /// Whether the runs of both were interleaved, so that changes over time affect both.
    pub(crate) interleaved: bool,
    /// Differences between the two, except the figures.
    pub(crate) differences: Vec<Difference>,
    /// One per cell of both.
    pub(crate) cells: Vec<ComparedCell>,
    /// Cells that only the base has.
    pub(crate) only_base: Vec<String>,
    /// Cells that only the new runs have.
    pub(crate) only_new: Vec<String>,
    /// The noise floor, measured with equal sides; `null` if the sides differ.
    pub(crate) learned: Option<Learned>,
    /// Warnings about the whole comparison.
    pub(crate) warnings: Vec<Warning>,
}

impl Comparison {
    /// The first rule that does not hold, with the metric and the cell.
    pub(crate) fn broken_rule(&self) -> Option<String> {
        let all = self.cells.iter();
        let mut all = all.flat_map(|cell| cell.metrics.iter().map(move |metric| (cell, metric)));
        let rule = |(cell, metric): (&ComparedCell, &Judgement)| {
            let rule = metric.broken_rule()?;
            Some(format!("{} of cell {}: {rule} does not hold", metric.metric, cell.id))
        };
        all.find_map(rule)
    }
}

/// A reason why runs of one side did not test what was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct InvalidSide {
    /// `base` or `new`.
    pub(crate) side: String,
    /// The cell's id; `null` for the run.
    pub(crate) cell: Option<String>,
    /// As in `invalid_because` of the run.
    pub(crate) code: String,
    /// The message of the first such run.
    pub(crate) message: String,
    /// Runs of the cell with this reason; without a cell, documents.
    pub(crate) runs: u64,
    /// Number of runs.
    pub(crate) of: u64,
}

/// The noise floor of a machine, as measured in this run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Learned {
    /// The file that stores it; `null`: none.
    pub(crate) kept_in: Option<String>,
    /// One per cell and metric.
    pub(crate) floors: Vec<NoiseFloor>,
}

/// The runs of one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Runs {
    /// The arguments: files and folders, or flags.
    pub(crate) from: String,
    /// Documents read or made; a document of `run` counts as one per step.
    pub(crate) documents: u64,
    /// Runs per cell in these documents; of the cell with most runs.
    pub(crate) runs: u64,
    /// Commits of the programs that made them.
    pub(crate) git: Vec<String>,
    /// Labels of the runs, each as `name=value`.
    #[serde(default)]
    pub(crate) labels: Vec<String>,
    /// When the first one began.
    pub(crate) first: Option<String>,
    /// When the last one began.
    pub(crate) last: Option<String>,
}

/// The rules of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rules {
    /// The significance level of all comparisons together.
    pub(crate) alpha: f64,
    /// The confidence of intervals.
    pub(crate) confidence: f64,
    /// Changes up to this share are ignored.
    pub(crate) tolerance: f64,
    /// Changes of shares, such as loss, up to this are ignored.
    pub(crate) share_floor: f64,
    /// How often intervals were resampled.
    pub(crate) resamples: u64,
    /// Number of comparisons in the correction of p.
    pub(crate) family: u64,
    /// Runs per side that a significant result needs, for that number of comparisons.
    pub(crate) runs_needed: u64,
    /// The file of the noise floor; `null` if none was used.
    pub(crate) noise_from: Option<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            // The usual levels.
            alpha: 0.05,
            confidence: 0.95,
            // Ten runs per side of 3 % noise find a change of 10 % 95 times of 100 (`simulations`).
            tolerance: 0.02,
            // Arbitrary: the rounding of reports.
            share_floor: 1e-4,
            resamples: RESAMPLES,
            family: 0,
            runs_needed: 0,
            noise_from: None,
        }
    }
}

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The new one is better.
    Better,
    /// The two are the same, within the threshold.
    Same,
    /// The new one is worse.
    Worse,
    /// These runs do not show it.
    Undecided,
    /// Runs of either side are invalid: they did not test what was requested.
    CannotCompare,
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "same",
            Self::Worse => "worse",
            Self::Undecided => "undecided",
            Self::CannotCompare => "cannot compare",
        }
    }

    pub(crate) fn of(all: impl IntoIterator<Item = Self>) -> Self {
        /// From what matters most.
        const ORDER: [Verdict; 4] =
            [Verdict::CannotCompare, Verdict::Worse, Verdict::Undecided, Verdict::Better];
        let all: Vec<_> = all.into_iter().collect();
        ORDER.into_iter().find(|verdict| all.contains(verdict)).unwrap_or(Self::Same)
    }
}

/// A difference between the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Difference {
    /// The path of the field: `host.kernel`, `tool.git`, `scenario.batch`.
    pub(crate) what: String,
    /// The value in the base; several values if its runs differ.
    pub(crate) base: Vec<String>,
    /// The value in the new runs.
    pub(crate) new: Vec<String>,
}

/// A cell of both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ComparedCell {
    /// Its id; if the ids differ, that of the new runs. In documents of `run`, the name of the
    /// step precedes it: `steady: plain/64/max`.
    pub(crate) id: String,
    /// Its id in the base.
    pub(crate) base_id: String,
    /// The verdict over its metrics.
    pub(crate) verdict: Verdict,
    /// One per metric.
    pub(crate) metrics: Vec<Judgement>,
}

/// The comparison of one metric of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Judgement {
    /// The metric, by its name in `--fail-if`.
    pub(crate) metric: String,
    /// `ns`, `pps`, `requests_per_second`, `bits_per_second`, `share` (0 to 1) or `number`.
    pub(crate) unit: String,
    /// `higher` or `lower`: which way is better.
    pub(crate) better: String,
    /// The base's runs.
    pub(crate) base: SampleSummary,
    /// The new runs.
    pub(crate) new: SampleSummary,
    /// The effect; `null` if one side has no figure, or an infinite one.
    pub(crate) effect: Option<Effect>,
    /// Probability of such or larger differences between equal runs (Mann-Whitney, two-sided).
    pub(crate) p: Option<f64>,
    /// The same, corrected for all comparisons (Holm).
    pub(crate) p_corrected: Option<f64>,
    /// The effect must exceed this.
    pub(crate) threshold: f64,
    /// The noise floor of this machine; `null` if unknown.
    pub(crate) noise: Option<f64>,
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// The reason, if it is undecided; otherwise empty.
    pub(crate) why: String,
}

impl Judgement {
    fn broken_rule(&self) -> Option<&'static str> {
        let is_share = |p: Option<f64>| p.is_none_or(|p| (0.0..=1.0).contains(&p));
        let is_possible = |effect: &Effect| {
            let is_negative = effect.low < 0.0 || effect.value < 0.0;
            effect.low <= effect.high && !(effect.kind == EffectKind::Ratio && is_negative)
        };
        let rules = [
            (self.threshold >= 0.0, "threshold >= 0"),
            (self.noise.is_none_or(|noise| noise >= 0.0), "noise >= 0"),
            (is_share(self.p) && is_share(self.p_corrected), "0 <= p <= 1"),
            (
                self.effect.as_ref().is_none_or(is_possible),
                "effect.low <= effect.high, no ratio < 0",
            ),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
    }
}

/// One figure in all runs of one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SampleSummary {
    /// Each run's, in their order; `null`: infinite, such as a percentile among lost datagrams.
    pub(crate) runs: Vec<Option<f64>>,
    /// Their median; of shares, their mean, which includes losses of a few runs.
    pub(crate) center: Option<f64>,
}

/// The effect: the distance of two samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Effect {
    /// `ratio` of medians, or `difference` of means; of the new runs to the base.
    pub(crate) kind: EffectKind,
    /// The measured effect.
    pub(crate) value: f64,
    /// Lower end of the interval.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

/// How an effect is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectKind {
    /// Of medians.
    Ratio,
    /// Of means: of shares, and if the median of the base is 0.
    Difference,
}

/// The difference of two halves of equal runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NoiseFloor {
    /// The machine.
    pub(crate) host: String,
    /// A checksum of the scenario.
    pub(crate) scenario: String,
    /// The cell's id.
    pub(crate) cell: String,
    /// The metric.
    pub(crate) metric: String,
    /// How this effect is measured.
    pub(crate) kind: EffectKind,
    /// 95th percentile of the effect between random halves, as a distance from no effect.
    pub(crate) noise: f64,
    /// Number of runs used.
    pub(crate) runs: u64,
    /// When it was measured, RFC 3339.
    pub(crate) learned_at: String,
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Better, CannotCompare, Same, Undecided, Worse};
    use super::*;

    #[test]
    fn the_most_serious_verdict_counts() {
        let order = [CannotCompare, Worse, Undecided, Better, Same];
        for (at, verdict) in order.into_iter().enumerate() {
            assert_eq!(Verdict::of(order[at..].iter().rev().copied()), verdict);
        }
    }
}
