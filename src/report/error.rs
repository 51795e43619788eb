//! Why a document could not be rendered.

/// A document that cannot be shown in the form that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The CSV writer failed.
    #[error("cannot write the document as CSV: {0}; please report this")]
    Csv(#[from] ::csv::Error),
    /// The time of the run is none.
    #[error(
        "cannot write a histogram log: started_at '{asked}' is no time; it has to be RFC 3339 in \
         UTC, such as 2026-07-18T12:00:00Z"
    )]
    StartedAt {
        /// As the document has it.
        asked: String,
    },
    /// A histogram that cannot be read.
    #[error(
        "the histogram of {cell} is damaged ({reason}); it has to be HdrHistogram V2, deflated, \
         base64: take the document as udperf wrote it"
    )]
    Histogram {
        /// The cell's id.
        cell: String,
        /// What the decoder says.
        reason: String,
    },
    /// The log writer failed.
    #[error("cannot write a histogram log: {reason}; please report this")]
    Log {
        /// What it says.
        reason: String,
    },
}
