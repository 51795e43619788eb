//! The first lines: what ran, on what host, and how.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::capacity;
use super::rows::{has_requests, measured};
use super::style::{Color, NBSP, Styler, counted, distinct, dotted, grouped, wrap};
use crate::document::{Cell, Host, Realtime, Report, Side, SocketBuffer};
use crate::report::checks::validity::{invalid_lines, missed_share};
use crate::report::checks::warnings::server_drops;
use crate::unit::{Keep, show_bytes, show_nanos, strip_control, sum_counts};

/// The paragraphs before the figures: the capacity, why the run is invalid, and the headline with
/// settings.
pub(super) fn lines(report: &Report, styler: Styler, width: usize) -> Vec<String> {
    let invalid: Vec<_> = invalid_lines(report)
        .iter()
        .map(|line| styler.paragraph(Color::Bad, line, width))
        .collect();
    let mut head = wrap(&title(report, styler), width, 2);
    head.extend(settings(report).iter().map(|line| styler.paragraph(Color::Quiet, line, width)));
    let invalid = (!invalid.is_empty()).then(|| invalid.join("\n"));
    let capacity = capacity::draw(report, styler, width);
    capacity.into_iter().chain(invalid).chain([head.join("\n")]).collect()
}

pub(super) fn title(report: &Report, styler: Styler) -> String {
    let scenario = &report.scenario;
    let version = styler.paint(Color::Title, &format!("udperf {}", report.tool.version));
    let mut items = vec![version, report.kind.clone()];
    items.extend(path(report));
    // With several engines, the table has a column for them.
    let engines = distinct(report.cells.iter().map(|cell| cell.id.split('/').next()));
    if let [Some(engine)] = engines[..] {
        items.push(format!("engine {engine}"));
    }
    items.extend(text(scenario, "limit").map(|limit| {
        let time = limit.strip_suffix("ns").and_then(|ns| ns.parse().ok());
        format!("{} per cell", time.map_or_else(|| limit.to_owned(), show_nanos))
    }));
    let trials = number(scenario, "trials").filter(|&trials| trials > 1);
    items.extend(trials.map(|trials| format!("medians of {trials} trials")));
    if report.tool.profile != "release" {
        let build = format!("{} build", report.tool.profile);
        items.push(styler.paint(Color::Warning, &build));
    }
    dotted(&items)
}

pub(super) fn settings(report: &Report) -> Vec<String> {
    let labels = labels(&report.labels).into_iter().collect();
    let groups = [labels, host(&report.host), sink(report), requests(report), options(report)];
    groups.iter().filter(|items| !items.is_empty()).map(|items| dotted(items)).collect()
}

/// `labels  commit=abc branch=main`; `None` without labels.
pub(crate) fn labels(labels: &BTreeMap<String, String>) -> Option<String> {
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let pairs = strip_control(&pairs.join(" "), Keep::Nothing);
    (!pairs.is_empty()).then(|| format!("labels{NBSP}{NBSP}{pairs}"))
}

/// What is missing, if the run did not finish.
pub(super) fn partial(report: &Report) -> Option<String> {
    let measured = measured(report).count() as u64;
    let planned = planned(&report.scenario).filter(|&planned| measured < planned);
    let cut = report.cells.iter().filter(|cell| cell.cut_short).map(|cell| cell.id.as_str());
    let cut = distinct(cut);
    let missing = planned.map(|all| format!("{measured} of {} measured", counted(all, "cell")));
    let cut = (!cut.is_empty()).then(|| format!("{} cut short", cut.join(", ")));
    let parts: Vec<_> = missing.into_iter().chain(cut).collect();
    (!parts.is_empty()).then(|| format!("Partial: {}.", parts.join(", ")))
}

/// Warnings that the generator was the limit, not the server.
const GENERATOR: [&str; 4] =
    ["generator_dropped", "generator_limit", "behind_schedule", "refused_would_block"];

/// The cells where the generator was the limit, so that the figures are not the server's.
pub(super) fn generator(report: &Report) -> Option<String> {
    let is_limit = |cell: &&Cell| {
        // One that has its limit is shown with it.
        if cell.limit.is_some() {
            return false;
        }
        let Some(exchange) = &cell.exchange else { return false };
        let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
        // With more timeouts than missed slots, the other side was the greater limit.
        let is_behind = missed > exchange.timeouts
            && missed_share(cell).is_some_and(|share| share > report.max_missed);
        // A server whose own buffer overflowed was a limit, too.
        server_drops(cell) == 0
            && cell.warnings.iter().any(|warning| match warning.code.as_str() {
                "behind_schedule" => is_behind,
                code => GENERATOR.contains(&code),
            })
    };
    let limited = distinct(report.cells.iter().filter(is_limit).map(|cell| cell.id.as_str()));
    (!limited.is_empty()).then(|| {
        format!(
            "The generator was the limit, not the server, in {}; see the warnings. These figures \
             do not include requests that it did not send.",
            limited.join(", ")
        )
    })
}

fn planned(scenario: &Value) -> Option<u64> {
    let length = |name: &str| Some(scenario.get(name)?.as_array()?.len() as u64);
    let pace = text(scenario, "pace").unwrap_or_default();
    // A ramp defines its own rates.
    let rates = if pace.starts_with("ramp:") || pace == "recorded" { 1 } else { length("rates")? };
    // In both directions at once, each direction is a cell.
    let directions = if text(scenario, "route") == Some("both") { 2 } else { 1 };
    let trials = number(scenario, "trials")?;
    let factors = [length("sizes")?, length("engines")?, rates, trials, directions];
    Some(factors.into_iter().fold(1, u64::saturating_mul))
}

fn path(report: &Report) -> Option<String> {
    let text = |name: &str| text(&report.scenario, name);
    if let Some(name) = text("unix") {
        return Some(format!("unix {name}"));
    }
    let target = text("target").unwrap_or_default();
    match text("route") {
        Some("forward" | "alone" | "ask") => return Some(format!("to {target}")),
        Some("reverse") => return Some(format!("from {target}")),
        Some("both") => return Some(format!("both ways with {target}")),
        _ => {}
    }
    let bind = text("bind")?;
    if let Some(to) = text("to") {
        let netns = text("to_netns").map_or_else(String::new, |netns| format!(" in {netns}"));
        return Some(format!("{bind} to {to}{netns}"));
    }
    let is_loopback = bind.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    Some(format!("{} {bind}", if is_loopback { "loopback" } else { "on" }))
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

fn sink(report: &Report) -> Vec<String> {
    let Some(peer) = &report.host.peer else { return Vec::new() };
    let name = peer.hostname.clone().filter(|name| !name.is_empty());
    let mut items = name.into_iter().chain(host(peer));
    // In one item with its label, without a dot between the two.
    let first = format!("sink{NBSP}{NBSP}{}", items.next().unwrap_or_default());
    [first].into_iter().chain(items).collect()
}

/// How requests and replies are matched, for the lines above the table.
fn requests(report: &Report) -> Vec<String> {
    let options = &report.scenario["asking"];
    let word = |name: &str| options[name].as_str().filter(|word| !word.is_empty());
    let mut items: Vec<_> = word("requests").map(str::to_owned).into_iter().collect();
    items.extend(word("replies").map(|replies| format!("matched by {replies}")));
    let rules = options["rules"].as_array().into_iter().flatten();
    items.extend(rules.filter_map(|rule| rule.as_str().map(str::to_owned)));
    if let Some(exchange) = report.cells.iter().find_map(|cell| cell.exchange.as_ref()) {
        items.push(match exchange.outstanding {
            Some(most) => format!("closed loop, {} outstanding", grouped(most)),
            None => "open loop".to_owned(),
        });
        items.push(format!("timeout {}", show_nanos(exchange.timeout_ns)));
    }
    items
}

fn options(report: &Report) -> Vec<String> {
    let scenario = &report.scenario;
    let mut items: Vec<_> = streams(report).into_iter().collect();
    let rows = report.cells.iter().map(|cell| cell.sources.iter().map(|one| one.sources));
    let sources = rows.map(sum_counts).max().filter(|&sources| sources > 0);
    items.extend(sources.map(|sources| counted(sources, "source")));
    let threads = number(scenario, "threads").filter(|&threads| threads > 1);
    items.extend(threads.map(|threads| match has_requests(report) {
        true => counted(threads, "thread"),
        false => format!("{}, {}", counted(threads, "sender"), counted(threads, "receiver")),
    }));
    items.extend(cores(report));
    let wait = report.cells.first().map(|cell| cell.wait.as_str());
    items.extend(wait.or_else(|| text(scenario, "wait")).map(|word| format!("wait {word}")));
    items.extend(report.realtime.as_ref().map(realtime));
    let pace = text(scenario, "pace").filter(|&word| word != "even");
    items.extend(pace.map(|word| format!("pace {word}")));
    items.extend(text(scenario, "pace_by").map(|word| format!("paced by {word}")));
    items.extend(buffers(report));
    // The buffer size of AF_UNIX sockets does not show the length of their queue.
    let queue = text(scenario, "unix").and(report.host.max_dgram_qlen);
    items.extend(queue.map(|most| format!("queues of {}", counted(most, "datagram"))));
    items
}

/// `real time 2 of 3 workers`.
pub(super) fn realtime(of: &Realtime) -> String {
    let Realtime { asked, granted, .. } = of;
    match granted == asked {
        true => "real time".to_owned(),
        false => format!("real time {granted} of {}", counted(*asked, "worker")),
    }
}

/// Source ports: of all cells, or as requested without cells.
fn streams(report: &Report) -> Option<String> {
    let of_cells = || report.cells.iter().map(|cell| cell.streams);
    let requested = number(&report.scenario, "streams");
    let (least, most) = (of_cells().min().or(requested)?, of_cells().max().or(requested)?);
    Some(match least == most {
        true => counted(most, "flow"),
        false => format!("{} to {}", grouped(least), counted(most, "flow")),
    })
}

fn cores(report: &Report) -> Option<String> {
    let is_remote = report.cells.first()?.direction.is_some();
    // Cores of workers on the other host are unknown; of two directions, each has one side here.
    let mut cells = report.cells.iter().take(if is_remote { usize::MAX } else { 1 });
    let list = |side: &Side| {
        let plural = if side.cores.len() == 1 { "" } else { "s" };
        let cores: Vec<_> = side.cores.iter().map(u64::to_string).collect();
        (!cores.is_empty()).then(|| format!("core{plural} {}", cores.join(", ")))
    };
    let sides = [
        cells.clone().find_map(|cell| list(&cell.tx)),
        cells.find_map(|cell| list(cell.rx.as_ref()?)),
    ];
    let (labels, separator) = match is_remote {
        true => (["senders here: ", "receivers here: "], ", "),
        false => (["", ""], " → "),
    };
    let sides = labels.into_iter().zip(sides);
    let sides: Vec<_> =
        sides.filter_map(|(label, cores)| Some(label.to_owned() + &cores?)).collect();
    Some(if sides.is_empty() { "not pinned".to_owned() } else { sides.join(separator) })
}

/// Requested and granted socket buffers, the smallest of all cells.
fn buffers(report: &Report) -> Option<String> {
    let cells = &report.cells;
    let requested = number(&report.scenario, "socket_buffer")
        .or_else(|| cells.first().map(|cell| cell.tx.socket_buffer.asked))?;
    let least = |buffers: &mut dyn Iterator<Item = SocketBuffer>| {
        buffers.filter_map(|buffer| buffer.granted).min().map(show_bytes)
    };
    let send = least(&mut cells.iter().map(|cell| cell.tx.socket_buffer));
    let receive = least(&mut cells.iter().filter_map(|cell| Some(cell.rx.as_ref()?.socket_buffer)));
    let granted = match (send, receive) {
        (None, None) => String::new(),
        (send, receive) if send == receive => format!(", {} granted", send.unwrap_or_default()),
        (send, receive) => {
            let sides = [send.map(|size| size + " send"), receive.map(|size| size + " receive")];
            format!(", {} granted", sides.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
    };
    Some(format!("socket buffers {} asked{granted}", show_bytes(requested)))
}

fn text<'a>(scenario: &'a Value, name: &str) -> Option<&'a str> {
    scenario.get(name)?.as_str()
}

fn number(scenario: &Value, name: &str) -> Option<u64> {
    scenario.get(name)?.as_u64()
}
