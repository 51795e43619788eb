//! Changes of host, udperf and engine between runs of a series.

use std::collections::BTreeMap;

use crate::document::{Cell, Device, Host, Report};

#[derive(Debug, Clone)]
pub(super) struct RunContext {
    /// Single values.
    facts: [(&'static str, Option<String>); 5],
    /// Values with several named parts; `None` if the document lacks them.
    tuning: [(&'static str, Option<BTreeMap<String, String>>); 5],
}

impl RunContext {
    pub(super) fn of(report: &Report, cell: &Cell) -> Self {
        let Host { kernel, governor, .. } = &report.host;
        let engine = &cell.engine;
        let active = match &engine.rx_active {
            Some(rx) if *rx != engine.tx_active => format!("{}/{rx}", engine.tx_active),
            _ => engine.tx_active.clone(),
        };
        Self {
            facts: [
                ("git", report.tool.git.clone()),
                ("version", Some(report.tool.version.clone())),
                ("kernel", kernel.clone()),
                ("governor", governor.clone()),
                ("engine", Some(active)),
            ],
            tuning: tuning(&report.host),
        }
    }

    /// The changes from here to `new`; unknown tuning is no change.
    pub(super) fn changes(&self, new: &Self) -> Vec<Change> {
        let unknown = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "?".to_owned());
        let facts = self.facts.iter().zip(&new.facts);
        let facts = facts
            .filter(|((_, from), (_, to))| from != to)
            .map(|((what, from), (_, to))| Change { what, from: unknown(from), to: unknown(to) });
        let tuning = self.tuning.iter().zip(&new.tuning);
        let tuning = tuning.filter_map(|((what, from), (_, to))| {
            let (from, to) = (from.as_ref()?, to.as_ref()?);
            (from != to).then(|| Change { what, from: only(from, to), to: only(to, from) })
        });
        facts.chain(tuning).collect()
    }
}

fn tuning(host: &Host) -> [(&'static str, Option<BTreeMap<String, String>>); 5] {
    let turbo = |on| BTreeMap::from([(String::new(), if on { "on" } else { "off" }.to_owned())]);
    let word = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        (name.to_owned(), value.to_owned())
    };
    let line = host.kernel_command_line.as_ref();
    [
        ("turbo", host.turbo.map(turbo)),
        ("mitigations", host.mitigations.clone()),
        ("command line", line.map(|line| line.split_whitespace().map(word).collect())),
        ("sysctls", Some(host.sysctls.clone()).filter(|all| !all.is_empty())),
        ("device", host.device.as_ref().map(device)),
    ]
}

/// The main properties of a device.
fn device(device: &Device) -> BTreeMap<String, String> {
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
fn only(these: &BTreeMap<String, String>, others: &BTreeMap<String, String>) -> String {
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
    /// `command line`, `sysctls` or `device`; of the latter four, those parts that differ.
    pub(crate) what: &'static str,
    /// The old value; `?` if unknown.
    pub(crate) from: String,
    pub(crate) to: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn changes(edit: fn(&mut Host), again: fn(&mut Host)) -> Vec<(&'static str, String, String)> {
        let mut report = fixture::default_run();
        edit(&mut report.host);
        let before = RunContext::of(&report, &report.cells[0]);
        again(&mut report.host);
        let after = RunContext::of(&report, &report.cells[0]);
        let changes = before.changes(&after).into_iter();
        changes.map(|change| (change.what, change.from, change.to)).collect()
    }

    fn map(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn of_tuning_only_what_differs_is_told() {
        let found = changes(
            |host| {
                host.turbo = Some(true);
                host.mitigations = Some(map(&[("mds", "Not affected"), ("tsa", "Vulnerable")]));
                host.kernel_command_line = Some("nosmt idle=poll".to_owned());
                host.sysctls = map(&[("a", "1"), ("b", "2")]);
                let (name, mtu) = ("eth0".to_owned(), Some(1_500));
                host.device = Some(Device { name, mtu, ..Device::default() });
            },
            |host| {
                host.turbo = Some(false);
                host.mitigations = Some(map(&[("mds", "Not affected"), ("tsa", "Mitigation: x")]));
                host.kernel_command_line = Some("nosmt idle=poll tsc=reliable".to_owned());
                host.sysctls = map(&[("a", "1"), ("b", "3")]);
                host.device.as_mut().unwrap().mtu = Some(9_000);
            },
        );
        let change = |what, from: &str, to: &str| (what, from.to_owned(), to.to_owned());
        let expected = [
            change("turbo", "on", "off"),
            change("mitigations", "tsa=Vulnerable", "tsa=Mitigation: x"),
            change("command line", "-", "tsc=reliable"),
            change("sysctls", "b=2", "b=3"),
            change("device", "mtu=1500", "mtu=9000"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_document_that_knows_nothing_of_it_is_no_change() {
        let bare: fn(&mut Host) = |host| {
            (host.turbo, host.mitigations, host.device) = (None, None, None);
            host.kernel_command_line = None;
            host.sysctls.clear();
        };
        let full: fn(&mut Host) = |host| {
            host.turbo = Some(true);
            host.mitigations = Some(map(&[("tsa", "Vulnerable")]));
            host.kernel_command_line = Some("nosmt".to_owned());
            host.sysctls = map(&[("a", "1")]);
            host.device = Some(Device::default());
        };
        assert_eq!(changes(bare, full), []);
        assert_eq!(changes(full, bare), []);
    }
}
