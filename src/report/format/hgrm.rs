//! Latency by percentile, in the text format of HdrHistogram (`.hgrm`), which its plotter reads.
//!
//! As `AbstractHistogram.outputPercentileDistribution` of the Java implementation writes it, in ms,
//! the default of its `HistogramLogProcessor` and of the plotter. With six decimals, so that no
//! latency is rounded. The plotter draws a file as one curve, so each cell has a file.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::hdr::{Distribution, distributions, known_within};
use crate::document::Report;
use crate::report::error::RenderError;
use crate::unit::{Keep, strip_control};

/// Percentiles in each half of the distance to 100 %; the default of `HistogramLogProcessor`.
const TICKS_PER_HALF: u32 = 5;

const NANOS_PER_MILLI: f64 = 1e6;

/// What a format has of one cell.
#[derive(Debug)]
pub(crate) struct CellFile {
    /// Part of a file name: letters, digits and `+ - . _ %`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A file for each cell that has latencies, all trials of the cell together; without such a cell,
/// one file that says so.
///
/// # Errors
/// [`RenderError`] where a histogram cannot be read.
pub(crate) fn render(report: &Report) -> Result<Vec<CellFile>, RenderError> {
    let (version, kind) = (&report.tool.version, &report.kind);
    let title = |text: &str| {
        strip_control(&format!("# udperf {version} {kind}: {text}"), Keep::Nothing) + "\n"
    };
    let mut files: Vec<CellFile> = Vec::new();
    let all = distributions(report)?;
    let names = file_names(all.iter().map(|one| one.cell.id.as_str()));
    for (one, name) in all.iter().zip(names) {
        let Distribution { cell, histogram, bound_ns } = one;
        let within = known_within(*bound_ns);
        let title = title(&format!("{}, latency in ms, {}, {within}", cell.id, one.kind()));
        files.push(CellFile { name, text: title + &percentiles(histogram) });
    }
    if files.is_empty() {
        files.push(CellFile { name: "none".to_owned(), text: title("no latency was measured") });
    }
    Ok(files)
}

fn percentiles(histogram: &Histogram<u64>) -> String {
    let mut out = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let millis = |ns: u64| ns as f64 / NANOS_PER_MILLI;
    let mut total = 0_u64;
    for step in histogram.iter_quantiles(TICKS_PER_HALF) {
        total = total.saturating_add(step.count_since_last_iteration());
        let (value, quantile) = (millis(step.value_iterated_to()), step.quantile_iterated_to());
        let _ = write!(out, "{value:12.6} {quantile:.12} {total:10}");
        // The last line has no fourth column, which would be infinite.
        if quantile < 1.0 {
            let _ = write!(out, " {:14.2}", 1.0 / (1.0 - quantile));
        }
        out.push('\n');
    }
    let mean = histogram.mean() / NANOS_PER_MILLI;
    let deviation = histogram.stdev() / NANOS_PER_MILLI;
    // As the constructor of the Java implementation computes it.
    let sub_buckets = (2 * 10_u32.pow(histogram.sigfig().into())).next_power_of_two();
    let (max, count, buckets) = (millis(histogram.max()), histogram.len(), histogram.buckets());
    out + &format!(
        "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]\n\
         #[Max     = {max:12.6}, Total count    = {count:12}]\n\
         #[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]\n"
    )
}

/// The names of the files of cells with these ids, each id once.
pub(crate) fn file_names<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for id in ids {
        let mut name = file_name(id);
        // Ids of a damaged document may differ only in what a file name cannot have.
        while names.contains(&name) {
            name.push('_');
        }
        names.push(name);
    }
    names
}

/// The id without characters that some file system does not allow in names.
fn file_name(id: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+-._%".contains(c);
    id.chars().map(|c| if is_plain(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    /// The rows as the plotter reads them: lines of four columns that do not begin with `#`.
    fn plotted(text: &str) -> Vec<[f64; 4]> {
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        let columns = rows.map(|line| line.split_whitespace().map(str::parse).collect());
        let rows = columns.filter_map(|row: Result<Vec<f64>, _>| row.ok()?.try_into().ok());
        rows.collect()
    }

    #[test]
    fn each_cell_has_a_file_that_the_plotter_reads() {
        let cells = ["max", "50%", "50%"].map(|rate| fixture::cell("plain", 64, rate, 1e5));
        let mut report = fixture::report_of(cells.to_vec());
        report.cells[2].trial = 1;
        let files = render(&report).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["plain-64-max", "plain-64-50%"]);
        let text = &files[1].text;
        let all = distributions(&report).unwrap();
        let histogram = &all[1].histogram;
        let rows = plotted(text);
        assert!(rows.len() > 20, "{text}");
        assert!(rows.is_sorted_by(|one, next| one[0] <= next[0] && one[1] < next[1]), "{text}");
        for [value, percentile, count, inverse] in rows {
            let ns = (value * 1e6).round() as u64;
            assert_eq!(histogram.count_between(0, ns), count as u64, "{percentile}");
            assert!(count / 2_000.0 >= percentile - 1e-9, "{percentile}");
            let expected = 1.0 / (1.0 - percentile);
            assert!((inverse - expected).abs() <= 0.005 + expected * 1e-6, "{percentile}");
        }
        let last = text.lines().find(|line| line.contains(" 1.000000000000 ")).unwrap();
        assert_eq!(last.split_whitespace().last(), Some("2000"));
        assert!(text.starts_with(
            "# udperf 0.1.0 bench: plain/64/50%, latency in ms, one way from schedule"
        ));
        let (_, footer) = text.split_once("#[").unwrap();
        let figures: String = footer.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let expected = "Totalcount=2000]#[Buckets=26,SubBuckets=2048]";
        assert!(figures.ends_with(expected), "{figures}");
    }

    #[test]
    fn names_of_files_are_safe_and_differ() {
        let cells = ["../../x", "..-..-x"].map(|id| {
            let mut cell = fixture::cell("plain", 64, "max", 1e5);
            id.clone_into(&mut cell.id);
            cell
        });
        let mut report = fixture::report_of(cells.to_vec());
        let names = |report: &Report| -> Vec<String> {
            render(report).unwrap().into_iter().map(|file| file.name).collect()
        };
        assert_eq!(names(&report), ["..-..-x", "..-..-x_"]);
        report.cells.iter_mut().for_each(|cell| cell.latency = None);
        assert_eq!(
            render(&report).unwrap()[0].text,
            "# udperf 0.1.0 bench: no latency was measured\n"
        );
    }
}
