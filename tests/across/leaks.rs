//! Sessions that are opened and left: a sink has each thread, socket and slot of theirs back.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use udperf::remote::protocol::{Body, Seal, decode};
use udperf::remote::rpc::{ClientEvent, RpcClient};
use udperf::unit::Nanos;

use crate::common::together;
use crate::nets::Place;
use crate::proc::PATIENCE;
use crate::relay::{Orders, Relay, Way};
use crate::rig::{NOTICED, Sink, any, blast, report, still_serves};

/// Clients at once, which is all that the sink serves; three times as many come by turns.
const CLIENTS: u64 = 100;

/// Of those, whole clients that are killed while they measure.
const KILLED: u64 = 5;

/// The most memory that a sink may keep of so many clients, in KiB. Arbitrary: their sessions need
/// some MiB each, and the stacks of a few threads stay.
const KEPT_KIB: u64 = 32 << 10;

/// The first byte of a request to set up a cell, and of the answer that it is: numbers of variants,
/// as postcard writes them (`Ask::Prepare`, `Told::Ready`).
const PREPARE: u8 = 1;
/// See [`PREPARE`].
const READY: u8 = 1;

/// How long a reading of a socket waits. Arbitrary: shorter than any retry.
const WAIT: Duration = Duration::from_millis(5);

/// What a real client asks for when it sets up a cell.
fn preparation(sink: &Sink) -> Vec<u8> {
    let relay = Relay::start(any("127.0.0.1"), sink.at, Orders::default()).unwrap();
    report(&Place::here(), relay.at, "-e plain -n 100 -r 1k --max-missed 100%");
    let account = relay.stop().sound();
    let seal = Seal::new(None);
    let said = account.messages.iter().filter(|(way, _)| *way == Way::Forward);
    let mut requests = said.filter_map(|(_, bytes)| match decode(bytes, &seal).ok()?.body {
        Body::Request(body) if body.first() == Some(&PREPARE) => Some(body.to_vec()),
        _ => None,
    });
    requests.next_back().expect("a client sets up a cell")
}

/// A client of bare control messages.
struct Client {
    socket: UdpSocket,
    caller: RpcClient,
    began: Instant,
}

impl Client {
    /// Opens a session and has a cell set up.
    fn with_a_cell(sink: SocketAddr, nonce: u64, preparation: &[u8]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(sink).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        let caller = RpcClient::new(None, nonce, nonce, Nanos::from_millis(10_000));
        let mut client = Self { socket, caller, began: Instant::now() };
        client.caller.request(preparation.to_vec(), client.now()).unwrap();
        let answer = client.until(|heard| match heard {
            ClientEvent::Answer(body) => Some(body),
            ClientEvent::Failed(error) => panic!("{error}"),
            _ => None,
        });
        assert_eq!(answer.first(), Some(&READY), "{}", String::from_utf8_lossy(&answer));
        client
    }

    fn now(&self) -> Nanos {
        Nanos(self.began.elapsed().as_nanos() as u64)
    }

    /// Speaks with the sink until it has heard this.
    fn until<T>(&mut self, mut wanted: impl FnMut(ClientEvent) -> Option<T>) -> T {
        let mut buffer = [0; 1 << 16];
        loop {
            assert!(self.began.elapsed() < PATIENCE, "the sink does not answer");
            let mut out = Vec::new();
            let polled = self.caller.poll(self.now(), &mut out);
            let len = out.iter().try_for_each(|bytes| self.socket.send(bytes).map(drop));
            let got = len.and_then(|()| self.socket.recv(&mut buffer));
            let mut more = Vec::new();
            let now = self.now();
            let heard =
                got.ok().and_then(|len| self.caller.on_datagram(&buffer[..len], now, &mut more));
            more.iter().for_each(|bytes| drop(self.socket.send(bytes)));
            if let Some(found) = polled.into_iter().chain(heard).find_map(&mut wanted) {
                return found;
            }
        }
    }

    fn close(mut self) {
        self.caller.close(self.now());
        self.until(|heard| matches!(heard, ClientEvent::Closed).then_some(()));
    }
}

/// Waits until so many threads are left.
fn back_to(sink: &Sink, threads: usize) {
    let end = Instant::now() + NOTICED;
    while sink.proc.threads() > threads {
        assert!(Instant::now() < end, "{} threads, not {threads}", sink.proc.threads());
        std::thread::sleep(WAIT);
    }
}

/// Memory of its own that is resident, in KiB.
fn memory_kib(sink: &Sink) -> u64 {
    sink.proc.memory_kib("RssAnon").unwrap()
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn sessions_that_were_left_leave_nothing_behind() {
    let _together = together();
    let sink = Sink::here(&format!("--threads 2 --max-clients {CLIENTS}"));
    let idle = sink.proc.threads();
    let preparation = preparation(&sink);
    let memory = memory_kib(&sink);
    let some = |nonces: std::ops::Range<u64>| -> Vec<Client> {
        nonces.map(|nonce| Client::with_a_cell(sink.at, nonce, &preparation)).collect()
    };
    let all_leave = |nonces| {
        back_to(&sink, idle);
        let clients = some(nonces);
        // One that leads each session, and its two receivers.
        assert_eq!(sink.proc.threads(), idle + 3 * CLIENTS as usize);
        clients.into_iter().for_each(Client::close);
        back_to(&sink, idle);
        sink.proc.files()
    };
    let files = all_leave(0..CLIENTS);
    let rest = memory_kib(&sink);
    assert!(rest < memory + KEPT_KIB, "{memory} KiB before the first sessions, {rest} after them");
    // The same without a farewell, most of them with a cell set up, and some in the middle of it.
    let relay = Relay::start(any("127.0.0.1"), sink.at, Orders::default()).unwrap();
    let measuring: Vec<_> =
        (0..KILLED).map(|_| blast(&Place::here(), relay.at, "-e plain -t 8 -r 1k")).collect();
    assert!(relay.wait_for(PATIENCE, |account| account.forward.came > 500 * KILLED));
    drop(some(CLIENTS..2 * CLIENTS - KILLED));
    assert_eq!(sink.proc.threads(), idle + 3 * CLIENTS as usize);
    let refused = blast(&Place::here(), sink.at, "-e plain -n 10 -r 1k").finish(NOTICED);
    refused.expect_error(&["serves as many clients as it may"]);
    measuring.into_iter().for_each(|client| client.kill9());
    back_to(&sink, idle);
    // All places are free again, and none is a new one.
    assert_eq!(all_leave(2 * CLIENTS..3 * CLIENTS), files);
    let more = memory_kib(&sink);
    assert!(more < rest + KEPT_KIB, "{rest} KiB at rest became {more}");
    eprintln!("at rest: {memory} KiB, then {rest} KiB, at last {more} KiB");
    still_serves(&Place::here(), sink.at);
    back_to(&sink, idle);
    assert_eq!(sink.proc.files(), files);
    sink.end();
}
