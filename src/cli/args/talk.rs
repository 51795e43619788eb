//! `udperf talk`, as typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::ColorWhen;
use crate::cli::args::measure::parse_scoped;
use crate::net::UnixName;
use crate::payload::Encoding;
use crate::sys;
use crate::unit::Nanos;

/// Arguments of `talk`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
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
    /// Use IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6')]
    pub(crate) ipv6: bool,
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
    /// When to colour; NO_COLOR is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorWhen,
}

/// The local end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Here {
    /// An address, `None` for any; and a port, if given.
    Ip(Option<Scoped>, Option<u16>),
    /// A name of AF_UNIX sockets.
    Unix(UnixName),
}

/// An address, and the interface index for a link-local address; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scoped {
    pub(crate) ip: IpAddr,
    pub(crate) scope_id: u32,
}

impl Scoped {
    /// `ADDR`, or `ADDR%DEV` for IPv6.
    fn read(word: &str) -> Option<Self> {
        let (ip, dev) = parse_scoped(word).ok()?;
        let Some(dev) = dev else { return Some(Self { ip, scope_id: 0 }) };
        ip.is_ipv6().then_some(Self { ip, scope_id: sys::device_index(&dev).ok()? })
    }
}

/// `ADDR`, `ADDR:PORT`, `[v6]:PORT`, `:PORT` or `unix:PATH`.
fn parse_here(word: &str) -> Result<Here, String> {
    if let Some(name) = word.strip_prefix("unix:") {
        return Ok(Here::Unix(UnixName::new(name)));
    }
    let bare = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(word);
    if let Some(addr) = Scoped::read(bare) {
        return Ok(Here::Ip(Some(addr), None));
    }
    let parts = word.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse::<u16>().ok()?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match (host, bracketed) {
            ("" | "*", _) => Some((None, port)),
            (_, Some(v6)) => {
                let v6 = Scoped::read(v6).filter(|v6| v6.ip.is_ipv6());
                v6.map(|v6| (Some(v6), port))
            }
            (v4, None) => {
                let v4 = Scoped::read(v4).filter(|v4| v4.ip.is_ipv4());
                v4.map(|v4| (Some(v4), port))
            }
        }
    });
    parts.map(|(addr, port)| Here::Ip(addr, Some(port))).ok_or_else(|| {
        format!(
            "invalid local address '{word}'; use ADDR, ADDR:PORT, [v6%DEV]:PORT, :PORT or unix:PATH"
        )
    })
}

/// Shown below the long help.
const EXAMPLES: &str = "\
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

Exit codes: 0 success · 1 could not talk, or with --once got no answer · 2 usage · 130 interrupted";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_read_in_every_form() {
        let v4 = Scoped::read("127.0.0.1");
        let v6 = Scoped::read("::1");
        if let Ok(lo) = sys::device_index("lo") {
            let scoped = Some(Scoped { ip: "fe80::1".parse().unwrap(), scope_id: lo });
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
        for word in
            ["", ":", "localhost:7", "127.0.0.1:", "127.0.0.1:70000", "[127.0.0.1]:7", "7788"]
        {
            assert!(parse_here(word).is_err(), "{word}");
        }
    }
}
