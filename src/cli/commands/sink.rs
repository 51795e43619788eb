//! `udperf sink`: the bound receiver.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use super::blast::key;
use crate::cli::args::{MulticastGroup, SinkArgs};
use crate::cli::commands::measure::stop_on_signals;
use crate::cli::document::head;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::{Outputs, warn_stderr};
use crate::cli::progress::StatusLine;
use crate::cli::scenario;
use crate::document::SinkDocument;
use crate::host;
use crate::host::Depth;
use crate::host::Throttle;
use crate::measure::Snapshot;
use crate::net::steer::MAX_SLOTS;
use crate::net::{NetError, Options, Udp};
use crate::plan::{Machine, Pinning};
use crate::remote::sink::{SinkEnd, SinkEvent, SinkOptions};
use crate::report;
use crate::report::format::RenderOptions;
use crate::run::RunError;
use crate::unit::{Rate, show_bytes, show_nanos};

pub(crate) fn run(args: &SinkArgs) -> Result<Exit, CliError> {
    let started_at = SystemTime::now();
    let outputs = Outputs::check::<SinkDocument>(&args.output, &[])?;
    let mut facts = host::survey(Depth::Quick);
    let machine = host::machine(&facts);
    let options = options(args, &machine)?;
    facts.device = options
        .sockets
        .first()
        .and_then(|socket| host::device_at(socket.bind.ip(), socket.dev.as_deref()));
    let stop = stop_on_signals()?;
    let quiet = args.output.quiet;
    let mut news = News { quiet, line: StatusLine::new(quiet) };
    let throttle = Throttle::begin();
    let (tally, end) =
        crate::remote::sink::serve(&options, &facts, &stop, &mut |event| news.tell(&event))?;
    drop(news);
    let mut document = report::sink(head("sink", started_at, &facts), &tally, &facts);
    if let Some((counters, told)) = throttle.end().as_ref().map(report::throttled) {
        document.cpu_throttling = Some(counters);
        document.warnings.extend(told);
    }
    outputs.write(&document, &RenderOptions::default())?;
    Ok(if end == SinkEnd::Stopped { Exit::Interrupted } else { Exit::Well })
}

fn options(args: &SinkArgs, machine: &Machine) -> Result<SinkOptions, CliError> {
    if args.threads == 0 || args.max_clients == 0 {
        let why = "--threads 0 and --max-clients 0 are invalid; use at least 1".to_owned();
        return Err(CliError::Contradiction(why));
    }
    if args.max_clients > MAX_SLOTS {
        let why = format!(
            "--max-clients {} is too many to distinguish by tag; use at most \
             {MAX_SLOTS}",
            args.max_clients
        );
        return Err(CliError::Contradiction(why));
    }
    let max_rate = match args.max_rate {
        None => None,
        Some(rate @ Rate::Pps(_)) => rate.at_size(1.0).map_err(CliError::Unit)?,
        Some(rate) => {
            let why = format!("--max-rate {rate} is not in datagrams per second; use such as 200k");
            return Err(CliError::Contradiction(why));
        }
    };
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| CliError::Random { why: error.to_string() })?;
    Ok(SinkOptions {
        sockets: sockets(args)?,
        threads: args.threads,
        sessions: args.max_clients.into(),
        max_rate,
        max_time: args.max_time,
        once: args.once,
        idle: args.idle_timeout,
        wait: scenario::wait(args.wait),
        cores: match &args.pin {
            Pinning::Auto => machine.cpus.clone(),
            Pinning::Off => Vec::new(),
            // The first one given out is the second in the order.
            Pinning::Cores { rx, .. } => {
                let mut cores = rx.clone();
                cores.rotate_right(1);
                cores
            }
        },
        key: key(args.key_file.as_deref())?,
        secret,
    })
}

fn sockets(args: &SinkArgs) -> Result<Vec<Options>, CliError> {
    let bind = args.socket.bind.as_ref().map(|(addr, _)| *addr);
    let scope = args.socket.bind.as_ref().and_then(|(_, dev)| dev.as_deref());
    let dev = scenario::one_device(scope, args.socket.dev.as_deref())?;
    let mut addrs = scenario::listen_at(bind, args.socket.ipv4, args.socket.ipv6)?;
    addrs.retain(|addr| bind.is_some() || has(*addr));
    let join = args.join.as_ref();
    check_join(join, &addrs)?;
    let mut port = args.socket.port;
    let mut sockets = Vec::new();
    for addr in addrs {
        let options = Options {
            bind: SocketAddr::new(addr, port),
            buffer: args.socket.socket_buffer,
            dev: dev.clone(),
            join: join.map(|join| join.addr).filter(|group| group.is_ipv4() == addr.is_ipv4()),
            join_dev: join.and_then(|join| join.dev.clone()),
            ..Options::default()
        };
        if port == 0 && bind.is_none() {
            // The port that the first family got, for both.
            let probe = Udp::open(&Options { join: None, ..options.clone() });
            port = probe.map_err(|error| RunError::Net(NetError::from(error)))?.local.port();
        }
        sockets.push(Options { bind: SocketAddr::new(addr, port), ..options });
    }
    Ok(sockets)
}

/// Refuses a group from which these addresses receive nothing.
fn check_join(join: Option<&MulticastGroup>, addrs: &[IpAddr]) -> Result<(), CliError> {
    let Some(MulticastGroup { addr: group, .. }) = join else { return Ok(()) };
    let gets =
        |addr: &IpAddr| addr == group || addr.is_unspecified() && addr.is_ipv4() == group.is_ipv4();
    if addrs.iter().any(gets) {
        return Ok(());
    }
    let addrs = addrs.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
    Err(CliError::Contradiction(format!(
        "--join {group}: a socket that is bound to {addrs} receives no datagrams of that group; \
         omit --bind and the other family, and name the device with --dev"
    )))
}

pub(crate) fn has(any: IpAddr) -> bool {
    let bind = SocketAddr::new(any, 0);
    any.is_ipv4() || Udp::open(&Options { bind, buffer: 0, ..Options::default() }).is_ok()
}

struct News {
    quiet: bool,
    /// How things stand now; on a terminal only.
    line: StatusLine,
}

impl News {
    fn say(&mut self, what: &str) {
        self.line.clear();
        warn_stderr(what);
    }

    fn tell(&mut self, event: &SinkEvent<'_>) {
        match event {
            // Also when quiet: the port may be ephemeral.
            SinkEvent::Listening(addr) => warn_stderr(&format!("sink on {addr}")),
            _ if self.quiet => {}
            SinkEvent::Opened(from) => self.say(&format!("{from} has come")),
            SinkEvent::Closed(served) => self.say(&format!(
                "{} has left ({}): {} cells, {} datagrams received, {} lost, {} sent",
                served.from, served.why, served.cells, served.rx.received, served.lost, served.sent
            )),
            SinkEvent::Tick(clients, glimpse) => self.line.show(|| standing(*clients, glimpse)),
        }
    }
}

fn standing(clients: usize, glimpse: &Snapshot) -> String {
    let Snapshot { datagrams, bytes, size, sources, most, drops, .. } = glimpse;
    let amount = show_bytes(*bytes);
    let mut parts = vec![format!(
        "{clients} clients · unsolicited: {datagrams} datagrams, {amount} from {sources} sources"
    )];
    parts.extend(size.map(|(least, most)| match least == most {
        true => format!("of {least} bytes"),
        false => format!("of {least}–{most} bytes"),
    }));
    parts.extend(glimpse.gap_mean().map(|gap| format!("mean gap {}", show_nanos(gap.0))));
    parts.extend(most.map(|(from, datagrams)| format!("most from {from} ({datagrams})")));
    parts.extend((*drops > 0).then(|| format!("{drops} dropped at full buffers")));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Nanos;

    #[test]
    fn the_line_tells_sizes_gaps_and_drops_where_there_are_any() {
        let mut glimpse = Snapshot::default();
        let nothing = "0 clients · unsolicited: 0 datagrams, 0 B from 0 sources";
        assert_eq!(standing(0, &glimpse), nothing);
        (glimpse.datagrams, glimpse.bytes, glimpse.sources) = (3, 192, 1);
        glimpse.size = Some((64, 64));
        glimpse.span = Some((Nanos(1_000), Nanos(5_000)));
        glimpse.most = Some((([192, 0, 2, 1], 9).into(), 3));
        let told = "1 clients · unsolicited: 3 datagrams, 192 B from 1 sources, of 64 bytes, mean \
                    gap 2.00 µs, most from 192.0.2.1:9 (3)";
        assert_eq!(standing(1, &glimpse), told);
        (glimpse.size, glimpse.drops) = (Some((20, 64)), 8);
        let told = standing(1, &glimpse);
        assert!(told.contains("of 20–64 bytes"), "{told}");
        assert!(told.ends_with(", 8 dropped at full buffers"), "{told}");
    }
}
