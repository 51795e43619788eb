//! Rates of every sending engine with every receiving engine.

use super::rows::{Row, TableModel};
use super::style::{Color, Styler, align, distinct};
use super::table::{BAD_LOSS, UNCUT_MARK, UNKNOWN};
use crate::unit::show_pps;

/// Minimum number of rows and columns; smaller matrices are readable in the table. Arbitrary.
const LEAST: usize = 2;

/// A matrix per size of the rates at `max`; `None` unless every sending met every receiving engine.
pub(super) fn draw(table: &TableModel<'_>, styler: Styler) -> Option<String> {
    let rows: Vec<&Row<'_>> =
        table.rows.iter().filter(|row| row.rate == "max" && !row.speed.is_empty()).collect();
    let tx = distinct(rows.iter().map(|row| row.tx()));
    let rx = distinct(rows.iter().map(|row| row.rx()));
    let sizes = distinct(rows.iter().map(|row| row.size.as_str()));
    // Of what was only sent, none met anything.
    let whole = !table.one_ended && rows.len() == tx.len() * rx.len() * sizes.len();
    if !whole || tx.len() < LEAST || rx.len() < LEAST {
        return None;
    }
    let one = |size: &&str| {
        let of_size: Vec<_> = rows.iter().copied().filter(|row| row.size == *size).collect();
        let unit = if size.parse::<u64>().is_ok() { " bytes" } else { "" };
        let lossy = if of_size.iter().any(|row| is_lossy(row)) { LOSSY } else { "" };
        let title = format!(
            "Delivered flat out, {size}{unit}: senders in rows, receivers in columns{lossy}"
        );
        format!("{}\n{}", styler.paint(Color::Title, &title), draw_one(&of_size, &tx, &rx, styler))
    };
    Some(sizes.iter().map(one).collect::<Vec<_>>().join("\n\n"))
}

/// Marks a rate with much loss.
const LOSS_MARK: &str = "!";

/// The meaning of that mark.
const LOSSY: &str = "; ! lost more than 0.1%";

/// Whether the loss is worth a mark.
fn is_lossy(row: &Row<'_>) -> bool {
    row.loss().is_some_and(|(median, _)| median > BAD_LOSS)
}

fn draw_one(rows: &[&Row<'_>], tx: &[&str], rx: &[&str], styler: Styler) -> String {
    let at = |tx: &str, rx: &str| rows.iter().find(|row| row.tx() == tx && row.rx() == rx);
    // A column for each mark that there is, so that figures stay below each other.
    let (uncut, lossy) = (rows.iter().any(|row| row.uncut()), rows.iter().any(|row| is_lossy(row)));
    let one = |there: bool, on: bool, color: Color, mark: &str| match (there, on) {
        (false, _) => String::new(),
        (true, true) => styler.paint(color, mark),
        (true, false) => " ".to_owned(),
    };
    let mark = |row: Option<&Row<'_>>| {
        let has = |of: fn(&Row<'_>) -> bool| row.is_some_and(of);
        one(uncut, has(|row| row.uncut()), Color::Warning, UNCUT_MARK)
            + &one(lossy, has(is_lossy), Color::Bad, LOSS_MARK)
    };
    // What was cut on its way is what can be compared.
    let best =
        rows.iter().filter(|row| !row.uncut()).filter_map(|row| row.pps()).fold(0.0, f64::max);
    let show = |row: &&Row<'_>| {
        let pps = row.pps()?;
        let text = show_pps(pps);
        let text =
            if pps == best { styler.paint(Color::Good, &text) } else { styler.figure(&text) };
        Some(text + &mark(Some(row)))
    };
    let title = |text: &str| styler.paint(Color::Quiet, text);
    let heads = rx
        .iter()
        .map(|rx| title(&format!("{rx}{}", " ".repeat(usize::from(uncut) + usize::from(lossy)))));
    let mut rows = vec![[String::new()].into_iter().chain(heads).collect::<Vec<_>>()];
    rows.extend(tx.iter().map(|tx| {
        let cells = rx.iter().map(|rx| {
            at(tx, rx).and_then(show).unwrap_or_else(|| UNKNOWN.to_owned() + &mark(None))
        });
        [(*tx).to_owned()].into_iter().chain(cells).collect()
    }));
    align(&rows, |at| at == 0)
}
