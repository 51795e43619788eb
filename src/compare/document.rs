//! The document of a comparison.

use serde::{Deserialize, Serialize};

use crate::document::{Head, Warning};

/// What comparing runs came to, `kind` `compare` or `ab`.
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
    /// By what rules.
    pub(crate) rules: Applied,
    /// What is compared with: BASE, or A.
    pub(crate) base: Runs,
    /// What is judged: NEW, or B.
    pub(crate) new: Runs,
    /// Whether runs of both took turns, so that what changes with time met both alike.
    pub(crate) interleaved: bool,
    /// What differs between the two beside the figures.
    pub(crate) differences: Vec<Difference>,
    /// One a cell that both have.
    pub(crate) cells: Vec<ComparedCell>,
    /// Cells of the base alone.
    pub(crate) only_base: Vec<String>,
    /// Cells of the new runs alone.
    pub(crate) only_new: Vec<String>,
    /// What was learned of this machine, where both sides were alike; `null` otherwise.
    pub(crate) learned: Option<Learned>,
    /// What makes the whole comparison unfit to trust.
    pub(crate) warnings: Vec<Warning>,
}

/// A reason why runs of one side did not test what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct InvalidSide {
    /// `base` or `new`.
    pub(crate) side: String,
    /// The cell's id; `null` for the whole run.
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

/// What a machine makes of runs that are all alike, as it was found out now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Learned {
    /// The file that keeps it; `null`: none.
    pub(crate) kept_in: Option<String>,
    /// One a cell and metric.
    pub(crate) floors: Vec<NoiseFloor>,
}

/// What runs were made by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Runs {
    /// As asked for: files and folders, or flags.
    pub(crate) from: String,
    /// Documents read or made.
    pub(crate) documents: u64,
    /// Runs of each cell in those; of the cell that has most.
    pub(crate) runs: u64,
    /// Commits of the programs that made them.
    pub(crate) git: Vec<String>,
    /// When the first one began.
    pub(crate) first: Option<String>,
    /// When the last one began.
    pub(crate) last: Option<String>,
}

/// The rules that were applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Applied {
    /// What is significant, over all comparisons together.
    pub(crate) alpha: f64,
    /// The confidence of intervals.
    pub(crate) confidence: f64,
    /// Changes up to this share do not matter to the user.
    pub(crate) tolerance: f64,
    /// Changes of shares, such as loss, up to this do not matter either.
    pub(crate) share_floor: f64,
    /// How often intervals were resampled.
    pub(crate) resamples: u64,
    /// How many comparisons p was corrected for.
    pub(crate) family: u64,
    /// How many runs a side it takes to tell anything in a family of that size.
    pub(crate) runs_needed: u64,
    /// Where the noise of this machine is kept, if any of it was used; `null`: none was.
    pub(crate) noise_from: Option<String>,
}

/// The answer.
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
    /// These runs do not tell.
    Undecided,
    /// Runs of either side are invalid: they did not test what was asked.
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

/// Something that differs between the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Difference {
    /// Where it stands in their documents: `host.kernel`, `tool.git`, `scenario.batch`.
    pub(crate) what: String,
    /// How it was in the base; several values where its runs differ themselves.
    pub(crate) base: Vec<String>,
    /// How it was in the new runs.
    pub(crate) new: Vec<String>,
}

/// A cell that both have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ComparedCell {
    /// Its id; where the two differ in what is compared, that of the new runs.
    pub(crate) id: String,
    /// Its id in the base.
    pub(crate) base_id: String,
    /// What its metrics come to.
    pub(crate) verdict: Verdict,
    /// One a metric.
    pub(crate) metrics: Vec<Judgement>,
}

/// One figure of one cell, compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Judgement {
    /// Which: a name that `--fail-if` takes, too.
    pub(crate) metric: String,
    /// `ns`, `pps`, `share` (0 to 1) or `number`.
    pub(crate) unit: String,
    /// `higher` or `lower`: which way is better.
    pub(crate) better: String,
    /// The base's runs.
    pub(crate) base: SampleSummary,
    /// The new runs.
    pub(crate) new: SampleSummary,
    /// How they differ; `null` where one side has no figure, or one beyond all measure.
    pub(crate) effect: Option<Effect>,
    /// Probability of such a difference, or a larger one, between runs that are all alike (Mann and
    /// Whitney, two-sided).
    pub(crate) p: Option<f64>,
    /// The same, corrected for all comparisons (Holm).
    pub(crate) p_corrected: Option<f64>,
    /// What the effect has to be beyond.
    pub(crate) threshold: f64,
    /// What this machine makes of runs that are all alike; `null` where that is not known.
    pub(crate) noise: Option<f64>,
    /// The answer.
    pub(crate) verdict: Verdict,
    /// Why there is no other one; empty where there is.
    pub(crate) why: String,
}

/// One figure in all runs of one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SampleSummary {
    /// Each run's, in the order they ran; `null` where it is beyond all measure, as a percentile
    /// that falls among what was lost.
    pub(crate) runs: Vec<Option<f64>>,
    /// Their median; of shares, their mean, which sees what only some runs have.
    pub(crate) center: Option<f64>,
}

/// How far apart two samples are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Effect {
    /// `ratio`: median of the new over that of the base; `difference`: mean of the new less that of
    /// the base.
    pub(crate) kind: EffectKind,
    /// From the runs as they are.
    pub(crate) value: f64,
    /// Lower end of the interval.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

/// What an effect is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectKind {
    /// Of medians.
    Ratio,
    /// Of means: of shares, and where there was nothing to divide by.
    Difference,
}

/// What two halves of runs that are all alike differed by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NoiseFloor {
    /// The machine.
    pub(crate) host: String,
    /// What was asked, as a checksum.
    pub(crate) scenario: String,
    /// The cell's id.
    pub(crate) cell: String,
    /// The metric.
    pub(crate) metric: String,
    /// What effects are measured by here.
    pub(crate) kind: EffectKind,
    /// 95th percentile of the effect between random halves, as a distance from no effect.
    pub(crate) noise: f64,
    /// How many runs it was learned from.
    pub(crate) runs: u64,
    /// When, RFC 3339.
    pub(crate) learned_at: String,
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Better, CannotCompare, Same, Undecided, Worse};
    use super::*;

    #[test]
    fn the_worst_of_several_counts() {
        assert_eq!(Verdict::of([Worse, CannotCompare, Same]), CannotCompare);
        assert_eq!(Verdict::of([Better, Worse, Undecided]), Worse);
        assert_eq!(Verdict::of([Better, Undecided, Same]), Undecided);
        assert_eq!(Verdict::of([Same, Better]), Better);
        assert_eq!(Verdict::of([Same, Same]), Same);
    }
}
