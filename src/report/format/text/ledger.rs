//! The ledger line: all datagrams by outcome.

use super::requests;
use super::rows::is_one_ended;
use super::style::{Color, GLUE, Styler, glue, grouped};
use crate::document::{Ledger, Report};
use crate::measure::DropLocation;
use crate::report::checks::warnings::is_path;
use crate::unit::sum_counts;

/// All datagrams of the run by outcome, in full so that the line adds up.
pub(super) fn draw(report: &Report, styler: Styler) -> String {
    if requests::asks(report) {
        return requests::ledger(report, styler);
    }
    use DropLocation::{Backlog, Checksum, Device, Neighbour, NoPort, Qdisc, Reassembly};
    use DropLocation::{ReceiveBuffer, RxIp, TxDevice, TxIp};
    let sum = |of: fn(&Ledger) -> u64| sum_counts(report.cells.iter().map(|cell| of(&cell.ledger)));
    let places = |places: &[(&str, DropLocation, u64)]| {
        let known = places.iter().filter(|(.., count)| *count > 0);
        let about = |place| if is_estimated(report, place) { "~" } else { "" };
        let item = |(name, place, count): &(&str, DropLocation, u64)| {
            glue(&format!("{name} {}{}", about(*place), grouped(*count)))
        };
        in_brackets(&known.map(item).collect::<Vec<_>>())
    };
    let lost_at = places(&[
        ("receive buffer", ReceiveBuffer, sum(|l| l.lost_at.receive_buffer.unwrap_or(0))),
        ("backlog", Backlog, sum(|l| l.lost_at.backlog.unwrap_or(0))),
        ("device", Device, sum(|l| l.lost_at.device.unwrap_or(0))),
        ("qdisc", Qdisc, sum(|l| l.lost_at.qdisc.unwrap_or(0))),
        ("sender's device", TxDevice, sum(|l| l.lost_at.tx_device.unwrap_or(0))),
        ("checksum", Checksum, sum(|l| l.lost_at.checksum.unwrap_or(0))),
        ("no port", NoPort, sum(|l| l.lost_at.no_port.unwrap_or(0))),
        ("receiver's IP layer", RxIp, sum(|l| l.lost_at.rx_ip.unwrap_or(0))),
        ("reassembly", Reassembly, sum(|l| l.lost_at.reassembly.unwrap_or(0))),
        ("sender's IP layer", TxIp, sum(|l| l.lost_at.tx_ip.unwrap_or(0))),
        ("unresolved next hop", Neighbour, sum(|l| l.lost_at.neighbour.unwrap_or(0))),
    ]);
    let reasons = [
        ("would block", sum(|l| l.refused.would_block)),
        ("no buffers", sum(|l| l.refused.no_buffers)),
        ("unreachable", sum(|l| l.refused.unreachable)),
        ("too big", sum(|l| l.refused.too_big)),
        ("other", sum(|l| l.refused.other)),
    ];
    let refused = sum_counts(reasons.map(|(_, count)| count));
    let known = reasons.iter().filter(|(_, count)| *count > 0);
    let known: Vec<_> = known.map(|(name, count)| item(name, *count)).collect();
    let refused = item("refused", refused) + &in_brackets(&known);
    if is_one_ended(report) {
        return format!("{}{GLUE}· {refused}", item("sent", sum(|l| l.sent)));
    }
    let balance = format!(
        "{} = {} + {}{lost_at}",
        item("sent", sum(|l| l.sent)),
        item("received", sum(|l| l.received.unwrap_or(0))),
        item("lost", sum(|l| l.lost.unwrap_or(0))),
    );
    let mut items = vec![balance, refused];
    for (name, count) in [
        ("duplicate", sum(|l| l.duplicate.unwrap_or(0))),
        ("late", sum(|l| l.late.unwrap_or(0))),
        ("reordered", sum(|l| l.reordered.unwrap_or(0))),
        ("foreign", sum(|l| l.foreign.unwrap_or(0))),
        ("corrupt", sum(|l| l.corrupt.unwrap_or(0))),
    ] {
        if count > 0 {
            items.push(item(name, count));
        }
    }
    items.push(unaccounted(report, sum(|l| l.unaccounted.unwrap_or(0)), styler));
    items.join(&format!("{GLUE}· "))
}

fn item(name: &str, count: u64) -> String {
    glue(&format!("{name} {}", grouped(count)))
}

fn in_brackets(parts: &[String]) -> String {
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn is_estimated(report: &Report, place: DropLocation) -> bool {
    let mut all = report.cells.iter().flat_map(|cell| cell.ledger.estimated.iter().flatten());
    all.any(|word| word == place.word())
}

/// Losses in no counter. Within one host they are a bug; between two hosts they are the loss of the
/// network.
fn unaccounted(report: &Report, count: u64, styler: Styler) -> String {
    let path = report.cells.iter().find(|cell| is_path(cell));
    let place = match path.map(|cell| cell.ends.as_deref()) {
        None => "",
        Some(Some("apart")) => " (the path)",
        Some(_) => " (the network)",
    };
    let known = glue(&format!("unaccounted{place} {}", grouped(count)));
    match count {
        0 => styler.paint(Color::Good, &known),
        _ if path.is_some() => styler.paint(Color::Warning, &known),
        // Has to be seen without colour, too.
        _ => styler.paint(Color::Bad, &format!("{known}{GLUE}(!)")),
    }
}
