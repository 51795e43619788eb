//! Checks of counts: every datagram has the outcome that the relay gave it.

use super::cell::{Measured, TestContext, scenario};
use super::finding::{CheckFinding, CheckResult};
use super::orders::{Action, Orders, Truth};
use crate::document::Ledger;
use crate::measure::WINDOW;
use crate::plan::{EnginePair, Limit, PaceKind, Scenario, WaitKind};
use crate::unit::{Nanos, Rate};

/// Datagrams per second of most cells. Arbitrary: ten times less than a relay passes on.
const PPS: f64 = 5_000.0;
/// The same while the receiver stalls: many times the starved buffer. Arbitrary.
const STALLED_PPS: f64 = 20_000.0;
/// Datagrams that are due at once. Arbitrary.
const BURST: u32 = 8;
/// Datagrams that are lost at the end. Arbitrary.
const TAIL: usize = 5;
/// A receive buffer in bytes that a stall fills, and that lasts for some ms otherwise. Arbitrary.
const STARVED: usize = 65_536;

/// Counts by name, as the report or another account has them.
type Counts = [(&'static str, Option<u64>); 9];

fn seen(ledger: &Ledger) -> Counts {
    [
        ("sent", Some(ledger.sent)),
        ("received", ledger.received),
        ("lost", ledger.lost),
        ("duplicate", ledger.duplicate),
        ("late", ledger.late),
        ("reordered", ledger.reordered),
        ("extent", ledger.reorder_extent),
        ("foreign", ledger.foreign),
        ("corrupt", ledger.corrupt),
    ]
}

fn expected(measured: &Measured) -> Counts {
    let (sent, truth) = (measured.account.sent(), &measured.account.truth);
    let &Truth { received, duplicate, late, reordered, extent, foreign, corrupt, .. } = truth;
    [
        ("sent", sent),
        ("received", received),
        ("lost", sent - received.min(sent)),
        ("duplicate", duplicate),
        ("late", late),
        ("reordered", reordered),
        ("extent", extent),
        ("foreign", foreign),
        ("corrupt", corrupt),
    ]
    .map(|(name, count)| (name, Some(count)))
}

/// The counts that are not 0 in either account.
fn shown(counts: Counts, other: Counts) -> String {
    let is_shown = |at: &usize| counts[*at].1 != Some(0) || other[*at].1 != Some(0);
    let show = |at: usize| match counts[at] {
        (name, Some(count)) => format!("{name} {count}"),
        (name, None) => format!("{name} unknown"),
    };
    (0..counts.len()).filter(is_shown).map(show).collect::<Vec<_>>().join(", ")
}

/// Compares all counts. What the receiver's own buffer dropped is lost, too, but the relay does not
/// know of it.
fn compared(measured: &Measured) -> CheckFinding {
    let (seen, expected) = (seen(&measured.cell.ledger), expected(measured));
    let dropped = measured.cell.ledger.lost_at.receive_buffer.filter(|dropped| *dropped > 0);
    let dropped = dropped.map(|_| "the receive buffer was full: this host is busy");
    CheckFinding::of(seen == expected, shown(expected, seen), shown(seen, expected))
        .unless(measured.disturbed.or(dropped))
}

/// A list of drops, copies, reordering and damage.
pub(super) fn ledger(context: &TestContext<'_>, engine: EnginePair) -> CheckResult {
    let count = context.quick_or(400, 2_000);
    let orders = Orders::of_seed(context.seed, count as usize);
    // So that engines send and receive several at once.
    let scenario = Scenario { pace: PaceKind::Burst(BURST), ..scenario(engine, PPS, count) };
    context.measure(scenario, orders).map(|measured| compared(&measured))
}

/// The last datagrams are lost: nothing after them shows it.
pub(super) fn tail(context: &TestContext<'_>) -> CheckResult {
    let count = context.quick_or(200, 1_000);
    let orders = Orders::without_tail(count as usize, TAIL);
    let measured = context.measure(scenario(EnginePair::PLAIN, PPS, count), orders)?;
    Ok(compared(&measured))
}

/// One datagram is as old as the reorder window remembers, and one is older.
pub(super) fn window(context: &TestContext<'_>) -> CheckResult {
    // Flat out, as the numbers would be ahead of a schedule.
    let scenario = Scenario {
        rates: vec![Rate::Max],
        limit: Limit::Time(Nanos::from_millis(20)),
        ..scenario(EnginePair::PLAIN, PPS, 1)
    };
    let measured = context.measure(scenario, Orders::at_window())?;
    let truth = &measured.account.truth;
    let reached = (truth.extent == WINDOW - 1 && truth.late == 1).then_some(());
    let missing = reached.is_none().then_some("too few datagrams were sent: this host is busy");
    let finding = compared(&measured);
    Ok(match missing {
        Some(why) => CheckFinding { ok: None, note: Some(why.to_owned()), ..finding },
        None => finding,
    })
}

/// The receiver stalls, with a small receive buffer, while the relay drops
/// others: only the former are charged to the buffer.
pub(super) fn receive_buffer(context: &TestContext<'_>) -> CheckResult {
    let count = context.quick_or(1_200, 4_000);
    let list = (0..count).map(|at| match at % 10 {
        5 => Action::Drop,
        _ => Action::Pass,
    });
    let stall = Some((100, count as usize / 2));
    let orders = Orders { list: list.collect(), stall, ..Orders::default() };
    let scenario = Scenario {
        socket_buffer: STARVED,
        wait: WaitKind::Spin,
        ..scenario(EnginePair::PLAIN, STALLED_PPS, count)
    };
    let measured = context.measure(scenario, orders)?;
    if measured.account.stalled.is_none() {
        return Ok(not_stalled());
    }
    let (ledger, account) = (&measured.cell.ledger, &measured.account);
    let passed = account.truth.received;
    let at_buffer = ledger.received.map(|received| passed.saturating_sub(received));
    let elsewhere = account.sent() - passed.min(account.sent());
    let seen_at_buffer = ledger.lost_at.receive_buffer;
    let seen_elsewhere = ledger.lost.zip(seen_at_buffer).map(|(lost, here)| lost - here.min(lost));
    let show = |here: Option<u64>, there: Option<u64>| {
        let shown = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let [here, there] = [here, there].map(shown);
        format!("lost at the receive buffer {here}, elsewhere {there}")
    };
    let is_true = seen_at_buffer == at_buffer && seen_elsewhere == Some(elsewhere);
    let expected = show(at_buffer, Some(elsewhere));
    let finding = CheckFinding::of(
        is_true && at_buffer > Some(0),
        expected,
        show(seen_at_buffer, seen_elsewhere),
    );
    Ok(finding.unless(measured.disturbed))
}

/// What a check without a stalled receiver finds.
pub(super) fn not_stalled() -> CheckFinding {
    let note = "this system cannot stop a thread, or the thread ended before";
    CheckFinding { note: Some(note.to_owned()), ..CheckFinding::default() }
}
