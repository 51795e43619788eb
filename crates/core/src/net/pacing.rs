//! Pacing by the kernel (`--pace-by`): finds the queueing discipline that holds datagrams until
//! their departure time, and sets the options of sockets.

use std::io;
use std::net::SocketAddr;

use crate::sys::{self, Handle, Qdisc, TxClock};

/// Queueing disciplines that only distribute packets among others.
const DISTRIBUTE: [&str; 3] = ["mq", "mqprio", "taprio"];

/// Why the kernel cannot pace.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum PacingError {
    #[error("--pace-by {by}: this host reports no device towards {to}; add a route, or use --dev")]
    NoDevice { by: &'static str, to: SocketAddr },
    #[error(
        "--pace-by {by}: device {device} sends by {found}, which does not support it; run `tc \
         qdisc replace dev {device} root fq` (kernel module sch_fq)"
    )]
    NoQdisc { by: &'static str, device: String, found: String },
    #[error(
        "--pace-by {by}: etf on device {device} uses another clock than CLOCK_TAI, or deadline \
         mode, and cannot be changed; run `tc qdisc del dev {device} root && tc qdisc add dev \
         {device} root etf clockid CLOCK_TAI delta 300000`"
    )]
    ForeignEtf { by: &'static str, device: String },
    #[error(
        "--pace-by {by}: the kernel refuses {option}: {source}; etf needs root (CAP_NET_ADMIN), \
         and SO_TXTIME needs Linux 4.20"
    )]
    Refused { by: &'static str, option: &'static str, source: io::Error },
}

/// The clock of departures of datagrams to this address by `dev`, or by the device of the route.
/// With `only_fq`, etf does not count. `by`: the word of the flag.
pub fn departure_clock(
    by: &'static str,
    to: SocketAddr,
    dev: Option<&str>,
    only_fq: bool,
) -> Result<TxClock, PacingError> {
    let hop = || sys::next_hop(to, None).map(|hop| hop.device);
    let device = dev.map(str::to_owned).or_else(hop);
    let device = device.ok_or(PacingError::NoDevice { by, to })?;
    // A VLAN or a bond passes the time on to the device below.
    let below = sys::device_stack(&device).unwrap_or_default();
    let names = std::iter::once(device.clone()).chain(below.into_iter().map(|link| link.name));
    let all: Vec<_> = names.map(|name| (sys::qdiscs(&name).unwrap_or_default(), name)).collect();
    match all.iter().find_map(|(qdiscs, name)| Some((clock_of(qdiscs)?, name))) {
        Some((Ok(TxClock::Tai { .. }), _)) if only_fq => {}
        Some((Ok(clock), _)) => return Ok(clock),
        Some((Err(()), name)) if !only_fq => {
            return Err(PacingError::ForeignEtf { by, device: name.clone() });
        }
        _ => {}
    }
    let found = all.first().and_then(|(qdiscs, _)| qdiscs.first());
    let found = found.map_or("none", |one| &one.kind).to_owned();
    Err(PacingError::NoQdisc { by, device, found })
}

/// The clock of the queueing disciplines of a device, if all that hold packets are of one kind that
/// knows departures; an error for an etf that takes no other times.
fn clock_of(qdiscs: &[Qdisc]) -> Option<Result<TxClock, ()>> {
    let mut holding = qdiscs.iter().filter(|one| !DISTRIBUTE.contains(&one.kind.as_str()));
    let first = holding.next()?;
    let clock = match first.kind.as_str() {
        "fq" => Ok(TxClock::Monotonic),
        "etf" => first.etf_early_ns.map(|early_ns| TxClock::Tai { early_ns }).ok_or(()),
        _ => return None,
    };
    holding.all(|one| one == first).then_some(clock)
}

/// Lets the datagrams of these sockets have times of departure on this clock.
pub fn enable_departures<S: Handle>(
    by: &'static str,
    sockets: &[S],
    clock: TxClock,
) -> Result<(), PacingError> {
    let enable = |socket| sys::enable_departures(socket, clock);
    let refused = |source| PacingError::Refused { by, option: "SO_TXTIME", source };
    sockets.iter().try_for_each(enable).map_err(refused)
}

/// Limits each of these sockets to so many bytes a second, with the headers of the link.
pub fn set_pacing_rate<S: Handle>(
    by: &'static str,
    sockets: &[S],
    bytes_per_second: u64,
) -> Result<(), PacingError> {
    let set = |socket| sys::set_pacing_rate(socket, bytes_per_second);
    let refused = |source| PacingError::Refused { by, option: "SO_MAX_PACING_RATE", source };
    sockets.iter().try_for_each(set).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_etf_is_removed_first() {
        // The kernel does not change an etf: replace fails where there is one.
        let told = PacingError::ForeignEtf { by: "txtime", device: "eth0".to_owned() }.to_string();
        assert!(told.contains("`tc qdisc del dev eth0 root && tc qdisc add dev eth0 root etf"));
    }

    #[test]
    fn only_disciplines_that_hold_every_packet_count() {
        let kinds = |words: &str| {
            let one = |word: &str| {
                let (kind, early) = word.split_once(':').unwrap_or((word, ""));
                Qdisc { kind: kind.to_owned(), etf_early_ns: early.parse().ok() }
            };
            clock_of(&words.split_whitespace().map(one).collect::<Vec<_>>())
        };
        assert_eq!(kinds("fq"), Some(Ok(TxClock::Monotonic)));
        assert_eq!(kinds("mq fq fq"), Some(Ok(TxClock::Monotonic)));
        assert_eq!(kinds("mqprio etf:7 etf:7"), Some(Ok(TxClock::Tai { early_ns: 7 })));
        assert_eq!(kinds("etf"), Some(Err(())));
        for words in
            ["", "noqueue", "mq", "mq fq pfifo_fast", "fq_codel", "fq etf:7", "etf:7 etf:8"]
        {
            assert_eq!(kinds(words), None, "{words}");
        }
    }
}
