//! The trials of a search as CSV.

use super::{finish, or_empty};
use crate::document::SearchDocument;
use crate::report::RenderError;

/// Columns of the trials of a search.
const OF_TRIALS: [&str; 10] = [
    "search",
    "rate_pps",
    "time_ns",
    "purpose",
    "sent_pps",
    "delivered_pps",
    "loss",
    "p50_ns",
    "p99_ns",
    "verdict",
];

/// All trials of a search, below a row of names.
///
/// # Errors
/// [`RenderError::Csv`], which would be a bug.
pub fn trials(document: &SearchDocument) -> Result<String, RenderError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(OF_TRIALS)?;
    for (id, trial) in document
        .searches
        .iter()
        .flat_map(|found| found.trials.iter().map(move |trial| (&found.id, trial)))
    {
        let figures = &trial.figures;
        writer.write_record([
            id.clone(),
            trial.rate_pps.to_string(),
            trial.time_ns.to_string(),
            trial.purpose.clone(),
            trial.sent_pps.to_string(),
            or_empty(figures.delivered_pps),
            or_empty(figures.loss),
            or_empty(figures.p50_ns),
            or_empty(figures.p99_ns),
            trial.verdict.word().to_owned(),
        ])?;
    }
    finish(writer)
}
