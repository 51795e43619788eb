//! Flags of the engine `xdp`.

use clap::Args;

use super::words;
use crate::plan::XdpSettings;
use crate::sys::XdpMode;

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
    /// Device queues for the engine xdp, such as 0,2 [default: all]
    ///
    /// Each sender uses one queue. Receivers share the queues. Datagrams that the device puts into
    /// other queues go to ordinary sockets, which the engine does not read.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) xdp_queue: Vec<u32>,
}

impl XdpArgs {
    pub(crate) fn settings(&self) -> XdpSettings {
        let mut queues = self.xdp_queue.clone();
        queues.sort_unstable();
        queues.dedup();
        XdpSettings { mode: self.xdp_mode, queues }
    }
}
