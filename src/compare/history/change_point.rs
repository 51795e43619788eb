//! Changes of host, udperf and engine between runs of a series.

use std::collections::BTreeMap;

use crate::document::{Cell, Device, Report};

/// The named parts of a property; a single value has an empty name.
type Parts = BTreeMap<String, String>;

/// Properties of a run by name; `None` if unknown, which is no change.
#[derive(Debug, Clone)]
pub(super) struct RunContext([(&'static str, Option<Parts>); 11]);

impl RunContext {
    pub(super) fn of(report: &Report, cell: &Cell) -> Self {
        let host = &report.host;
        let engine = &cell.engine;
        let active = match &engine.rx_active {
            Some(rx) if *rx != engine.tx_active => format!("{}/{rx}", engine.tx_active),
            _ => engine.tx_active.clone(),
        };
        let single = |value: &str| Some(Parts::from([(String::new(), value.to_owned())]));
        // Unknown, these are a value of their own.
        let or_unknown = |value: &Option<String>| single(value.as_deref().unwrap_or("?"));
        let parameter = |word: &str| {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            (name.to_owned(), value.to_owned())
        };
        let command_line = host.kernel_command_line.as_ref();
        Self([
            ("git", or_unknown(&report.tool.git)),
            ("version", single(&report.tool.version)),
            ("kernel", or_unknown(&host.kernel)),
            ("governor", or_unknown(&host.governor)),
            ("engine", single(&active)),
            ("turbo", host.turbo.and_then(|on| single(if on { "on" } else { "off" }))),
            ("mitigations", host.mitigations.clone()),
            (
                "command line",
                command_line.map(|line| line.split_whitespace().map(parameter).collect()),
            ),
            ("sysctls", Some(host.sysctls.clone()).filter(|all| !all.is_empty())),
            ("labels", Some(report.labels.clone())),
            ("device", host.device.as_ref().map(device)),
        ])
    }

    /// The changes from here to `new`.
    pub(super) fn changes(&self, new: &Self) -> Vec<Change> {
        let all = self.0.iter().zip(&new.0).filter_map(|((what, from), (_, to))| {
            let (from, to) = (from.as_ref()?, to.as_ref()?);
            (from != to).then(|| Change { what, from: only(from, to), to: only(to, from) })
        });
        all.collect()
    }
}

/// The main properties of a device.
fn device(device: &Device) -> Parts {
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let found = [
        ("name", Some(device.name.clone())),
        ("driver", device.driver.clone()),
        ("mtu", number(device.mtu)),
        ("speed_mbit", number(device.speed_mbit)),
        ("qdisc", device.qdisc.clone()),
        ("rx_queues", number(device.rx_queues)),
        ("tx_queues", number(device.tx_queues)),
    ];
    found.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The settings that differ in the others; `-` if none.
fn only(these: &Parts, others: &Parts) -> String {
    let differs = these.iter().filter(|(name, value)| others.get(*name) != Some(value));
    let word = |(name, value): (&String, &String)| match (name.is_empty(), value.is_empty()) {
        (true, _) => value.clone(),
        (_, true) => name.clone(),
        _ => format!("{name}={value}"),
    };
    let words: Vec<String> = differs.map(word).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// What: `git`, `version`, `kernel`, `governor`, `engine`, `turbo`, `mitigations`,
    /// `command line`, `sysctls`, `labels` or `device`; of the latter five, those parts that
    /// differ.
    pub(crate) what: &'static str,
    /// The old value; `?` if unknown.
    pub(crate) from: String,
    pub(crate) to: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Host;
    use crate::report::fixture;

    fn changes(hosts: [&Host; 2]) -> String {
        let report = fixture::default_run();
        let [before, after] = hosts.map(|host| {
            let report = Report { host: host.clone(), ..report.clone() };
            RunContext::of(&report, &report.cells[0])
        });
        let all = before.changes(&after).into_iter();
        all.map(|Change { what, from, to }| format!("{what}: {from} > {to}\n")).collect()
    }

    fn parts(of: &[(&str, &str)]) -> Parts {
        of.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn lists_the_parts_that_differ() {
        let device = |mtu| Some(Device { name: "eth0".to_owned(), mtu, ..Device::default() });
        let before = Host {
            turbo: Some(true),
            mitigations: Some(parts(&[("mds", "Not affected"), ("tsa", "Vulnerable")])),
            kernel_command_line: Some("nosmt idle=poll".to_owned()),
            sysctls: parts(&[("a", "1"), ("b", "2")]),
            device: device(Some(1_500)),
            ..Host::default()
        };
        let after = Host {
            turbo: Some(false),
            mitigations: Some(parts(&[("mds", "Not affected"), ("tsa", "Mitigation: x")])),
            kernel_command_line: Some("nosmt idle=poll tsc=reliable".to_owned()),
            sysctls: parts(&[("a", "1"), ("b", "3")]),
            device: device(Some(9_000)),
            governor: Some("performance".to_owned()),
            ..Host::default()
        };
        let expected = "governor: ? > performance
turbo: on > off
mitigations: tsa=Vulnerable > tsa=Mitigation: x
command line: - > tsc=reliable
sysctls: b=2 > b=3
device: mtu=1500 > mtu=9000
";
        assert_eq!(changes([&before, &after]), expected);
        // Unknown tuning is no change.
        let unknown = Host::default();
        assert_eq!([changes([&before, &unknown]), changes([&unknown, &before])], ["", ""]);
    }
}
