//! `udperf doctor`.

use crate::cli::args::DoctorArgs;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::{color, print};
use crate::host;
use crate::host::Depth;
use crate::report::{self, HostRequirements};

pub(crate) fn run(args: &DoctorArgs) -> Result<Exit, CliError> {
    let mut facts = host::survey(Depth::Full);
    facts.device = host::default_device();
    let wants = HostRequirements {
        socket_buffer: args.socket_buffer,
        threads: usize::from(args.threads),
        ..HostRequirements::default()
    };
    let findings = report::check_host(&facts, wants);
    print(&report::doctor(&findings, &facts, color(args.color)))
}
