//! The endpoint of metrics: a short-lived thread answers each request.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::running::{PublishedTotals, REFRESH};
use super::totals::RunTotals;
use crate::cli::args::MetricsArgs;
use crate::cli::error::{CliError, CliResult, usage};
use crate::cli::output::warn_stderr;
use crate::document::Cell;
use crate::measure::CellResult;
use crate::report::IntervalFacts;
use crate::run::{LiveCell, RunError};

/// Time for a request, and for its response. Arbitrary: a scraper sends one packet.
const TIMEOUT: Duration = Duration::from_millis(250);
/// Connections that are answered at once; one more closes the oldest. Arbitrary: a few scrapers.
const MAX_OPEN: usize = 16;
/// The longest request that is read. Arbitrary: headers of common scrapers take 500 bytes.
const MAX_REQUEST: usize = 8_192;
/// The type of OpenMetrics 1.0, "Protocol Negotiation".
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) struct MetricsEndpoint {
    published: Arc<PublishedTotals>,
    /// When the totals of a server were published.
    refreshed: Option<Instant>,
}

impl MetricsEndpoint {
    /// Listens if asked, and answers until the program ends.
    pub(crate) fn open(args: &MetricsArgs, quiet: bool) -> CliResult<Option<Self>> {
        let Some(address) = args.metrics else { return Ok(None) };
        if !args.metrics_public && !is_loopback(address) {
            return usage(format!(
                "--metrics {address}: other hosts can reach this address; use a loopback address, \
                 or allow it with --metrics-public"
            ));
        }
        let failed = |source| CliError::Metrics { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let published = Arc::<PublishedTotals>::default();
        let registry = Arc::new(registry(Arc::clone(&published)));
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || answer_all(&listener, &registry, TIMEOUT))
            .map_err(|source| RunError::Spawn { source })?;
        if !quiet || address.port() == 0 {
            warn_stderr(&format!("metrics: http://{bound}/metrics"));
        }
        Ok(Some(Self { published, refreshed: None }))
    }

    /// Publishes what a server has counted so far, unless that was done just before.
    pub(crate) fn refresh(&mut self, totals: impl FnOnce() -> RunTotals) {
        if self.refreshed.is_none_or(|at| at.elapsed() >= REFRESH) {
            self.refreshed = Some(Instant::now());
            self.publish(&totals());
        }
    }

    /// Publishes totals that a server has counted.
    pub(crate) fn publish(&self, totals: &RunTotals) {
        self.published.publish(totals);
    }

    /// A cell runs. Scrapers get what it has counted so far.
    pub(super) fn runs(&self, facts: IntervalFacts, live: LiveCell<'_>) {
        self.published.runs(facts, live);
    }

    pub(super) fn measured(&self, cell: &Cell, result: &CellResult) {
        self.published.ended(&RunTotals::of_cell(cell, result));
    }
}

/// Also of an IPv4 address in the form in which IPv6 has it.
const fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn registry(totals: Arc<PublishedTotals>) -> Registry {
    let mut registry = Registry::default();
    let version = ("version", env!("CARGO_PKG_VERSION"));
    let git = ("git", option_env!("UDPERF_GIT").unwrap_or_default());
    registry.register("udperf_build", "The program", Info::new([version, git]));
    registry.register_collector(Box::new(totals));
    registry
}

/// Answers all requests, each in a thread of its own, so that idle connections hold up none.
fn answer_all(listener: &TcpListener, registry: &Arc<Registry>, timeout: Duration) {
    // The threads own the streams: a connection is closed when its thread ends.
    let mut open: VecDeque<Weak<TcpStream>> = VecDeque::new();
    loop {
        let answering = listener.accept().and_then(|(stream, _)| {
            open.retain(|one| one.strong_count() > 0);
            if open.len() >= MAX_OPEN {
                let oldest = open.pop_front().and_then(|oldest| oldest.upgrade());
                oldest.map_or(Ok(()), |oldest| oldest.shutdown(Shutdown::Both)).ok();
            }
            let (stream, registry) = (Arc::new(stream), Arc::clone(registry));
            open.push_back(Arc::downgrade(&stream));
            let work = move || drop(answer(&stream, &registry, timeout));
            thread::Builder::new().name("metrics".to_owned()).spawn(work)
        });
        if answering.is_err() {
            // Such as too many open files: there may be fewer later.
            thread::sleep(TIMEOUT);
        }
    }
}

/// Answers one request; one that is not complete in time gets no response.
fn answer(mut stream: &TcpStream, registry: &Registry, timeout: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let (began, mut request, mut part) = (Instant::now(), Vec::new(), [0; 1_024]);
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let length = stream.read(&mut part)?;
        request.extend_from_slice(&part[..length]);
        if length == 0 || request.len() > MAX_REQUEST || began.elapsed() > timeout {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let request = String::from_utf8_lossy(&request);
    let mut words = request.lines().next().unwrap_or_default().split(' ');
    let (method, path) = (words.next(), words.next().and_then(|path| path.split('?').next()));
    let (status, kind, body) = match (method, path) {
        (Some("GET"), Some("/metrics" | "/")) => {
            let (mut body, is_older) = (String::new(), accepts_only_older(&request));
            let (kind, encoded) = match is_older {
                true => {
                    (prometheus_text::CONTENT_TYPE, prometheus_text::encode(&mut body, registry))
                }
                false => (OPEN_METRICS, text::encode(&mut body, registry)),
            };
            encoded.map_err(io::Error::other)?;
            ("200 OK", kind, body)
        }
        (Some("GET"), _) => ("404 Not Found", "text/plain", "use /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed\r\nAllow: GET", "text/plain", "use GET\n".to_owned()),
    };
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    let (began, mut rest) = (Instant::now(), response.as_bytes());
    while !rest.is_empty() && began.elapsed() < timeout {
        let written = stream.write(rest)?;
        rest = &rest[written..];
    }
    Ok(())
}

/// Whether a request accepts the text format of Prometheus, which `promtool check metrics` reads,
/// but not OpenMetrics.
fn accepts_only_older(request: &str) -> bool {
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("accept").then(|| value.to_ascii_lowercase())
    };
    let types = request.lines().find_map(header).unwrap_or_default();
    types.contains("text/plain") && !types.contains("openmetrics")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_not_public() {
        for (address, expected) in [
            ("127.9.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("[::ffff:192.0.2.1]:1", false),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
        ] {
            assert_eq!(is_loopback(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_scraper_that_reads_nothing_is_given_up() {
        let mut totals = RunTotals::default();
        // 12 MB: more than the buffers of both sockets take.
        (0..150_000).for_each(|number| totals.received_from(Some(&number.to_string()), 1));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut scraper = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        scraper.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let published = Arc::<PublishedTotals>::default();
        published.publish(&totals);
        let _ = answer(&listener.accept().unwrap().0, &registry(published), TIMEOUT);
        let mut read = Vec::new();
        // It may be reset in the middle.
        let _ = scraper.read_to_end(&mut read);
        assert!(read.starts_with(b"HTTP/1.1 200 OK") && !read.ends_with(b"# EOF\n"));
    }

    #[test]
    fn idle_connections_hold_up_no_scraper() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        // Far longer than the test waits for a response.
        let (timeout, most) = (Duration::from_secs(600), Duration::from_secs(20));
        thread::spawn(move || answer_all(&listener, &Arc::new(registry(Arc::default())), timeout));
        let connect = || {
            let stream = TcpStream::connect(at).unwrap();
            stream.set_read_timeout(Some(most)).unwrap();
            stream
        };
        let mut idle: Vec<_> = (0..3 * MAX_OPEN).map(|_| connect()).collect();
        let mut scraper = connect();
        scraper.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let mut response = String::new();
        scraper.read_to_string(&mut response).unwrap();
        assert!(response.ends_with("# EOF\n"), "{response}");
        // The oldest was closed for it; the latest one may still ask.
        let mut byte = [0];
        assert_eq!(idle[0].read(&mut byte).unwrap(), 0);
        let latest = idle.last_mut().unwrap();
        latest.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(latest.read(&mut byte).unwrap(), 1);
    }

    #[test]
    fn the_older_format_is_for_those_that_ask_for_it() {
        for (accept, is_older) in [
            ("Accept: */*", false),
            ("Host: accept: text/plain", false),
            ("accept: text/plain;version=0.0.4", true),
            ("Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5", false),
        ] {
            let request = format!("GET /metrics HTTP/1.1\r\n{accept}\r\n\r\n");
            assert_eq!(accepts_only_older(&request), is_older, "{accept}");
        }
    }
}
