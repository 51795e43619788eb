//! Reports that a destination is unreachable.

use std::fmt;
use std::net::IpAddr;

/// An error that reports a destination as unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreachable {
    /// The error number, as a name.
    pub errno: UnreachableErrno,
    /// Who reports it.
    pub reporter: Reporter,
}

/// Error numbers that report a destination as unreachable (errno(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UnreachableErrno {
    ConnRefused,
    HostUnreach,
    NetUnreach,
    HostDown,
    NetDown,
    NoProtoOpt,
    NoNet,
}

/// Who reports a destination as unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporter {
    /// This host: it has no route to the destination.
    Local,
    /// This host: the neighbour that it sends to does not answer (ARP, neighbour discovery).
    Neighbour,
    /// An ICMP error.
    Icmp {
        /// Whether it is one of ICMPv6.
        v6: bool,
        /// Its type (RFC 792, RFC 4443).
        kind: u8,
        /// Its code.
        code: u8,
        /// The host that sent it, if the system reports it.
        from: Option<IpAddr>,
    },
    /// An error for an earlier datagram; the system does not report its sender.
    Unknown,
}

impl UnreachableErrno {
    /// Name in errno(3), and description as in strerror(3).
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::ConnRefused => ("ECONNREFUSED", "connection refused"),
            Self::HostUnreach => ("EHOSTUNREACH", "no route to host"),
            Self::NetUnreach => ("ENETUNREACH", "network unreachable"),
            Self::HostDown => ("EHOSTDOWN", "host is down"),
            Self::NetDown => ("ENETDOWN", "network is down"),
            Self::NoProtoOpt => ("ENOPROTOOPT", "protocol unreachable"),
            Self::NoNet => ("ENONET", "host isolated"),
        }
    }
}

impl Unreachable {
    /// The error of a call whose entry in the error queue is unknown. This host never reports a
    /// closed port.
    pub const fn returned(errno: UnreachableErrno) -> Self {
        let reporter = match errno {
            UnreachableErrno::ConnRefused => Reporter::Unknown,
            _ => Reporter::Local,
        };
        Self { errno, reporter }
    }

    /// Like `returned`, for an error that came back for an earlier datagram.
    pub const fn came_back(self) -> Self {
        Self { reporter: Reporter::Unknown, ..self }
    }

    /// Whether the host reports that the port is closed.
    pub const fn is_closed_port(&self) -> bool {
        matches!(self.errno, UnreachableErrno::ConnRefused)
    }

    /// Whether this host itself refused the datagram because there is no route.
    pub const fn is_local(&self) -> bool {
        matches!(self.reporter, Reporter::Local)
    }

    /// Whether an ICMP error reports that a neighbour did not answer: host or address unreachable.
    pub const fn is_neighbour(&self) -> bool {
        use Reporter::Icmp;
        matches!(
            self.reporter,
            Icmp { v6: false, kind: 3, code: 1, .. } | Icmp { v6: true, kind: 1, code: 3, .. }
        )
    }

    /// The short name of the error: an errno such as `ENETUNREACH`, or `ICMP 3/3` (type and code).
    pub fn code(&self) -> String {
        self.reporter.icmp_code().unwrap_or_else(|| self.errno.texts().0.to_owned())
    }

    /// Who reports it: an address, or `local`; `None` if unknown.
    pub fn reported_by(&self) -> Option<String> {
        match self.reporter {
            Reporter::Local | Reporter::Neighbour => Some("local".to_owned()),
            Reporter::Icmp { from, .. } => from.map(|ip| ip.to_string()),
            Reporter::Unknown => None,
        }
    }
}

impl Reporter {
    /// Type and code of an ICMP error, such as `ICMP 3/3`.
    pub fn icmp_code(&self) -> Option<String> {
        let Self::Icmp { v6, kind, code, .. } = self else { return None };
        Some(format!("ICMP{} {kind}/{code}", if *v6 { "v6" } else { "" }))
    }

    /// The meaning of an ICMP type and code; `None` if it has no name here.
    pub const fn icmp_meaning(&self) -> Option<&'static str> {
        let Self::Icmp { v6, kind, code, .. } = *self else { return None };
        Some(match (v6, kind, code) {
            // RFC 792, RFC 1122 section 3.2.2.1 and RFC 1812 section 5.2.7.1.
            (false, 3, 0) => "network unreachable",
            (false, 3, 1) => "host unreachable",
            (false, 3, 2) => "protocol unreachable",
            (false, 3, 3) => "port unreachable",
            (false, 3, 4) => "fragmentation needed",
            (false, 3, 9 | 10 | 13) => "administratively prohibited",
            (false, 11, 0) => "TTL exceeded",
            (false, 11, 1) => "reassembly time exceeded",
            // RFC 4443 sections 3.1 and 3.3.
            (true, 1, 0) => "no route to the network",
            (true, 1, 1) => "administratively prohibited",
            (true, 1, 3) => "address unreachable",
            (true, 1, 4) => "port unreachable",
            (true, 2, 0) => "packet too big",
            (true, 3, 0) => "hop limit exceeded",
            (true, 3, 1) => "reassembly time exceeded",
            _ => return None,
        })
    }
}

/// `network unreachable (ENETUNREACH, local)`, `port unreachable (ICMP 3/3, from 10.0.0.2)`.
impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = self.reporter.icmp_meaning().unwrap_or_else(|| self.errno.texts().1);
        write!(f, "{meaning} ({}", self.code())?;
        match self.reporter {
            Reporter::Local => f.write_str(", local)"),
            Reporter::Neighbour => f.write_str(", local: the neighbour does not answer)"),
            Reporter::Icmp { from: Some(ip), .. } => write!(f, ", from {ip})"),
            _ => f.write_str(")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_their_meaning_and_reporter() {
        let icmp = |errno, v6, kind, code| {
            let from = Some(if v6 { "fe80::1".parse() } else { "10.0.0.2".parse() }.unwrap());
            Unreachable { errno, reporter: Reporter::Icmp { v6, kind, code, from } }
        };
        use UnreachableErrno::{ConnRefused, HostUnreach, NetUnreach};
        let neighbour = Unreachable { errno: HostUnreach, reporter: Reporter::Neighbour };
        for (error, says) in [
            (Unreachable::returned(NetUnreach), "network unreachable (ENETUNREACH, local)"),
            (neighbour, "no route to host (EHOSTUNREACH, local: the neighbour does not answer)"),
            (Unreachable::returned(ConnRefused), "connection refused (ECONNREFUSED)"),
            (icmp(ConnRefused, false, 3, 3), "port unreachable (ICMP 3/3, from 10.0.0.2)"),
            (icmp(HostUnreach, false, 11, 0), "TTL exceeded (ICMP 11/0, from 10.0.0.2)"),
            (icmp(ConnRefused, true, 1, 4), "port unreachable (ICMPv6 1/4, from fe80::1)"),
            (icmp(NetUnreach, false, 3, 6), "network unreachable (ICMP 3/6, from 10.0.0.2)"),
        ] {
            assert_eq!(error.to_string(), says);
        }
        assert_eq!(icmp(ConnRefused, true, 1, 4).reported_by().as_deref(), Some("fe80::1"));
        assert!(icmp(HostUnreach, true, 1, 3).is_neighbour());
    }
}
