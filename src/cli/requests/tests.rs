use clap::Parser;

use super::recorded::leap;
use super::*;
use crate::cli::error::Exit;
use crate::payload::{IdAt, MatchRule, Number, RequestOrder};
use crate::plan::Limit;
use crate::unit::Nanos;

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    requests: RequestArgs,
}

fn specs_of(words: &[&str], sizes: &[usize]) -> Result<Vec<Spec>, String> {
    let flags = Flags::try_parse_from(["load"].iter().chain(words));
    let flags = flags.map_err(|error| error.to_string())?;
    specs(&flags.requests, sizes).map_err(|error| error.to_string())
}

fn one(words: &[&str]) -> Spec {
    let specs = specs_of(words, &[]).unwrap();
    let [spec] = &specs[..] else { panic!("{words:?}") };
    spec.clone()
}

fn preset(preset: Preset) -> Spec {
    Spec::of(RequestSource::Preset(preset))
}

fn options(all: &[&str]) -> EdnsOptions {
    let mut options = EdnsOptions::default();
    all.iter().for_each(|word| options.add(word).unwrap());
    options
}

/// The first request.
fn written(spec: &Spec) -> Vec<u8> {
    let (requests, _) = spec.compile(1).unwrap();
    let mut slot = vec![0; requests.largest];
    let len = requests.write(0, 0, 0, &mut slot);
    slot[..len].to_vec()
}

#[test]
fn presets_have_their_own_flags() {
    let (dns, a) = (Preset::Dns, || Dns::of("a"));
    for (words, expected) in [
        (
            "dns --name a --type AAAA --dnssec",
            dns(Dns { rtype: "AAAA".into(), dnssec: true, ..a() }),
        ),
        ("dns --name a --no-edns --no-recursion", dns(Dns { edns: None, recursion: false, ..a() })),
        ("dns --edns --name a --random-subdomain 8", dns(Dns { random_subdomain: Some(8), ..a() })),
        ("dns --name a --edns=4096", dns(Dns { edns: Some(4_096), ..a() })),
        (
            "dns --name a --ecs 10.1.0.0/16",
            dns(Dns { options: options(&["8:000110000A01"]), ..a() }),
        ),
        (
            "dns --name a --cookie=0102030405060708 --edns-option 3: --edns-option 9:ff",
            dns(Dns { options: options(&["10:0102030405060708", "3:", "9:ff"]), ..a() }),
        ),
        ("ntp", Preset::Ntp),
        ("stun --fingerprint", Preset::Stun { fingerprint: true }),
        ("memcached-udp", Preset::Memcached { key: "udperf".into() }),
        ("statsd", Preset::Statsd("udperf.requests:1|c".into())),
        ("syslog --message x", Preset::Syslog("x".into())),
        ("quic-vn", Preset::QuicVn),
        ("echo", Preset::Echo { size: 64 }),
        (
            "coap --path a --non-confirmable",
            Preset::Coap { path: "a".into(), confirmable: false, blocks: 1 },
        ),
    ] {
        let words: Vec<_> = ["--preset"].into_iter().chain(words.split(' ')).collect();
        let spec = one(&words);
        let expected = preset(expected);
        assert_eq!(written(&spec), written(&expected), "{words:?}");
        let without = |spec: &Spec| match spec.source.clone() {
            RequestSource::Preset(Preset::Dns(dns)) => {
                preset(Preset::Dns(Dns { options: EdnsOptions::default(), ..dns }))
            }
            _ => spec.clone(),
        };
        assert_eq!(without(&spec), without(&expected), "{words:?}");
    }
    let specs = specs_of(&["--preset", "echo"], &[64, 1_472]).unwrap();
    assert_eq!(specs, [64, 1_472].map(|size| preset(Preset::Echo { size })));
    let error = specs_of(&["--text", "a"], &[64]).unwrap_err();
    assert!(error.starts_with("--size is for --preset echo"), "{error}");
}

#[test]
fn templates_have_options() {
    let words = ["--text", "é{id}", "--encoding", "latin1", "--match", "id@4", "--order", "random"];
    let spec = one(&words);
    assert_eq!(spec.source, RequestSource::Text("é{id}".to_owned()));
    assert_eq!((spec.encoding.name(), spec.order), ("windows-1252", RequestOrder::Random));
    assert_eq!((spec.rule, spec.fields), (MatchRule::IdAt(4), true));
    let rules = ["--match", "after:x=", "--expect", "prefix:a", "--expect", "byte@0=0x41"];
    let errors = ["--error", "no=text:=b", "--error", "regex:(?<name>4..)"];
    let spec = one(&[&["--text", "{id}"], &rules[..], &errors].concat());
    assert_eq!(spec.rule, MatchRule::After("x=".to_owned()));
    let matching = spec.compile(1).unwrap().1;
    assert_eq!(matching.to_string(), "id (dec10) after \"x=\"");
    let expected =
        ["expecting \"prefix:a or byte@0=0x41\"", "errors \"no=text:=b or regex:(?<name>4..)\""];
    assert_eq!(matching.rules(), expected);
    let spec = one(&["--hex", "0102", "--id-at", "0:u16be", "--fields", "off"]);
    assert_eq!(spec.id_at, Some(IdAt { offset: 0, number: Number::Be(2) }));
    assert!(!spec.fields);
}

#[test]
fn reads_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests");
    let name = path.to_str().unwrap();
    let bytes = b"a.example MX\n\xFF\n".to_vec();
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(one(&["--lines", name]).source, RequestSource::Lines(bytes.clone().into()));
    let spec = one(&["--file", name]);
    assert_eq!(spec.source, RequestSource::File(bytes.clone()));
    assert!(!spec.fields && one(&["--file", name, "--fields", "on"]).fields);
    let capture = RequestSource::Capture { bytes: bytes.clone(), port: Some(53), inner: true };
    let words = ["--pcap", name, "--pcap-port", "53", "--pcap-inner"];
    assert_eq!(one(&words).source, capture);
    for (flag, strict) in [(None, false), (Some("--names-strict"), true)] {
        let words: Vec<_> = ["--preset", "dns", "--names", name].into_iter().chain(flag).collect();
        let names = Names::Lines { bytes: bytes.clone().into(), strict };
        assert_eq!(one(&words), preset(Preset::Dns(Dns { names, ..Dns::of("") })));
    }
    std::fs::write(&path, [0; 65_508]).unwrap();
    let error = specs_of(&["--file", name], &[]).unwrap_err();
    assert!(error.contains("more than 65507 bytes"), "{error}");
    std::fs::write(&path, [0; 65_507]).unwrap();
    one(&["--file", name]).compile(1).unwrap();
}

#[test]
fn rejects_flags_that_do_not_fit() {
    for (words, part) in [
        ("--text a --name b", "--preset"),
        ("--text a --pcap-port 53", "--pcap"),
        ("--text a --encoding utf-9", "is unknown"),
        ("--text a --id-at 0:u3", "use OFFSET:FORMAT"),
        ("--text a --match dn", "use preset, id@OFFSET, after:TEXT"),
        ("--text a{id} --match regex:a(b", "'a(b', character 2: unclosed group"),
        ("--text a --expect suffix:b", "use prefix:TEXT"),
        ("--text a --error text:b", "write NAME=text:b"),
        ("--preset dns --name a --edns=100", "100"),
        ("--preset dns --names-strict", "--names <FILE>"),
        ("--preset ntp --ecs 10.0.0.0/8", "--ecs is for --preset dns"),
        ("--preset ntp --cookie", "--cookie is for --preset dns"),
        ("--text a --edns-option 3:", "--preset"),
        ("--preset ntp --message a", "--preset statsd and --preset syslog"),
    ] {
        let error = specs_of(&words.split(' ').collect::<Vec<_>>(), &[]).unwrap_err();
        assert!(error.contains(part), "{words}: {error}");
    }
}

#[test]
fn errors_name_the_flag_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests");
    std::fs::write(&path, b"a\n{x} y z\n").unwrap();
    let file = path.to_str().unwrap();
    for (words, start) in [
        (vec!["--lines", file], format!("--lines {file}: line 2: '{{x}}'")),
        (
            vec!["--preset", "dns", "--names-strict", "--names", file],
            format!("--preset dns --names {file}: line 2: '{{x}} y z' is not a question"),
        ),
    ] {
        let flags = Flags::try_parse_from(["load"].into_iter().chain(words)).unwrap();
        let error = compile(&flags.requests, &[], "127.0.0.1", 1).unwrap_err();
        assert!(error.to_string().starts_with(&start), "{error}");
        assert_eq!(error.exit(), Exit::Failed);
    }
}

#[test]
fn reports_gaps_longer_than_the_run() {
    const HOUR_NS: u64 = 3_600_000_000_000;
    let [one, three] = [Limit::Time(Nanos(HOUR_NS)), Limit::Time(Nanos(3 * HOUR_NS))];
    let short = Limit::Time(Nanos::from_millis(10_000));
    let (single, several) =
        (&[10, 10, HOUR_NS, 10][..], &[10, HOUR_NS, 10, 3 * HOUR_NS, 2 * HOUR_NS, 10][..]);
    let times = |gaps: &[u64]| -> Vec<u64> {
        (0..=gaps.len()).map(|count| gaps[..count].iter().sum()).collect()
    };
    let all = "(3 leaps, the longest 10800 s after request 4)";
    let two = "(2 leaps, the longest 10800 s after request 4)";
    for (gaps, limit, start, parts) in [
        (single, short, "after request 3, ", &["3600 s ahead, longer", "not sent"][..]),
        (single, Limit::Count(5), "after request 3, ", &["3600 s ahead, and", "--time"]),
        (several, Limit::Count(7), "after request 2, ", &["3600 s ahead (", all]),
        (several, Limit::Count(5), "after request 2, ", &[two]),
        (several, one, "after request 4, ", &[two]),
    ] {
        let text = leap(&times(gaps), limit).unwrap();
        assert!(text.starts_with(start), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    for (gaps, limit) in [(single, one), (single, Limit::Count(3)), (several, three)] {
        assert_eq!(leap(&times(gaps), limit), None);
    }
}
