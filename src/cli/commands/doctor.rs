//! `udperf doctor`: checks of this host, or of the path to a target.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;

use super::blast::{clock, key};
use super::measure::head;
use crate::cli::args::{DoctorArgs, PORT, PresetWord};
use crate::cli::error::{CliError, CliResult, Exit, usage};
use crate::cli::output::Outputs;
use crate::cli::requests::{CORE, SYS_UP_TIME, name, random};
use crate::cli::scenario::one_device;
use crate::cli::target::{any, is_near, resolve};
use crate::clock::Clock;
use crate::document::{DoctorDocument, PathFacts, TargetKind};
use crate::engine::XDP_IS_BUILT_IN;
use crate::host::{self, Depth, PathOptions, PathRequest, probe_path};
use crate::net::Options;
use crate::payload::{Dns, Preset, RequestSource, Spec};
use crate::remote::client::RemoteRunner;
use crate::remote::protocol::Key;
use crate::report::format::RenderOptions;
use crate::report::{self, HostRequirements, XdpDevice};
use crate::run::RunError;
use crate::sys;
use crate::unit::Nanos;

/// The longest time of all probes of a target; arbitrary: address resolution fails after 3 s
/// (`mcast_solicit` times `retrans_time_ms` of arp(7)).
const LONGEST: Nanos = Nanos::from_millis(3_000);
/// The part of it for the comparison of clocks. Arbitrary: three times the limit of a burst of
/// comparisons.
const FOR_CLOCKS: Nanos = Nanos::from_millis(1_000);

pub(crate) fn run(args: &DoctorArgs) -> CliResult {
    let started_at = SystemTime::now();
    let mut outputs = Outputs::check::<DoctorDocument>(&args.output, &[])?;
    outputs.protect(args.key_file.as_deref())?;
    if args.target.is_none() && (args.family.ipv4 || args.family.ipv6) {
        return usage("-4 and -6 choose an address of TARGET; omit them, or give a TARGET");
    }
    let document = match &args.target {
        None => of_host(args, started_at),
        Some(target) => of_path(args, target, started_at)?,
    };
    outputs.write(&document, &RenderOptions::default())?;
    Ok(Exit::Success)
}

fn of_host(args: &DoctorArgs, started_at: SystemTime) -> DoctorDocument {
    let mut facts = host::host_info(Depth::Full);
    facts.device = host::default_device();
    let (socket_buffer, threads) = (args.socket_buffer, usize::from(args.threads));
    let requirements = HostRequirements { socket_buffer, threads, ..HostRequirements::DEFAULT };
    let checks = report::check_host(&facts, requirements);
    let mut checks: Vec<_> = checks.iter().map(Into::into).collect();
    if XDP_IS_BUILT_IN {
        let (abilities, kernel) = (sys::xdp_abilities(), facts.kernel.as_deref());
        checks.extend(report::check_xdp(&abilities, kernel, &xdp_devices()));
    }
    DoctorDocument { head: head("doctor", &args.output, started_at, &facts), checks, path: None }
}

/// All Ethernet devices with an address, as the engine `xdp` sees them.
fn xdp_devices() -> Vec<XdpDevice> {
    let addresses = sys::device::addresses().into_iter();
    let mut names: Vec<_> = addresses.map(|(device, _)| device).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| sys::device::is_ethernet(name));
    let device = |name: String| {
        let facts = sys::device::facts(&name).unwrap_or_default();
        let channels = facts.channels.unwrap_or_default();
        let number = |kind: &str| channels.get(kind).copied().filter(|&count| count > 0);
        let most = number("combined_max").map(|most| ("combined", most));
        let most = most.or_else(|| number("rx_max").map(|most| ("rx", most)));
        let in_use = ["rx", "combined"].iter().filter_map(|kind| number(kind)).sum();
        let queues = Some(in_use).filter(|&count| count > 0).or(facts.rx_queues);
        let support = sys::device::xdp_support(&name);
        XdpDevice { name, queues, most, support }
    };
    names.into_iter().map(device).collect()
}

fn of_path(args: &DoctorArgs, target: &str, started_at: SystemTime) -> CliResult<DoctorDocument> {
    let port = args.preset.map(|word| harmless(word, "")).transpose()?.and_then(|one| one.port());
    let addresses = resolve(target, port.unwrap_or(PORT), args.family)?;
    let key = key(args.key_file.as_deref())?;
    let probes: Vec<_> =
        addresses.iter().map(|to| probe(args, target, *to)).collect::<CliResult<_>>()?;
    let mut facts = host::host_info(Depth::Quick);
    let until = Clock::Monotonic.now() + (LONGEST - FOR_CLOCKS);
    let mut found = Err(CliError::Usage(String::new()));
    for options in &probes {
        found = probe_path(&PathOptions { until, ..options.clone() }).map_err(|source| {
            CliError::Target { target: target.to_owned(), why: source.to_string() }
        });
        // As in runs, an address that refuses datagrams is not used if there is another one.
        let refuses =
            |path: &PathFacts| matches!(path.target, TargetKind::Refused | TargetKind::Unreachable);
        if !found.as_ref().map_or(true, refuses) {
            break;
        }
    }
    let mut path = found?;
    if let Some(options) = probes.iter().find(|one| one.target.to_string() == path.address) {
        // A sink with a key answers no pings.
        if path.target == TargetKind::Sink || path.target == TargetKind::Silent && key.is_some() {
            compare_clocks(&mut path, options, key);
        }
        facts.device = host::device_towards(options.target, options.bind, options.dev.as_deref());
    }
    let others = addresses.iter().map(SocketAddr::to_string);
    path.other_addresses = others.filter(|other| *other != path.address).collect();
    Ok(DoctorDocument {
        head: head("doctor", &args.output, started_at, &facts),
        checks: report::check_path(&path),
        path: Some(path),
    })
}

/// What to probe at this address, if it may get datagrams.
fn probe(args: &DoctorArgs, typed: &str, target: SocketAddr) -> CliResult<PathOptions> {
    let ip = target.ip();
    let refused = |why: String| Err(CliError::Target { target: typed.to_owned(), why });
    if ip.is_multicast() || ip == Ipv4Addr::BROADCAST {
        return refused(format!("{ip} is not the address of one host, whose path can be checked"));
    }
    if !args.allow_public && !is_near(ip) {
        return refused(format!("{ip} is a public address; add --allow-public if it is yours"));
    }
    let bind = args.bind.as_ref().map_or_else(|| any(ip), |(bind, _)| *bind);
    if bind.is_ipv4() != ip.is_ipv4() {
        return usage(format!(
            "--bind {bind} and the target {target} have different address families; omit one"
        ));
    }
    let scope = args.bind.as_ref().and_then(|(_, dev)| dev.as_deref());
    Ok(PathOptions {
        target,
        bind,
        dev: one_device(scope, args.dev.as_deref())?,
        until: Nanos::ZERO,
        first_id: u64::from_ne_bytes(random()?),
        request: request(args.preset, target)?,
    })
}

/// A second port of name servers, which need no root there. Arbitrary.
const DNS_PORT: u16 = 5_300;

/// The request to send to this address: of the preset, or of the protocol of its port.
fn request(preset: Option<PresetWord>, target: SocketAddr) -> CliResult<Option<PathRequest>> {
    let at = target.to_string();
    let port = if target.port() == DNS_PORT { Some(53) } else { Some(target.port()) };
    let is_at_port = |word: &&PresetWord| harmless(**word, &at).is_ok_and(|one| one.port() == port);
    let by_port = || PresetWord::value_variants().iter().find(is_at_port).copied();
    let Some(word) = preset.or_else(by_port) else { return Ok(None) };
    let protocol = name(word);
    let compiled = harmless(word, &at)?.compile(u64::from_ne_bytes(random()?));
    let from = format!("--preset {protocol}");
    let (requests, matching) = compiled.map_err(|source| CliError::Requests { from, source })?;
    Ok(Some(PathRequest { protocol, requests, matching }))
}

/// The request of a preset that changes nothing at the server and needs no secret.
fn harmless(word: PresetWord, target: &str) -> CliResult<Spec> {
    Ok(Spec::of(RequestSource::Preset(match word {
        PresetWord::Dns => Preset::Dns(Dns { rtype: "NS".to_owned(), ..Dns::of(".") }),
        PresetWord::Ntp => Preset::Ntp,
        PresetWord::Stun => Preset::Stun { fingerprint: false },
        PresetWord::Coap => Preset::Coap { path: CORE.to_owned(), confirmable: true, blocks: 1 },
        PresetWord::QuicVn => Preset::QuicVn,
        PresetWord::SipOptions => Preset::Sip { uri: format!("sip:{target}") },
        PresetWord::SnmpGet => {
            Preset::Snmp { community: "public".to_owned(), oid: SYS_UP_TIME.to_owned() }
        }
        PresetWord::BedrockPing => Preset::Bedrock,
        _ => {
            let name = name(word);
            return usage(format!(
                "--preset {name}: doctor has no request of this protocol that only reads; use dns, \
                 ntp, snmp-get, quic-vn, stun, sip-options, coap or bedrock-ping"
            ));
        }
    })))
}

/// Compares clocks with a sink; a refusal is noted.
fn compare_clocks(path: &mut PathFacts, options: &PathOptions, key: Option<Key>) {
    let PathOptions { target, bind, dev, first_id, .. } = options.clone();
    let options = Options { bind: SocketAddr::new(bind, 0), dev, ..Options::default() };
    let (sender, compared) = mpsc::channel();
    // A sink that falls silent is waited for longer than this command lasts.
    thread::spawn(move || {
        let sink = RemoteRunner::open(target, &options, key, first_id);
        let _ = sender.send(sink.map(|sink| clock(&sink)).map_err(|error| reason(&error, target)));
    });
    match compared.recv_timeout(Duration::from_nanos(FOR_CLOCKS.0)) {
        Ok(Ok(clock)) => (path.target, path.clock) = (TargetKind::Sink, clock),
        Ok(Err(why)) => path.clock_refused = Some(why),
        Err(_) if path.target == TargetKind::Sink => {
            path.clock_refused = Some(format!("the sink did not answer within {FOR_CLOCKS}"));
        }
        Err(_) => {}
    }
}

/// The error without the address of the target, which the text has.
fn reason(error: &RunError, target: SocketAddr) -> String {
    let text = error.to_string();
    text.strip_prefix(&format!("{target}: ")).unwrap_or(&text).to_owned()
}
