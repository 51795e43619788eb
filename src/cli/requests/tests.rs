use clap::Parser;

use super::*;
use crate::cli::error::Exit;
use crate::payload::{IdAt, MatchRule, Number};

#[derive(Debug, Parser)]
struct Alone {
    target: String,
    #[command(flatten)]
    requests: RequestArgs,
}

fn typed(words: &[&str]) -> Result<Vec<Spec>, String> {
    sized(words, &[])
}

fn sized(words: &[&str], sizes: &[usize]) -> Result<Vec<Spec>, String> {
    let words = ["load", "host:1"].iter().chain(words);
    let args = Alone::try_parse_from(words).map_err(|error| error.to_string())?;
    assert_eq!(args.target, "host:1");
    specs(&args.requests, sizes).map_err(|error| error.to_string())
}

fn one(words: &[&str]) -> Spec {
    let mut specs = typed(words).unwrap();
    assert_eq!(specs.len(), 1);
    specs.remove(0)
}

#[test]
fn presets_have_flags_of_their_own() {
    let words = ["--preset", "dns", "--name", "a.example", "--type", "AAAA", "--dnssec"];
    let usual = Dns { rtype: "AAAA".to_owned(), dnssec: true, ..Dns::of("a.example") };
    assert_eq!(one(&words), Spec::of(RequestSource::Preset(Preset::Dns(usual))));
    let words = ["--preset", "dns", "--name", "a", "--no-edns", "--no-recursion"];
    let bare = Dns { edns: None, recursion: false, ..Dns::of("a") };
    assert_eq!(one(&words), Spec::of(RequestSource::Preset(Preset::Dns(bare))));
    let words = ["--edns", "--preset", "dns", "--name", "a", "--random-subdomain", "8"];
    let random = Dns { random_subdomain: Some(8), ..Dns::of("a") };
    assert_eq!(one(&words), Spec::of(RequestSource::Preset(Preset::Dns(random))));
    let words = ["--preset", "dns", "--name", "a", "--edns=4096"];
    let long = Dns { edns: Some(4_096), ..Dns::of("a") };
    assert_eq!(one(&words), Spec::of(RequestSource::Preset(Preset::Dns(long))));
    for (words, preset) in [
        (&["ntp"][..], Preset::Ntp),
        (&["stun", "--fingerprint"], Preset::Stun(Stun { fingerprint: true })),
        (&["memcached-udp"], Preset::Memcached(Memcached { key: "udperf".to_owned() })),
        (&["statsd"], Preset::Statsd("udperf.requests:1|c".to_owned())),
        (&["syslog", "--message", "x"], Preset::Syslog("x".to_owned())),
        (&["quic-vn"], Preset::QuicVn),
        (
            &["coap", "--path", "a", "--non-confirmable"],
            Preset::Coap(Coap { path: "a".to_owned(), confirmable: false }),
        ),
    ] {
        let words = [&["--preset"], words].concat();
        assert_eq!(one(&words), Spec::of(RequestSource::Preset(preset)), "{words:?}");
        one(&words).compile(1).unwrap();
    }
}

#[test]
fn echoes_come_in_sizes() {
    let echo = |size| Spec::of(RequestSource::Preset(Preset::Echo(Echo { size })));
    assert_eq!(one(&["--preset", "echo"]), echo(64));
    let specs = sized(&["--preset", "echo"], &[64, 1_472]).unwrap();
    assert_eq!(specs, [echo(64), echo(1_472)]);
    let error = sized(&["--text", "a"], &[64]).unwrap_err();
    assert!(error.starts_with("--size is for --preset echo"), "{error}");
}

#[test]
fn templates_take_all_that_goes_with_them() {
    let words = ["--text", "é{id}", "--encoding", "latin1", "--match", "id@4", "--order", "random"];
    let spec = one(&words);
    assert_eq!(spec.source, RequestSource::Text("é{id}".to_owned()));
    assert_eq!((spec.encoding.name(), spec.order), ("windows-1252", RequestOrder::Random));
    assert_eq!((spec.rule, spec.fields), (MatchRule::IdAt(4), true));
    let spec = one(&["--hex", "0102", "--id-at", "0:u16be", "--fields", "off"]);
    assert_eq!(spec.id_at, Some(IdAt { offset: 0, number: Number::Be(2) }));
    assert!(!spec.fields);
}

#[test]
fn files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests");
    let name = path.to_str().unwrap();
    let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
    write(b"a.example MX\n");
    assert_eq!(one(&["--lines", name]).source, RequestSource::Lines(b"a.example MX\n".to_vec()));
    let spec = one(&["--file", name]);
    assert_eq!(spec.source, RequestSource::File(b"a.example MX\n".to_vec()));
    assert!(!spec.fields && one(&["--file", name, "--fields", "on"]).fields);
    let spec = one(&["--pcap", name, "--pcap-port", "53"]);
    let bytes = b"a.example MX\n".to_vec();
    assert_eq!(spec.source, RequestSource::Capture { bytes, port: Some(53) });
    let spec = one(&["--preset", "dns", "--names", name]);
    let names = Names::Lines { bytes: b"a.example MX\n".to_vec(), strict: false };
    assert_eq!(spec.source, RequestSource::Preset(Preset::Dns(Dns { names, ..Dns::of("") })));
    write(b"a\n\xFF\n");
    let words = ["--preset", "dns", "--names", name, "--names-strict"];
    let names = Names::Lines { bytes: b"a\n\xFF\n".to_vec(), strict: true };
    assert_eq!(
        one(&words).source,
        RequestSource::Preset(Preset::Dns(Dns { names, ..Dns::of("") }))
    );
    write(&[0; 65_508]);
    let error = typed(&["--file", name]).unwrap_err();
    assert!(error.contains("more than 65507 bytes"), "{error}");
    write(&[0; 65_507]);
    one(&["--file", name]).compile(1).unwrap();
    let error = typed(&["--pcap", folder.path().join("none").to_str().unwrap()]).unwrap_err();
    assert!(error.starts_with("cannot read ") && error.contains("no such file"), "{error}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (words, part) in [
        (&[][..], "--preset <NAME>|--text <TEXT>"),
        (&["--text", "a", "--hex", "00"], "cannot be used with"),
        (&["--hex", "00", "--encoding", "gbk"], "cannot be used with"),
        (&["--preset", "ntp", "--id-at", "0:u8"], "cannot be used with"),
        (&["--text", "a", "--name", "b"], "--preset"),
        (&["--text", "a", "--pcap-port", "53"], "--pcap"),
        (&["--text", "a", "--match", "dn"], "use preset, id@OFFSET"),
        (&["--text", "a", "--encoding", "utf-9"], "is unknown"),
        (&["--text", "a", "--id-at", "0:u3"], "use OFFSET:FORMAT"),
        (&["--preset", "dns"], "give --name NAME or --names FILE"),
        (&["--preset", "dns", "--name", "a", "--dnssec", "--no-edns"], "cannot be used with"),
        (&["--preset", "dns", "--name", "a", "--edns=100"], "100"),
        (&["--preset", "dns", "--name", "a", "--names-strict"], "cannot be used with"),
        (&["--preset", "dns", "--names-strict"], "--names <FILE>"),
        (&["--preset", "ntp", "--name", "a"], "--name is for --preset dns; omit it"),
        (&["--preset", "ntp", "--message", "a"], "--preset statsd and --preset syslog"),
    ] {
        let error = typed(words).unwrap_err();
        assert!(error.contains(part), "{words:?}: {error}");
    }
}

#[test]
fn errors_name_the_flag_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests");
    std::fs::write(&path, b"a\n{x} y z\n").unwrap();
    let name = path.to_str().unwrap();
    for (words, start, exit) in [
        (&["--lines", name][..], format!("--lines {name}: line 2: '{{x}}'"), Exit::Failed),
        (&["--pcap", name], format!("--pcap {name}: not a capture"), Exit::Failed),
        (&["--text", "{x}"], "--text: '{x}', character 1".to_owned(), Exit::Usage),
        (&["--hex", "0"], "--hex: the hex digit '0'".to_owned(), Exit::Usage),
        (
            &["--preset", "dns", "--names", name, "--names-strict"],
            format!("--preset dns --names {name}: line 2: '{{x}} y z' is not a question"),
            Exit::Failed,
        ),
    ] {
        let args = Alone::try_parse_from([&["load", "host:1"], words].concat()).unwrap();
        let error = compile(&args.requests, &[], 1).unwrap_err();
        assert!(error.to_string().starts_with(&start), "{error}");
        assert_eq!(error.exit(), exit);
    }
}
