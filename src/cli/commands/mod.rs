//! The commands: each turns its arguments into a run, and the run into output and an exit code.

pub(crate) mod ab;
pub(crate) mod bench;
pub(crate) mod blast;
pub(crate) mod compare;
pub(crate) mod doctor;
pub(crate) mod echo;
pub(crate) mod explain;
pub(crate) mod load;
mod measure;
pub(crate) mod report;
pub(crate) mod search;
pub(crate) mod shell;
pub(crate) mod sink;
pub(crate) mod talk;
