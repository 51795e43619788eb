//! `udperf talk`, as typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ColorChoice};

use super::{FamilyArgs, measure::parse_scoped};
use crate::net::UnixName;
use crate::payload::Encoding;
use crate::sys;
use crate::unit::Nanos;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  udperf talk                                  wait on port 7788, answer each sender
  udperf talk 192.168.1.7                      talk to it; Ctrl-D ends
  udperf talk --bind 127.0.0.1:7788 --once     wait for one datagram, print it, end
  echo hello | udperf talk 127.0.0.1 --once    send one, print the answer
  udperf talk lab7:9 --encoding gbk            text in another encoding
  echo 'ffffffff54536f7572636520456e67696e6520517565727900' | udperf talk game:27015 --once --hex
  udperf talk lab7:69 --file request.bin       the bytes of a file as one datagram
  udperf talk --tcp lab7:25                    the same over TCP; without PEER: listen
  udperf talk --bind unix:/tmp/a               Unix datagrams; with --stream: streams
  udperf talk unix:/run/server.sock --stream

At a terminal:
  /peers                 list the senders
  /to 2   /to ADDR:PORT  send to this one from now on; without argument: to PEER, or the last sender
  /hex 0a 0b ff          send these bytes
  /file PATH             send the bytes of a file
  /encoding LABEL        encoding of sent and shown text from now on
  /help   /quit
  //text                 sends /text

Exit codes: 0 success · 1 could not talk, or with --once got no answer · 2 usage · \
130 interrupted")]
#[command(mut_args = super::help::under_heading)]
pub(crate) struct TalkArgs {
    /// The peer: HOST or HOST:PORT (7788 without), IPv6 addresses in brackets, or unix:PATH
    #[arg(value_name = "PEER")]
    pub(crate) peer: Option<String>,
    /// Local address: ADDR, ADDR:PORT, :PORT or unix:PATH [default: any address; unix: a generated
    /// name]
    #[arg(short = 'B', long, value_name = "ADDR", value_parser = parse_here)]
    pub(crate) bind: Option<Here>,
    /// Local port; 0: any free one [default: 0 with PEER, 7788 without]
    #[arg(short = 'p', long, value_name = "N")]
    pub(crate) port: Option<u16>,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Over TCP: connect to PEER, or listen without one
    #[arg(long)]
    pub(crate) tcp: bool,
    /// With unix:PATH: over a stream socket, not datagrams
    #[arg(long, conflicts_with = "tcp")]
    pub(crate) stream: bool,
    /// One line each way, then end: for scripts
    ///
    /// With PEER: sends one line of standard input, waits for one answer, prints it and ends; no
    /// answer is an error. Without: waits for one datagram, prints it, answers with one line of
    /// standard input if there is one, and ends.
    #[arg(long)]
    pub(crate) once: bool,
    /// How long to wait for answers once standard input has ended; with --once: for the answer
    ///
    /// The time restarts with each answer. Without PEER, it runs until it is stopped.
    #[arg(long, value_name = "DUR", default_value = "2s")]
    pub(crate) linger: Nanos,
    /// Encoding of text: utf-8, gbk, big5, shift_jis, latin1, utf-16le and all other labels of the
    /// Encoding Standard [default: utf-8]
    #[arg(long, value_name = "LABEL", conflicts_with = "hex")]
    pub(crate) encoding: Option<Encoding>,
    /// Read and show lines as hex bytes (0a 0b, 0x0a0b, 0a:0b)
    #[arg(long)]
    pub(crate) hex: bool,
    /// Write received payloads to standard output unchanged, with nothing between them
    #[arg(long, conflicts_with = "hex")]
    pub(crate) raw: bool,
    /// Send this file: as one datagram, or over a stream unchanged; replaces standard input unless
    /// that is a terminal
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Send piped or file data to addresses outside loopback, private and link-local ranges, and
    /// answer them with it: 50 lines a second at most
    #[arg(long)]
    pub(crate) allow_public: bool,
    /// No notices on standard error: only errors
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
    /// When to colour; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Here {
    /// An address with its interface index (0: none), or any address; and a port.
    Ip(Option<(IpAddr, u32)>, Option<u16>),
    /// A name of AF_UNIX sockets.
    Unix(UnixName),
}

/// `ADDR`, `ADDR:PORT`, `[v6]:PORT`, `:PORT` or `unix:PATH`; `%DEV` may follow an IPv6 address.
fn parse_here(word: &str) -> Result<Here, String> {
    if let Some(name) = word.strip_prefix("unix:") {
        return Ok(Here::Unix(UnixName::new(name)));
    }
    let parse = || {
        let (host, port) = match word.rsplit_once(':') {
            // Several colons without brackets are an IPv6 address.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (word, None),
        };
        if matches!(host, "" | "*") && port.is_some() {
            return Some(Here::Ip(None, port));
        }
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let (ip, dev) =
            parse_scoped(bare).ok().filter(|(ip, dev)| dev.is_none() || ip.is_ipv6())?;
        let scope_id = dev.map_or(Ok(0), |dev| sys::device_index(&dev)).ok()?;
        Some(Here::Ip(Some((ip, scope_id)), port))
    };
    parse().ok_or_else(|| {
        format!(
            "invalid local address '{word}'; use ADDR, ADDR:PORT, [v6%DEV]:PORT, :PORT or unix:PATH"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_local_addresses() {
        let at = |ip: &str, scope_id| Some((ip.parse().unwrap(), scope_id));
        let (v4, v6) = (at("127.0.0.1", 0), at("::1", 0));
        if let Ok(lo) = sys::device_index("lo") {
            let scoped = at("fe80::1", lo);
            assert_eq!(parse_here("fe80::1%lo").unwrap(), Here::Ip(scoped, None));
            assert_eq!(parse_here("[fe80::1%lo]:9").unwrap(), Here::Ip(scoped, Some(9)));
        }
        for (word, here) in [
            ("127.0.0.1", Here::Ip(v4, None)),
            ("127.0.0.1:7788", Here::Ip(v4, Some(7_788))),
            ("::1", Here::Ip(v6, None)),
            ("[::1]", Here::Ip(v6, None)),
            ("[::1]:9", Here::Ip(v6, Some(9))),
            (":7788", Here::Ip(None, Some(7_788))),
            (":0", Here::Ip(None, Some(0))),
            ("unix:/tmp/a", Here::Unix(UnixName::new("/tmp/a"))),
        ] {
            assert_eq!(parse_here(word).unwrap(), here, "{word}");
        }
        for word in ["", ":", "localhost:7", "127.0.0.1:", "127.0.0.1:70000", "7788"] {
            assert!(parse_here(word).is_err(), "{word}");
        }
    }
}
