//! Which datagrams of a capture are sent, and why other packets are not.

use crate::unit::MAX_PAYLOAD;

/// Which datagrams of a capture are sent.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::payload) struct PacketFilter {
    /// Only datagrams to this port.
    pub(in crate::payload) port: Option<u16>,
    /// Whether datagrams inside tunnels are sent.
    pub(in crate::payload) inner: bool,
}

/// Defines the causes in the order of reports, with their words in documents and the texts after a
/// count.
macro_rules! skip_causes {
    ($($cause:ident $word:literal $text:expr,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum SkipCause { $($cause),+ }

        impl SkipCause {
            /// Its word in documents.
            pub(super) const fn word(self) -> &'static str {
                match self { $(Self::$cause => $word),+ }
            }

            pub(super) fn text(self, port: Option<u16>) -> String {
                match (self, port) {
                    (Self::OtherPort, Some(port)) => format!("to other ports than {port}"),
                    $((Self::$cause, _) => $text.to_string()),+
                }
            }
        }
    };
}

skip_causes! {
    Cut "cut_by_snaplen" "cut by the snap length (tcpdump -s 0 captures all)",
    Fragment "fragment" "fragments of IP whose others are missing",
    RepeatedFragment "repeated_fragment" "fragments of IP that came twice",
    OverlappingFragment "overlapping_fragment" "fragments of IP that overlap",
    NotUdp "not_udp" "not UDP",
    Tunnel "tunnel" "in tunnels (GRE, VXLAN, IP in IP; --pcap-inner sends what is inside)",
    OtherPort "other_port" "to other ports",
    TooLarge "too_large" format_args!("too large for one datagram (over {MAX_PAYLOAD} bytes)"),
    LinkType "link_type" "of a link type that is not read (ETHERNET, LINUX_SLL, RAW, NULL, LOOP, \
        PPP and MPLS are)",
    Malformed "malformed" "malformed",
    BeforeId "ends_before_id" "that end before the id",
    NotRequest "not_request" "that are no requests of the protocol of --match",
}
