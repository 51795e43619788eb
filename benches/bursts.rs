//! What it costs to return a burst: datagrams wait at a socket of this thread, and an echo engine
//! returns them until it finds the queue empty. Bursts of all engines alternate. Prints medians per
//! datagram, by which engines choose between single calls and batches.
//!
//! `cargo bench --bench bursts -- --rounds 3000`
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Instant;

use clap::Parser;
use mio::net::UdpSocket;
use udperf::engine::echo::{EchoCounters, ManyEcho, PlainEcho, ReplyFilter, Responder};
use udperf::net::pin_to;
use udperf::sys::Request;

/// Lengths of bursts. Arbitrary, denser where engines change their calls.
const BURSTS: [usize; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16];

#[derive(Parser)]
struct Args {
    /// Bursts of each length and engine
    #[arg(long, default_value_t = 3_000)]
    rounds: usize,
    /// Payload size
    #[arg(default_value_t = 64, value_parser = clap::value_parser!(u16).range(..=1_472))]
    size: u16,
    /// Passed by cargo
    #[arg(long)]
    bench: bool,
}

struct ReturnAll;

impl ReplyFilter for ReturnAll {
    fn read(&mut self) {}

    fn judge(&mut self, request: &mut Request<'_>) -> Option<usize> {
        Some(request.payload.len())
    }
}

/// An echo engine with a client, and the times of its bursts in ns.
struct Contest<E> {
    client: std::net::UdpSocket,
    echo: E,
    times: Vec<u64>,
}

impl<E: Responder> Contest<E> {
    fn new(open: impl FnOnce(UdpSocket) -> E) -> Self {
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        client.connect(socket.local_addr().unwrap()).unwrap();
        Self { client, echo: open(socket), times: Vec::new() }
    }

    /// Measures one burst.
    fn run(&mut self, count: usize, payload: &[u8]) {
        (0..count).for_each(|_| assert_eq!(self.client.send(payload).unwrap(), payload.len()));
        let mut counters = EchoCounters::default();
        let start = Instant::now();
        while !self.echo.turn(&mut ReturnAll, &mut counters) {}
        self.times.push(start.elapsed().as_nanos() as u64);
        assert_eq!(counters.returned, count as u64);
        (0..count).for_each(|_| {
            assert_eq!(self.client.recv(&mut [0; 64]).unwrap(), payload.len().min(64))
        });
    }

    fn median_ns(&mut self, count: usize) -> u64 {
        self.times.sort_unstable();
        self.times[self.times.len() / 2] / count as u64
    }
}

fn main() {
    let args = Args::parse();
    let _ = pin_to(common::cores().1);
    let rounds = if args.bench { args.rounds.max(1) } else { 2 };
    let payload = vec![7; args.size.into()];
    println!("{:>8} {:>10} {:>10} {:>10}  ns per datagram", "burst", "plain", "batch", "offload");
    for count in BURSTS {
        let many = |segments| move |socket| ManyEcho::new(socket, false, false, segments).unwrap();
        let mut plain = Contest::new(PlainEcho::new);
        let (mut batch, mut offload) = (Contest::new(many(false)), Contest::new(many(true)));
        for _ in 0..rounds {
            plain.run(count, &payload);
            batch.run(count, &payload);
            offload.run(count, &payload);
        }
        let [plain, batch, offload] =
            [plain.median_ns(count), batch.median_ns(count), offload.median_ns(count)];
        println!("{count:>8} {plain:>10} {batch:>10} {offload:>10}");
    }
}
