//! What datagrams cost.

use crate::document::{ContextSwitches, PerDatagram};
use crate::measure::{CellResult, Usage};

pub(super) fn switches(usage: Usage) -> Option<ContextSwitches> {
    let switches = usage.context_switches?;
    let (voluntary, involuntary) = (switches.voluntary, switches.involuntary);
    Some(ContextSwitches { voluntary, involuntary })
}

pub(super) fn kind(usage: Usage) -> Option<String> {
    let instructions = usage.instructions?;
    Some(if instructions.with_kernel { "user+kernel" } else { "user" }.to_owned())
}

/// Datagrams that share the costs of each side, which are read when the senders' window closes.
#[derive(Debug, Clone, Copy)]
struct Shares {
    tx: u64,
    /// `None`: there is no receiver, or it is the sender, who has paid for both.
    rx: Option<u64>,
}

impl Shares {
    fn of(result: &CellResult) -> Self {
        let rx = &result.rx;
        match (result.one_ended, result.exchange.is_some()) {
            (true, _) => Self { tx: result.tx.sent, rx: None },
            // Of requests, what was received is what was answered.
            (_, true) => Self { tx: rx.read_in_window, rx: None },
            _ => Self { tx: rx.received, rx: Some(rx.read_in_window) },
        }
    }

    /// What a datagram cost of something that is known of both sides, as far as both pay.
    fn each(self, tx: Option<u64>, rx: Option<u64>) -> Option<f64> {
        let share = |count: u64, of: u64| (of > 0).then(|| count as f64 / of as f64);
        let alone = share(tx?, self.tx)?;
        self.rx.map_or(Some(alone), |of| Some(alone + share(rx?, of)?))
    }
}

pub(super) fn per_datagram(result: &CellResult) -> PerDatagram {
    let shares = Shares::of(result);
    let each = |of: fn(Usage) -> Option<u64>| shares.each(of(result.tx_usage), of(result.rx_usage));
    let (tx, rx) = (result.tx_usage.instructions, result.rx_usage.instructions);
    // With the kernel's and without make no sum.
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
    let (tx, rx) = (&result.tx, &result.rx);
    let (calls, shares) = match shares {
        _ if result.one_ended || rx.read_in_window > 0 => (rx.syscalls_in_window, shares),
        Shares { rx: None, .. } => (rx.syscalls, Shares { tx: rx.received, rx: None }),
        _ => (rx.syscalls, Shares { tx: rx.received, rx: Some(rx.received) }),
    };
    // Who asks also hears, and pays for both as one.
    let sent = match shares.rx {
        None => tx.syscalls.checked_add(calls),
        Some(_) => Some(tx.syscalls),
    };
    shares.each(sent, Some(calls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{self, Instructions, RequestCounts};
    use crate::unit::Nanos;

    fn usage(cpu: u64, with_kernel: bool) -> Usage {
        Usage {
            cpu: Some(Nanos(cpu)),
            context_switches: Some(measure::ThreadSwitches { voluntary: 4, involuntary: 1 }),
            instructions: Some(Instructions { count: cpu * 2, with_kernel }),
        }
    }

    /// 100 sent, 50 received, 40 of them in the window, at the price of 300 and 200 ns.
    fn result() -> CellResult {
        let mut result = CellResult {
            tx_usage: usage(300, true),
            rx_usage: usage(200, true),
            ..CellResult::default()
        };
        (result.tx.sent, result.tx.syscalls) = (100, 100);
        (result.rx.received, result.rx.syscalls) = (50, 90);
        (result.rx.read_in_window, result.rx.syscalls_in_window) = (40, 20);
        result
    }

    #[test]
    fn costs_are_shared_by_the_datagrams_of_each_side() {
        type Case = (fn(&mut CellResult), [Option<f64>; 4]);
        let cases: [Case; 8] = [
            // 100 / 50 + 20 / 40; 5 / 50 + 5 / 40; 300 / 50 + 200 / 40; 600 / 50 + 400 / 40
            (|_| {}, [Some(2.5), Some(0.225), Some(11.0), Some(22.0)]),
            // Without a receiver, by what was sent.
            (
                |one| {
                    (one.one_ended, one.rx_usage) = (true, Usage::default());
                    one.rx = measure::RxTally::default();
                },
                [Some(1.0), Some(0.05), Some(3.0), Some(6.0)],
            ),
            // Of requests, one side pays for both: 120 / 40; 5 / 40; 300 / 40; 600 / 40
            (
                |one| {
                    (one.exchange, one.rx_usage) =
                        (Some(RequestCounts::default()), Usage::default())
                },
                [Some(3.0), Some(0.125), Some(7.5), Some(15.0)],
            ),
            // Instructions with the kernel's and without make no sum.
            (|one| one.rx_usage = usage(200, false), [Some(2.5), Some(0.225), Some(11.0), None]),
            (|one| one.rx_usage = Usage::default(), [Some(2.5), None, None, None]),
            (|one| (one.rx.received, one.rx.read_in_window) = (0, 0), [None; 4]),
            // All came after the window: (100 + 90) / 50
            (
                |one| (one.rx.read_in_window, one.rx.syscalls_in_window) = (0, 7),
                [Some(3.8), None, None, None],
            ),
            (
                |one| {
                    (one.rx.read_in_window, one.rx.syscalls_in_window) = (0, 7);
                    one.exchange = Some(RequestCounts::default());
                },
                [Some(3.8), None, None, None],
            ),
        ];
        for (at, (change, [syscalls, context_switches, cpu_ns, instructions])) in
            cases.into_iter().enumerate()
        {
            let mut one = result();
            change(&mut one);
            let expected = PerDatagram { syscalls, context_switches, cpu_ns, instructions };
            assert_eq!(per_datagram(&one), expected, "{at}");
        }
    }

    #[test]
    fn wild_counts_of_another_host_do_not_overflow() {
        let mut wild = result();
        wild.rx_usage.cpu = Some(Nanos(u64::MAX));
        wild.rx_usage.context_switches =
            Some(measure::ThreadSwitches { voluntary: u64::MAX, involuntary: 1 });
        wild.rx.syscalls_in_window = u64::MAX;
        let costs = per_datagram(&wild);
        assert!(costs.cpu_ns.unwrap() > 1e17 && costs.syscalls.unwrap() > 1e17);
        assert_eq!(costs.context_switches, None);
    }
}
