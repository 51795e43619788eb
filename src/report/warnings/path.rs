//! Doubts about which way datagrams went.

use super::warning;
use crate::plan::{Route, Scenario};
use crate::report::document::Warning;

/// The address of a device, to which nothing goes by that device: the kernel gives what is sent to
/// any address of its own namespace to `lo`.
pub fn over_loopback(scenario: &Scenario) -> Option<Warning> {
    let to = scenario.to.unwrap_or(scenario.bind);
    let elsewhere = scenario.route != Route::Within || scenario.to_netns.is_some();
    (!elsewhere && !to.is_loopback() && !to.is_unspecified()).then(|| {
        warning(
            "over_loopback",
            format!(
                "{to} is an address of this host, and traffic to it runs over lo: no device of \
                 that address was measured; put the receivers into another namespace by \
                 --to-netns, or measure between two hosts by blast and sink"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_device_is_named() {
        let told = |bind: &str, to: Option<&str>, netns: Option<&str>| {
            let scenario = Scenario {
                bind: bind.parse().unwrap(),
                to: to.map(|to| to.parse().unwrap()),
                to_netns: netns.map(Into::into),
                ..Scenario::default()
            };
            over_loopback(&scenario).map(|warning| warning.code)
        };
        let code = Some("over_loopback".to_owned());
        assert_eq!(told("127.0.0.1", None, None), None);
        assert_eq!(told("10.9.0.1", None, None), code);
        assert_eq!(told("10.9.0.1", Some("127.0.0.1"), None), None);
        assert_eq!(told("0.0.0.0", Some("fd00::1"), None), code);
        assert_eq!(told("10.9.0.1", Some("10.9.0.2"), Some("/run/netns/b")), None);
        let across = Scenario {
            route: Route::Forward,
            bind: "10.9.0.1".parse().unwrap(),
            ..Scenario::default()
        };
        assert_eq!(over_loopback(&across), None);
    }
}
