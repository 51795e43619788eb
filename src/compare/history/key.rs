//! Keys of series: scenario and host in words.

use serde_json::Value;

use crate::document::{Host, Report};
use crate::unit::{Nanos, show_bytes, show_nanos};

/// The default socket buffer of all commands: 4 MiB.
const DEFAULT_BUFFER: u64 = 4 << 20;

/// The identity of a host, which excludes its kernel.
pub(super) fn host(host: &Host) -> String {
    let name = host.hostname.clone().unwrap_or_else(|| "unnamed host".to_owned());
    let cores = host.cores.map(|cores| format!("{cores} CPU{}", if cores == 1 { "" } else { "s" }));
    let parts = [Some(name), host.cpu_model.clone(), cores];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// How a run was measured, in words; defaults are left out.
pub(super) fn scenario(report: &Report) -> String {
    let scenario = &report.scenario;
    let mut words = vec![report.kind.clone()];
    words.extend(peer_words(report));
    let options = &scenario["asking"];
    words.extend(options["requests"].as_str().map(str::to_owned));
    words.extend(options["outstanding"].as_u64().map(|most| format!("{most} outstanding")));
    words.extend(options["timeout_ns"].as_u64().map(|ns| format!("timeout {}", show_nanos(ns))));
    // A time such as `500ms`, or a number of datagrams.
    let limit = scenario["limit"].as_str();
    words.extend(limit.map(|text| match text.parse::<Nanos>() {
        Ok(time) => show_nanos(time.0),
        Err(_) => text.to_owned(),
    }));
    let number = |name: &str, default: u64| scenario[name].as_u64().filter(|&is| is != default);
    words.extend(number("streams", 1).map(|streams| format!("{streams} flows")));
    words.extend(scenario["sources"].as_str().map(|sources| format!("sources {sources}")));
    words.extend(number("threads", 1).map(|threads| format!("{threads} threads")));
    words.extend(number("batch", 0).map(|batch| format!("batches of {batch}")));
    let buffer = number("socket_buffer", DEFAULT_BUFFER);
    words.extend(buffer.map(|bytes| format!("socket buffers {}", show_bytes(bytes))));
    let word = |name: &str, default: &str| scenario[name].as_str().filter(|&is| is != default);
    for (name, default) in [("pace", "even"), ("wait", "hybrid"), ("pin", "auto")] {
        words.extend(word(name, default).map(|word| format!("{name} {word}")));
    }
    words.extend(word("pace_by", "user").map(|word| format!("paced by {word}")));
    words.extend(word("timestamps", "user").map(|by| format!("{by} timestamps")));
    if scenario["realtime"].as_bool() == Some(true) {
        words.push("real time".to_owned());
    }
    if scenario["connect"].as_bool() == Some(false) {
        words.push("unconnected".to_owned());
    }
    for name in ["dev", "dscp", "ttl", "df"] {
        match &scenario["ip"][name] {
            Value::Null | Value::Bool(false) => {}
            Value::Bool(true) => words.push(name.to_owned()),
            Value::String(value) => words.push(format!("{name} {value}")),
            value => words.push(format!("{name} {value}")),
        }
    }
    if report.tool.profile != "release" {
        words.push(format!("{} build", report.tool.profile));
    }
    words.join(", ")
}

/// The target, without ports, which are often ephemeral.
fn peer_words(report: &Report) -> Vec<String> {
    let text = |name: &str| report.scenario[name].as_str().filter(|text| !text.is_empty());
    let route = text("route").filter(|&route| !matches!(route, "within" | "ask"));
    let mut words: Vec<String> = route.into_iter().map(str::to_owned).collect();
    if text("unix").is_some() {
        words.push("unix".to_owned());
        return words;
    }
    words.extend(text("target").map(|target| format!("to {}", without_port(target))));
    // On one host, addresses tell the path.
    let is_one_host = text("target").is_none();
    let bind = text("bind").filter(|&bind| is_one_host && bind != "127.0.0.1");
    words.extend(bind.map(|bind| format!("from {bind}")));
    words.extend(text("to").map(|to| format!("to {to}")));
    words.extend(text("to_netns").map(|netns| format!("in {netns}")));
    words
}

/// `HOST:PORT` and `[v6]:PORT` without the port; anything else unchanged.
fn without_port(target: &str) -> &str {
    match target.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            // A bare IPv6 address may end like a port.
            if host.contains(':') && bare == host { target } else { bare }
        }
        _ => target,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn scenario_omits_defaults_and_ports() {
        let mut report = fixture::report_of(Vec::new());
        assert_eq!(scenario(&report), "bench, 500 ms");
        let mut load = report.clone();
        report.scenario["ip"] = json!({"dscp": 46, "df": true, "ttl": null, "dev": "eth0"});
        report.scenario["connect"] = json!(false);
        report.scenario["streams"] = json!(8);
        report.scenario["pace_by"] = json!("txtime");
        report.scenario["limit"] = json!("1000 datagrams");
        report.scenario["socket_buffer"] = json!(212_992);
        for ignored in ["seed", "trials"] {
            report.scenario[ignored] = json!(9);
        }
        report.tool.profile = "debug".to_owned();
        assert_eq!(
            scenario(&report),
            "bench, 1000 datagrams, 8 flows, socket buffers 208 KiB, paced by txtime, \
             unconnected, dev eth0, dscp 46, df, debug build"
        );
        load.kind = "load".to_owned();
        load.scenario["route"] = json!("ask");
        load.scenario["bind"] = json!("0.0.0.0");
        load.scenario["asking"] = json!({"requests": "ntp", "timeout_ns": 1_000_000_000});
        for (target, host) in [
            ("127.0.0.1:26436", "127.0.0.1"),
            ("[::1]:53", "::1"),
            ("::1", "::1"),
            ("ns.test", "ns.test"),
            ("ns:53", "ns"),
        ] {
            load.scenario["target"] = json!(target);
            let expected = format!("load, to {host}, ntp, timeout 1.00 s, 500 ms");
            assert_eq!(scenario(&load), expected);
        }
        report.scenario = Value::Null;
        assert_eq!(scenario(&report), "bench, debug build");
        assert_eq!(host(&Host::default()), "unnamed host");
        report.host.hostname = Some("bench-2".to_owned());
        assert_eq!(host(&report.host), "bench-2 · AMD EPYC · 2 CPUs");
    }
}
