//! The first lines: what ran, on what, and how.

use super::style::{Color, GLUE, Styler, counted, distinct, dotted, grouped, wrap};
use std::net::IpAddr;

use serde_json::Value;

use super::requests;
use crate::document::{Cell, Host, Report, Side, SocketBuffer};
use crate::report::checks::validity::invalid_lines;
use crate::unit::{show_bytes, show_nanos};

/// The headline, and in the background the host and the settings.
pub(super) fn draw(report: &Report, styler: Styler, width: usize) -> String {
    let mut title = vec![
        styler.paint(Color::Title, &format!("udperf {}", report.tool.version)),
        report.kind.clone(),
    ];
    title.extend(path(report));
    title.extend(only_engine(report));
    title.extend(limit(report));
    title.extend(trials(report));
    if report.tool.profile != "release" {
        let build = format!("{} build", report.tool.profile);
        title.push(styler.paint(Color::Warning, &build));
    }
    let mut lines = wrap(&dotted(&title), width, 2);
    for items in [host(&report.host), sink(report), requests::settings(report), settings(report)] {
        if !items.is_empty() {
            lines.extend(styler.paint_lines(Color::Quiet, wrap(&dotted(&items), width, 2)));
        }
    }
    lines.join("\n")
}

/// Why the run is invalid; `None` if it is valid.
pub(super) fn invalid(report: &Report, styler: Styler, width: usize) -> Option<String> {
    let lines: Vec<_> =
        invalid_lines(report).iter().flat_map(|line| wrap(line, width, 2)).collect();
    (!lines.is_empty()).then(|| styler.paint_lines(Color::Bad, lines).join("\n"))
}

/// What is missing, if the run did not finish.
pub(super) fn partial(report: &Report, styler: Styler, width: usize) -> Option<String> {
    let measured = report.cells.iter().filter(|cell| !cell.calibration).count() as u64;
    let planned = planned(&report.scenario).unwrap_or(measured);
    let cut =
        distinct(report.cells.iter().filter(|cell| cell.cut_short).map(|cell| cell.id.as_str()));
    if cut.is_empty() && measured >= planned {
        return None;
    }
    let mut text = "Partial:".to_owned();
    if measured < planned {
        text.push_str(&format!(" {measured} of {} measured", counted(planned, "cell")));
    }
    if !cut.is_empty() {
        let and = if measured < planned { "," } else { "" };
        text.push_str(&format!("{and} {} cut short", cut.join(", ")));
    }
    let lines = wrap(&(text + "."), width, 2);
    Some(styler.paint_lines(Color::Warning, lines).join("\n"))
}

/// Cells that the scenario asks for.
fn planned(scenario: &Value) -> Option<u64> {
    let length = |name: &str| Some(scenario.get(name)?.as_array()?.len() as u64);
    let pace = scenario.get("pace").and_then(Value::as_str).unwrap_or_default();
    // A ramp defines its own rates.
    let rates = if pace.starts_with("ramp:") || pace == "recorded" { 1 } else { length("rates")? };
    let trials = scenario.get("trials")?.as_u64()?;
    // Both at once, each direction is a cell.
    let ways = if text(scenario, "route") == Some("both") { 2 } else { 1 };
    let factors = [length("sizes")?, length("engines")?, rates, trials, ways];
    Some(factors.into_iter().fold(1, u64::saturating_mul))
}

fn path(report: &Report) -> Option<String> {
    if let Some(name) = text(&report.scenario, "unix") {
        return Some(format!("unix {name}"));
    }
    let target = text(&report.scenario, "target").unwrap_or_default();
    match text(&report.scenario, "route") {
        Some("forward" | "alone" | "ask") => return Some(format!("to {target}")),
        Some("reverse") => return Some(format!("from {target}")),
        Some("both") => return Some(format!("both ways with {target}")),
        _ => {}
    }
    let bind = text(&report.scenario, "bind")?;
    if let Some(to) = text(&report.scenario, "to") {
        let netns = text(&report.scenario, "to_netns").map(|netns| format!(" in {netns}"));
        return Some(format!("{bind} to {to}{}", netns.unwrap_or_default()));
    }
    let address: Option<IpAddr> = bind.parse().ok();
    Some(match address {
        Some(address) if address.is_loopback() => format!("loopback {bind}"),
        _ => format!("on {bind}"),
    })
}

/// The engine, where the table has no column for it because there is only one.
fn only_engine(report: &Report) -> Option<String> {
    let engines = distinct(report.cells.iter().map(|cell| cell.id.split('/').next()));
    match engines[..] {
        [Some(engine)] => Some(format!("engine {engine}")),
        _ => None,
    }
}

fn limit(report: &Report) -> Option<String> {
    let limit = text(&report.scenario, "limit")?;
    let time = limit.strip_suffix("ns").and_then(|ns| ns.parse().ok());
    let shown = time.map_or_else(|| limit.to_owned(), show_nanos);
    Some(format!("{shown} per cell"))
}

fn trials(report: &Report) -> Option<String> {
    let trials = number(&report.scenario, "trials").filter(|&trials| trials > 1)?;
    Some(format!("medians of {trials} trials"))
}

fn host(host: &Host) -> Vec<String> {
    let cores = host.cores.map(|cores| counted(cores, "core"));
    let governor = host.governor.as_ref().filter(|word| *word != "performance");
    let governor = governor.map(|word| format!("governor {word}"));
    [&host.cpu_model, &cores, &host.kernel, &host.virtualization, &governor]
        .into_iter()
        .flatten()
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

/// The other end's host, by name.
fn sink(report: &Report) -> Vec<String> {
    let Some(peer) = &report.host.peer else { return Vec::new() };
    let name = peer.hostname.clone().unwrap_or_default();
    let mut items = host(peer);
    // Beside the label, so that nothing comes between the two.
    let first = if name.is_empty() && !items.is_empty() { items.remove(0) } else { name };
    let labelled = format!("sink{GLUE}{GLUE}{first}");
    items.insert(0, labelled);
    items
}

fn settings(report: &Report) -> Vec<String> {
    let scenario = &report.scenario;
    let mut items = Vec::new();
    items.extend(streams(report));
    let threads = number(scenario, "threads").filter(|&threads| threads > 1);
    items.extend(threads.map(|threads| {
        if requests::asks(report) {
            return counted(threads, "thread");
        }
        format!("{}, {}", counted(threads, "sender"), counted(threads, "receiver"))
    }));
    items.extend(cores(report));
    let wait = report.cells.first().map(|cell| cell.wait.as_str());
    items.extend(wait.or_else(|| text(scenario, "wait")).map(|word| format!("wait {word}")));
    let pace = text(scenario, "pace").filter(|&word| word != "even");
    items.extend(pace.map(|word| format!("pace {word}")));
    items.extend(buffers(report));
    items.extend(queue(report));
    items
}

/// Source ports: of all cells, or as asked without cells.
fn streams(report: &Report) -> Option<String> {
    let of_cells = || report.cells.iter().map(|cell| cell.streams);
    let asked = number(&report.scenario, "streams");
    let (least, most) = (of_cells().min().or(asked)?, of_cells().max().or(asked)?);
    Some(match least == most {
        true => counted(most, "stream"),
        false => format!("{} to {}", grouped(least), counted(most, "stream")),
    })
}

fn cores(report: &Report) -> Option<String> {
    let cell = report.cells.first()?;
    let list = |cores: &[u64]| {
        let plural = if cores.len() == 1 { "" } else { "s" };
        let cores: Vec<_> = cores.iter().map(u64::to_string).collect();
        format!("core{plural} {}", cores.join(", "))
    };
    if cell.direction.is_none() {
        return Some(match (&cell.tx.cores[..], receiver(cell).map_or(&[][..], |rx| &rx.cores)) {
            ([], []) => "not pinned".to_owned(),
            (tx, []) => list(tx),
            (tx, rx) => format!("{} → {}", list(tx), list(rx)),
        });
    }
    // Of workers elsewhere, no core is known; of two directions, each has one side here.
    let some = |of: fn(&Cell) -> Option<&Side>| {
        let mut sides = report.cells.iter().filter_map(of);
        sides.find(|side| !side.cores.is_empty()).map(|side| list(&side.cores))
    };
    let tx = some(|cell| Some(&cell.tx)).map(|cores| format!("senders here: {cores}"));
    let rx = some(receiver).map(|cores| format!("receivers here: {cores}"));
    let known: Vec<_> = tx.into_iter().chain(rx).collect();
    Some(if known.is_empty() { "not pinned".to_owned() } else { known.join(", ") })
}

fn receiver(cell: &Cell) -> Option<&Side> {
    cell.rx.as_ref()
}

/// Requested and granted socket buffers, the smallest of all cells.
fn buffers(report: &Report) -> Option<String> {
    let least = |of: fn(&Cell) -> Option<SocketBuffer>| {
        let granted = report.cells.iter().filter_map(|cell| of(cell)?.granted);
        granted.min().map(show_bytes)
    };
    let of_rx: fn(&Cell) -> _ = |cell| Some(cell.rx.as_ref()?.socket_buffer);
    let asked = number(&report.scenario, "socket_buffer")
        .or_else(|| report.cells.first().map(|cell| cell.tx.socket_buffer.asked))?;
    let asked = show_bytes(asked);
    let granted = match (least(|cell| Some(cell.tx.socket_buffer)), least(of_rx)) {
        (Some(send), Some(receive)) if send == receive => format!("{send} granted"),
        (Some(send), Some(receive)) => format!("{send} send, {receive} receive granted"),
        (Some(send), None) => format!("{send} send granted"),
        (None, Some(receive)) => format!("{receive} receive granted"),
        (None, None) => return Some(format!("socket buffers {asked} asked")),
    };
    Some(format!("socket buffers {asked} asked, {granted}"))
}

/// The queue length of AF_UNIX sockets, which their buffer size does not show.
fn queue(report: &Report) -> Option<String> {
    text(&report.scenario, "unix")?;
    report.host.max_dgram_qlen.map(|most| format!("queues of {}", counted(most, "datagram")))
}

fn text<'a>(scenario: &'a Value, name: &str) -> Option<&'a str> {
    scenario.get(name)?.as_str()
}

fn number(scenario: &Value, name: &str) -> Option<u64> {
    scenario.get(name)?.as_u64()
}
