//! The command line as it is typed. Only spelling is checked here; meaning is in `lower.rs`.

mod across;
mod bench;
mod cells;
mod echo;
mod output;

pub use across::{BlastArgs, MulticastGroup, SinkArgs, Spread};
pub use bench::{BenchArgs, DoctorArgs};
pub use cells::CellArgs;
pub(crate) use cells::Local;
pub use echo::EchoArgs;
pub use output::{ColorWhen, OutputArgs};

use clap::{Parser, Subcommand, ValueEnum};

/// The port of a sink where nobody names another. Arbitrary; as the contract of the command line
/// has it.
pub(crate) const PORT: u16 = 7_788;

/// UDP benchmark and load generator: every datagram accounted for, latency counted from the
/// schedule, and doubt said aloud.
#[derive(Debug, Parser)]
#[command(name = "udperf", version, max_term_width = 100, help_expected = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure the UDP send/recvfrom hot path of this host: rate, loss and latency by payload size
    Bench(Box<BenchArgs>),
    /// Send to a sink, or have it send: rate, loss and latency of the path between two hosts
    Blast(Box<BlastArgs>),
    /// Receive on a fixed port: serve blast, and count whatever else arrives
    Sink(Box<SinkArgs>),
    /// Return each datagram to its sender: what ping and load need at the other end
    Echo(Box<EchoArgs>),
    /// Show what this host can do, what will distort a measurement, and the command that mends it
    Doctor(DoctorArgs),
    /// Print the JSON Schema of the document that -J gives
    Schema,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

/// Who says when a datagram arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Timestamps {
    /// We do, when it was read
    User,
    /// The kernel too, when it took it from the device
    Kernel,
}

/// How a worker waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// Never sleep: fastest, takes the whole core
    Spin,
    /// Spin for as long as a wake-up costs (100 µs), then sleep
    Hybrid,
    /// Sleep as soon as there is nothing to do, as most servers
    Epoll,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
