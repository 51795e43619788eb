//! Protocols that servers out there speak.

mod dns;
mod echo;

pub use dns::{Dns, Names};
pub use echo::Echo;

use super::PayloadError;
use super::compile::Compiler;
use super::reply::{Protocol, Rule};

/// A protocol, and what is said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preset {
    /// Queries of DNS.
    Dns(Dns),
    /// For servers that return what they get.
    Echo(Echo),
}

impl Preset {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Echo(_) => "echo",
        }
    }

    /// The port that servers of this protocol listen on, by the registry of IANA or by custom;
    /// `None` where there is no such port.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Dns(_) => Some(53),
            Self::Echo(_) => None,
        }
    }

    /// Adds all requests.
    pub(super) fn compile(&self, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        match self {
            Self::Dns(dns) => dns.compile(to, seed),
            Self::Echo(echo) => echo.compile(to, seed),
        }
    }

    /// How its replies are told.
    pub(super) const fn reply(&self) -> (Protocol, Rule) {
        match self {
            Self::Dns(_) => (Protocol::Dns, Rule::Protocol),
            Self::Echo(_) => (Protocol::Unknown, Rule::Echo(Some(echo::ID))),
        }
    }
}
