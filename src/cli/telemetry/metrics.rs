//! The endpoint of metrics: one thread answers one request at a time from the latest totals.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::totals::RunTotals;
use crate::cli::args::MetricsArgs;
use crate::cli::error::{CliError, CliResult, usage};
use crate::cli::output::warn_stderr;
use crate::document::Cell;
use crate::measure::{CellResult, IntervalCounts};
use crate::report::IntervalFacts;
use crate::run::{LiveCell, RunError};
use crate::unit::Nanos;

/// Time for a request, and for its response: connections that send nothing hold up others for as
/// long. Arbitrary: a scraper sends one packet.
const TIMEOUT: Duration = Duration::from_millis(250);
/// The longest request that is read. Arbitrary: headers of common scrapers take 500 bytes.
const MAX_REQUEST: usize = 8_192;
/// Live totals are read no more often. Arbitrary: scrapers come once a second at most.
const REFRESH: Duration = Duration::from_millis(250);
/// Intervals that ended longer ago are read once only; later datagrams of them count when the cell
/// has ended. Arbitrary: twice the default timeout of requests.
const SETTLED: Nanos = Nanos::from_millis(2_000);
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) struct MetricsEndpoint {
    published: Arc<Mutex<RunTotals>>,
    /// Of cells that have ended.
    finished: RunTotals,
    refreshed: Option<Instant>,
    /// Intervals of the running cell that have settled: how many, and what both sides counted.
    settled: (usize, [IntervalCounts; 2]),
}

impl MetricsEndpoint {
    /// Listens if asked, and answers until the program ends.
    pub(crate) fn open(args: &MetricsArgs, quiet: bool) -> CliResult<Option<Self>> {
        let Some(address) = args.metrics else { return Ok(None) };
        if !args.metrics_public && !address.ip().is_loopback() {
            return usage(format!(
                "--metrics {address}: other hosts can reach this address; use a loopback address, \
                 or allow it with --metrics-public"
            ));
        }
        let failed = |source| CliError::Metrics { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let published = Arc::<Mutex<RunTotals>>::default();
        let served = Arc::clone(&published);
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || answer_all(&listener, &served))
            .map_err(|source| RunError::Spawn { source })?;
        if !quiet || address.port() == 0 {
            warn_stderr(&format!("metrics: http://{bound}/metrics"));
        }
        let settled = Default::default();
        Ok(Some(Self { published, finished: RunTotals::default(), refreshed: None, settled }))
    }

    /// Adds what the running cell has counted so far.
    pub(super) fn observe(&mut self, facts: IntervalFacts, live: LiveCell<'_>) {
        if self.refreshed.is_some_and(|at| at.elapsed() < REFRESH) {
            return;
        }
        self.refreshed = Some(Instant::now());
        let settled_until = live.elapsed().since(SETTLED);
        let (next, settled) = &mut self.settled;
        while live.bounds(*next).1 <= settled_until {
            add(settled, &live.interval(*next));
            *next += 1;
        }
        let mut sum = settled.clone();
        (*next..=live.ended()).for_each(|index| add(&mut sum, &live.interval(index)));
        let mut totals = self.finished.clone();
        totals.merge(&RunTotals::of_running(facts, &sum));
        self.publish(&totals);
    }

    /// Publishes totals that a server has counted.
    pub(crate) fn publish(&self, totals: &RunTotals) {
        lock(&self.published).raise_to(totals);
    }

    pub(super) fn measured(&mut self, cell: &Cell, result: &CellResult) {
        self.settled = Default::default();
        self.finished.merge(&RunTotals::of_cell(cell, result));
        self.publish(&self.finished);
    }
}

fn add(sum: &mut [IntervalCounts; 2], more: &[IntervalCounts; 2]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| sum.merge(more));
}

/// Nothing that panics holds the lock.
fn lock(totals: &Mutex<RunTotals>) -> MutexGuard<'_, RunTotals> {
    totals.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer_all(listener: &TcpListener, totals: &Mutex<RunTotals>) {
    loop {
        let answered = listener.accept().map(|(stream, _)| answer(&stream, totals));
        if answered.is_err() {
            // Such as too many open files: there may be fewer later.
            thread::sleep(TIMEOUT);
        }
    }
}

/// Answers one request; one that is not complete in time gets no response.
fn answer(mut stream: &TcpStream, totals: &Mutex<RunTotals>) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let (began, mut request, mut part) = (Instant::now(), Vec::new(), [0; 1_024]);
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let length = stream.read(&mut part)?;
        request.extend_from_slice(&part[..length]);
        if length == 0 || request.len() > MAX_REQUEST || began.elapsed() > TIMEOUT {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let path = words.clone().nth(1).and_then(|path| path.split(|byte| *byte == b'?').next());
    let (status, kind, body) = match (words.next(), path) {
        (Some(b"GET"), Some(b"/metrics" | b"/")) => ("200 OK", CONTENT_TYPE, lock(totals).text()),
        (Some(b"GET"), _) => ("404 Not Found", "text/plain", "use /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed\r\nAllow: GET", "text/plain", "use GET\n".to_owned()),
    };
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(response.as_bytes())
}
