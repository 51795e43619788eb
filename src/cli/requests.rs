//! Requests to servers: from flags and files to compiled requests.

mod recorded;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

pub(super) use recorded::{recorded_notes, recorded_times};

use super::args::{ClientSubnets, PresetArgs, PresetWord, RequestArgs, SecondArgs};
use super::error::{CliError, CliResult, usage};
use crate::compare::store::reason;
use crate::payload::{
    CLIENT_COOKIE_LEN, Dns, EdnsOptions, Encoding, Matching, Names, PayloadError, Preset,
    RequestOrder, RequestSource, Requests, Spec, Then, hex,
};
use crate::report::format::text::style::counted;
use crate::sys::resident_bytes;
use crate::unit::{MAX_PAYLOAD, show_bytes, show_nanos};

/// Maximum bytes of a file of requests. Arbitrary: larger ones exhaust small machines.
const LONGEST_FILE: u64 = 4 << 30;
/// The default object of SNMP requests, sysUpTime.0; RFC 3418 section 2.
pub(super) const SYS_UP_TIME: &str = "1.3.6.1.2.1.1.3.0";
/// The list of resources of a CoAP server; RFC 6690.
pub(super) const CORE: &str = ".well-known/core";
/// Default bytes of an echo request. From the contract of the command line.
const ECHO_SIZE: usize = 64;

/// One specification for each of `sizes`, which only `--preset echo` takes; reads the files.
pub(super) fn specs(args: &RequestArgs, sizes: &[usize]) -> CliResult<Vec<Spec>> {
    let is_echo = args.takes_sizes();
    if !sizes.is_empty() && !is_echo {
        return usage("--size is for --preset echo only; omit it");
    }
    let of_captures =
        [("--pcap-port", args.pcap_port.is_some()), ("--pcap-inner", args.pcap_inner)];
    if args.source.pcap.is_none()
        && let Some((flag, _)) = of_captures.into_iter().find(|(_, is_given)| *is_given)
    {
        return usage(format!("{flag} is for --pcap FILE; omit it"));
    }
    only_of(args.source.preset, &args.preset)?;
    let second = &args.second;
    if second.then.is_none() && second.then_hex.is_none() {
        if second.then_if.is_some() {
            return usage("--then-if is for --then and --then-hex; omit it, or add one of these");
        }
        if second.follow_port {
            return usage(
                "--follow-port is for --then and --then-hex; omit it, or add one of these",
            );
        }
    }
    if !is_echo || sizes.is_empty() {
        return Ok(vec![spec(args, source(args)?)]);
    }
    let echo = |size| RequestSource::Preset(Preset::Echo { size });
    Ok(sizes.iter().map(|size| spec(args, echo(*size))).collect())
}

/// Compiles all of [`specs`] for a target. All random values follow from `seed`.
pub(super) fn compile(
    args: &RequestArgs,
    sizes: &[usize],
    target: &str,
    seed: u64,
) -> CliResult<Vec<(Spec, Requests, Matching)>> {
    let mut specs = specs(args, sizes)?;
    for spec in &mut specs {
        if let RequestSource::Preset(Preset::Sip { uri }) = &mut spec.source
            && uri.is_empty()
        {
            *uri = format!("sip:{target}");
        }
    }
    specs.into_iter().map(|spec| compiled(spec, from(args), seed)).collect()
}

/// Whether replies may come from any port of the server.
pub(super) fn follows_port(args: &RequestArgs, spec: &Spec) -> bool {
    let is_of_preset =
        matches!(&spec.source, RequestSource::Preset(preset) if preset.follows_port());
    is_of_preset || args.second.follow_port
}

/// The flag that describes the second requests.
pub(super) fn from_second(args: &RequestArgs) -> String {
    match (&args.second.then, &args.second.then_hex) {
        (Some(_), _) => "--then".to_owned(),
        (_, Some(_)) => "--then-hex".to_owned(),
        _ => from(args),
    }
}

fn then(args: &SecondArgs) -> Option<Then> {
    let SecondArgs { then, then_hex, then_if, .. } = args;
    let is_hex = then_hex.is_some();
    let template = then.clone().or_else(|| then_hex.clone())?;
    Some(Then { template, is_hex, only_if: then_if.clone() })
}

pub(super) fn ping(size: usize, seed: u64) -> CliResult<(Spec, Requests, Matching)> {
    let spec = Spec::of(RequestSource::Preset(Preset::Ping { size }));
    compiled(spec, "--size".to_owned(), seed)
}

fn compiled(spec: Spec, from: String, seed: u64) -> CliResult<(Spec, Requests, Matching)> {
    match spec.compile(seed) {
        Ok((requests, matching)) => Ok((spec, requests, matching)),
        Err(source @ PayloadError::BothWays { port, .. }) => {
            let words: Vec<_> = std::env::args().collect();
            let typed = shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default();
            usage(format!("{from}: {source}: {typed} --pcap-port {port}"))
        }
        Err(source) => Err(CliError::Requests { from, source }),
    }
}

pub(super) fn from(args: &RequestArgs) -> String {
    let file = args.files().next().map(|(flag, path)| format!("--{flag} {}", path.display()));
    match (args.source.preset, file) {
        (Some(preset), Some(file)) => format!("--preset {} {file}", name(preset)),
        (Some(preset), None) => format!("--preset {}", name(preset)),
        (None, Some(file)) => file,
        (None, None) if args.source.text.is_some() => "--text".to_owned(),
        (None, None) => "--hex".to_owned(),
    }
}

fn spec(args: &RequestArgs, source: RequestSource) -> Spec {
    let is_file = matches!(source, RequestSource::File(_));
    Spec {
        source,
        order: args.order,
        encoding: args.encoding.unwrap_or(Encoding::UTF_8),
        fields: args.fields.unwrap_or(!is_file),
        id_at: args.id_at,
        rule: args.rule.clone(),
        expected: args.expected.clone(),
        errors: args.errors.clone(),
        then: then(&args.second),
    }
}

fn source(args: &RequestArgs) -> CliResult<RequestSource> {
    let from = &args.source;
    Ok(match (from.preset, &from.text, &from.hex, &from.lines, &from.file, &from.pcap) {
        (Some(word), ..) => RequestSource::Preset(preset(word, args)?),
        (_, Some(text), ..) => RequestSource::Text(text.clone()),
        (.., Some(digits), _, _, _) => RequestSource::Hex(digits.clone()),
        (.., Some(path), _, _) => RequestSource::Lines(read("lines", path, LONGEST_FILE)?.into()),
        (.., Some(path), _) => RequestSource::File(read("file", path, MAX_PAYLOAD as u64)?),
        (.., Some(path)) => {
            let bytes = read("pcap", path, LONGEST_FILE)?;
            RequestSource::Capture { bytes, port: args.pcap_port, inner: args.pcap_inner }
        }
        _ => {
            return usage(
                "no requests given; use --preset, --text, --hex, --lines, --file or --pcap",
            );
        }
    })
}

fn preset(word: PresetWord, all: &RequestArgs) -> CliResult<Preset> {
    let args = &all.preset;
    let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
    Ok(match word {
        PresetWord::Dns => Preset::Dns(dns(args, all.order)?),
        PresetWord::Ntp => Preset::Ntp,
        PresetWord::Stun => Preset::Stun { fingerprint: args.fingerprint },
        PresetWord::MemcachedUdp => Preset::Memcached { key: or(&args.key, "udperf") },
        PresetWord::Coap => Preset::Coap {
            path: or(&args.path, CORE),
            confirmable: !args.non_confirmable,
            blocks: args.blocks.unwrap_or(1),
        },
        PresetWord::Statsd => Preset::Statsd(or(&args.message, "udperf.requests:1|c")),
        PresetWord::Syslog => Preset::Syslog(or(&args.message, "request {counter}")),
        PresetWord::QuicVn => Preset::QuicVn,
        PresetWord::QuicRetry => Preset::QuicRetry,
        PresetWord::A2s => Preset::A2s,
        PresetWord::SipOptions => Preset::Sip { uri: or(&args.uri, "") },
        PresetWord::RadiusStatus => {
            let Some(secret) = args.secret.clone() else {
                return usage(
                    "--preset radius-status needs the server's secret; add --secret TEXT",
                );
            };
            Preset::Radius { secret }
        }
        PresetWord::SnmpGet => Preset::Snmp {
            community: or(&args.community, "public"),
            oid: or(&args.oid, SYS_UP_TIME),
        },
        PresetWord::BedrockPing => Preset::Bedrock,
        PresetWord::TftpRead => {
            let Some(path) = args.path.clone() else {
                return usage("--preset tftp-read needs a file to read; add --path FILE");
            };
            Preset::Tftp { path }
        }
        PresetWord::Echo => Preset::Echo { size: ECHO_SIZE },
    })
}

fn dns(args: &PresetArgs, order: RequestOrder) -> CliResult<Dns> {
    let names = match (&args.name, &args.names) {
        (Some(name), _) => Names::One(name.clone()),
        (None, Some(path)) => {
            let bytes = read("names", path, LONGEST_FILE)?;
            Names::Lines { bytes: bytes.into(), strict: args.names_strict }
        }
        (None, None) => {
            return usage("--preset dns needs a name to query; give --name NAME or --names FILE");
        }
    };
    let default = Dns::of("");
    Ok(Dns {
        names,
        rtype: args.rtype.clone().unwrap_or(default.rtype),
        edns: if args.no_edns { None } else { args.edns.or(default.edns) },
        dnssec: args.dnssec,
        recursion: !args.no_recursion,
        random_subdomain: args.random_subdomain,
        options: edns_options(args, order)?,
    })
}

fn edns_options(args: &PresetArgs, order: RequestOrder) -> CliResult<EdnsOptions> {
    let failed = |from: &str| {
        let from = from.to_owned();
        move |source| CliError::Requests { from, source }
    };
    let mut options = EdnsOptions::default();
    match &args.ecs {
        Some(ClientSubnets::One(subnet)) => options.add_subnet(*subnet).map_err(failed("--ecs"))?,
        Some(ClientSubnets::File(path)) => {
            let bytes = read("ecs", path, LONGEST_FILE)?;
            let added = options.add_subnets(&bytes, order == RequestOrder::Random);
            added.map_err(failed(&format!("--ecs {}", path.display())))?;
        }
        None => {}
    }
    if let Some(digits) = &args.cookie {
        let cookie = match digits.is_empty() {
            true => random::<CLIENT_COOKIE_LEN>()?.to_vec(),
            false => hex::parse(digits).map_err(failed("--cookie"))?,
        };
        options.add_cookie(&cookie).map_err(failed("--cookie"))?;
    }
    for word in &args.edns_options {
        options.add(word).map_err(failed("--edns-option"))?;
    }
    Ok(options)
}

fn only_of(preset: Option<PresetWord>, args: &PresetArgs) -> CliResult<()> {
    use PresetWord::{
        Coap, Dns, MemcachedUdp, RadiusStatus, SipOptions, SnmpGet, Statsd, Stun, Syslog, TftpRead,
    };
    let flags = [
        ("--name", args.name.is_some(), &[Dns][..]),
        ("--names", args.names.is_some(), &[Dns]),
        ("--names-strict", args.names_strict, &[Dns]),
        ("--type", args.rtype.is_some(), &[Dns]),
        ("--edns", args.edns.is_some(), &[Dns]),
        ("--no-edns", args.no_edns, &[Dns]),
        ("--dnssec", args.dnssec, &[Dns]),
        ("--ecs", args.ecs.is_some(), &[Dns]),
        ("--cookie", args.cookie.is_some(), &[Dns]),
        ("--edns-option", !args.edns_options.is_empty(), &[Dns]),
        ("--no-recursion", args.no_recursion, &[Dns]),
        ("--random-subdomain", args.random_subdomain.is_some(), &[Dns]),
        ("--fingerprint", args.fingerprint, &[Stun]),
        ("--key", args.key.is_some(), &[MemcachedUdp]),
        ("--path", args.path.is_some(), &[Coap, TftpRead]),
        ("--uri", args.uri.is_some(), &[SipOptions]),
        ("--secret", args.secret.is_some(), &[RadiusStatus]),
        ("--community", args.community.is_some(), &[SnmpGet]),
        ("--oid", args.oid.is_some(), &[SnmpGet]),
        ("--blocks", args.blocks.is_some(), &[Coap]),
        ("--non-confirmable", args.non_confirmable, &[Coap]),
        ("--message", args.message.is_some(), &[Statsd, Syslog]),
    ];
    let is_other = |of: &[PresetWord]| preset.is_none_or(|preset| !of.contains(&preset));
    let misplaced = flags.iter().find(|(_, is_given, of)| *is_given && is_other(of));
    let Some((flag, _, of)) = misplaced else { return Ok(()) };
    let names: Vec<_> = of.iter().map(|word| format!("--preset {}", name(*word))).collect();
    let names = names.join(" and ");
    usage(format!("{flag} is for {names}; omit it, or name that preset"))
}

pub(super) fn name(word: PresetWord) -> String {
    word.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A file, or standard input, of so many bytes at most.
fn read(flag: &'static str, path: &Path, most: u64) -> CliResult<Vec<u8>> {
    let error = |why: String| CliError::Input { flag, path: path.to_owned(), why };
    let from: io::Result<Box<dyn Read>> = match path == Path::new("-") {
        true => Ok(Box::new(io::stdin().lock())),
        false => File::open(path).map(|file| Box::new(file) as _),
    };
    let mut bytes = Vec::new();
    // One byte more shows that it is too long.
    from.and_then(|from| from.take(most + 1).read_to_end(&mut bytes))
        .map_err(|source| error(format!("{}; give a readable file", reason(&source))))?;
    if bytes.len() as u64 > most {
        return Err(error(format!("it has more than {most} bytes; give a smaller file")));
    }
    Ok(bytes)
}

/// A note on a large file: the time until its requests could be sent, and the memory in use.
pub(super) fn large_file_note(requests: &Requests, took: Duration) -> Option<String> {
    let (bytes, lines) = requests.large_file()?;
    let took = show_nanos(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    let memory = resident_bytes().map_or(String::new(), |memory| {
        format!(
            "; {} of memory in use, {} of it the file",
            show_bytes(memory),
            show_bytes(bytes as u64)
        )
    });
    let lines = counted(lines as u64, "line");
    Some(format!("{lines} read and checked, ready to send after {took}{memory}"))
}

pub(crate) fn random<const N: usize>() -> CliResult<[u8; N]> {
    let mut bytes = [0; N];
    let failed =
        |why| CliError::Failed(format!("cannot get random numbers: {why}; see getrandom(2)"));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
