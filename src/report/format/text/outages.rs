//! Outages as text.

use super::style::{GLUE, NAMED, counted, glue, named};
use crate::document::{Outage, Report};
use crate::unit::show_nanos;

pub(super) fn outages(report: &Report) -> Option<String> {
    let mut all: Vec<(&str, &Outage)> = Vec::new();
    for cell in &report.cells {
        all.extend(cell.outages.iter().map(|outage| (cell.id.as_str(), outage)));
    }
    let show = |&(id, outage): &(&str, &Outage)| {
        let [from, until] = [outage.from_ns, outage.until_ns].map(show_nanos);
        let when = glue(&format!("{from} to {until}"));
        let errors = glue(&counted(outage.errors, "error"));
        format!("{id}{GLUE}{when}: {}, {errors}", outage.message)
    };
    let shown = named(&all[..all.len().min(NAMED)], show)?;
    let more = all.len().saturating_sub(NAMED) as u64;
    Some(if more > 0 { format!("{shown}; and {}", counted(more, "more outage")) } else { shown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::default_run;

    #[test]
    fn outages_have_times_and_causes() {
        let mut report = default_run();
        assert_eq!(outages(&report), None);
        let outage = Outage {
            from_ns: 2_000_000_000,
            until_ns: 6_000_000_000,
            what: "ENETUNREACH".to_owned(),
            said_by: Some("local".to_owned()),
            message: "network unreachable (ENETUNREACH, local)".to_owned(),
            errors: 4_000,
        };
        report.cells[0].outages = vec![outage; NAMED + 2];
        let text = outages(&report).unwrap();
        let text = text.replace(GLUE, " ");
        let first = "2.00 s to 6.00 s: network unreachable (ENETUNREACH, local), 4 000 errors;";
        assert!(text.contains(first) || text.contains(&first.replace("4 000", "4,000")), "{text}");
        assert!(text.ends_with("; and 2 more outages"), "{text}");
    }
}
