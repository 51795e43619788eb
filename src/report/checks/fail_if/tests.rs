//! What conditions are, what they are not, and which cells they look at.

use super::*;
use crate::report::fixture;

fn condition(text: &str) -> Condition {
    text.parse().unwrap()
}

fn error(text: &str) -> String {
    text.parse::<Condition>().unwrap_err().to_string()
}

fn failures(text: &str, report: &Report) -> Vec<String> {
    condition(text).check(report).iter().map(ToString::to_string).collect()
}

/// One size and engine at `max` and at a rate.
fn pair() -> Report {
    fixture::report_of(vec![
        fixture::cell("plain", 64, "max", 271e3),
        fixture::cell("plain", 64, "50%", 135e3),
    ])
}

#[test]
fn conditions_are_read() {
    let texts = "loss>0.1% loss>=0.001 p99>200us p99.99<=1.5ms rx_pps<200k tx_bits!=1Gbit \
                 unaccounted==0 lost>10k";
    for text in texts.split(' ').chain(["p99.99 <= 1.5ms"]) {
        assert_eq!(condition(text).to_string(), text);
    }
    assert_eq!(condition(" p99>200us ").to_string(), "p99>200us");
    let limits = ["p99>1.5ms", "loss>0.1%", "loss>0.7%"].map(|text| condition(text).limit);
    assert_eq!(limits, [1_500_000.0, 0.001, 7.0 / 1_000.0]);
    for metric in &metric::METRICS {
        let value = match metric.kind {
            MetricKind::Share => "1%",
            MetricKind::Time => "1us",
            MetricKind::Packets => "1k",
            MetricKind::Bits => "1Mbit",
            MetricKind::Count => "1",
            MetricKind::Number => "0.5",
        };
        assert_eq!(condition(&format!("{}>{value}", metric.name)).figure.name(), metric.name);
    }
}

#[test]
fn errors_say_what_was_asked_what_is_wrong_and_how_to_fix_it() {
    assert_eq!(error("p99>200"), "'p99>200': 200 has no unit; write 200us, 200ms or 200s");
    assert_eq!(
        error("loss=1%"),
        "'loss=1%' is not a condition; write a metric, one of > >= < <= == !=, and a \
         value, such as loss>0.1% or p99>200us"
    );
    assert_eq!(
        error("loss>5"),
        "'loss>5': loss cannot be compared with '5'; write a percentage such as 0.1%, \
         or a share below 1 such as 0.001"
    );
    let unknown = error("p98>1ms");
    assert!(unknown.contains("there is no metric 'p98'; there are loss, min, mean"), "{unknown}");
    let texts = "loss >1 loss> loss!1% loss>101% loss>-1% loss>nan p99>inf p99>-1us p99>1parsec \
                 rx_pps<1Gbit rx_pps<max rx_pps<50% rx_bits<200k lost>0.5 lost>-1 lost>1% P99>1us";
    for text in texts.split(' ').chain([""]) {
        assert!(text.parse::<Condition>().is_err(), "{text}");
    }
}

#[test]
fn each_metric_is_checked_in_the_cells_it_suits() {
    let mut report = pair();
    let expected = ["plain/64/50%: failed: p99 is 74.943 µs, limit 50 µs"];
    assert_eq!(failures("p99>50us", &report), expected);
    assert!(failures("p99>80us", &report).is_empty());
    assert!(failures("missed>0", &report).is_empty());
    report.cells.pop();
    assert_eq!(failures("p99>50us", &report).len(), 1);
    let expected = ["plain/64/max: failed: missed is unknown: it could not be measured, limit 0"];
    assert_eq!(failures("missed>0", &report), expected);
    // Rates at `max`.
    let mut report = pair();
    assert!(failures("rx_pps<200k", &report).is_empty());
    let expected = ["plain/64/max: failed: rx_pps is 271000 pps, limit 300000 pps"];
    assert_eq!(failures("rx_pps<300k", &report), expected);
    assert_eq!(failures("rx_bits<1Gbit", &report).len(), 1);
    report.cells[0].calibration = true;
    let expected = ["plain/64/50%: failed: rx_pps is 135000 pps, limit 200000 pps"];
    assert_eq!(failures("rx_pps<200k", &report), expected);
    // Loss and counts in every cell.
    let mut report = pair();
    assert!(failures("loss>0", &report).is_empty());
    assert_eq!(failures("unaccounted==0", &report).len(), 2);
    fixture::lose(&mut report.cells[1], 68);
    report.cells[1].trial = 2;
    let expected = ["plain/64/50% (trial 2): failed: loss is 0.100741%, limit 0.1%"];
    assert_eq!(failures("loss>0.1%", &report), expected);
    assert_eq!(failures("lost>=68", &report).len(), 1);
    report.cells[1].calibration = true;
    assert!(failures("loss>0.1%", &report).is_empty());
}

#[test]
fn percentiles_among_lost_datagrams_are_infinite() {
    let mut report = pair();
    assert!(failures("p99_with_loss>1s", &report).is_empty());
    fixture::lose(&mut report.cells[1], 2_000);
    let expected = [
        "plain/64/50%: failed: p99_with_loss is infinite: it falls among lost datagrams, limit 1 s",
    ];
    assert_eq!(failures("p99_with_loss>1s", &report), expected);
    assert!(failures("p99_with_loss<1s", &report).is_empty());
    let cell = &report.cells[1];
    let of = " (of received; infinite with loss)";
    let shown = |text: &str| condition(text).shown_in(cell).unwrap();
    for name in ["p99", "p99.9", "latency.p99_ns", "from_send.p99_9_ns"] {
        assert!(shown(&format!("{name}>1s")).ends_with(of), "{name}: {}", shown("p99>1s"));
    }
    // Two in a hundred leave the median as it is, and other figures are none of latency.
    for name in ["p50", "latency.p50_ns", "lag_p99", "to_socket.p99_ns"] {
        let shown = condition(&format!("{name}>1s")).shown_in(cell).unwrap_or_default();
        assert!(!shown.contains("infinite"), "{name}: {shown}");
    }
    let result = condition("p99>1s").result_in(cell);
    assert_eq!(result, format!("passed: p99 is 74.943 µs{of}, limit 1 s"));
    report.gates = crate::report::checks::gates(&report, &[condition("p99>1s")]);
    assert_eq!(report.gates[0].value.as_deref(), Some(&*format!("74.943 µs{of}")));
    assert!(crate::report::format::markdown::render(&report).contains(of));
}

#[test]
fn a_limit_is_a_figure_of_its_own() {
    let mut far = fixture::cell("plain", 64, "50%", 135e3);
    fixture::two_clocks(&mut far, 12_000);
    let holds = |text: &str| condition(text).holds_in(&far);
    // 74.943 µs are above the bound: they have no limit, and so nothing is below 24 µs.
    assert_eq!(holds("latency.upper_limits.p99_ns<=24us"), None);
    assert_eq!(holds("latency.upper_limits.p50_ns<=20535ns"), Some(true));
    assert_eq!(holds("latency.upper_limits.p50_ns<=20534ns"), Some(false));
    let mut far = fixture::cell("plain", 64, "50%", 135e3);
    fixture::two_clocks(&mut far, 300_000);
    let limit = far.latency.as_ref().unwrap().upper_limits.unwrap();
    for (name, limit_ns) in [("mean", limit.mean_ns), ("max", limit.max_ns)] {
        let limit_ns = limit_ns.unwrap();
        for path in [name.to_owned(), format!("latency.{name}_ns")] {
            assert_eq!(condition(&format!("{path}<={limit_ns}ns")).holds_in(&far), Some(true));
            let text = format!("{path}<={}ns", limit_ns - 1);
            assert_eq!(condition(&text).holds_in(&far), None, "{path}");
        }
    }
}

#[test]
fn a_withheld_figure_is_decided_by_its_upper_limit_or_not_at_all() {
    let mut report = pair();
    fixture::two_clocks(&mut report.cells[1], 12_000);
    assert!(failures("p99>80us", &report).is_empty());
    // 8.535 µs were measured, so it may be as much as 20.535 µs.
    assert!(failures("p50>1s", &report).is_empty());
    assert!(failures("p50>20535ns", &report).is_empty());
    let expected =
        ["plain/64/50%: failed: p50 is unknown: at most 20.535 µs, within the bound of \
                     two clocks, limit 15 µs"];
    assert_eq!(failures("p50>15us", &report), expected);
    let expected = ["plain/64/50%: failed: p50 is at most 20.535 µs, limit 1 ms"];
    assert_eq!(failures("p50<1ms", &report), expected);
    let shown = |text: &str| condition(text).shown_in(&report.cells[1]);
    assert_eq!((shown("p50>15us"), shown("p50>1ms")), (None, Some("at most 20.535 µs".to_owned())));
    for (text, result) in [
        ("p50>1ms", "passed: p50 is at most 20.535 µs, limit 1 ms"),
        ("p99>1ms", "passed: p99 is 74.943 µs, limit 1 ms"),
        ("lost!=0", "passed: lost is 0, must be 0"),
        ("lost==0", "failed: lost is 0, must not be 0"),
    ] {
        assert_eq!(condition(text).result_in(&report.cells[1]), result);
    }
    fixture::two_clocks(&mut report.cells[1], 80_000);
    assert!(failures("p99_with_loss>1s", &report).is_empty());
    fixture::lose(&mut report.cells[1], 2_000);
    let infinite = failures("p99_with_loss>1s", &report);
    assert!(infinite[0].contains("infinite"), "{infinite:?}");
}

#[test]
fn unknown_figures_do_not_pass() {
    let mut report = pair();
    report.cells[1].latency = None;
    report.cells[0].ledger.sent = 0;
    assert_eq!(failures("p99>1s", &report).len(), 1);
    assert_eq!(failures("p99_with_loss>1s", &report).len(), 1);
    assert_eq!(failures("loss>50%", &report).len(), 1);
    fixture::one_ended(&mut report.cells[0]);
    report.cells.truncate(1);
    for metric in ["loss", "lost", "received", "unaccounted", "late", "rx_pps", "p99", "stalls"] {
        let unit = if metric == "p99" { "s" } else { "" };
        let failed = failures(&format!("{metric}!=0{unit}"), &report);
        assert!(failed[0].contains("unknown"), "{metric}: {failed:?}");
    }
    assert_eq!(failures("tx_pps==0", &report).len(), 0);
    report.cells.clear();
    let expected = ["run: failed: p99 is unknown: nothing was measured, limit 1 s"];
    assert_eq!(failures("p99>1s", &report), expected);
}

#[test]
fn a_withheld_figure_is_at_most_measured_plus_bound() {
    let mut far = fixture::cell("plain", 64, "50%", 135e3);
    fixture::two_clocks(&mut far, 80_000);
    let holds = |text: &str| condition(text).holds_in(&far);
    // p99 was measured as 74.943 µs, within ±80 µs; the maximum as 257.9 µs.
    for (text, expected) in [
        ("p99<=154943ns", Some(true)),
        ("p99<=154942ns", None),
        ("p99<154943ns", None),
        ("p99>154943ns", Some(false)),
        ("p99>=154943ns", None),
        ("p99>80us", None),
        ("p99<=80us", None),
        ("p99<1ms", Some(true)),
        ("p99!=1ms", Some(true)),
        ("p99>=1ms", Some(false)),
        ("p99==1ms", Some(false)),
        ("latency.p99_ns<=1ms", Some(true)),
        ("latency.p50_ns>88535ns", Some(false)),
        ("latency.p50_ns>88534ns", None),
        ("from_send.p50_ns>88535ns", Some(false)),
        ("latency.p99_with_loss_ns<=1ms", Some(true)),
        ("in_socket.p99_ns<=1ms", None),
        ("p99_with_loss<=1ms", Some(true)),
        ("max>257us", Some(true)),
        ("mean>1ms", Some(false)),
        ("mean>80us", None),
        ("latency.mean_ns>80us", None),
        ("latency.stdev_ns>1us", Some(true)),
    ] {
        assert_eq!(holds(text), expected, "{text}");
    }
    // A document of before there were limits: less than twice the bound.
    far.latency.as_mut().unwrap().upper_limits = None;
    for path in ["p99", "latency.p99_ns", "p99_with_loss", "latency.p99_with_loss_ns"] {
        assert_eq!(condition(&format!("{path}<=160us")).holds_in(&far), Some(true), "{path}");
        assert_eq!(condition(&format!("{path}<=159us")).holds_in(&far), None, "{path}");
    }
    // It is not known for another reason.
    far.latency = None;
    assert_eq!(condition("p99<=1ms").holds_in(&far), None);
    // One clock: nothing is withheld.
    let mut near = fixture::cell("plain", 64, "50%", 135e3);
    near.latency.as_mut().unwrap().p99_ns = None;
    assert_eq!(condition("p99<=1ms").holds_in(&near), None);
}
