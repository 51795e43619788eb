//! Requests to servers: from flags and files to compiled requests.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use clap::ValueEnum;

use super::args::{PresetArgs, PresetWord, RequestArgs};
use super::error::{CliError, CliResult, usage};
use super::scenario::TIME;
use crate::compare::store::reason;
use crate::document::CaptureClock;
use crate::payload::{
    Dns, Encoding, Matching, Names, PayloadError, Preset, RequestSource, Requests, Spec,
};
use crate::plan::Limit;
use crate::report::format::text::style::counted;
use crate::unit::{MAX_PAYLOAD, show_nanos};

/// Maximum bytes of a file of requests. Arbitrary: larger ones exhaust small machines.
const LONGEST_FILE: u64 = 4 << 30;
/// Default bytes of an echo request. From the contract of the command line.
const ECHO_SIZE: usize = 64;

/// One specification for each of `sizes`, which only `--preset echo` takes; reads the files.
pub(super) fn specs(args: &RequestArgs, sizes: &[usize]) -> CliResult<Vec<Spec>> {
    let is_echo = args.source.preset == Some(PresetWord::Echo);
    if !sizes.is_empty() && !is_echo {
        return usage("--size is for --preset echo only; omit it");
    }
    if args.pcap_port.is_some() && args.source.pcap.is_none() {
        return usage("--pcap-port is for --pcap FILE; omit it");
    }
    only_of(args.source.preset, &args.preset)?;
    if !is_echo || sizes.is_empty() {
        return Ok(vec![spec(args, source(args)?)]);
    }
    let echo = |size| RequestSource::Preset(Preset::Echo { size });
    Ok(sizes.iter().map(|size| spec(args, echo(*size))).collect())
}

/// Makes all of [`specs`] ready to be sent. All that is random follows from `seed`.
pub(super) fn compile(
    args: &RequestArgs,
    sizes: &[usize],
    seed: u64,
) -> CliResult<Vec<(Spec, Requests, Matching)>> {
    specs(args, sizes)?.into_iter().map(|spec| compiled(spec, from(args), seed)).collect()
}

pub(super) fn ping(size: usize, seed: u64) -> CliResult<(Spec, Requests, Matching)> {
    let spec = Spec::of(RequestSource::Preset(Preset::Ping { size }));
    compiled(spec, "--size".to_owned(), seed)
}

fn compiled(spec: Spec, from: String, seed: u64) -> CliResult<(Spec, Requests, Matching)> {
    match spec.compile(seed) {
        Ok((requests, matching)) => Ok((spec, requests, matching)),
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
        rule: args.rule,
    }
}

fn source(args: &RequestArgs) -> CliResult<RequestSource> {
    let from = &args.source;
    Ok(match (from.preset, &from.text, &from.hex, &from.lines, &from.file, &from.pcap) {
        (Some(word), ..) => RequestSource::Preset(preset(word, &args.preset)?),
        (_, Some(text), ..) => RequestSource::Text(text.clone()),
        (.., Some(digits), _, _, _) => RequestSource::Hex(digits.clone()),
        (.., Some(path), _, _) => RequestSource::Lines(read("lines", path, LONGEST_FILE)?),
        (.., Some(path), _) => RequestSource::File(read("file", path, MAX_PAYLOAD as u64)?),
        (.., Some(path)) => {
            let bytes = read("pcap", path, LONGEST_FILE)?;
            RequestSource::Capture { bytes, port: args.pcap_port }
        }
        _ => {
            return usage(
                "no requests given; use --preset, --text, --hex, --lines, --file or --pcap",
            );
        }
    })
}

fn preset(word: PresetWord, args: &PresetArgs) -> CliResult<Preset> {
    let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
    Ok(match word {
        PresetWord::Dns => Preset::Dns(dns(args)?),
        PresetWord::Ntp => Preset::Ntp,
        PresetWord::Stun => Preset::Stun { fingerprint: args.fingerprint },
        PresetWord::MemcachedUdp => Preset::Memcached { key: or(&args.key, "udperf") },
        PresetWord::Coap => Preset::Coap {
            path: or(&args.path, ".well-known/core"),
            confirmable: !args.non_confirmable,
        },
        PresetWord::Statsd => Preset::Statsd(or(&args.message, "udperf.requests:1|c")),
        PresetWord::Syslog => Preset::Syslog(or(&args.message, "request {counter}")),
        PresetWord::QuicVn => Preset::QuicVn,
        PresetWord::Echo => Preset::Echo { size: ECHO_SIZE },
    })
}

fn dns(args: &PresetArgs) -> CliResult<Dns> {
    let names = match (&args.name, &args.names) {
        (Some(name), _) => Names::One(name.clone()),
        (None, Some(path)) => {
            let bytes = read("names", path, LONGEST_FILE)?;
            Names::Lines { bytes, strict: args.names_strict }
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
    })
}

fn only_of(preset: Option<PresetWord>, args: &PresetArgs) -> CliResult<()> {
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
    let is_other = |of: &[PresetWord]| preset.is_none_or(|preset| !of.contains(&preset));
    let misplaced = flags.iter().find(|(_, is_given, of)| *is_given && is_other(of));
    let Some((flag, _, of)) = misplaced else { return Ok(()) };
    let names: Vec<_> = of.iter().map(|word| format!("--preset {}", name(*word))).collect();
    let names = names.join(" and ");
    usage(format!("{flag} is for {names}; omit it, or name that preset"))
}

fn name(word: PresetWord) -> String {
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

fn clock_of(requests: &Requests) -> Option<CaptureClock> {
    requests.input.as_ref()?.clock
}

/// The times of a capture, leaked so that all threads can read them; `None` without a capture.
pub(super) fn recorded_times(requests: &Requests, from: &str) -> CliResult<Option<&'static [u64]>> {
    let Some(moments) = &requests.recorded else { return Ok(None) };
    let clock = clock_of(requests).unwrap_or_default();
    if clock.mean_gap_ns.is_none() {
        let why = match moments.len() as u64 {
            1 => "it has a single packet",
            count if count == clock.untimed => "its packets have no times",
            _ => "all its packets have the same time",
        };
        let (from, source) = (from.to_owned(), PayloadError::NoPace { why });
        return Err(CliError::Requests { from, source });
    }
    Ok(Some(Box::leak(moments[..].into())))
}

/// Faults in the times of a capture, one line each; a gap is reported if it is longer than the run.
pub(super) fn recorded_notes(requests: &Requests, limit: Limit) -> Vec<String> {
    let Some((clock, moments)) = clock_of(requests).zip(requests.recorded.as_deref()) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    let gap = show_nanos(clock.mean_gap_ns.unwrap_or_default());
    if clock.steps_back > 0 {
        let most = show_nanos(clock.largest_step_back_ns);
        let times = counted(clock.steps_back, "time");
        notes.push(format!(
            "the capture's clock stepped back {times}, by {most} at most; packets after a step \
             follow at the mean gap of {gap}"
        ));
    }
    if clock.untimed > 0 {
        let packets = counted(clock.untimed, "packet");
        notes.push(format!("{packets} without a time: sent at the mean gap of {gap}"));
    }
    if clock.in_standstill > 0 {
        let packets = counted(clock.in_standstill, "packet");
        notes.push(format!(
            "the capture's clock stalled for {packets}; they are spread, not sent at once"
        ));
    }
    notes.extend(leap(moments, limit));
    notes
}

/// Reports gaps that are longer than the run, or than a default run if a count bounds it.
fn leap(moments: &[u64], limit: Limit) -> Option<String> {
    let (most, requests) = match limit {
        Limit::Time(time) => (time, moments.len()),
        Limit::Count(count) => (TIME, usize::try_from(count).unwrap_or(usize::MAX)),
    };
    let gaps = moments.windows(2).map(|pair| pair[1] - pair[0]).take(requests.saturating_sub(1));
    let mut leaps = gaps.zip(1_u64..).filter(|(gap, _)| *gap > most.0);
    let first = leaps.next()?;
    let (count, (longest, at)) = leaps.fold((1, first), |(count, longest), leap| {
        (count + 1, if leap.0 > longest.0 { leap } else { longest })
    });
    let (gap, behind) = (show_nanos(first.0), first.1);
    let all = match count {
        1 => String::new(),
        _ => format!(" ({count} leaps, the longest {} after request {at})", show_nanos(longest)),
    };
    let most = show_nanos(most.0);
    Some(match limit {
        Limit::Time(_) => format!(
            "after request {behind}, the capture's clock leaps {gap} ahead{all}, longer than the \
             run of {most}: what follows is not sent; --pace even has no gaps"
        ),
        Limit::Count(_) => format!(
            "after request {behind}, the capture's clock leaps {gap} ahead{all}, and nothing is \
             sent meanwhile; --time bounds the run, --pace even has no gaps"
        ),
    })
}

#[cfg(test)]
mod tests;
