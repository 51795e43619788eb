//! Every way of sending against every way of receiving: which call should my server use?

use comfy_table::{CellAlignment, Table, presets};

use super::ink::{Ink, Tone};
use super::rows::{Row, Sheet, distinct};
use super::table::{GAP, UNCUT_MARK, UNKNOWN};
use crate::unit::show_pps;

/// Fewer rows and columns than this are read as well from the table. Arbitrary.
const LEAST: usize = 2;

/// One matrix for each size, of what was delivered flat out; `None` where not every way of sending
/// met every way of receiving.
pub(super) fn draw(sheet: &Sheet<'_>, ink: Ink) -> Option<String> {
    let rows: Vec<&Row<'_>> =
        sheet.rows.iter().filter(|row| row.rate == "max" && !row.speed.is_empty()).collect();
    let tx = distinct(rows.iter().map(|row| row.tx()));
    let rx = distinct(rows.iter().map(|row| row.rx()));
    let sizes = distinct(rows.iter().map(|row| row.size.as_str()));
    let whole = rows.len() == tx.len() * rx.len() * sizes.len();
    if !whole || tx.len() < LEAST || rx.len() < LEAST {
        return None;
    }
    let one = |size: &&str| {
        let of_size: Vec<_> = rows.iter().copied().filter(|row| row.size == *size).collect();
        let unit = if size.parse::<u64>().is_ok() { " bytes" } else { "" };
        let title = format!("Delivered flat out, {size}{unit}: sending down, receiving across");
        format!("{}\n{}", ink.paint(Tone::Title, &title), table(&of_size, &tx, &rx, ink))
    };
    Some(sizes.iter().map(one).collect::<Vec<_>>().join("\n\n"))
}

fn table(rows: &[&Row<'_>], tx: &[&str], rx: &[&str], ink: Ink) -> String {
    let at = |tx: &str, rx: &str| rows.iter().find(|row| row.tx() == tx && row.rx() == rx);
    let marked = rows.iter().any(|row| row.uncut());
    let mark = |uncut: bool| match (marked, uncut) {
        (false, _) => String::new(),
        (true, true) => ink.paint(Tone::Doubt, UNCUT_MARK),
        (true, false) => " ".to_owned(),
    };
    // What was cut on its way is what can be compared.
    let best =
        rows.iter().filter(|row| !row.uncut()).filter_map(|row| row.pps()).fold(0.0, f64::max);
    let show = |row: &&Row<'_>| {
        let pps = row.pps()?;
        let text = show_pps(pps);
        let text = if pps == best { ink.paint(Tone::Good, &text) } else { ink.figure(&text) };
        Some(text + &mark(row.uncut()))
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let title = |text: &str| ink.paint(Tone::Quiet, text);
    let heads = rx.iter().map(|rx| title(&format!("{rx}{}", if marked { " " } else { "" })));
    table.set_header([title("")].into_iter().chain(heads));
    for tx in tx {
        let cells = rx.iter().map(|rx| {
            at(tx, rx).and_then(show).unwrap_or_else(|| UNKNOWN.to_owned() + &mark(false))
        });
        table.add_row([(*tx).to_owned()].into_iter().chain(cells));
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        let gap = if number == 0 { 0 } else { GAP as u16 };
        column.set_padding((gap, 0));
        column.set_cell_alignment(if number == 0 {
            CellAlignment::Left
        } else {
            CellAlignment::Right
        });
    }
    table.trim_fmt()
}
