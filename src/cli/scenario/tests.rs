use super::*;
use crate::cli::args::{CellCommand, Cli, Command};
use clap::Parser;

fn scenario_of(words: &str) -> CliResult<Scenario> {
    let cli = Cli::try_parse_from(["udperf", "bench"].into_iter().chain(words.split_whitespace()));
    let Command::Measure(CellCommand::Bench(args)) = cli.unwrap().command else { panic!("bench") };
    bench(&args)
}

fn error_of(words: &str) -> String {
    scenario_of(words).unwrap_err().to_string()
}

#[test]
fn defaults_are_those_of_bench() {
    assert_eq!(scenario_of("").unwrap(), Scenario::default());
    assert_eq!(scenario_of("--threads 3").unwrap().streams, 3);
    assert_eq!(scenario_of("--threads 3 -P 9").unwrap().streams, 9);
}

#[test]
fn sets_addresses_and_devices() {
    for (words, bind, to, netns) in [
        ("--to 10.9.0.2 --to-netns lab", "0.0.0.0", "10.9.0.2", Some("/run/netns/lab")),
        ("-B ::1 --to ::2 --to-netns ./ns", "::1", "::2", Some("./ns")),
        ("--to localhost -4", "0.0.0.0", "127.0.0.1", None),
    ] {
        let scenario = scenario_of(words).unwrap();
        let addresses = (scenario.bind.to_string(), scenario.to.map(|to| to.to_string()));
        assert_eq!(addresses, (bind.to_owned(), Some(to.to_owned())), "{words}");
        assert_eq!(scenario.to_netns, netns.map(Into::into), "{words}");
    }
    for words in ["-B fe80::1%v0", "-B fe80::1%v0 --dev v0"] {
        let scenario = scenario_of(words).unwrap();
        assert_eq!(
            (scenario.bind, scenario.ip.dev),
            ("fe80::1".parse().unwrap(), Some("v0".into()))
        );
    }
    let error = error_of("-B fe80::1%v0 --dev v1");
    assert!(error.contains("v0") && error.contains("v1"), "{error}");
    for words in ["-B ::1 --to 10.9.0.2", "-6 --to 10.9.0.2", "--to 239.1.2.3"] {
        assert!(scenario_of(words).is_err(), "{words}");
    }
}

#[test]
fn rejects_duplicates_but_merges_ranges() {
    let scenario = scenario_of("-l 64,32..64,32..128 -r max,1k -e plain,all").unwrap();
    assert_eq!((scenario.sizes.len(), scenario.rates.len(), scenario.engines.len()), (3, 2, 2));
    for (words, name) in [
        ("-r 1k,2k,1000", "--rate 1k "),
        ("-r max,50%,max", "--rate max "),
        ("-l 64,128,64", "--size 64 "),
        ("-e plain,auto,plain", "--engine plain "),
    ] {
        let error = error_of(words);
        assert!(error.starts_with(&format!("{name}is given twice")), "{words}: {error}");
        assert!(error.ends_with("with --trials 2"), "{error}");
    }
}

#[test]
fn rejects_ip_flags_with_unix_sockets() {
    let scenario = scenario_of("-B unix:/tmp/a").unwrap();
    assert_eq!(scenario.unix, Some("/tmp/a".to_owned()));
    for words in ["-4", "-6", "--to ::1", "--df", "--dscp ef", "--dev lo", "--port-range 1-2"] {
        let (error, flag) = (error_of(&format!("-B unix: {words}")), words.split(' ').next());
        assert!(error.starts_with(&format!("{} is not supported", flag.unwrap())), "{error}");
    }
    let mut machine = Machine::default();
    without_ip(&scenario, &mut machine);
    let lacks = |pair| machine.lacks(pair).is_some();
    assert!(lacks(EnginePair::OFFLOAD) && !lacks(EnginePair::PLAIN) && !lacks(EnginePair::URING));
}
