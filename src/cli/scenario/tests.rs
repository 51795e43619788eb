use super::*;
use crate::cli::args::{Cli, Command};
use clap::Parser;

fn lowered(words: &str) -> Result<Scenario, CliError> {
    let cli = Cli::try_parse_from(words.split(' ')).unwrap();
    let Command::Bench(args) = cli.command else { panic!("bench") };
    bench(&args)
}

#[test]
fn no_flag_is_the_default() {
    assert_eq!(lowered("udperf bench").unwrap(), Scenario::default());
}

#[test]
fn receivers_may_have_another_address() {
    let scenario = lowered("udperf bench --to 10.9.0.2 --to-netns lab").unwrap();
    assert_eq!(scenario.bind.to_string(), "0.0.0.0");
    assert_eq!(scenario.to.map(|to| to.to_string()).as_deref(), Some("10.9.0.2"));
    assert_eq!(scenario.to_netns, Some("/run/netns/lab".into()));
    let scenario = lowered("udperf bench -B ::1 --to ::2 --to-netns ./ns").unwrap();
    assert_eq!((scenario.bind.to_string(), scenario.to_netns), ("::1".into(), Some("./ns".into())));
    let scenario = lowered("udperf bench --to localhost -4").unwrap();
    assert_eq!(scenario.to.map(|to| to.to_string()).as_deref(), Some("127.0.0.1"));
    for words in ["-B ::1 --to 10.9.0.2", "-6 --to 10.9.0.2", "--to 239.1.2.3"] {
        assert!(lowered(&format!("udperf bench {words}")).is_err(), "{words}");
    }
}

#[test]
fn a_bind_address_may_name_its_device() {
    let scenario = lowered("udperf bench -B fe80::1%v0").unwrap();
    assert_eq!((scenario.bind.to_string(), scenario.ip.dev), ("fe80::1".into(), Some("v0".into())));
    assert!(lowered("udperf bench -B fe80::1%v0 --dev v0").is_ok());
    let error = lowered("udperf bench -B fe80::1%v0 --dev v1").unwrap_err().to_string();
    assert!(error.contains("v0") && error.contains("v1"), "{error}");
}

#[test]
fn what_is_named_twice_is_refused_and_what_ranges_share_is_measured_once() {
    let scenario = lowered("udperf bench -l 64,32..64,32..128 -r max,1k -e plain,all").unwrap();
    assert_eq!((scenario.sizes.len(), scenario.rates.len(), scenario.engines.len()), (3, 2, 2));
    for (words, named) in [
        ("-r 100,100", "--rate 100 "),
        ("-r 1k,2k,1000", "--rate 1k "),
        ("-r max,50%,max", "--rate max "),
        ("-l 64,128,64", "--size 64 "),
        ("-e plain,auto,plain", "--engine plain "),
    ] {
        let error = lowered(&format!("udperf bench {words}")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{named}is given twice")), "{words}: {error}");
        assert!(error.ends_with("with --trials 2"), "{error}");
    }
}

#[test]
fn what_is_only_of_ip_is_refused_by_its_name_where_there_is_none() {
    let scenario = lowered("udperf bench -B unix:/tmp/a").unwrap();
    assert_eq!(scenario.unix, Some("/tmp/a".to_owned()));
    for flag in
        ["-4", "-6", "--to ::1", "--ttl 3", "--df", "--dscp ef", "--dev lo", "--connect off"]
    {
        let error = lowered(&format!("udperf bench -B unix: {flag}")).unwrap_err().to_string();
        let name = if flag == "--connect off" { flag } else { flag.split(' ').next().unwrap() };
        assert!(error.starts_with(&format!("{name} is not supported")), "{error}");
    }
    let ports = lowered("udperf bench -B unix: --port-range 1-2 -p 7").unwrap_err();
    assert!(ports.to_string().starts_with("--port is not supported"), "{ports}");
    let mut machine = Machine::default();
    without_ip(&scenario, &mut machine);
    let lacks = |pair| machine.lacks(pair).is_some();
    assert!(lacks(EnginePair::OFFLOAD) && !lacks(EnginePair::PLAIN) && !lacks(EnginePair::URING));
}

#[test]
fn threads_bring_their_streams() {
    assert_eq!(lowered("udperf bench --threads 3").unwrap().streams, 3);
    assert_eq!(lowered("udperf bench --threads 3 -P 9").unwrap().streams, 9);
}
