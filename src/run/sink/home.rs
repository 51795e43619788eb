//! Where a client's data arrive: at sockets of the sink's port, or at a name of their own.

use std::net::{Ipv4Addr, SocketAddr};

use crate::net::{Group, NetError, Slot, Unix, UnixError, UnixFile, UnixName, steer::MOST_SLOTS};
use crate::run::RunError;
use crate::run::dispatch::Given;

/// All that data arrive at.
#[derive(Debug)]
pub(super) enum Home {
    /// Sockets that share a port.
    Ip(Box<Group>),
    /// Files beside the sink's own, by the number of a slot.
    Unix {
        /// The sink's own.
        path: String,
        /// The numbers in use.
        taken: Vec<u16>,
    },
}

/// What a slot's receivers are started on.
pub(super) type Berths = (Vec<Given>, Vec<String>, Option<UnixFile>);

impl Home {
    /// Receivers that each client gets, of so many.
    pub(super) fn receivers(&self, threads: u16) -> u16 {
        matches!(self, Self::Ip(group) if group.can_steer()).then_some(threads).unwrap_or(1)
    }

    /// Takes a slot that nobody has.
    pub(super) fn take_slot(&mut self, buffer: usize) -> Result<Slot, RunError> {
        match self {
            Self::Ip(group) => Ok(group.take_slot(buffer)?),
            Self::Unix { path, taken } => {
                let slots = MOST_SLOTS;
                let free = (1..=slots).find(|number| !taken.contains(number));
                let full =
                    || UnixError::Slots { name: UnixName::File(path.as_str().into()), slots };
                let number = free.ok_or_else(full)?;
                taken.push(number);
                // A name of its own each time a socket is bound: nothing late arrives there.
                Ok(Slot { number, phase: 0, port: None, sockets: Vec::new() })
            }
        }
    }

    /// Opens what the receivers of a slot receive on; names and a file where they have some.
    pub(super) fn open(&self, slot: &Slot, buffer: usize) -> Result<Berths, NetError> {
        match self {
            Self::Ip(_) => {
                let given = slot.sockets.iter().map(|socket| Ok(socket.duplicate()?.into()));
                Ok((given.collect::<Result<_, NetError>>()?, Vec::new(), None))
            }
            Self::Unix { path, .. } => {
                let name = format!("{path}.{}", slot.number);
                let (unix, file) = Unix::bind(&UnixName::File(name.clone().into()), buffer)?;
                Ok((vec![Given::Unix(unix)], vec![name], file))
            }
        }
    }

    /// The address of workers; without meaning to AF_UNIX.
    pub(super) fn local(&self) -> SocketAddr {
        match self {
            Self::Ip(group) => group.local(),
            Self::Unix { .. } => (Ipv4Addr::UNSPECIFIED, 0).into(),
        }
    }

    /// Has sockets that all share keep what the network sends back, or not any more.
    pub(super) fn heed(&self, on: bool) {
        if let Self::Ip(group) = self {
            group.heed(on);
        }
    }

    /// Whether something came back meanwhile of what was sent to one of these.
    pub(super) fn refused(&self, targets: &[Option<SocketAddr>]) -> bool {
        let targets: Vec<_> = targets.iter().flatten().copied().collect();
        matches!(self, Self::Ip(group) if group.refused(&targets))
    }

    /// Gives a slot back, with the phase that comes next.
    pub(super) fn give_back(&mut self, slot: u16, phase: u16) {
        match self {
            Self::Ip(group) => group.give_back(slot, phase),
            Self::Unix { taken, .. } => taken.retain(|&number| number != slot),
        }
    }
}
