//! The locations where datagrams are lost, counts by location, and sets of locations.

/// Defines the locations once: as an enum with names, and as a count for each.
macro_rules! drop_locations {
    ($($(#[$doc:meta])* $location:ident $field:ident,)+) => {
        /// A location where datagrams are lost.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum DropLocation {
            $($(#[$doc])* $location,)+
        }

        impl DropLocation {
            /// All, in the order of the document.
            pub const ALL: &[Self] = &[$(Self::$location),+];

            /// Its name in the document.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$location => stringify!($field),)+
                }
            }
        }

        /// Lost datagrams by location. `None`: this system does not count them.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct DropCounts {
            $($(#[$doc])* pub $field: Option<u64>,)+
        }

        impl DropCounts {
            /// The sum of all known counts.
            pub fn total(&self) -> u64 {
                [$(self.$field),+].into_iter().flatten().sum()
            }

            pub(super) const fn at_mut(&mut self, location: DropLocation) -> &mut Option<u64> {
                match location {
                    $(DropLocation::$location => &mut self.$field,)+
                }
            }
        }
    };
}

drop_locations! {
    /// The receiving socket's buffer was full.
    ReceiveBuffer receive_buffer,
    /// A CPU's backlog was full, of either host.
    Backlog backlog,
    /// An interface of the receiver dropped them.
    Device device,
    /// A queueing discipline of the sender dropped them silently: one that keeps queues short
    /// (`fq_codel`), or cut a super-packet and dropped parts of it (tbf, cake). Where it refuses
    /// datagrams, `IP_RECVERR` turns that into ENOBUFS, and they were never sent.
    Qdisc qdisc,
    /// An interface of the sender dropped them.
    TxDevice tx_device,
    /// The checksum was wrong.
    Checksum checksum,
    /// No socket was bound to the port.
    NoPort no_port,
    /// The IP layer of the receiver discarded them: wrong headers or addresses, no route back
    /// (reverse path filter).
    RxIp rx_ip,
    /// Reassembly at the receiver failed: a fragment was lost, or there was no room for it.
    Reassembly reassembly,
    /// The IP layer of the sender discarded them without refusing them.
    TxIp tx_ip,
    /// The next hop did not answer address resolution, so they never left the sender.
    Neighbour neighbour,
}

/// A set of locations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DropCounters(u16);

impl DropCounters {
    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has this one.
    pub const fn has(self, location: DropLocation) -> bool {
        self.0 & (1 << location as u8) != 0
    }

    /// Adds all of another set.
    pub const fn add_all(&mut self, locations: Self) {
        self.0 |= locations.0;
    }

    /// Adds one.
    pub const fn add(&mut self, location: DropLocation) {
        self.0 |= 1 << location as u8;
    }

    /// Their names, in the order of the document.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        DropLocation::ALL
            .iter()
            .filter(move |location| self.has(**location))
            .map(|location| location.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added() {
        let mut set = DropCounters::default();
        assert!(set.is_empty());
        DropLocation::ALL.iter().rev().step_by(3).for_each(|location| set.add(*location));
        assert_eq!(set.words().collect::<Vec<_>>(), ["backlog", "tx_device", "rx_ip", "neighbour"]);
        assert!(!set.is_empty() && !set.has(DropLocation::ReceiveBuffer));
    }
}
