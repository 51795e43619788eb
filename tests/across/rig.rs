//! A sink, clients of it, and what holds of every report.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use serde_json::Value;

use crate::common::{available, cells, check_identities, number};
pub use crate::common::{only, sum};
use crate::nets::Place;
use crate::proc::{Done, PATIENCE, Proc};

/// The engine words that this host has; reports the others.
pub fn engines() -> Vec<&'static str> {
    available(&[
        ("plain", &["plain"]),
        ("batch", &["batch"]),
        ("offload", &["gso", "gro"]),
        ("gso/batch", &["gso", "batch"]),
        ("uring", &["uring"]),
    ])
}

/// A running sink.
pub struct Sink {
    pub proc: Proc,
    pub at: SocketAddr,
}

impl Sink {
    /// On any free port of loopback.
    pub fn here(words: &str) -> Self {
        Self::start(&Place::here(), &format!("-B 127.0.0.1 -p 0 {words}"))
    }

    pub fn start(place: &Place, words: &str) -> Self {
        let mut command = place.command(env!("CARGO_BIN_EXE_udperf"));
        command.args(["sink", "-q"]).args(words.split_whitespace());
        let mut proc = Proc::start(command);
        let at = proc.line("udperf: sink on ");
        let at = at.parse().unwrap_or_else(|error| panic!("'{at}' is no address: {error}"));
        Self { proc, at }
    }

    /// Its end by SIGINT, with a report.
    #[track_caller]
    pub fn end(self) -> Done {
        self.proc.interrupt();
        let done = self.proc.finish(PATIENCE);
        assert!(done.signal.is_none() && done.code != Some(1), "{done:?}");
        done
    }
}

/// Starts a client: `-J -q -l 64 --warmup 0`, and these words.
pub fn blast(place: &Place, target: SocketAddr, words: &str) -> Proc {
    let mut command = place.command(env!("CARGO_BIN_EXE_udperf"));
    command.args(["blast", &target.to_string(), "-J", "-q", "--warmup", "0"]);
    if !words.split_whitespace().any(|word| word == "-l") {
        command.args(["-l", "64"]);
    }
    command.args(words.split_whitespace());
    Proc::start(command)
}

/// Runs a client to its document, which must settle.
#[track_caller]
pub fn report(place: &Place, target: SocketAddr, words: &str) -> Value {
    let done = blast(place, target, words).finish(2 * PATIENCE).expect(0);
    settled(&done)
}

/// The document of a client that has ended well.
#[track_caller]
pub fn settled(done: &Done) -> Value {
    let report = done.document();
    assert_eq!(report["schema"], "udperf/1", "{done:?}");
    assert_eq!(report["kind"], "blast", "{done:?}");
    assert!(!cells(&report).is_empty(), "{done:?}");
    cells(&report).iter().for_each(|cell| settle(cell, &done.words));
    report
}

/// The cell of this direction.
#[track_caller]
pub fn of<'a>(report: &'a Value, direction: &str) -> &'a Value {
    cells(report).iter().find(|cell| cell["direction"] == direction).unwrap()
}

/// Lost at places that kernels count: not by what a test has done.
pub fn located(cell: &Value) -> u64 {
    sum(cell, "ledger.lost_at")
}

/// The identities of a ledger that both ends have part in.
#[track_caller]
pub fn settle(cell: &Value, context: &str) {
    let n = |path: &str| number(cell, path);
    let id = format!("{context}: {}: {}", cell["id"], cell["ledger"]);
    check_identities(cell, &id);
    assert!(n("ledger.reordered") <= n("ledger.received"), "{id}");
    if n("ledger.received") > 0 {
        assert_eq!(n("latency.count"), n("ledger.received"), "{id}");
    }
}

/// Of so many sent, all arrived but what was dropped where a kernel counts it, once and in order.
#[track_caller]
pub fn clean(cell: &Value, count: u64, context: &str) {
    let id = format!("{context}: {}", cell["ledger"]);
    let n = |name: &str| number(cell, &format!("ledger.{name}"));
    assert_eq!(n("sent"), count, "{id}");
    assert_eq!(n("received") + located(cell), count, "{id}");
    for none in ["unaccounted", "duplicate", "late", "reordered", "foreign", "corrupt"] {
        assert_eq!(n(none), 0, "{id}");
    }
    assert!(n("received") > 0, "{id}");
}

/// A sink still serves: one more client is done with 500 datagrams, all of them received.
#[track_caller]
pub fn still_serves(place: &Place, target: SocketAddr) {
    let report = report(place, target, "-e plain -n 500 -r 5k --max-missed 100%");
    let cell = only(&report);
    assert_eq!(number(cell, "ledger.sent"), 500);
    assert_eq!(number(cell, "ledger.received") + located(cell), 500, "{}", cell["ledger"]);
}

/// An address of this machine with any free port.
pub fn any(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 0)
}

/// Within which the other end has to notice that one has vanished. Arbitrary: thrice what the
/// control protocol is patient for.
pub const NOTICED: Duration = Duration::from_secs(30);

/// Seconds that tests of long patience are asked for: `UDPERF_SOAK`.
pub fn soak() -> Option<u64> {
    let asked = std::env::var("UDPERF_SOAK").ok()?;
    Some(asked.parse().unwrap_or_else(|error| panic!("UDPERF_SOAK={asked}: {error}")))
}

/// Moments that no run has had before, so that many runs try many; `UDPERF_SEED` has those of an
/// earlier one again. What a test says is shown where it fails.
pub fn moments() -> Rng {
    let seed = match std::env::var("UDPERF_SEED") {
        Ok(asked) => asked.parse().unwrap_or_else(|error| panic!("UDPERF_SEED={asked}: {error}")),
        Err(_) => SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64),
    };
    eprintln!("the same moments again: UDPERF_SEED={seed}");
    Rng::with_seed(seed)
}
