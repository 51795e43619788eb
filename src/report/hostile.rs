//! Documents with the largest counts that reading lets pass: no format may panic on one.

use serde_json::{Value, json};

use super::{Condition, fixture, gates, read};
use crate::document::{
    Cell, Exchange, ExchangeStep, Flows, Interval, IntervalLatency, Leg, Legs, Outage, Report,
    ServerUsage, SourceCounts,
};
use crate::report::checks::metric::METRICS;
use crate::report::checks::warning_codes;
use crate::report::format::text::Style;
use crate::report::format::{Document, RenderOptions, csv, hdr, hgrm, html, junit, markdown, text};

/// Sets every integer of a document to `u64::MAX` that it can be set to and still be read.
pub(crate) fn enlarge(document: &mut Value, reads: impl Fn(&Value) -> bool) {
    let mut all = Vec::new();
    integers(document, String::new(), &mut all);
    enlarge_those(document, &all, &reads);
}

/// All at once if that reads, otherwise each half, since a read per integer takes minutes.
fn enlarge_those(document: &mut Value, pointers: &[String], reads: &impl Fn(&Value) -> bool) {
    let mut larger = document.clone();
    for at in pointers {
        *larger.pointer_mut(at).unwrap() = json!(u64::MAX);
    }
    if reads(&larger) {
        *document = larger;
    } else if pointers.len() > 1 {
        let (first, second) = pointers.split_at(pointers.len() / 2);
        enlarge_those(document, first, reads);
        enlarge_those(document, second, reads);
    }
}

fn integers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Number(number) if number.is_u64() => found.push(at),
        Value::Array(values) => {
            let all = values.iter().enumerate();
            all.for_each(|(index, one)| integers(one, format!("{at}/{index}"), found));
        }
        // An escaped name would be another one here; no document of udperf has such.
        Value::Object(fields) => {
            fields.iter().for_each(|(name, one)| integers(one, format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

/// The page of a document, which must be well-formed.
pub(crate) fn page<D: Document>(document: &D) -> String {
    let format = D::FORMATS.iter().find(|format| format.flag == "html").unwrap();
    let page = (format.render)(document, &RenderOptions::default()).unwrap().unwrap();
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    if let Err(error) = roxmltree::Document::parse_with_options(&page, options) {
        panic!("{error}: {page}");
    }
    page
}

pub(crate) fn cell(rate: &str, has_requests: bool) -> Cell {
    let mut cell = fixture::cell("plain", 64, rate, 100e3);
    fixture::stall(&mut cell, 2_000_000);
    fixture::two_clocks(&mut cell, 12_000);
    let leg = Leg { p50_ns: Some(1), p99_ns: Some(1), p99_9_ns: Some(1), ..Leg::default() };
    let [lag, system_call, path, in_socket, total] = [leg; 5];
    cell.legs = Some(Legs { samples: 1, bound_ns: 1, lag, system_call, path, in_socket, total });
    cell.flows = Some(Flows { count: 1, ..Flows::default() });
    let (received, lost) = (Some(1), Some(1));
    let source = SourceCounts { sources: 1, sent: 1, received, lost, ..SourceCounts::default() };
    let address = Some("127.0.1.1".to_owned());
    cell.sources = vec![SourceCounts { address, stands_out: true, ..source.clone() }, source];
    (cell.to_socket, cell.in_socket) = (cell.latency.clone(), cell.latency.clone());
    cell.workers = Some(vec![1, 2]);
    let message = "network unreachable".to_owned();
    cell.outages = vec![Outage { message, errors: 1, ..Outage::default() }; 2];
    cell.rx.as_mut().unwrap().datagrams_after_window = Some(1);
    (cell.tx.pps, cell.rx.as_mut().unwrap().pps) = (None, None);
    let errors = [("SERVFAIL".to_owned(), 1), ("REFUSED".to_owned(), 1)].into();
    let steps = vec![ExchangeStep { latency: Some(leg), ..ExchangeStep::default() }; 2];
    let exchange = Exchange { errors, own_drops: Some(1), steps, ..Exchange::default() };
    cell.exchange = has_requests.then_some(exchange);
    let latency = Some(IntervalLatency { p99_ns: Some(1), ..IntervalLatency::default() });
    let (received, lost) = (Some(0), Some(0));
    let first = Interval { end_ns: 1, received, lost, latency, ..Interval::default() };
    let second = Interval { start_ns: 1, end_ns: 2, ..first.clone() };
    cell.intervals = vec![first, second];
    let (cpu_ns, socket_drops) = (Some(1), Some(1));
    cell.server = Some(ServerUsage { cpu_ns, socket_drops, ..ServerUsage::default() });
    cell.warnings = warning_codes::all().map(|code| code.warning("1 of 2; x")).collect();
    cell
}

/// Ledgers that hold, in which all datagrams are received, lost, refused, or duplicates.
const LEDGERS: [[u64; 6]; 4] = [
    [ALL, ALL, ALL, 0, 0, 0],
    [ALL, ALL, 0, ALL, 0, 0],
    [ALL, 0, 0, 0, ALL, 0],
    [0, 0, 0, 0, 0, ALL],
];

const ALL: u64 = u64::MAX;

fn report([attempted, sent, received, lost, refused, duplicate]: [u64; 6], load: bool) -> Report {
    let mut cells = ["max", "50%", "50%"].map(|rate| cell(rate, load)).to_vec();
    cells[2].trial = 1;
    for cell in &mut cells {
        let ledger = &mut cell.ledger;
        (ledger.attempted, ledger.sent, ledger.refused.would_block) = (attempted, sent, refused);
        (ledger.received, ledger.lost) = (Some(received), Some(lost));
        (ledger.duplicate, ledger.late) = (Some(duplicate), Some(0));
        ledger.arrived = Some(received.max(duplicate));
        let first = &mut cell.intervals[0];
        (first.sent, first.refused) = (sent, Some(refused));
        (first.received, first.lost) = (Some(received), Some(lost));
        first.latency_histogram = (received > 0).then(|| format!("0:1 {}:{}", ALL, received - 1));
        let places = &mut ledger.lost_at;
        for place in [&mut places.backlog, &mut places.device, &mut places.no_port] {
            *place = Some(lost.min(1));
        }
        if let Some(exchange) = &mut cell.exchange {
            (exchange.requests, exchange.matched) = (received.max(lost), received);
            exchange.timeouts = lost;
        }
    }
    let capacity = load.then(fixture::capacity);
    let report = Report { capacity, ..fixture::report_of(cells) };
    let mut value = serde_json::to_value(report).unwrap();
    let reads = |value: &Value| read::read(&value.to_string()).is_ok();
    assert!(reads(&value), "{:?}", read::read(&value.to_string()));
    enlarge(&mut value, reads);
    read::read(&value.to_string()).unwrap()
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn counts_of_any_size_are_shown_in_every_format() {
    let conditions: Vec<Condition> = METRICS
        .iter()
        .map(|metric| format!("{}<0", metric.name))
        .filter_map(|text| text.parse().ok())
        .collect();
    for load in [false, true] {
        for ledger in LEDGERS {
            let mut report = report(ledger, load);
            report.gates = gates(&report, &conditions);
            for width in [80, 200] {
                let style = Style { color: true, width, verbose: false };
                assert!(!text::render(&report, style).is_empty());
            }
            assert!(csv::render(&report).unwrap().contains(&u64::MAX.to_string()));
            assert!(!markdown::render(&report).is_empty());
            assert!(!junit::render("", &junit::conditions(&report, &conditions)).is_empty());
            // What a histogram holds may contradict the count beside it; then these are errors.
            let _ = (hdr::render(&report), hgrm::render(&report), html::render(&[("", &report)]));
        }
    }
}
