//! The places where datagrams are lost, and sets of them.

/// A place where datagrams are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropLocation {
    /// The receiving socket's buffer.
    ReceiveBuffer,
    /// A CPU's backlog, of either host.
    Backlog,
    /// An interface of the receiver.
    Device,
    /// A queueing discipline of the sender.
    Qdisc,
    /// An interface of the sender.
    TxDevice,
    /// A wrong checksum.
    Checksum,
    /// A port that nobody had bound.
    NoPort,
    /// The IP layer of the receiver.
    RxIp,
    /// Reassembly at the receiver: some fragments did not arrive.
    Reassembly,
    /// The IP layer of the sender.
    TxIp,
    /// The sender's queue for a next hop that does not answer address resolution.
    Neighbour,
}

impl DropLocation {
    /// All, in the order of the document.
    pub const ALL: [Self; 11] = [
        Self::ReceiveBuffer,
        Self::Backlog,
        Self::Device,
        Self::Qdisc,
        Self::TxDevice,
        Self::Checksum,
        Self::NoPort,
        Self::RxIp,
        Self::Reassembly,
        Self::TxIp,
        Self::Neighbour,
    ];

    /// Its name in the document.
    #[must_use]
    pub const fn word(self) -> &'static str {
        const WORDS: [&str; 11] = [
            "receive_buffer",
            "backlog",
            "device",
            "qdisc",
            "tx_device",
            "checksum",
            "no_port",
            "rx_ip",
            "reassembly",
            "tx_ip",
            "neighbour",
        ];
        WORDS[self as usize]
    }
}

/// A set of places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DropCounters(u16);

impl DropCounters {
    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has this one.
    #[must_use]
    pub const fn has(self, place: DropLocation) -> bool {
        self.0 & (1 << place as u8) != 0
    }

    /// Adds all of another set.
    pub const fn add_all(&mut self, places: Self) {
        self.0 |= places.0;
    }

    /// Adds one.
    pub const fn add(&mut self, place: DropLocation) {
        self.0 |= 1 << place as u8;
    }

    /// Their names, in the order of the document.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        DropLocation::ALL.into_iter().filter(move |&place| self.has(place)).map(DropLocation::word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added() {
        let mut set = DropCounters::default();
        assert!(set.is_empty());
        DropLocation::ALL.into_iter().rev().step_by(3).for_each(|place| set.add(place));
        assert_eq!(set.words().collect::<Vec<_>>(), ["backlog", "tx_device", "rx_ip", "neighbour"]);
        assert!(!set.is_empty() && !set.has(DropLocation::ReceiveBuffer));
    }
}
