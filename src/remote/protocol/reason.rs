//! Reasons of refusals and of the end of sessions, with their numbers on the wire.

use std::fmt;

/// Why a server refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// It has another version of this protocol, which is in the message.
    Version,
    /// It has a key, and the client has none.
    KeyNeeded,
    /// It has no key, and the client has one.
    KeyUnknown,
    /// The keys differ, or the datagram was damaged.
    KeyDiffers,
    /// It has as many sessions as it allows.
    Busy,
    /// The cookie is too old or for another client; a new Hello gets a new one.
    Stale,
    /// The client's session has ended.
    Ended,
    /// There is no such session.
    NoSession,
    /// A reason unknown to this version.
    Other(u32),
}

impl RejectReason {
    /// The number on the wire. 1 to 4 mean the same in every version.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Version => 1,
            Self::KeyNeeded => 2,
            Self::KeyUnknown => 3,
            Self::KeyDiffers => 4,
            Self::Busy => 5,
            Self::Stale => 6,
            Self::Ended => 7,
            Self::NoSession => 8,
            Self::Other(code) => code,
        }
    }

    /// The reason with this number.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Version,
            2 => Self::KeyNeeded,
            3 => Self::KeyUnknown,
            4 => Self::KeyDiffers,
            5 => Self::Busy,
            6 => Self::Stale,
            7 => Self::Ended,
            8 => Self::NoSession,
            code => Self::Other(code),
        }
    }
}

impl fmt::Display for RejectReason {
    /// What is wrong and how to fix it, for the client's user; begins with a lower-case letter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => {
                "the sink speaks another version of the control protocol; run the same udperf at \
                 both ends"
            }
            Self::KeyNeeded => "the sink wants a key and none was given; give it the sink's key",
            Self::KeyUnknown => {
                "the sink has no key and one was given; give the sink the same key, or leave it \
                 out here"
            }
            Self::KeyDiffers => {
                "the sink has another key; give both ends the same key, and look for blanks and \
                 line ends in the key file"
            }
            Self::Busy => {
                "the sink serves as many clients as it may (--max-clients, or one by --once); \
                 wait until one ends, or start another sink at another --port"
            }
            Self::Stale => {
                "the sink no longer accepts the proof of this address; try again, and see whether \
                 the address changes on the way (NAT)"
            }
            Self::Ended => {
                "the sink has ended the session that this run opened; start the run anew"
            }
            Self::NoSession => {
                "the sink knows nothing of this session, so it was started anew or heard nothing \
                 for too long; start the run anew"
            }
            Self::Other(code) => {
                return write!(
                    f,
                    "the sink refuses for a reason unknown here (number {code}); run the same \
                     udperf at both ends"
                );
            }
        })
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client closed it.
    Asked,
    /// The client was silent for too long.
    Idle,
    /// The server stops.
    GoingDown,
    /// The server failed.
    Failed,
    /// ICMP errors reported the client as unreachable, and it was silent.
    Unreachable,
    /// A reason unknown to this version.
    Other(u32),
}

impl CloseReason {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Asked => 0,
            Self::Idle => 1,
            Self::GoingDown => 2,
            Self::Failed => 3,
            Self::Unreachable => 4,
            Self::Other(code) => code,
        }
    }

    /// The reason with this number.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Asked,
            1 => Self::Idle,
            2 => Self::GoingDown,
            3 => Self::Failed,
            4 => Self::Unreachable,
            code => Self::Other(code),
        }
    }
}

impl fmt::Display for CloseReason {
    /// A sentence about the sink, for either end; begins with a lower-case letter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "the client closed the session",
            Self::Idle => "the sink heard nothing of the client for too long",
            Self::GoingDown => "the sink was stopped",
            Self::Failed => "the sink could not go on; see what it says there",
            Self::Unreachable => "the client's host said that nobody is there",
            Self::Other(code) => {
                return write!(f, "the sink closed the session for reason number {code}");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_reasons_are_one_to_one() {
        for code in (0..20).chain([u32::MAX]) {
            assert_eq!(RejectReason::from_code(code).code(), code);
            assert_eq!(CloseReason::from_code(code).code(), code);
        }
    }

    #[test]
    fn every_reason_has_a_sentence_of_its_own() {
        let mut all: Vec<_> =
            (0..9).map(|code| RejectReason::from_code(code).to_string()).collect();
        all.extend((0..6).map(|code| CloseReason::from_code(code).to_string()));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(all.iter().all(|text| text.len() >= 20 && !text.ends_with('.')));
    }
}
