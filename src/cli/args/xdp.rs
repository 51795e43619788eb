//! Flags of the engine `xdp`.

use std::ops::RangeInclusive;

use clap::Args;

use super::words;
use crate::plan::XdpSettings;
use crate::sys::{MAX_XDP_QUEUES, XdpMode};

/// Their numbers begin with 0.
const LAST_QUEUE: u32 = MAX_XDP_QUEUES - 1;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct XdpArgs {
    /// Where the engine xdp runs: auto · native (in the driver) · generic (in the network stack)
    ///
    /// generic works with every driver, and copies each frame. auto tries native first. Each end of
    /// a run chooses the mode of its own device.
    #[arg(long, value_name = "MODE", default_value = "auto", hide_possible_values = true)]
    #[arg(value_parser = words([
        ("auto", "", XdpMode::Auto),
        ("native", "", XdpMode::Native),
        ("generic", "", XdpMode::Generic),
    ]))]
    pub(crate) xdp_mode: XdpMode,
    /// Device queues for the engine xdp, such as 0,2 or 0-3 [default: all]
    ///
    /// Each sender uses one queue. Receivers share the queues. Datagrams that the device puts into
    /// other queues go to ordinary sockets, which the engine does not read.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_queues)]
    pub(crate) xdp_queue: Vec<RangeInclusive<u32>>,
}

impl XdpArgs {
    pub(crate) fn settings(&self) -> XdpSettings {
        let mut queues: Vec<_> = self.xdp_queue.iter().cloned().flatten().collect();
        queues.sort_unstable();
        queues.dedup();
        XdpSettings { mode: self.xdp_mode, queues }
    }
}

/// One queue, or a range of them.
fn parse_queues(word: &str) -> Result<RangeInclusive<u32>, String> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let number = |word: &str| word.trim().parse::<u32>().ok();
    number(first)
        .zip(number(last))
        .filter(|(first, last)| first <= last && *last <= LAST_QUEUE)
        .map(|(first, last)| first..=last)
        .ok_or_else(|| {
            format!("invalid queue '{word}'; use 0 to {LAST_QUEUE}, or a range such as 0-3")
        })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        xdp: XdpArgs,
    }

    #[test]
    fn queues_are_numbers_and_ranges() {
        let queues = |list: &str| {
            let flags = Flags::try_parse_from(["udperf", "--xdp-queue", list])?;
            Ok::<_, clap::Error>(flags.xdp.settings().queues)
        };
        assert_eq!(queues("2,0-1,1").unwrap(), [0, 1, 2]);
        assert_eq!(queues("1023").unwrap(), [1_023]);
        for invalid in ["", "0-", "3-1", "1024", "0-4000000000", "0:1", "all"] {
            let error = queues(invalid).unwrap_err().to_string();
            let why = format!("invalid queue '{invalid}'; use 0 to 1023");
            assert!(error.contains(&why), "{invalid}: {error}");
        }
    }
}
