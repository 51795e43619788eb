//! Reasons of refusals and of the end of sessions: their numbers on the wire, and their texts.

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident, $other:tt;
     $($reason:ident = $code:literal, $text:tt;)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $(#[doc = $text] #[error($text)] $reason,)+
            /// A reason unknown to this version.
            #[error($other)]
            Other(u32),
        }

        impl $name {
            /// The number on the wire.
            pub const fn code(self) -> u32 {
                match self {
                    $(Self::$reason => $code,)+
                    Self::Other(code) => code,
                }
            }

            /// The reason with this number.
            pub const fn from_code(code: u32) -> Self {
                match code {
                    $($code => Self::$reason,)+
                    code => Self::Other(code),
                }
            }
        }
    };
}

reasons! {
    /// Why a server refuses a request. 1 to 4 mean the same in every version.
    RejectReason,
    "the sink refuses for a reason unknown here (number {0}); run the same udperf at both ends";
    Version = 1, "the sink has another version of the control protocol; run the same udperf at \
        both ends";
    KeyNeeded = 2, "the sink requires a key and none was given; provide the sink's key";
    KeyUnknown = 3, "the sink has no key and one was given; give the sink the same key, or omit \
        it here";
    KeyDiffers = 4, "the sink has another key; give both ends the same key, and check the key \
        file for blanks and line ends";
    Busy = 5, "the sink serves as many clients as it may (--max-clients, or one by --once); wait \
        until one ends, or start another sink at another --port";
    Stale = 6, "the sink no longer accepts the proof of this address; try again, and check \
        whether the address changes on the way (NAT)";
    Ended = 7, "the sink has ended the session of this run; start the run again";
    NoSession = 8, "the sink does not know this session: it was restarted, or received no \
        message for too long; start the run again";
}

reasons! {
    /// Why a session ended.
    CloseReason, "the sink closed the session for reason number {0}";
    Requested = 0, "the client closed the session";
    Idle = 1, "the sink received nothing from the client for too long";
    GoingDown = 2, "the sink was stopped";
    Failed = 3, "the sink failed; see its messages on its host";
    Unreachable = 4, "the client's host reported its port as unreachable";
}
