use super::*;
use crate::report::fixture;

fn condition(text: &str) -> Condition {
    text.parse().unwrap()
}

/// The condition fails in these cells, with these results; trials after the first are named.
#[track_caller]
fn expect(report: &Report, text: &str, failures: &[&str]) {
    assert_eq!(condition(text).check(report), failures, "{text}");
}

#[track_caller]
fn expect_failures(report: &Report, text: &str, count: usize) {
    let failures = condition(text).check(report);
    assert_eq!(failures.len(), count, "{text}: {failures:?}");
}

/// One size and engine at `max` and at a rate.
fn pair() -> Report {
    fixture::report_of(vec![
        fixture::cell("plain", 64, "max", 271e3),
        fixture::cell("plain", 64, "50%", 135e3),
    ])
}

#[test]
fn reads_conditions() {
    let texts = "loss>0.1% loss>=0.001 p99>200us p99.99<=1.5ms rx_pps<200k tx_bits!=1Gbit \
                 unaccounted==0 lost>10k";
    for text in texts.split(' ').chain(["p99.99 <= 1.5ms"]) {
        assert_eq!(condition(&format!(" {text} ")).to_string(), text);
    }
    let limits = ["p99>1.5ms", "loss>0.1%", "loss>0.7%"].map(|text| condition(text).limit);
    assert_eq!(limits, [1_500_000.0, 0.001, 7.0 / 1_000.0]);
    for metric in &metric::METRICS {
        // The example in the error is valid.
        let example = metric.kind.takes().split_once("such as ").unwrap().1;
        let value = example.split([' ', ',']).next().unwrap();
        assert_eq!(condition(&format!("{}>{value}", metric.name)).figure.name(), metric.name);
    }
}

#[test]
fn errors_name_the_mistake_and_its_fix() {
    let error = |text: &str| text.parse::<Condition>().unwrap_err().to_string();
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
    assert!(
        unknown.contains("there is no metric 'p98'; did you mean p90? there are loss, min"),
        "{unknown}"
    );
    let texts = "loss >1 loss> loss!1% loss>101% loss>-1% loss>nan p99>inf p99>-1us p99>1parsec \
                 rx_pps<1Gbit rx_pps<max rx_pps<50% rx_bits<200k lost>0.5 lost>-1 lost>1% P99>1us";
    for text in texts.split(' ').chain([""]) {
        assert!(text.parse::<Condition>().is_err(), "{text}");
    }
}

#[test]
fn each_metric_is_checked_in_the_cells_it_suits() {
    let mut report = pair();
    expect(&report, "p99>50us", &["plain/64/50%: failed: p99 is 74.943 µs, limit 50 µs"]);
    expect(&report, "p99>80us", &[]);
    expect(&report, "missed>0", &[]);
    report.cells.pop();
    expect_failures(&report, "p99>50us", 1);
    let unknown = "plain/64/max: failed: missed is unknown: it could not be measured, limit 0";
    expect(&report, "missed>0", &[unknown]);
    // Rates at `max`.
    let mut report = pair();
    expect(&report, "rx_pps<200k", &[]);
    let slow = "plain/64/max: failed: rx_pps is 271000 pps, limit 300000 pps";
    expect(&report, "rx_pps<300k", &[slow]);
    expect_failures(&report, "rx_bits<1Gbit", 1);
    report.cells[0].calibration = true;
    let slow = "plain/64/50%: failed: rx_pps is 135000 pps, limit 200000 pps";
    expect(&report, "rx_pps<200k", &[slow]);
    // Loss and counts in every cell.
    let mut report = pair();
    expect(&report, "loss>0", &[]);
    expect_failures(&report, "unaccounted==0", 2);
    fixture::lose(&mut report.cells[1], 68);
    report.cells[1].trial = 2;
    let loss = "plain/64/50% (trial 2): failed: loss is 0.100741%, limit 0.1%";
    expect(&report, "loss>0.1%", &[loss]);
    expect_failures(&report, "lost>=68", 1);
    report.cells[1].calibration = true;
    expect(&report, "loss>0.1%", &[]);
}

#[test]
fn percentiles_among_lost_datagrams_are_infinite() {
    let mut report = pair();
    expect(&report, "p99_with_loss>1s", &[]);
    fixture::lose(&mut report.cells[1], 2_000);
    let infinite =
        "plain/64/50%: failed: p99_with_loss is infinite: it falls among lost datagrams, limit 1 s";
    expect(&report, "p99_with_loss>1s", &[infinite]);
    expect(&report, "p99_with_loss<1s", &[]);
    let cell = &report.cells[1];
    let of = " (of received; infinite with loss)";
    let shown = |name: &str| condition(&format!("{name}>1s")).shown_in(cell).unwrap_or_default();
    for name in ["p99", "p99.9", "latency.p99_ns", "from_send.p99_9_ns"] {
        assert!(shown(name).ends_with(of), "{name}: {}", shown(name));
    }
    // Two in a hundred leave the median as it is, and other figures are none of latency.
    for name in ["p50", "latency.p50_ns", "lag_p99", "to_socket.p99_ns"] {
        assert!(!shown(name).contains("infinite"), "{name}: {}", shown(name));
    }
    let result = condition("p99>1s").result_in(cell);
    assert_eq!(result, format!("passed: p99 is 74.943 µs{of}, limit 1 s"));
    report.gates = gates(&report, &[condition("p99>1s")]);
    assert_eq!(report.gates[0].value.as_deref(), Some(&*format!("74.943 µs{of}")));
    assert!(crate::report::format::markdown::render(&report).contains(of));
}

#[test]
fn a_withheld_figure_is_shown_with_its_upper_limit() {
    let mut report = pair();
    fixture::two_clocks(&mut report.cells[1], 12_000);
    // 8.535 µs were measured, so it may be as much as 20.535 µs.
    for passes in ["p99>80us", "p50>1s", "p50>20535ns"] {
        expect(&report, passes, &[]);
    }
    let unknown = "plain/64/50%: failed: p50 is unknown: at most 20.535 µs, within the bound of \
                   two clocks, limit 15 µs";
    expect(&report, "p50>15us", &[unknown]);
    let below = "plain/64/50%: failed: p50 is at most 20.535 µs, limit 1 ms";
    expect(&report, "p50<1ms", &[below]);
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
    expect(&report, "p99_with_loss>1s", &[]);
    fixture::lose(&mut report.cells[1], 2_000);
    let infinite = condition("p99_with_loss>1s").check(&report);
    assert!(infinite[0].contains("infinite"), "{infinite:?}");
}

#[test]
fn unknown_figures_do_not_pass() {
    let mut report = pair();
    report.cells[1].latency = None;
    report.cells[0].ledger.sent = 0;
    for text in ["p99>1s", "p99_with_loss>1s", "loss>50%"] {
        expect_failures(&report, text, 1);
    }
    fixture::one_ended(&mut report.cells[0]);
    report.cells.truncate(1);
    for metric in ["loss", "lost", "received", "unaccounted", "late", "rx_pps", "p99", "stalls"] {
        let unit = if metric == "p99" { "s" } else { "" };
        let failed = condition(&format!("{metric}!=0{unit}")).check(&report);
        assert!(failed[0].contains("unknown"), "{metric}: {failed:?}");
    }
    expect(&report, "tx_pps==0", &[]);
    report.cells.clear();
    expect(&report, "p99>1s", &["run: failed: p99 is unknown: nothing was measured, limit 1 s"]);
}

#[track_caller]
fn expect_in(cell: &Cell, text: &str, holds: Option<bool>) {
    assert_eq!(condition(text).holds_in(cell), holds, "{text}");
}

#[test]
fn a_withheld_figure_is_at_most_measured_plus_bound() {
    let mut far = fixture::cell("plain", 64, "50%", 135e3);
    fixture::two_clocks(&mut far, 80_000);
    // p99 was measured as 74.943 µs, within ±80 µs; the maximum as 257.9 µs.
    for (text, holds) in [
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
        // A limit is a figure of its own. The maximum is above the bound and has none.
        ("latency.upper_limits.max_ns<=1ms", None),
        ("latency.upper_limits.p50_ns<=88535ns", Some(true)),
        ("latency.upper_limits.p50_ns<=88534ns", Some(false)),
    ] {
        expect_in(&far, text, holds);
    }
    // Lost and missed datagrams are infinitely slow if the percentile falls among them.
    let lossy = |missed| {
        let mut lossy = far.clone();
        (lossy.ledger.lost, lossy.schedule.as_mut().unwrap().missed) = (Some(600), missed);
        lossy
    };
    expect_in(&lossy(0), "p99_with_loss<=154943ns", Some(true));
    expect_in(&lossy(0), "p99_with_loss<=154942ns", None);
    expect_in(&lossy(200), "p99_with_loss>60s", Some(true));
    // A document of before there were limits: less than twice the bound.
    far.latency.as_mut().unwrap().upper_limits = None;
    for path in ["p99", "latency.p99_ns", "p99_with_loss", "latency.p99_with_loss_ns"] {
        expect_in(&far, &format!("{path}<=160us"), Some(true));
        expect_in(&far, &format!("{path}<=159us"), None);
    }
    // It is not known for another reason.
    far.latency = None;
    expect_in(&far, "p99<=1ms", None);
    // Mean and maximum below the bound.
    let mut far = fixture::cell("plain", 64, "50%", 135e3);
    fixture::two_clocks(&mut far, 300_000);
    let limits = far.latency.as_ref().unwrap().upper_limits.unwrap();
    for (name, limit_ns) in [("mean", limits.mean_ns), ("max", limits.max_ns)] {
        for path in [name.to_owned(), format!("latency.{name}_ns")] {
            expect_in(&far, &format!("{path}<={}ns", limit_ns.unwrap()), Some(true));
            expect_in(&far, &format!("{path}<={}ns", limit_ns.unwrap() - 1), None);
        }
    }
    // One clock: nothing is withheld.
    let mut near = fixture::cell("plain", 64, "50%", 135e3);
    near.latency.as_mut().unwrap().p99_ns = None;
    expect_in(&near, "p99<=1ms", None);
}

#[test]
fn each_condition_has_a_result_in_each_cell() {
    let mut report = fixture::default_run();
    report.cells.truncate(2);
    report.cells[0].ledger.unaccounted = None;
    let conditions = ["sent>=0", "unaccounted>0", "p50>60s"].map(condition);
    report.gates = gates(&report, &conditions);
    let held: Vec<_> = report.gates.iter().map(|gate| gate.held).collect();
    assert_eq!(held, [Some(true), Some(true), None, Some(false), Some(false)]);
    let shown = |report: &Report| -> Vec<String> {
        gate_rows(report).into_iter().map(|row| row.join(" ")).collect()
    };
    let expected = [
        "sent>=0 plain/64/max 135500 failed",
        "sent>=0 plain/64/50% 67750 failed",
        "unaccounted>0 plain/64/max unknown failed: unknown",
        "unaccounted>0 plain/64/50% 0 passed",
        "p50>60s plain/64/50% 8.535 µs passed",
    ];
    assert_eq!(shown(&report), expected);
    // In an invalid cell nothing passes and nothing fails.
    let sent = report.cells[1].ledger.sent;
    fixture::lose(&mut report.cells[1], sent);
    crate::report::judge_validity(&mut report);
    let results: Vec<_> = gate_rows(&report).into_iter().map(|row| row[3].clone()).collect();
    assert_eq!(results, ["failed", "invalid", "failed: unknown", "invalid", "invalid"]);
    report.cells.clear();
    report.gates = gates(&report, &conditions[..1]);
    assert_eq!(shown(&report), ["sent>=0 run unknown failed: unknown"]);
}
