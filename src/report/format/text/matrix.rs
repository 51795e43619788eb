//! Rates of every sending engine with every receiving engine.

use super::rows::{Row, TableModel, median};
use super::style::{BAD_LOSS, Color, Styler, UNKNOWN, UNSPLIT_MARK, align, distinct};
use crate::report::checks::metric::loss;

/// Minimum number of rows and columns; smaller matrices are readable in the table. Arbitrary.
const MIN_SIZE: usize = 2;

/// A matrix per size of the rates at `max`; `None` unless every sending met every receiving engine.
pub(super) fn draw(table: &TableModel<'_>, styler: Styler) -> Option<String> {
    let rows: Vec<&Row<'_>> =
        table.rows.iter().filter(|row| row.rate == "max" && !row.speed.is_empty()).collect();
    let tx = distinct(rows.iter().map(|row| engines(row).0));
    let rx = distinct(rows.iter().map(|row| engines(row).1));
    let sizes = distinct(rows.iter().map(|row| row.size.as_str()));
    let is_complete = !table.send_only && rows.len() == tx.len() * rx.len() * sizes.len();
    if !is_complete || tx.len() < MIN_SIZE || rx.len() < MIN_SIZE {
        return None;
    }
    let one = |size: &&str| {
        let of_size: Vec<_> = rows.iter().copied().filter(|row| row.size == *size).collect();
        let unit = if size.parse::<u64>().is_ok() { " bytes" } else { "" };
        let is_any_lossy = of_size.iter().any(|row| is_lossy(row));
        let lossy = if is_any_lossy { "; ! lost more than 0.1%" } else { "" };
        let title = format!(
            "Delivered flat out, {size}{unit}: senders in rows, receivers in columns{lossy}"
        );
        format!(
            "{}\n{}",
            styler.paint(Color::Title, &title),
            draw_one((&of_size, table.show_rate()), &tx, &rx, styler)
        )
    };
    Some(sizes.iter().map(one).collect::<Vec<_>>().join("\n\n"))
}

fn engines<'a>(row: &Row<'a>) -> (&'a str, &'a str) {
    row.any().map_or(("", ""), |cell| (&cell.engine.tx, &cell.engine.rx))
}

fn is_lossy(row: &Row<'_>) -> bool {
    median(&row.speed, loss).is_some_and(|median| median > BAD_LOSS)
}

/// A mark, and the rows that have it.
type RowMark = (fn(&Row<'_>) -> bool, Color, &'static str);

fn draw_one(
    (rows, show): (&[&Row<'_>], fn(f64) -> String),
    tx: &[&str],
    rx: &[&str],
    styler: Styler,
) -> String {
    // A column for each mark that there is, so that figures are aligned.
    let marks: [RowMark; 2] =
        [(|row| row.is_unsplit(), Color::Warning, UNSPLIT_MARK), (is_lossy, Color::Bad, "!")];
    let marks = marks.into_iter().filter(|(has, ..)| rows.iter().any(|row| has(row)));
    let marks: Vec<_> = marks.collect();
    // Rates of super-packets that were never split are not comparable.
    let comparable = rows.iter().filter(|row| !row.is_unsplit());
    let best = comparable.filter_map(|row| row.pps()).fold(0.0, f64::max);
    let cell = |tx: &str, rx: &str| {
        let row = rows.iter().find(|row| engines(row) == (tx, rx));
        let mut text = match row.and_then(|row| row.pps()) {
            Some(pps) if pps == best => styler.paint(Color::Good, &show(pps)),
            Some(pps) => styler.figure(&show(pps)),
            None => UNKNOWN.to_owned(),
        };
        text.extend(marks.iter().map(|(has, color, mark)| match row {
            Some(row) if row.pps().is_some() && has(row) => styler.paint(*color, mark),
            _ => " ".to_owned(),
        }));
        text
    };
    let heads = rx.iter().map(|rx| rx.to_string() + &" ".repeat(marks.len()));
    let heads = heads.map(|head| styler.paint(Color::Quiet, &head));
    let mut lines: Vec<Vec<String>> = vec![[String::new()].into_iter().chain(heads).collect()];
    lines.extend(tx.iter().map(|tx| {
        let cells = rx.iter().map(|rx| cell(tx, rx));
        [(*tx).to_owned()].into_iter().chain(cells).collect()
    }));
    align(&lines, |at| at == 0)
}
