use super::*;

#[test]
fn text_is_openmetrics() {
    let mut totals = RunTotals::default();
    totals.histogram(Family::Latency, [(1_000, 2), (1_001, 3), (20_000_000_000, 1)].into_iter());
    totals.datagrams("forward", [("sent", Some(6)); 8]);
    totals.count(Family::Stalls, 0, "_total", 1_500_000_000);
    let text = totals.text(TextFormat::OpenMetrics);
    for line in [
        "# TYPE udperf_datagrams counter",
        "udperf_latency_seconds_bucket{le=\"0.000001\"} 2",
        "udperf_latency_seconds_bucket{le=\"0.000005\"} 5",
        "udperf_latency_seconds_bucket{le=\"1.0\"} 5",
        "udperf_latency_seconds_bucket{le=\"+Inf\"} 6",
        "udperf_latency_seconds_count 6",
        "udperf_latency_seconds_sum 20.000005003",
        "udperf_stalls_seconds_total 1.5",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    assert!(!text.contains("lag"), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let text = totals.text(TextFormat::Prometheus);
    assert!(text.starts_with("# TYPE udperf_build_info gauge\n"), "{text}");
    assert!(text.contains("# TYPE udperf_stalls_seconds_total counter\n# HELP"), "{text}");
    assert!(!text.contains("EOF"), "{text}");
}

#[test]
fn totals_add_up_and_do_not_fall() {
    let of = |count| {
        let mut totals = RunTotals::default();
        totals.count(Family::Stalls, 0, "_total", count);
        totals
    };
    let mut sum = of(3);
    sum.merge(&of(4));
    sum.raise_to(&of(5));
    assert!(
        sum.text(TextFormat::OpenMetrics).contains("udperf_stalls_seconds_total 0.000000007\n")
    );
    sum.raise_to(&of(9));
    assert!(
        sum.text(TextFormat::OpenMetrics).contains("udperf_stalls_seconds_total 0.000000009\n")
    );
}
