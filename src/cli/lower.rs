//! From what was typed to what was meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::args::{BenchArgs, Switch, Timestamps, Wait};
use super::error::CliError;
use crate::plan::{
    EnginePair, EngineWord, IpOptions, Limit, Machine, Missing, PaceShape, Route, Scenario,
    TimestampKind, WaitKind,
};
use crate::unit::Rate;

/// The scenario that these arguments mean.
pub(crate) fn scenario(args: &BenchArgs) -> Result<Scenario, CliError> {
    Ok(Scenario {
        route: Route::Within,
        target: String::new(),
        sizes: once(args.sizes.concat()),
        engines: engines(args),
        rates: rates(args)?,
        pace: args.pace,
        limit: args.count.map_or(Limit::Time(args.time), Limit::Count),
        warmup: args.warmup,
        trials: args.trials,
        streams: args.streams.unwrap_or_else(|| args.threads.max(1)),
        threads: args.threads,
        pin: args.pin.clone(),
        wait: match args.wait {
            Wait::Spin => WaitKind::Spin,
            Wait::Hybrid => WaitKind::Hybrid,
            Wait::Epoll => WaitKind::Epoll,
        },
        batch: args.batch,
        timestamps: match args.timestamps {
            Timestamps::User => TimestampKind::User,
            Timestamps::Kernel => TimestampKind::Kernel,
        },
        socket_buffer: args.socket_buffer,
        connect: args.connect == Switch::On,
        bind: bind(args)?,
        port: args.port,
        ip: IpOptions { dscp: args.dscp, ttl: args.ttl, df: args.df, dev: args.dev.clone() },
        ports: None,
        by_hash: false,
        seed: args.seed,
    })
}

/// The engines, with the default filled in.
fn engines(args: &BenchArgs) -> Vec<EngineWord> {
    if args.engines.is_empty() { Scenario::default().engines } else { once(args.engines.clone()) }
}

/// Takes out of the default what this machine does not have, and returns it: only what was named is
/// an error.
pub(crate) fn settle_for(
    scenario: &mut Scenario,
    args: &BenchArgs,
    machine: &Machine,
) -> Vec<Missing> {
    let mut left_out = Vec::new();
    // Without plain nothing can be measured, and the run itself says why.
    if args.engines.is_empty() && machine.lacks(EnginePair::PLAIN).is_none() {
        scenario.engines.retain(|word| {
            let EngineWord::Pair(pair) = word else { return true };
            let missing = machine.lacks(*pair);
            left_out.extend(missing.filter(|missing| !left_out.contains(*missing)).cloned());
            missing.is_none()
        });
    }
    left_out
}

/// The rates, with the default filled in.
fn rates(args: &BenchArgs) -> Result<Vec<Rate>, CliError> {
    let asked = once(args.rates.iter().copied().chain(args.bits).collect());
    match args.pace.shape() {
        PaceShape::OwnRates if !asked.is_empty() => {
            Err(crate::plan::PlanError::RampWithRate { pace: args.pace }.into())
        }
        PaceShape::OwnRates => Ok(asked),
        PaceShape::AtRate if asked.is_empty() => Ok(vec![Rate::Max, Rate::OfMax(0.5)]),
        PaceShape::AtRate => Ok(asked),
    }
}

/// The local address, with the default filled in.
fn bind(args: &BenchArgs) -> Result<IpAddr, CliError> {
    let contradiction = |flag, addr| {
        CliError::Contradiction(format!(
            "-{flag} and --bind {addr} contradict each other; leave one"
        ))
    };
    let nobody = |addr: IpAddr| addr.is_multicast() || addr == Ipv4Addr::BROADCAST;
    if let Some(addr) = args.bind.filter(|&addr| nobody(addr)) {
        return Err(CliError::Contradiction(format!(
            "--bind {addr} is no address of a host, and bench sends to its own host only; choose \
             one that `ip addr` lists"
        )));
    }
    match args.bind {
        Some(addr) if args.ipv6 && addr.is_ipv4() => Err(contradiction(6, addr)),
        Some(addr) if args.ipv4 && addr.is_ipv6() => Err(contradiction(4, addr)),
        Some(addr) => Ok(addr),
        None if args.ipv6 => Ok(Ipv6Addr::LOCALHOST.into()),
        None => Ok(Ipv4Addr::LOCALHOST.into()),
    }
}

/// Each element once, in order of first mention: a cell measured twice would have one name.
fn once<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    list.into_iter().fold(Vec::new(), |mut unique, element| {
        if !unique.contains(&element) {
            unique.push(element);
        }
        unique
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn lowered(words: &str) -> Result<Scenario, CliError> {
        let cli = Cli::try_parse_from(words.split(' ')).unwrap();
        let Command::Bench(args) = cli.command else { panic!("bench") };
        scenario(&args)
    }

    #[test]
    fn no_flag_is_the_default() {
        assert_eq!(lowered("udperf bench").unwrap(), Scenario::default());
    }

    #[test]
    fn lists_lose_what_they_say_twice() {
        let scenario = lowered("udperf bench -l 64,32..64 -r max,max -e plain,auto,plain").unwrap();
        assert_eq!((scenario.sizes.len(), scenario.rates.len(), scenario.engines.len()), (2, 1, 2));
    }

    #[test]
    fn threads_bring_their_streams() {
        assert_eq!(lowered("udperf bench --threads 3").unwrap().streams, 3);
        assert_eq!(lowered("udperf bench --threads 3 -P 9").unwrap().streams, 9);
    }
}
