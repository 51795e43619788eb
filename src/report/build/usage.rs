//! System calls, CPU time and other costs per datagram.

use crate::document::PerDatagram;
use crate::measure::{CellResult, Usage};

/// Datagrams that share the costs of each side, which are read when the senders' window closes.
#[derive(Debug, Clone, Copy)]
struct Shares {
    tx: u64,
    /// `None` without a receiver, or if the sender receives too and has all costs.
    rx: Option<u64>,
}

impl Shares {
    fn of(result: &CellResult) -> Self {
        let rx = &result.rx.tally;
        match (result.one_ended, result.rx.exchange.is_some()) {
            (true, _) => Self { tx: result.tx.tally.sent, rx: None },
            // Of requests, what was received is what was answered.
            (_, true) => Self { tx: rx.read_in_window, rx: None },
            _ => Self { tx: rx.received, rx: Some(rx.read_in_window) },
        }
    }

    /// The cost per datagram; `None` if that of a side that takes part is unknown.
    fn each(self, tx: Option<u64>, rx: Option<u64>) -> Option<f64> {
        let share = |count: u64, of: u64| (of > 0).then(|| count as f64 / of as f64);
        let alone = share(tx?, self.tx)?;
        self.rx.map_or(Some(alone), |of| Some(alone + share(rx?, of)?))
    }
}

pub(super) fn per_datagram(result: &CellResult) -> PerDatagram {
    let shares = Shares::of(result);
    let (tx, rx) = (result.tx.usage, result.rx.usage);
    let each = |of: fn(Usage) -> Option<u64>| shares.each(of(tx), of(rx));
    let (tx, rx) = (tx.instructions, rx.instructions);
    // Counts with and without the kernel's instructions do not add up.
    let alike =
        shares.rx.is_none() || tx.zip(rx).is_some_and(|(tx, rx)| tx.with_kernel == rx.with_kernel);
    PerDatagram {
        syscalls: syscalls(result, shares),
        context_switches: each(|usage| usage.context_switches?.all()),
        cpu_ns: each(|usage| Some(usage.cpu?.0)),
        instructions: each(|usage| Some(usage.instructions?.count)).filter(|_| alike),
    }
}

/// System calls per datagram; counted to the end if all datagrams arrived after the window.
fn syscalls(result: &CellResult, shares: Shares) -> Option<f64> {
    let (tx, rx) = (&result.tx.tally, &result.rx.tally);
    let (calls, shares) = match shares {
        _ if result.one_ended || rx.read_in_window > 0 => (rx.syscalls_in_window, shares),
        Shares { rx: None, .. } => (rx.syscalls, Shares { tx: rx.received, rx: None }),
        _ => (rx.syscalls, Shares { tx: rx.received, rx: Some(rx.received) }),
    };
    // With requests, one worker sends and receives.
    let sent = match shares.rx {
        None => tx.syscalls.checked_add(calls),
        Some(_) => Some(tx.syscalls),
    };
    shares.each(sent, Some(calls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::ContextSwitches;
    use crate::measure::{Instructions, RequestCounts, RxResult};
    use crate::unit::Nanos;

    fn usage(cpu: u64, with_kernel: bool) -> Usage {
        Usage {
            cpu: Some(Nanos(cpu)),
            context_switches: Some(ContextSwitches { voluntary: 4, involuntary: 1 }),
            instructions: Some(Instructions { count: cpu * 2, with_kernel }),
        }
    }

    /// 100 sent, 50 received, 40 of them in the window, at 300 and 200 ns of CPU time.
    fn result() -> CellResult {
        let mut result = CellResult::default();
        (result.tx.usage, result.rx.usage) = (usage(300, true), usage(200, true));
        let (tx, rx) = (&mut result.tx.tally, &mut result.rx.tally);
        (tx.sent, tx.syscalls, rx.received, rx.syscalls) = (100, 100, 50, 90);
        (rx.read_in_window, rx.syscalls_in_window) = (40, 20);
        result
    }

    #[test]
    fn costs_are_shared_by_the_datagrams_of_each_side() {
        type Case = (fn(&mut CellResult), [Option<f64>; 4]);
        fn one_ended(one: &mut CellResult) {
            (one.one_ended, one.rx) = (true, RxResult::default());
        }
        fn requests(one: &mut CellResult) {
            (one.rx.exchange, one.rx.usage) = (Some(RequestCounts::default()), Usage::default());
        }
        fn late(one: &mut CellResult) {
            (one.rx.tally.read_in_window, one.rx.tally.syscalls_in_window) = (0, 7);
        }
        let cases: [Case; 8] = [
            // 100 / 50 + 20 / 40; 5 / 50 + 5 / 40; 300 / 50 + 200 / 40; 600 / 50 + 400 / 40
            (|_| {}, [Some(2.5), Some(0.225), Some(11.0), Some(22.0)]),
            // Without a receiver, by what was sent.
            (one_ended, [Some(1.0), Some(0.05), Some(3.0), Some(6.0)]),
            // Of requests, one side pays for both: 120 / 40; 5 / 40; 300 / 40; 600 / 40
            (requests, [Some(3.0), Some(0.125), Some(7.5), Some(15.0)]),
            // Instructions with the kernel's and without make no sum.
            (|one| one.rx.usage = usage(200, false), [Some(2.5), Some(0.225), Some(11.0), None]),
            (|one| one.rx.usage = Usage::default(), [Some(2.5), None, None, None]),
            (|one| (one.rx.tally.received, one.rx.tally.read_in_window) = (0, 0), [None; 4]),
            // All came after the window: (100 + 90) / 50
            (late, [Some(3.8), None, None, None]),
            (|one| (late(one), requests(one)).0, [Some(3.8), None, None, None]),
        ];
        for (at, (change, expected)) in cases.into_iter().enumerate() {
            let mut one = result();
            change(&mut one);
            let found = per_datagram(&one);
            let found = [found.syscalls, found.context_switches, found.cpu_ns, found.instructions];
            assert_eq!(found, expected, "{at}");
        }
    }
}
