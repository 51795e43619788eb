//! `udperf sink` and `udperf echo`: servers on a fixed port.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Instant, SystemTime};

use super::blast::key;
use super::measure::head;
use super::realtime_flag;
use super::sink_sockets::sink_sockets;
use crate::cli::args::{EchoArgs, ServerArgs, ServerFileArgs, SinkArgs};
use crate::cli::error::{CliResult, Exit, usage};
use crate::cli::live::{ServerView, check_built_in};
use crate::cli::output::{Outputs, warn_stderr};
use crate::cli::progress::{StatusLine, client_left};
use crate::cli::requests::random;
use crate::cli::scenario::{INTERVAL, INTERVALS_FROM, listen, server_cores};
use crate::cli::stop::stop_on_signals;
use crate::cli::telemetry::{ClientLabels, MetricsEndpoint, RunTotals};
use crate::document::{EchoDocument, ServerInterval, SinkDocument};
use crate::echo::{EchoEnd, EchoEvent, EchoOptions};
use crate::host::{self, Depth, Throttle};
use crate::measure::{ClientBoard, Snapshot};
use crate::net::{Options, PassedSockets};
use crate::plan::{EchoKind, Machine, WaitKind};
use crate::remote::sink::{ClientCounts, SinkEnd, SinkEvent, SinkOptions, serve};
use crate::report::format::text::style::{counted, grouped};
use crate::report::{self, format::RenderOptions};
use crate::run::RunError;
use crate::unit::{Nanos, Rate, show_bytes, show_nanos, show_pps};

/// Maximum delay of a reply. Arbitrary: longer than any client waits.
const MAX_DELAY: Nanos = Nanos::from_millis(3_600_000);

pub(crate) fn sink(args: &SinkArgs) -> CliResult {
    let started_at = SystemTime::now();
    // Before this process opens other files.
    let passed = PassedSockets::take().map_err(RunError::from)?;
    check_built_in(args.live.live)?;
    let mut outputs = Outputs::check::<SinkDocument>(&args.output, &args.files.all())?;
    outputs.protect(args.key_file.as_deref())?;
    let mut facts = host::host_info(Depth::Quick);
    let machine = host::machine(&facts);
    let options = sink_options(args, passed, &machine)?;
    realtime_flag::start_server(&args.server, &options.cores, &machine)?;
    let first = options.sockets.first();
    facts.device =
        first.and_then(|socket| host::device_at(socket.bind.ip(), socket.dev.as_deref()));
    let stop = stop_on_signals()?;
    let quiet = args.output.quiet;
    let throttle = Throttle::begin();
    let metrics = MetricsEndpoint::open(&args.metrics.endpoint, quiet)?;
    let flags = (&args.live, &args.output);
    let mut view = ServerView::open(flags, "sink", args.server.interval, &options.cores, &stop)?;
    let mut line = StatusLine::new(quiet || view.is_some());
    let mut log = IntervalLog::new(&args.server, quiet || view.is_some());
    let mut left = RunTotals::default();
    let mut labels = args.metrics.by_client.then(ClientLabels::default);
    let mut from_left = 0;
    let (tally, end) = serve(&options, &facts, &stop, &mut |event| {
        if let SinkEvent::Closed(client) = &event {
            from_left += client.rx.received;
        }
        if let (SinkEvent::Tick(clients, traffic), Some(log)) = (&event, &mut log) {
            let datagrams = from_left + received(clients) + traffic.totals.datagrams;
            log.on_tick(datagrams, &mut line, || sources(clients.len(), traffic.sources));
        }
        if let Some(metrics) = &metrics {
            publish(metrics, &event, &mut left, labels.as_mut());
        }
        view.iter_mut().for_each(|view| view.on_sink(&event));
        show_event(&event, &mut line, quiet);
    })?;
    drop((line, view));
    log.iter_mut().for_each(|log| log.end(from_left + tally.unsolicited.totals.datagrams));
    let mut document = report::sink(head("sink", &args.output, started_at, &facts), &tally, &facts);
    document.cpu_throttling = throttle.end();
    document.realtime = realtime_flag::in_document(args.server.realtime, 0);
    let is_asked = args.server.interval.is_some() || args.files.csv_intervals.is_some();
    keep_intervals(is_asked, document.elapsed_ns, &mut document.intervals);
    document.warnings.extend(document.cpu_throttling.as_ref().and_then(report::throttled));
    outputs.write(&document, &RenderOptions::default())?;
    Ok(if end == SinkEnd::Stopped { Exit::Interrupted } else { Exit::Success })
}

/// The width of intervals of a server; `None`: no intervals.
fn interval(args: &ServerArgs, files: &ServerFileArgs) -> CliResult<Option<Nanos>> {
    let width = args.interval.unwrap_or(INTERVAL);
    if width == Nanos::ZERO && files.csv_intervals.is_some() {
        return usage("--csv-intervals needs intervals; omit --interval 0");
    }
    Ok(Some(width).filter(|width| *width > Nanos::ZERO))
}

/// Removes the intervals of a server that was too short for them, unless they are asked for.
fn keep_intervals(is_asked: bool, elapsed_ns: u64, intervals: &mut Vec<ServerInterval>) {
    if !is_asked && elapsed_ns < INTERVALS_FROM.0 {
        intervals.clear();
    }
}

fn sink_options(
    args: &SinkArgs,
    passed: PassedSockets,
    machine: &Machine,
) -> CliResult<SinkOptions> {
    let max_rate = match args.max_rate {
        None => None,
        Some(rate @ Rate::Pps(_)) => rate.at_size(1.0)?,
        Some(rate) => {
            return usage(format!(
                "--max-rate {rate} is not in datagrams per second; use such as 200k"
            ));
        }
    };
    // The sink gives out its second core first.
    let mut cores = server_cores(&args.server, machine);
    let first = cores.len().min(1);
    cores.rotate_right(first);
    Ok(SinkOptions {
        sockets: sink_sockets(args, &passed.addrs())?,
        passed,
        threads: args.server.threads,
        sessions: args.max_clients.into(),
        max_rate,
        max_time: args.max_time,
        once: args.once,
        idle: args.server.idle_timeout,
        interval: interval(&args.server, &args.files)?,
        wait: args.server.wait,
        realtime: args.server.realtime,
        xdp: args.xdp.settings(),
        cores,
        key: key(args.key_file.as_deref())?,
        secret: random()?,
    })
}

/// Publishes what the sink has counted; `left`: the sum over clients that have left.
fn publish(
    metrics: &MetricsEndpoint,
    event: &SinkEvent<'_>,
    left: &mut RunTotals,
    mut labels: Option<&mut ClientLabels>,
) {
    match event {
        SinkEvent::Closed(client) => {
            let label = labels.map(|labels| labels.label(client.from.ip()));
            left.merge(&RunTotals::of_client(client, label.as_deref()));
            metrics.publish(left);
        }
        SinkEvent::Tick(clients, traffic) => {
            let mut totals = RunTotals::of_unsolicited(traffic);
            totals.merge(left);
            for client in *clients {
                let label = labels.as_mut().map(|labels| labels.label(client.from.ip()));
                totals.merge(&RunTotals::of_present(client, label.as_deref()));
            }
            metrics.publish(&totals);
        }
        SinkEvent::Listening(_) | SinkEvent::Opened(_) => {}
    }
}

fn show_event(event: &SinkEvent<'_>, line: &mut StatusLine, quiet: bool) {
    let notice = match event {
        SinkEvent::Listening(addr) => format!("sink on {addr}"),
        SinkEvent::Opened(from) => format!("client {from} connected"),
        SinkEvent::Closed(client) => client_left(client),
        SinkEvent::Tick(clients, traffic) => return line.show(|| status(clients, traffic)),
    };
    // Also when quiet: the port may be ephemeral.
    if !quiet || matches!(event, SinkEvent::Listening(_)) {
        line.clear();
        warn_stderr(&notice);
    }
}

/// Datagrams received from all these clients.
fn received(clients: &[ClientCounts]) -> u64 {
    clients.iter().map(|client| client.received).sum()
}

fn status(clients: &[ClientCounts], traffic: &Snapshot) -> String {
    let Snapshot { totals, sources, most, drops, .. } = traffic;
    let amount = show_bytes(totals.bytes);
    let mut parts = vec![format!(
        "{}: {} · unsolicited: {}, {amount} from {}",
        counted(clients.len() as u64, "client"),
        counted(received(clients), "datagram"),
        counted(totals.datagrams, "datagram"),
        counted(*sources as u64, "source")
    )];
    parts.extend(totals.size.map(|(least, most)| match least == most {
        true => format!("of {least} bytes"),
        false => format!("of {least}–{most} bytes"),
    }));
    parts.extend(totals.gap_mean().map(|gap| format!("mean gap {}", show_nanos(gap.0))));
    parts
        .extend(most.map(|(from, datagrams)| format!("most from {from} ({})", grouped(datagrams))));
    parts.extend((*drops > 0).then(|| format!("{} dropped at full buffers", grouped(*drops))));
    parts.join(", ")
}

fn sources(clients: usize, sources: usize) -> String {
    let [sources, clients] = [(sources, "unsolicited source"), (clients, "client")]
        .map(|(count, what)| counted(count as u64, what));
    format!(" · {clients}, {sources}")
}

/// The lines of `--interval` on standard error.
struct IntervalLog {
    width: Nanos,
    began: Instant,
    /// When the present interval began, since the beginning, and the datagrams before it.
    from: (Nanos, u64),
}

impl IntervalLog {
    fn new(args: &ServerArgs, quiet: bool) -> Option<Self> {
        let width = args.interval.filter(|width| *width > Nanos::ZERO && !quiet)?;
        Some(Self { width, began: Instant::now(), from: (Nanos::ZERO, 0) })
    }

    /// Prints a line if an interval is over; `datagrams`: all so far.
    fn on_tick(&mut self, datagrams: u64, line: &mut StatusLine, more: impl FnOnce() -> String) {
        let now = Nanos::from(self.began.elapsed());
        if now.0 / self.width.0 > self.from.0.0 / self.width.0 {
            line.clear();
            warn_stderr(&(self.line(now, datagrams) + &more()));
        }
    }

    /// Prints the rest after the last interval, so that the lines add up to all datagrams.
    fn end(&mut self, datagrams: u64) {
        if datagrams > self.from.1 {
            let now = self.began.elapsed().into();
            warn_stderr(&self.line(now, datagrams));
        }
    }

    /// The line of the interval that ends now: `1.00–2.00 s: 51,234 datagrams, 51.2 kpps`.
    fn line(&mut self, now: Nanos, datagrams: u64) -> String {
        let (from, before) = std::mem::replace(&mut self.from, (now, datagrams));
        let count = datagrams.saturating_sub(before);
        let seconds = now.since(from).as_secs_f64();
        let rate = if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let (from, to) = (from.as_secs_f64(), now.as_secs_f64());
        format!("{from:.2}–{to:.2} s: {}, {}", counted(count, "datagram"), show_pps(rate))
    }
}

pub(crate) fn echo(args: &EchoArgs) -> CliResult {
    let started_at = SystemTime::now();
    check_built_in(args.live.live)?;
    let outputs = Outputs::check::<EchoDocument>(&args.output, &args.files.all())?;
    let facts = host::host_info(Depth::Quick);
    let machine = host::machine(&facts);
    let options = echo_options(args, &machine)?;
    realtime_flag::start_server(&args.server, &options.cores, &machine)?;
    let stop = stop_on_signals()?;
    let mut metrics = MetricsEndpoint::open(&args.metrics.endpoint, args.output.quiet)?;
    let mut labels = ClientLabels::default();
    let flags = (&args.live, &args.output);
    let workers = usize::from(args.server.threads);
    let cores: Vec<_> = options.cores.iter().copied().take(workers).collect();
    let mut view = ServerView::open(flags, "echo", args.server.interval, &cores, &stop)?;
    let quiet = args.output.quiet || view.is_some();
    let mut line = StatusLine::new(quiet);
    let mut log = IntervalLog::new(&args.server, quiet);
    let (tally, end) = crate::echo::echo(&options, &stop, &mut |event| {
        view.iter_mut().for_each(|view| view.on_echo(event));
        match event {
            // Also when quiet: the port may be ephemeral, and comes last.
            EchoEvent::Listening(addr, true) => {
                let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
                warn_stderr(&format!("echo on {v4} and {addr}"));
            }
            EchoEvent::Listening(addr, false) => warn_stderr(&format!("echo on {addr}")),
            EchoEvent::Tick(received) => {
                if let Some(log) = &mut log {
                    log.on_tick(received, &mut line, String::new);
                }
                if let Some(metrics) = &mut metrics {
                    metrics.refresh(|| match options.clients.is_empty() {
                        true => RunTotals::of_echo(received),
                        false => labels.of_echo(options.clients.iter().map(AsRef::as_ref)),
                    });
                }
                line.show(|| format!("{} received", counted(received, "datagram")));
            }
        }
    })?;
    drop((line, view));
    log.iter_mut().for_each(|log| log.end(tally.counters.received));
    let EchoOptions { engine, wait, delay, drop, .. } = options;
    let head = head("echo", &args.output, started_at, &facts);
    let mut document = report::echo(head, &tally, (engine, wait), delay, drop);
    document.realtime = realtime_flag::in_document(args.server.realtime, workers);
    let is_asked = args.server.interval.is_some() || args.files.csv_intervals.is_some();
    keep_intervals(is_asked, document.elapsed_ns, &mut document.intervals);
    outputs.write(&document, &RenderOptions::default())?;
    Ok(if end == EchoEnd::Stopped { Exit::Interrupted } else { Exit::Success })
}

fn echo_options(args: &EchoArgs, machine: &Machine) -> CliResult<EchoOptions> {
    if let Some(delay) = args.delay.filter(|delay| *delay > MAX_DELAY) {
        return usage(format!(
            "--delay {delay}: longer than clients wait for a reply; use {MAX_DELAY} or less"
        ));
    }
    let (addrs, dev) = listen(&args.server)?;
    // With both families, one IPv6 socket accepts IPv4, too.
    let (addr, dual) = match addrs[..] {
        [_, v6] => (v6, true),
        _ => (addrs[0], false),
    };
    let is_crowded =
        !machine.cpus.is_empty() && usize::from(args.server.threads) > machine.cpus.len();
    Ok(EchoOptions {
        socket: Options {
            bind: SocketAddr::new(addr, args.server.port),
            buffer: args.server.socket_buffer,
            dev,
            ..Options::default()
        },
        dual,
        engine: EchoKind::choose(args.engine, machine)?,
        threads: args.server.threads,
        cores: server_cores(&args.server, machine),
        wait: match args.server.wait {
            // Spinning would keep another worker from running.
            WaitKind::Hybrid if is_crowded => WaitKind::Epoll,
            wait => wait,
        },
        realtime: args.server.realtime,
        delay: args.delay.filter(|delay| delay.0 > 0),
        drop: args.drop,
        seed: args.seed,
        count: args.count,
        time: args.time,
        idle: args.server.idle_timeout,
        clients: match args.metrics.by_client {
            true => (0..args.server.threads.max(1)).map(|_| ClientBoard::new()).collect(),
            false => Vec::new(),
        },
        interval: interval(&args.server, &args.files)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_intervals_add_up() {
        let (width, from) = (Nanos::from_millis(1_000), (Nanos::ZERO, 0));
        let mut log = IntervalLog { width, began: Instant::now(), from };
        let mut line = |ms, datagrams| log.line(Nanos::from_millis(ms), datagrams);
        assert_eq!(line(1_000, 5_000), "0.00–1.00 s: 5,000 datagrams, 5.00 kpps");
        // A late tick has a longer interval, not a higher rate.
        assert_eq!(line(3_000, 9_000), "1.00–3.00 s: 4,000 datagrams, 2.00 kpps");
        assert_eq!(line(4_000, 9_000), "3.00–4.00 s: 0 datagrams, 0.00 pps");
    }

    #[test]
    fn status_has_what_is_known() {
        let mut traffic = Snapshot::default();
        assert!(status(&[], &traffic).ends_with(": 0 datagrams, 0 B from 0 sources"));
        (traffic.totals.datagrams, traffic.totals.bytes, traffic.sources) = (3, 192, 1);
        (traffic.totals.size, traffic.drops) = (Some((20, 64)), 8);
        traffic.totals.span = Some((Nanos(1_000), Nanos(5_000)));
        traffic.most = Some((([192, 0, 2, 1], 9).into(), 3));
        let client =
            ClientCounts { from: ([127, 0, 0, 1], 9).into(), sent: 0, received: 5, lost: 0 };
        let all = "1 client: 5 datagrams · unsolicited: 3 datagrams, 192 B from 1 source, \
                   of 20–64 bytes, mean gap 2.00 µs, most from 192.0.2.1:9 (3), \
                   8 dropped at full buffers";
        assert_eq!(status(&[client], &traffic), all);
        traffic.totals.size = Some((64, 64));
        assert!(status(&[client], &traffic).contains("of 64 bytes"));
    }
}
