//! Formatting of figures in table columns.

use crate::report::format::text::rows::Row;
use crate::report::format::text::style::{Color, Styler, percent};

/// The median of a share over trials; if it is 0 but some are not, the largest.
pub(super) fn share(median_and_worst: Option<(f64, f64)>, styler: Styler) -> Option<String> {
    let (median, worst) = median_and_worst?;
    Some(match worst {
        0.0 => styler.paint(Color::Good, "0"),
        _ if worst > BAD_LOSS && median == 0.0 => {
            styler.paint(Color::Bad, &format!("≤{}", percent(worst)))
        }
        _ if median == 0.0 => format!("≤{}", percent(worst)),
        _ if median > BAD_LOSS => styler.paint(Color::Bad, &percent(median)),
        _ => percent(median),
    })
}

pub(super) fn cpu(row: &Row<'_>) -> Option<String> {
    let (tx, rx) = (row.tx_cpu(), row.rx_cpu());
    let side = |share: Option<f64>| {
        share.map_or_else(|| UNKNOWN.to_owned(), |share| format!("{:.0}", share * 100.0))
    };
    if row.asks() {
        return tx.map(|_| format!("{}%", side(tx)));
    }
    tx.or(rx).map(|_| format!("{}/{}%", side(tx), side(rx)))
}

/// Billions of bits with three digits, as far as four decimals reach.
pub(super) fn gigabits(bits: f64) -> String {
    match bits / 1e9 {
        g if g >= 99.95 => format!("{g:.0}"),
        g if g >= 9.995 => format!("{g:.1}"),
        g if g >= 0.9995 => format!("{g:.2}"),
        g if g >= 0.09995 => format!("{g:.3}"),
        g if g >= 0.0001 => format!("{g:.4}"),
        g if g > 0.0 => "<.0001".to_owned(),
        _ => "0".to_owned(),
    }
}

/// A bar of eighth blocks; any value above 0 is visible.
pub(super) fn draw_bar(value: Option<f64>, highest: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let Some(value) = value.filter(|&value| value > 0.0 && highest > 0.0) else {
        return String::new();
    };
    let eighths = ((value / highest * 8.0 * width as f64).round() as usize).max(1);
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// Loss above this share is shown as bad: from the contract's example `loss>0.1%`.
pub(in crate::report::format::text) const BAD_LOSS: f64 = 0.001;

/// Stands for what is unknown.
pub(in crate::report::format::text) const UNKNOWN: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_exact_to_an_eighth_and_never_invisible() {
        assert_eq!(draw_bar(Some(8.0), 8.0, 8), "████████");
        assert_eq!(draw_bar(Some(3.25), 8.0, 8), "███▎");
        assert_eq!(draw_bar(Some(1e-9), 8.0, 8), "▏");
        assert_eq!(draw_bar(Some(0.0), 8.0, 8), "");
        assert_eq!(draw_bar(None, 0.0, 8), "");
    }

    #[test]
    fn gigabits_fit_six_columns() {
        let shown = [0.0, 1e3, 1.3e6, 1.39e8, 1.2e9, 13.9e9, 400e9].map(gigabits);
        let expected = ["0", "<.0001", "0.0013", "0.139", "1.20", "13.9", "400"];
        assert_eq!(shown, expected);
    }
}
