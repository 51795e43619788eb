//! Why a server refuses, and why a session ended: numbers on the wire, sentences for people.

use std::fmt;

/// Why a server does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// It speaks another version of this protocol; its own is in the message.
    Version,
    /// It has a key, and the client sent none.
    KeyNeeded,
    /// It has no key, and the client used one.
    KeyUnknown,
    /// It has a key, and the client's is another; or the datagram was damaged under way.
    KeyDiffers,
    /// It has as many sessions as it wants.
    Busy,
    /// The cookie is older than it may be, or was made for another; a new Hello brings a new one.
    Stale,
    /// The session that this client had has ended.
    Ended,
    /// It knows no such session.
    NoSession,
    /// A reason that this version has no name for.
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
    /// What is wrong and what mends it, as a client's user reads it; begins with a small letter.
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
    /// The client asked for it.
    Asked,
    /// The server heard nothing of the client for too long.
    Idle,
    /// The server stops.
    GoingDown,
    /// The server could not do what the client wants.
    Failed,
    /// The client's host said that nobody is there, and the client was not heard.
    Unreachable,
    /// A reason that this version has no name for.
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
    /// A sentence about the sink, for either end; begins with a small letter.
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
