use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::report::checks::validity::invalid_cell;
use crate::report::checks::warning_codes::ungrouped;
use crate::report::hostile;

/// Cells to try. Arbitrary: enough to see each of [`WITH_COUNTS`].
const CELLS: usize = 300;

/// Codes of warnings and reasons whose message has a count.
const WITH_COUNTS: &str = "\
    behind_schedule broken_ledger buffer_not_granted clamped corrupt duplicate \
    duplicate_replies error_replies flow_starved foreign generator_dropped incomplete_replies \
    late late_replies lost_between no_reply no_room nothing_answered nothing_arrived \
    nothing_sent receive_buffer_loss refused_no_buffers refused_other refused_too_big \
    refused_unreachable refused_would_block schedule_missed segments_never_cut short_run \
    sources_differ stalls stolen target_unreachable unaccounted unmatched warmup_loss";

/// Replaces each integer by one of any size; a sum of products of three of them fits 64 bits.
fn enlarge(value: &mut Value, random: &mut fastrand::Rng) {
    match value {
        Value::Number(number) if number.is_u64() => {
            let sizes = [0..1, 1..10, 1_000..10_000, 1_000_000..1_000_000_000];
            let sizes = random.choice(sizes).unwrap();
            *value = random.u64(sizes).into();
        }
        Value::Array(all) => all.iter_mut().for_each(|one| enlarge(one, random)),
        Value::Object(all) => all.values_mut().for_each(|one| enlarge(one, random)),
        _ => {}
    }
}

#[test]
fn counts_in_warnings_and_reasons_have_separators() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut seen = BTreeSet::new();
    for _ in 0..CELLS {
        let rate = random.choice(["max", "50%"]).unwrap();
        let cell = hostile::cell(rate, random.bool());
        let mut value = serde_json::to_value(cell).unwrap();
        enlarge(&mut value, &mut random);
        let mut cell: Cell = serde_json::from_value(value).unwrap();
        cell.ends = random.choice(["together", "apart", "across"]).map(str::to_owned);
        let (warmup_sent, warmup_lost) = (20_000, random.u64(..20_000));
        let ctx = CellContext { warmup_sent, warmup_lost, both: random.bool(), ..calm() };
        let warnings = cell_warnings(&cell, &ctx).into_iter().map(|one| (one.code, one.message));
        let reasons = invalid_cell(&cell, 0.0).into_iter().map(|one| (one.code, one.message));
        for (code, message) in warnings.chain(reasons) {
            assert_eq!(ungrouped(&message), None, "{code}: {message}");
            if message.contains(|c: char| c.is_ascii_digit()) {
                seen.insert(code);
            }
        }
    }
    let missing: Vec<_> = WITH_COUNTS.split(' ').filter(|code| !seen.contains(*code)).collect();
    assert!(missing.is_empty(), "no message of {missing:?} was seen, only of {seen:?}");
}
