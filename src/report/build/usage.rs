//! What datagrams cost.

use crate::measure::{Harvest, Usage};
use crate::report::document::{ContextSwitches, PerDatagram};

/// How often the workers of one side left their CPUs.
pub(super) fn switches(usage: Usage) -> Option<ContextSwitches> {
    let switches = usage.context_switches?;
    let (voluntary, involuntary) = (switches.voluntary, switches.involuntary);
    Some(ContextSwitches { voluntary, involuntary })
}

/// Which instructions were counted.
pub(super) fn kind(usage: Usage) -> Option<String> {
    let instructions = usage.instructions?;
    Some(if instructions.with_kernel { "user+kernel" } else { "user" }.to_owned())
}

/// What a datagram cost, both sides together. Of requests, what was received is what was answered.
pub(super) fn per_datagram(harvest: &Harvest) -> PerDatagram {
    let datagrams = if harvest.one_ended { harvest.tx.sent } else { harvest.rx.received };
    if datagrams == 0 {
        return PerDatagram::default();
    }
    let each = |count: u64| count as f64 / datagrams as f64;
    let usage = harvest.usage();
    // Of a receiver that nothing is known of, this is 0.
    let syscalls = harvest.tx.syscalls + harvest.rx.syscalls;
    PerDatagram {
        syscalls: Some(each(syscalls)),
        context_switches: usage.context_switches.map(|all| each(all.voluntary + all.involuntary)),
        cpu_ns: usage.cpu.map(|cpu| each(cpu.0)),
        instructions: usage.instructions.map(|all| each(all.count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{self, Exchange, Instructions};
    use crate::unit::Nanos;

    fn usage(cpu: u64, with_kernel: bool) -> Usage {
        Usage {
            cpu: Some(Nanos(cpu)),
            context_switches: Some(measure::ContextSwitches { voluntary: 4, involuntary: 1 }),
            instructions: Some(Instructions { count: cpu * 2, with_kernel }),
        }
    }

    /// 100 sent, 50 received, at the price of 300 and 200 ns.
    fn harvest() -> Harvest {
        let mut harvest = Harvest {
            tx_usage: usage(300, true),
            rx_usage: usage(200, true),
            ..Harvest::default()
        };
        (harvest.tx.sent, harvest.tx.syscalls) = (100, 100);
        (harvest.rx.received, harvest.rx.syscalls) = (50, 25);
        harvest
    }

    #[test]
    fn both_sides_pay_for_what_arrived() {
        let found = per_datagram(&harvest());
        assert_eq!((found.syscalls, found.context_switches), (Some(2.5), Some(0.2)));
        assert_eq!((found.cpu_ns, found.instructions), (Some(10.0), Some(20.0)));
    }

    #[test]
    fn without_a_receiver_the_sender_pays_for_what_it_sent() {
        let mut alone = Harvest { one_ended: true, rx_usage: Usage::default(), ..harvest() };
        alone.rx = measure::RxTally::default();
        let found = per_datagram(&alone);
        assert_eq!((found.syscalls, found.cpu_ns), (Some(1.0), Some(3.0)));
        assert_eq!(found.context_switches, Some(0.05));
    }

    #[test]
    fn who_asks_and_hears_pays_once() {
        let asked = Exchange::default();
        let pair = Harvest { exchange: Some(asked), rx_usage: Usage::default(), ..harvest() };
        let found = per_datagram(&pair);
        assert_eq!((found.syscalls, found.cpu_ns), (Some(2.5), Some(6.0)));
    }

    #[test]
    fn what_one_side_does_not_tell_is_not_made_up() {
        let half = Harvest { rx_usage: usage(200, false), ..harvest() };
        let found = per_datagram(&half);
        assert_eq!((found.cpu_ns, found.instructions), (Some(10.0), None));
        let silent = Harvest { rx_usage: Usage::default(), ..harvest() };
        let found = per_datagram(&silent);
        assert_eq!((found.syscalls, found.cpu_ns, found.context_switches), (Some(2.5), None, None));
        let mut nothing = harvest();
        nothing.rx.received = 0;
        assert_eq!(per_datagram(&nothing), PerDatagram::default());
    }
}
