//! Why a document could not be rendered.

/// A document that cannot be rendered in the requested format.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The CSV writer failed.
    #[error("cannot write the document as CSV: {0}; please report this")]
    Csv(#[from] ::csv::Error),
    /// The run has no valid start time.
    #[error(
        "cannot write a histogram log: started_at '{0}' is not a time; it has to be RFC 3339 \
         in UTC, such as 2026-07-18T12:00:00Z"
    )]
    StartedAt(String),
    /// The damaged histogram of a cell (id), and why it cannot be decoded.
    #[error(
        "the histogram of {0} is damaged ({1}); it has to be HdrHistogram V2, deflated, base64: \
         take the document as udperf wrote it"
    )]
    Histogram(String, String),
    /// The log writer failed.
    #[error("cannot write a histogram log: {0}; please report this")]
    Log(String),
}
