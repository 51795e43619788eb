//! The commands: each turns its arguments into a run, and the run into output and an exit code.

pub(crate) mod ab;
mod blast;
mod capacity;
pub(crate) mod cell_command;
pub(crate) mod compare;
pub(crate) mod doctor;
pub(crate) mod fleet_check;
mod load;
mod measure;
mod pairs;
mod realtime_flag;
pub(crate) mod report;
pub(crate) mod scenario_file;
pub(crate) mod search;
pub(crate) mod selftest;
pub(crate) mod server;
pub(crate) mod shell;
mod sink_sockets;
pub(crate) mod talk;
