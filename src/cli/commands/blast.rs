//! `udperf blast`: from here to a sink, from a sink to here, or to any receiver.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use crate::cli::args::{BlastArgs, PORT};
use crate::cli::commands::measure;
use crate::cli::commands::measure::{Job, RunOutput, Start};
use crate::cli::error::{CliError, Exit};
use crate::cli::scenario;
use crate::cli::target::{Family, in_turn, public_address_error, reach, resolve};
use crate::document::{Clock, Report};
use crate::net::Options;
use crate::plan::{Machine, MissingEngine, Plan, PlannedCell, Route, Scenario, WorkerLoad};
use crate::remote::client::{RemoteRunner, SendOnlyRunner, SinkPeer};
use crate::remote::protocol::Key;
use crate::report;
use crate::run::{CellRunner, DirectionResult, RunError};

pub(crate) fn run(args: &BlastArgs) -> Result<Exit, CliError> {
    measure::run(&args.cells.output, |stop| measure(args, stop))
}

pub(crate) fn measure(args: &BlastArgs, stop: &Arc<AtomicBool>) -> Result<RunOutput, CliError> {
    let started_at = SystemTime::now();
    let family = Family::of(args.cells.ipv4, args.cells.ipv6);
    let targets = resolve(&args.target, PORT, family)?;
    let key = key(args.key_file.as_deref())?;
    let quiet = args.cells.output.common.quiet;
    let mut start = Start::on_this_host("blast", quiet, stop, started_at);
    let nonce = nonce()?;
    let (target, scenario, receiver) = in_turn(&targets, quiet, |target| {
        let scenario = scenario::blast(args, target)?;
        refuse(args, &scenario, target.ip())?;
        let receiver = if scenario.route == Route::SendOnly {
            reach(&scenario, target, targets.last() != Some(&target))?;
            Receiver::Unknown(SendOnlyRunner::new(target, nonce as u16))
        } else {
            let options = Options {
                bind: SocketAddr::new(scenario.bind, args.port),
                dev: scenario.ip.dev.clone(),
                ..Options::default()
            };
            Receiver::Sink(Box::new(RemoteRunner::open(target, &options, key.clone(), nonce)?))
        };
        Ok((target, scenario, receiver))
    })?;
    if let Receiver::Sink(sink) = &receiver {
        lack(&mut start.machine, sink.peer().missing);
    }
    let asked = scenario.clone();
    let job = Job::new(start, scenario, receiver, Some(target));
    measure::measure(job, |report, receiver| {
        if let Receiver::Sink(sink) = receiver {
            add_sink(report, sink, &asked);
        }
    })
}

enum Receiver {
    Sink(Box<RemoteRunner>),
    Unknown(SendOnlyRunner),
}

impl CellRunner for Receiver {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<DirectionResult>, RunError> {
        match self {
            Self::Sink(sink) => sink.measure(plan, cell, load, stop, tick),
            Self::Unknown(alone) => alone.measure(plan, cell, load, stop, tick),
        }
    }
}

fn add_sink(report: &mut Report, sink: &RemoteRunner, asked: &Scenario) {
    // The clocks have been compared during the whole run.
    let peer = sink.peer();
    report.host.peer = Some(Box::new(report::host(&peer.facts)));
    report.clock = clock(&peer);
    let of_sink = report::sink_warnings(&peer.facts, asked);
    let here = std::mem::take(&mut report.warnings);
    // If both ends are on one host, each warning appears once.
    let said = |warning: &crate::document::Warning| {
        let code = warning.code.trim_start_matches("sink_");
        peer.same_clock && here.iter().any(|here| here.code == code)
    };
    let of_sink: Vec<_> = of_sink.into_iter().filter(|warning| !said(warning)).collect();
    report.warnings = here.into_iter().chain(of_sink).collect();
}

fn clock(peer: &SinkPeer) -> Option<Clock> {
    if peer.same_clock {
        return Some(Clock::same());
    }
    let offset = peer.offset?;
    Some(Clock {
        same: false,
        offset_ns: offset.offset_ns,
        drift_ppb: offset.drift_ppb,
        bound_ns: offset.bound_ns,
        min_rtt_ns: Some(offset.min_rtt_ns),
        samples: offset.samples as u64,
    })
}

/// Adds the engines that the sink lacks.
fn lack(machine: &mut Machine, missing: Vec<MissingEngine>) {
    for MissingEngine { engine, why } in missing {
        if !machine.missing.iter().any(|lacking| lacking.engine == engine) {
            machine.missing.push(MissingEngine { engine, why: format!("on the sink: {why}") });
        }
    }
}

fn refuse(args: &BlastArgs, scenario: &Scenario, target: IpAddr) -> Result<(), CliError> {
    let why = if target == IpAddr::from([255, 255, 255, 255]) && !args.broadcast {
        "it is a broadcast address; use --broadcast to send there".to_owned()
    } else if (target.is_multicast() || args.broadcast) && !args.no_peer {
        "a multicast or broadcast address is not a sink; use --no-peer, and see the counters of \
         the sinks"
            .to_owned()
    } else if let Some(why) = public_address_error(target, args.allow_public, &scenario.rates) {
        why
    } else {
        return Ok(());
    };
    Err(CliError::Target { target: args.target.clone(), why })
}

pub(crate) fn key(file: Option<&Path>) -> Result<Option<Key>, CliError> {
    let (from, bytes) = match file {
        Some(path) => {
            let from = path.display().to_string();
            let bytes = std::fs::read(path)
                .map_err(|source| CliError::Key { from: from.clone(), why: source.to_string() })?;
            (from, bytes)
        }
        None => match std::env::var_os(KEY_VARIABLE) {
            Some(value) => (KEY_VARIABLE.to_owned(), value.into_encoded_bytes()),
            None => return Ok(None),
        },
    };
    Key::from_bytes(&bytes)
        .map(Some)
        .map_err(|error| CliError::Key { from, why: error.to_string() })
}

/// The variable that holds a key. As the contract of the command line has it.
const KEY_VARIABLE: &str = "UDPERF_KEY";

/// An unpredictable number.
pub(crate) fn nonce() -> Result<u64, CliError> {
    getrandom::u64().map_err(|error| CliError::Random { why: error.to_string() })
}
