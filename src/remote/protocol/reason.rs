//! Reasons of refusals and of the end of sessions, with their numbers on the wire and their texts
//! for the client's user, which begin with a lower-case letter.

use std::fmt;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident, $other:literal;
     $($(#[$note:meta])* $reason:ident = $code:literal, $text:literal;)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$note])* $reason,)+
            /// A reason unknown to this version.
            Other(u32),
        }

        impl $name {
            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u32 {
                match self {
                    $(Self::$reason => $code,)+
                    Self::Other(code) => code,
                }
            }

            /// The reason with this number.
            #[must_use]
            pub const fn from_code(code: u32) -> Self {
                match code {
                    $($code => Self::$reason,)+
                    code => Self::Other(code),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$reason => f.write_str($text),)+
                    Self::Other(code) => write!(f, $other, code),
                }
            }
        }
    };
}

reasons! {
    /// Why a server refuses a request. 1 to 4 mean the same in every version.
    RejectReason,
    "the sink refuses for a reason unknown here (number {}); run the same udperf at both ends";
    /// It has another version of this protocol, which is in the message.
    Version = 1, "the sink has another version of the control protocol; run the same udperf at \
        both ends";
    /// It has a key, and the client has none.
    KeyNeeded = 2, "the sink requires a key and none was given; provide the sink's key";
    /// It has no key, and the client has one.
    KeyUnknown = 3, "the sink has no key and one was given; give the sink the same key, or omit \
        it here";
    /// The keys differ, or the datagram was damaged.
    KeyDiffers = 4, "the sink has another key; give both ends the same key, and check the key \
        file for blanks and line ends";
    /// It has as many sessions as it allows.
    Busy = 5, "the sink serves as many clients as it may (--max-clients, or one by --once); wait \
        until one ends, or start another sink at another --port";
    /// The cookie is too old or for another client; a new Hello gets a new one.
    Stale = 6, "the sink no longer accepts the proof of this address; try again, and check \
        whether the address changes on the way (NAT)";
    /// The client's session has ended.
    Ended = 7, "the sink has ended the session of this run; start the run again";
    /// There is no such session.
    NoSession = 8, "the sink does not know this session: it was restarted, or received no \
        message for too long; start the run again";
}

reasons! {
    /// Why a session ended.
    CloseReason, "the sink closed the session for reason number {}";
    /// The client closed it.
    Asked = 0, "the client closed the session";
    /// The client was silent for too long.
    Idle = 1, "the sink heard nothing of the client for too long";
    /// The server stops.
    GoingDown = 2, "the sink was stopped";
    /// The server failed.
    Failed = 3, "the sink failed; see its messages on its host";
    /// ICMP errors reported the client as unreachable, and it was silent.
    Unreachable = 4, "the client's host reported its port as unreachable";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_one_reason_with_a_sentence_of_its_own() {
        let mut all = Vec::new();
        for code in (0..20).chain([u32::MAX]) {
            let (reject, close) = (RejectReason::from_code(code), CloseReason::from_code(code));
            assert_eq!((reject.code(), close.code()), (code, code));
            all.extend([reject.to_string(), close.to_string()]);
        }
        assert!(all.iter().all(|text| text.len() >= 20 && !text.ends_with('.')));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
