//! What is asked of a server that is not ours: from flags and files to what is compiled.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use clap::ValueEnum;

use super::args::{PresetArgs, PresetWord, RequestArgs, SourceArgs, Switch, Turn};
use super::error::CliError;
use crate::compare::store::reason;
use crate::document;
use crate::payload::{
    Coap, Dns, Echo, Encoding, Matching, Memcached, Names, Ping, Preset, RequestOrder,
    RequestSource, Requests, Spec, Stun,
};
use crate::unit::MAX_PAYLOAD;

/// Maximum bytes of a file of requests. Arbitrary: larger ones exhaust small machines.
const LONGEST_FILE: u64 = 4 << 30;

/// Default bytes of an echo request. From the contract of the command line.
const ECHO_SIZE: usize = 64;

/// One specification for each of `sizes`, which only `--preset echo` takes; reads the files.
pub(super) fn specs(args: &RequestArgs, sizes: &[usize]) -> Result<Vec<Spec>, CliError> {
    let is_echo = args.source.preset == Some(PresetWord::Echo);
    if !sizes.is_empty() && !is_echo {
        let why = "--size is for --preset echo only; omit it";
        return Err(CliError::Contradiction(why.to_owned()));
    }
    if args.pcap_port.is_some() && args.source.pcap.is_none() {
        let why = "--pcap-port is for --pcap FILE; omit it";
        return Err(CliError::Contradiction(why.to_owned()));
    }
    only_of(args.source.preset, &args.preset)?;
    if is_echo {
        let sizes = if sizes.is_empty() { &[ECHO_SIZE][..] } else { sizes };
        let echo =
            |size: &usize| spec(args, RequestSource::Preset(Preset::Echo(Echo { size: *size })));
        return Ok(sizes.iter().map(echo).collect());
    }
    Ok(vec![spec(args, source(args)?)])
}

/// Makes all of [`specs`] ready to be sent. All that is random follows from `seed`.
pub(super) fn compile(
    args: &RequestArgs,
    sizes: &[usize],
    seed: u64,
) -> Result<Vec<(Spec, Requests, Matching)>, CliError> {
    let compile = |spec: Spec| {
        let (requests, matching) =
            spec.compile(seed).map_err(|source| CliError::Requests { from: from(args), source })?;
        Ok((spec, requests, matching))
    };
    specs(args, sizes)?.into_iter().map(compile).collect()
}

/// Pings of this size, ready to be sent.
pub(super) fn ping(size: usize, seed: u64) -> Result<(Spec, Requests, Matching), CliError> {
    let spec = Spec::of(RequestSource::Preset(Preset::Ping(Ping { size })));
    let from = "--size".to_owned();
    let compiled = spec.compile(seed).map_err(|source| CliError::Requests { from, source });
    compiled.map(|(requests, matching)| (spec, requests, matching))
}

/// The account of the file of requests, for the document.
pub(super) fn file_of(requests: &Requests) -> Option<document::InputSummary> {
    let input = requests.input()?;
    let clock = input.clock.map(|clock| document::CaptureClock {
        steps_back: clock.steps_back,
        largest_step_back_ns: clock.largest_step_back_ns,
        untimed: clock.untimed,
        in_standstill: clock.in_standstill,
        mean_gap_ns: clock.mean_gap_ns,
    });
    let left_out = input.left_out.iter().map(|(cause, count)| ((*cause).to_owned(), *count));
    Some(document::InputSummary {
        format: input.format.to_owned(),
        link_types: input.link_types.clone(),
        more_link_types: input.more_link_types,
        records: input.records,
        used: input.used,
        left_out: left_out.collect(),
        clock,
        notes: requests.notes().to_vec(),
    })
}

/// Where requests come from, as it was typed.
pub(super) fn from(args: &RequestArgs) -> String {
    let SourceArgs { preset, text, hex: _, lines, file, pcap } = &args.source;
    let file_of = |flag: &str, path: &Path| format!("{flag} {}", path.display());
    match (preset, &args.preset.names, lines, file, pcap) {
        (Some(word), Some(names), ..) => {
            format!("--preset {} {}", name(*word), file_of("--names", names))
        }
        (Some(word), None, ..) => format!("--preset {}", name(*word)),
        (None, _, Some(path), ..) => file_of("--lines", path),
        (None, _, None, Some(path), _) => file_of("--file", path),
        (None, _, None, None, Some(path)) => file_of("--pcap", path),
        _ if text.is_some() => "--text".to_owned(),
        _ => "--hex".to_owned(),
    }
}

fn spec(args: &RequestArgs, source: RequestSource) -> Spec {
    let is_file = matches!(source, RequestSource::File(_));
    Spec {
        source,
        order: match args.order {
            Turn::Turns => RequestOrder::Turns,
            Turn::Random => RequestOrder::Random,
        },
        encoding: args.encoding.unwrap_or(Encoding::UTF_8),
        fields: args.fields.map_or(!is_file, |fields| fields == Switch::On),
        id_at: args.id_at,
        rule: args.rule,
    }
}

fn source(args: &RequestArgs) -> Result<RequestSource, CliError> {
    let from = &args.source;
    if let Some(word) = from.preset {
        return preset(word, &args.preset).map(RequestSource::Preset);
    }
    if let Some(text) = &from.text {
        return Ok(RequestSource::Text(text.clone()));
    }
    if let Some(digits) = &from.hex {
        return Ok(RequestSource::Hex(digits.clone()));
    }
    if let Some(path) = &from.lines {
        return Ok(RequestSource::Lines(read("lines", path, LONGEST_FILE)?));
    }
    if let Some(path) = &from.file {
        // One byte more shows that it is too long.
        let bytes = read("file", path, MAX_PAYLOAD as u64)?;
        return Ok(RequestSource::File(bytes));
    }
    if let Some(path) = &from.pcap {
        let bytes = read("pcap", path, LONGEST_FILE)?;
        return Ok(RequestSource::Capture { bytes, port: args.pcap_port });
    }
    let why = "no requests given; use --preset, --text, --hex, --lines, --file or --pcap";
    Err(CliError::Contradiction(why.to_owned()))
}

fn preset(word: PresetWord, args: &PresetArgs) -> Result<Preset, CliError> {
    let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
    Ok(match word {
        PresetWord::Dns => Preset::Dns(dns(args)?),
        PresetWord::Ntp => Preset::Ntp,
        PresetWord::Stun => Preset::Stun(Stun { fingerprint: args.fingerprint }),
        PresetWord::MemcachedUdp => Preset::Memcached(Memcached { key: or(&args.key, "udperf") }),
        PresetWord::Coap => Preset::Coap(Coap {
            path: or(&args.path, ".well-known/core"),
            confirmable: !args.non_confirmable,
        }),
        PresetWord::Statsd => Preset::Statsd(or(&args.message, "udperf.requests:1|c")),
        PresetWord::Syslog => Preset::Syslog(or(&args.message, "request {counter}")),
        PresetWord::QuicVn => Preset::QuicVn,
        PresetWord::Echo => Preset::Echo(Echo { size: ECHO_SIZE }),
    })
}

fn dns(args: &PresetArgs) -> Result<Dns, CliError> {
    let names = match (&args.name, &args.names) {
        (Some(name), _) => Names::One(name.clone()),
        (None, Some(path)) => {
            let bytes = read("names", path, LONGEST_FILE)?;
            Names::Lines { bytes, strict: args.names_strict }
        }
        (None, None) => {
            let why = "--preset dns needs a name to query; give --name NAME or --names FILE";
            return Err(CliError::Contradiction(why.to_owned()));
        }
    };
    let usual = Dns::of("");
    Ok(Dns {
        names,
        rtype: args.rtype.clone().unwrap_or(usual.rtype),
        edns: if args.no_edns { None } else { args.edns.or(usual.edns) },
        dnssec: args.dnssec,
        recursion: !args.no_recursion,
        random_subdomain: args.random_subdomain,
    })
}

/// Refuses flags of other presets.
fn only_of(preset: Option<PresetWord>, args: &PresetArgs) -> Result<(), CliError> {
    use PresetWord::{Coap, Dns, MemcachedUdp, Statsd, Stun, Syslog};
    let flags = [
        ("--name", args.name.is_some(), &[Dns][..]),
        ("--names", args.names.is_some(), &[Dns]),
        ("--names-strict", args.names_strict, &[Dns]),
        ("--type", args.rtype.is_some(), &[Dns]),
        ("--edns", args.edns.is_some(), &[Dns]),
        ("--no-edns", args.no_edns, &[Dns]),
        ("--dnssec", args.dnssec, &[Dns]),
        ("--no-recursion", args.no_recursion, &[Dns]),
        ("--random-subdomain", args.random_subdomain.is_some(), &[Dns]),
        ("--fingerprint", args.fingerprint, &[Stun]),
        ("--key", args.key.is_some(), &[MemcachedUdp]),
        ("--path", args.path.is_some(), &[Coap]),
        ("--non-confirmable", args.non_confirmable, &[Coap]),
        ("--message", args.message.is_some(), &[Statsd, Syslog]),
    ];
    let stray = flags
        .iter()
        .find(|(_, is_given, of)| *is_given && !preset.is_some_and(|preset| of.contains(&preset)));
    let Some((flag, _, of)) = stray else { return Ok(()) };
    let names: Vec<_> = of.iter().map(|word| format!("--preset {}", name(*word))).collect();
    let why = format!("{flag} is for {}; omit it, or name that preset", names.join(" and "));
    Err(CliError::Contradiction(why))
}

fn name(word: PresetWord) -> String {
    word.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A file, or standard input, of so many bytes at most.
fn read(flag: &'static str, path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    let why =
        |error: io::Error| input(flag, path, format!("{}; give a readable file", reason(&error)));
    let mut bytes = Vec::new();
    let taken = if path == Path::new("-") {
        io::stdin().lock().take(most + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).map_err(why)?.take(most + 1).read_to_end(&mut bytes)
    };
    if taken.map_err(why)? as u64 > most {
        let why = format!("it has more than {most} bytes; give a smaller file");
        return Err(input(flag, path, why));
    }
    Ok(bytes)
}

fn input(flag: &'static str, path: &Path, why: String) -> CliError {
    CliError::Input { flag, path: path.to_owned(), why }
}

#[cfg(test)]
mod tests;
