//! Why there is nothing to compare.

/// Runs that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// Two things were measured.
    #[error(
        "{between} are of different scenarios ({differ}), so their figures say nothing of each \
         other; compare runs of one scenario, or say --any-scenario"
    )]
    Scenarios {
        /// Which runs.
        between: String,
        /// What differs, in words.
        differ: String,
    },
    /// Nothing in common.
    #[error("no cell is in both: base has {base}, new has {new}; compare runs of the same cells")]
    NothingInCommon {
        /// Cells there.
        base: String,
        /// Cells here.
        new: String,
    },
    /// Nothing known of what was asked for.
    #[error("none of the metrics {asked} is known of any cell; choose others with --metric")]
    NothingKnown {
        /// Names.
        asked: String,
    },
}
