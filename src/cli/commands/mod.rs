//! The commands: each turns its arguments into a run, and the run into output and an exit code.

pub(crate) mod ab;
mod blast;
pub(crate) mod compare;
mod load;
mod measure;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod server;
pub(crate) mod shell;
pub(crate) mod talk;
