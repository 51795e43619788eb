//! Why a search cannot go on.

/// A search that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// A goal whose figure these trials do not have.
    #[error(
        "goal '{goal}': its figure is not known in two trials in a row, so no rate can be found by \
         it; see what the inner command says of it with -J, or name another goal"
    )]
    Unknown {
        /// As typed.
        goal: String,
    },
}
