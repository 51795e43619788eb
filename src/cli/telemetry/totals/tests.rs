use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

use super::*;

fn registry(totals: &RunTotals) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(totals.clone()));
    registry
}

/// The text of all metrics.
pub(in crate::cli::telemetry) fn text(totals: &RunTotals) -> String {
    let mut text = String::new();
    text::encode(&mut text, &registry(totals)).unwrap();
    text
}

#[test]
fn text_is_openmetrics() {
    let mut totals = RunTotals::default();
    totals.histogram(Family::Latency, [(1_000, 2), (1_001, 3), (20_000_000_000, 1)].into_iter());
    totals.datagrams("forward", [("sent", Some(6)), ("lost", None)]);
    totals.count(Family::Stalls, Vec::new(), 1_500_000_000);
    let open = text(&totals);
    for line in [
        "# TYPE udperf_datagrams counter",
        "udperf_datagrams_total{direction=\"forward\",outcome=\"sent\"} 6",
        "# UNIT udperf_latency_seconds seconds",
        "udperf_latency_seconds_bucket{le=\"0.000001\"} 2",
        "udperf_latency_seconds_bucket{le=\"0.000005\"} 5",
        "udperf_latency_seconds_bucket{le=\"1.0\"} 5",
        "udperf_latency_seconds_bucket{le=\"+Inf\"} 6",
        "udperf_latency_seconds_count 6",
        "udperf_latency_seconds_sum 20.000005003",
        "udperf_stalls_seconds_total 1.5",
    ] {
        assert!(open.lines().any(|one| one == line), "{line}\n{open}");
    }
    assert!(!open.contains("lag") && !open.contains("lost\"}"), "{open}");
    assert!(open.ends_with("\n# EOF\n"), "{open}");
    let mut older = String::new();
    prometheus_text::encode(&mut older, &registry(&totals)).unwrap();
    assert!(older.contains("# TYPE udperf_stalls_seconds_total counter\n"), "{older}");
    assert!(!older.contains("EOF"), "{older}");
}

#[test]
fn totals_add_up_and_do_not_fall() {
    let of = |count| {
        let mut totals = RunTotals::default();
        totals.count(Family::Stalls, Vec::new(), count);
        totals.histogram(Family::Lag, [(count, count)].into_iter());
        totals
    };
    let mut sum = of(3);
    sum.merge(&of(4));
    let expect = |sum: &RunTotals, lines: [&str; 3]| {
        let text = text(sum);
        for line in lines {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    };
    let seven = [
        "udperf_stalls_seconds_total 7e-9",
        "udperf_schedule_lag_seconds_sum 2.5e-8",
        "udperf_schedule_lag_seconds_bucket{le=\"0.000001\"} 7",
    ];
    expect(&sum, seven);
    sum.raise_to(&of(5));
    expect(&sum, seven);
    sum.raise_to(&of(9));
    let nine =
        ["udperf_stalls_seconds_total 9e-9", "lag_seconds_sum 8.1e-8", "lag_seconds_count 9"];
    expect(&sum, nine);
}
