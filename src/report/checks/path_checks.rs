//! Checks of the path to a target, a line each.

use super::host_checks::Grade::{self, Bad, Good, Note, Warn};
use crate::document::{Clock, DoctorCheck, PathFacts, PathIcmp, PathMtu, PathRtt, TargetKind};
use crate::unit::show_nanos;

/// A clock that is known worse than this makes one-way latency vague. Arbitrary: ten times what a
/// local network gives.
const VAGUE_NS: u64 = 1_000_000;

/// Bytes of the headers of IPv4 and IPv6, each with that of UDP; RFC 791, RFC 8200, RFC 768.
const HEADERS: [u64; 2] = [28, 48];

/// All checks of a path.
pub(crate) fn check_path(path: &PathFacts) -> Vec<DoctorCheck> {
    let mut checks = vec![address(path), route(path)];
    checks.extend(neighbour(path));
    checks.push(target(path));
    checks.extend(path.rtt.as_ref().map(|found| rtt(found, path.protocol.as_deref())));
    if path.target != TargetKind::Unreachable {
        checks.push(mtu(path));
        checks.extend(larger(path));
    }
    checks.push(icmp(path));
    checks.extend(clock(path));
    checks
}

fn check(subject: &str, grade: Grade, found: impl Into<String>) -> DoctorCheck {
    let (subject, grade) = (subject.to_owned(), grade.word().to_owned());
    DoctorCheck { subject, grade, found: found.into(), effect: None, fix: None }
}

fn address(path: &PathFacts) -> DoctorCheck {
    match &path.other_addresses[..] {
        [] => check("address", Good, path.address.clone()),
        others => {
            let found = format!("{}; the others are {}", path.address, others.join(", "));
            check("address", Note, found).means(
                "Runs use the first address that does not refuse datagrams. Give an address, or \
                 -4 or -6, to choose.",
            )
        }
    }
}

fn route(path: &PathFacts) -> DoctorCheck {
    let Some(device) = &path.device else {
        return check("route", Note, "the system does not report the outgoing device");
    };
    let mtu = path.device_mtu.map_or_else(String::new, |mtu| format!(" (MTU {mtu})"));
    let via = path
        .gateway
        .as_ref()
        .map_or_else(|| "directly".to_owned(), |gateway| format!("via {gateway}"));
    let from = path.source.as_ref().map_or_else(String::new, |source| format!(", from {source}"));
    check("route", Good, format!("{via} by {device}{mtu}{from}"))
}

fn neighbour(path: &PathFacts) -> Option<DoctorCheck> {
    let state = path.neighbour.as_deref()?;
    let hop =
        path.gateway.as_deref().or_else(|| path.address.rsplit_once(':').map(|(ip, _)| ip))?;
    let hop = hop.trim_matches(['[', ']']);
    if !matches!(state, "incomplete" | "failed") {
        let found = match state {
            "noarp" => "the device needs no address resolution".to_owned(),
            state => format!("{hop} is {state}"),
        };
        return Some(check("neighbour", Good, found));
    }
    let device = path.device.as_deref().unwrap_or("DEVICE");
    let found = format!("{hop} does not answer address resolution on {device} ({state})");
    let effect = "No datagram leaves this host. Check the address, the cable or switch port, the \
                  VLAN, and whether that host is up.";
    Some(
        check("neighbour", Bad, found)
            .means(effect)
            .fixed_by(format!("ip neigh show {hop} dev {device}")),
    )
}

fn target(path: &PathFacts) -> DoctorCheck {
    let check = |grade, found: &str| check("target", grade, found);
    let port = path.address.rsplit(':').next().unwrap_or_default();
    match path.target {
        TargetKind::Sink => check(Good, "a udperf sink: blast, ping and search measure both ends"),
        TargetKind::Echo => check(Good, "an echo server: ping and load --preset echo measure it"),
        TargetKind::Other if path.protocol.is_some() => {
            let preset = path.protocol.as_deref().unwrap_or_default();
            let (sent, answered) = path.rtt.as_ref().map_or((0, 0), |rtt| (rtt.sent, rtt.answered));
            let found = format!("answers {preset}: {answered} of {sent} requests");
            check(Good, &found).means(format!("udperf load --preset {preset} measures it."))
        }
        TargetKind::Other => {
            check(Good, "a server that answers, neither a sink nor an echo server").means(
                "udperf load measures it with requests of its protocol, by --preset or --text.",
            )
        }
        TargetKind::Silent => check(Note, "silent: no reply, and no ICMP error").means(
            "Most servers ignore pings of udperf, which only a sink or an echo server answers. \
             udperf load measures such a server with requests of its protocol. If a sink should \
             answer here, a firewall may drop the datagrams.",
        ),
        TargetKind::Refused => check(Bad, "its host reports this port as closed")
            .means("No program listens there. Start the server, or check the port.")
            .fixed_by(format!("udperf sink -p {port}")),
        TargetKind::Unreachable => {
            let why = path.unreachable.as_deref().unwrap_or("address resolution is unanswered");
            check(Bad, &format!("unreachable: {why}"))
                .means("Check the address, the routes, and the firewalls on the way.")
                .fixed_by(format!("ip route get {}", bare(&path.address)))
        }
    }
}

/// The IP address of an address with a port.
fn bare(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(ip, _)| ip.trim_matches(['[', ']']))
}

fn rtt(rtt: &PathRtt, protocol: Option<&str>) -> DoctorCheck {
    let [min, p50, max] = [rtt.min_ns, rtt.p50_ns, rtt.max_ns].map(show_nanos);
    let what = protocol.map_or_else(|| "pings".to_owned(), |name| format!("{name} requests"));
    let found = format!("min {min} · p50 {p50} · max {max} of {} {what}", rtt.answered);
    match rtt.sent - rtt.answered {
        0 => check("round trip", Good, found),
        lost => check("round trip", Warn, format!("{found}; {lost} of {} lost", rtt.sent))
            .means("The path loses datagrams at a few a second: runs will count them as lost."),
    }
}

fn mtu(path: &PathFacts) -> DoctorCheck {
    let PathMtu { bytes, is_proved, at_least, at_most, vanish, .. } = path.mtu;
    let check = |grade, found: String| check("path MTU", grade, found);
    let headers = HEADERS[usize::from(path.address.starts_with('['))];
    let payload = |mtu: u64| mtu.saturating_sub(headers);
    let Some(mtu) = bytes else {
        let most = at_most.map(|most| format!(", at most {most} bytes"));
        let least = at_least.map(|least| format!(", at least {least} bytes"));
        let range = least.into_iter().chain(most).collect::<String>();
        return check(Note, format!("unknown{range}")).means(
            "Only a target that answers, or a router that reports ICMP errors, shows which \
                 sizes arrive. Start udperf sink or udperf echo there to find out.",
        );
    };
    let by = if is_proved == Some(true) { "" } else { ", as ICMP errors report" };
    let found = format!("{mtu} bytes{by}: payloads of up to {} bytes", payload(mtu));
    // The device's, or the longest that UDP can have.
    if path.device_mtu.is_none_or(|device| mtu >= device) || vanish.is_none() {
        return check(Good, found);
    }
    let device = path.device.as_deref().unwrap_or("the device");
    let found = format!("{found}; {device} would take {}", path.device_mtu.unwrap_or_default());
    match vanish {
        Some(true) => check(Warn, format!("{found}; longer ones are lost without an ICMP error"))
            .means(format!(
                "The kernel does not learn this path MTU: longer datagrams that may not be \
                 fragmented are lost without any error. Keep --size at {} or below, or let \
                 firewalls pass ICMP.",
                payload(mtu)
            )),
        _ => check(Note, found).means(format!(
            "Longer datagrams are fragmented, or with --df refused. Keep --size at {} or below \
             for one packet per datagram.",
            payload(mtu)
        )),
    }
}

fn larger(path: &PathFacts) -> Option<DoctorCheck> {
    let device = path.device.as_deref().unwrap_or("the device");
    let (grade, found) = match path.mtu.fragments_arrive? {
        true => (Note, format!("datagrams longer than the MTU of {device} arrive in fragments")),
        false => (Warn, format!("datagrams longer than the MTU of {device} are lost")),
    };
    let effect = "One lost fragment loses the whole datagram, and some firewalls drop all \
                  fragments: choose --size so that a datagram is one packet.";
    Some(check("fragments", grade, found).means(effect))
}

fn icmp(path: &PathFacts) -> DoctorCheck {
    let one = |icmp: &PathIcmp| {
        let meaning = icmp.meaning.as_deref().unwrap_or("no usual meaning");
        let from = icmp.from.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
        let mtu = icmp.mtu.map_or_else(String::new, |mtu| format!(", MTU {mtu}"));
        format!("{} × {meaning} ({}{mtu}){from}", icmp.count, icmp.code)
    };
    match path.icmp.is_empty() {
        true => check("ICMP errors", Good, "none came back"),
        false => {
            check("ICMP errors", Note, path.icmp.iter().map(one).collect::<Vec<_>>().join("; "))
        }
    }
}

fn clock(path: &PathFacts) -> Option<DoctorCheck> {
    if let Some(why) = &path.clock_refused {
        let effect = "A run with this sink would fail in the same way.";
        return Some(check("clock", Warn, format!("not compared: {why}")).means(effect));
    }
    let Clock { same, offset_ns, bound_ns, .. } = path.clock.as_ref()?;
    if *same {
        return Some(check("clock", Good, "both ends read the same clock"));
    }
    let bound = show_nanos(*bound_ns);
    let side = if *offset_ns < 0 { "behind" } else { "ahead" };
    let offset = show_nanos(offset_ns.unsigned_abs());
    let found = format!("the sink's is {offset} {side}, ±{bound}");
    Some(match *bound_ns > VAGUE_NS {
        false => check("clock", Good, found),
        true => check("clock", Note, found).means(
            "One-way latencies below this bound are withheld. A path with less queueing, or an \
             idle host, narrows it.",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> PathFacts {
        PathFacts {
            address: "10.0.0.7:7788".into(),
            source: Some("10.0.0.1".into()),
            device: Some("eth0".into()),
            device_mtu: Some(1_500),
            neighbour: Some("reachable".into()),
            target: TargetKind::Sink,
            rtt: Some(PathRtt { sent: 5, answered: 5, min_ns: 100, p50_ns: 200, max_ns: 300 }),
            mtu: PathMtu {
                bytes: Some(1_500),
                is_proved: Some(true),
                fragments_arrive: Some(true),
                ..PathMtu::default()
            },
            clock: Some(Clock { same: false, bound_ns: 5_000, ..Clock::same() }),
            ..PathFacts::default()
        }
    }

    /// The check of this subject, as `GRADE: FOUND`.
    fn found(path: &PathFacts, subject: &str) -> String {
        let checks = check_path(path);
        let check = checks.iter().find(|check| check.subject == subject);
        // What is not good says what it means.
        assert!(checks.iter().all(|check| {
            let is_listed = check.subject == "ICMP errors" || check.subject == "route";
            check.grade == "good" || check.effect.is_some() || is_listed
        }));
        check.map_or_else(String::new, |check| format!("{}: {}", check.grade, check.found))
    }

    #[test]
    fn a_path_without_faults_is_good() {
        let good = path();
        let bad: Vec<_> = check_path(&good).into_iter().filter(|one| one.grade != "good").collect();
        assert_eq!(bad.len(), 1, "fragments are worth knowing: {bad:?}");
        for (subject, expected) in [
            ("address", "good: 10.0.0.7:7788"),
            ("route", "good: directly by eth0 (MTU 1500), from 10.0.0.1"),
            ("neighbour", "good: 10.0.0.7 is reachable"),
            ("round trip", "good: min 100 ns · p50 200 ns · max 300 ns of 5 pings"),
            ("path MTU", "good: 1500 bytes: payloads of up to 1472 bytes"),
            ("ICMP errors", "good: none came back"),
            ("clock", "good: the sink's is 0 ns ahead, ±5.00 µs"),
        ] {
            assert_eq!(found(&good, subject), expected);
        }
    }

    #[test]
    fn faults_are_graded() {
        let with = |change: fn(&mut PathFacts)| {
            let mut path = path();
            change(&mut path);
            path
        };
        let six = with(|path| {
            path.address = "[fd00::7]:9".into();
            path.other_addresses = vec!["10.0.0.7:9".into()];
            (path.neighbour, path.target) = (Some("failed".into()), TargetKind::Unreachable);
            path.rtt = None;
        });
        assert_eq!(found(&six, "address"), "note: [fd00::7]:9; the others are 10.0.0.7:9");
        let neighbour = "bad: fd00::7 does not answer address resolution on eth0 (failed)";
        assert_eq!(found(&six, "neighbour"), neighbour);
        let target = "bad: unreachable: address resolution is unanswered";
        assert_eq!(
            (found(&six, "target").as_str(), found(&six, "path MTU").as_str()),
            (target, "")
        );
        let lossy = with(|path| path.rtt.as_mut().unwrap().answered = 3);
        assert!(found(&lossy, "round trip").ends_with("of 3 pings; 2 of 5 lost"));
        let silent = with(|path| {
            (path.target, path.rtt) = (TargetKind::Silent, None);
            path.mtu = PathMtu { at_most: Some(1_500), ..PathMtu::default() };
        });
        assert_eq!(found(&silent, "target"), "note: silent: no reply, and no ICMP error");
        let server = with(|path| {
            (path.target, path.protocol) = (TargetKind::Other, Some("dns".into()));
            path.rtt.as_mut().unwrap().answered = 4;
        });
        let target = "good: answers dns: 4 of 5 requests";
        assert_eq!(found(&server, "target"), target);
        assert!(found(&server, "round trip").ends_with("of 4 dns requests; 1 of 5 lost"));
        assert_eq!(found(&silent, "path MTU"), "note: unknown, at most 1500 bytes");
        assert_eq!(found(&silent, "fragments"), "");
        for (vanish, expected) in [
            (
                false,
                "note: 1400 bytes, as ICMP errors report: payloads of up to 1372 bytes; eth0 \
                would take 1500",
            ),
            (
                true,
                "warn: 1400 bytes, as ICMP errors report: payloads of up to 1372 bytes; eth0 \
                would take 1500; longer ones are lost without an ICMP error",
            ),
        ] {
            let mut path = path();
            (path.mtu.bytes, path.mtu.vanish) = (Some(1_400), Some(vanish));
            path.mtu.is_proved = Some(false);
            assert_eq!(found(&path, "path MTU"), expected);
        }
        let vague = with(|path| path.clock.as_mut().unwrap().bound_ns = 2_000_000);
        assert_eq!(found(&vague, "clock"), "note: the sink's is 0 ns ahead, ±2.00 ms");
        let refused = with(|path| path.clock_refused = Some("the sink requires a key".into()));
        assert_eq!(found(&refused, "clock"), "warn: not compared: the sink requires a key");
        let icmp = with(|path| {
            let one = PathIcmp {
                code: "ICMP 3/4".into(),
                meaning: Some("fragmentation needed".into()),
                from: Some("10.0.0.9".into()),
                mtu: Some(1_400),
                count: 2,
            };
            path.icmp = vec![one.clone(), PathIcmp { meaning: None, from: None, mtu: None, ..one }];
        });
        let expected = "note: 2 × fragmentation needed (ICMP 3/4, MTU 1400) from 10.0.0.9; 2 × no \
                        usual meaning (ICMP 3/4)";
        assert_eq!(found(&icmp, "ICMP errors"), expected);
    }
}
