//! Everything that a sink should not get, at once, in two namespaces: garbage and recorded control
//! again, opened and abandoned sessions from many ports, slow clients, and clients that are killed
//! or stopped. It has to keep its size, to send no more than it gets, and to measure well after.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use udperf::remote::protocol::{Body, Message, Seal, encode};
use udperf::remote::rpc::RpcClient;
use udperf::unit::Nanos;

use crate::common::{alone, number};
use crate::invalid_traffic::{Recorded, abuse};
use crate::nets::{Nets, Place, SINK, Side};
use crate::proc::PATIENCE;
use crate::rig::{Sink, blast, located, moments, only, report, settled, soak};

/// How long the abuse lasts in seconds, unless `UDPERF_SOAK` says otherwise. Arbitrary.
const SECONDS: u64 = 8;

/// After each round, the sink is left alone until all sessions are over, and its memory is read.
/// Arbitrary: enough to tell growth from what the first round needed.
const ROUNDS: u32 = 4;

/// How often the size of the sink is read, and printed. Arbitrary.
const SAMPLE: Duration = Duration::from_millis(500);
const LINE: Duration = Duration::from_secs(30);

/// How much the memory at rest may grow from the first round to the last, in KiB. Arbitrary: the
/// sink remembers some thousand clients, and a leak of 10 bytes a datagram is more in ten minutes.
const GROWTH_KIB: u64 = 8 << 10;

/// Between two rounds of a thread, to leave the CPUs to the sink. Arbitrary.
const PAUSE: Duration = Duration::from_millis(1);

/// Source ports in use at once: each round closes the oldest. Arbitrary.
const PORTS: usize = 256;

/// Sessions at once of clients that do next to nothing, and how often each says a word, within the
/// 10 s after which a sink closes silent sessions. Arbitrary.
const SLOW: usize = 16;
const SLOW_WORD: Duration = Duration::from_secs(3);

/// Clients of one kind that are killed or stopped at this distance at least. Arbitrary.
const NEXT_VICTIM: Duration = Duration::from_millis(300);

/// What one kind of abuse has sent and got.
#[derive(Default)]
struct Counts {
    datagrams: AtomicU64,
    went: AtomicU64,
    came: AtomicU64,
}

impl Counts {
    fn send(&self, socket: &UdpSocket, bytes: &[u8]) {
        if let Ok(len) = socket.send(bytes) {
            self.datagrams.fetch_add(1, Ordering::Relaxed);
            self.went.fetch_add(len as u64, Ordering::Relaxed);
        }
    }

    /// One datagram, if there is one.
    fn receive<'a>(&self, socket: &UdpSocket, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let len = socket.recv(buffer).ok()?;
        self.came.fetch_add(len as u64, Ordering::Relaxed);
        Some(&buffer[..len])
    }

    /// Datagrams, bytes to the sink and bytes from it.
    fn all(&self) -> [u64; 3] {
        [&self.datagrams, &self.went, &self.came].map(|count| count.load(Ordering::Relaxed))
    }
}

/// What all kinds have done.
#[derive(Default)]
struct Tally {
    garbage: Counts,
    hellos: Counts,
    abandoned: Counts,
    slow: Counts,
    killed: AtomicU64,
    stopped: AtomicU64,
    served: AtomicU64,
    refused: AtomicU64,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Side::B.ip(), 0)).unwrap();
    socket.connect(SINK).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Garbage, and recorded control, changed and repeated.
fn garbage(end: Instant, mut random: Rng, counts: &Counts, recorded: &Recorded) {
    let sockets: Vec<_> = (0..8).map(|_| socket()).collect();
    let mut buffer = [0; 1 << 16];
    while Instant::now() < end {
        for socket in &sockets {
            counts.send(socket, &abuse(&mut random, &recorded.messages));
            while counts.receive(socket, &mut buffer).is_some() {}
        }
        std::thread::sleep(PAUSE);
    }
}

/// A word of a client from a port that is new each time, and a cookie that it does not have.
fn hellos(end: Instant, mut random: Rng, counts: &Counts) {
    let (seal, mut buffer) = (Seal::new(None), [0; 1 << 16]);
    let mut ports = std::collections::VecDeque::new();
    while Instant::now() < end {
        let socket = socket();
        let session = random.u64(..);
        for body in [Body::Hello, Body::Open(random.u128(..).to_be_bytes())] {
            counts.send(&socket, &encode(&Message { session, number: 0, body }, &seal));
        }
        ports.push_back(socket);
        while ports.len() > PORTS {
            let oldest = ports.pop_front().unwrap();
            while counts.receive(&oldest, &mut buffer).is_some() {}
        }
        std::thread::sleep(PAUSE);
    }
}

/// A client that reads and sends only when it is asked to.
struct Dribbler {
    socket: UdpSocket,
    client: RpcClient,
    spoke: Instant,
    begun: Instant,
}

impl Dribbler {
    fn new(random: &mut Rng) -> Self {
        let mut client =
            RpcClient::new(None, random.u64(..), random.u64(..), Nanos::from_millis(10_000));
        client.open(Nanos::ZERO);
        let now = Instant::now();
        Self { socket: socket(), client, spoke: now, begun: now }
    }

    /// Sends what is due, and reads one datagram.
    fn step(&mut self, counts: &Counts) {
        let now = Nanos(self.begun.elapsed().as_nanos() as u64);
        let (mut out, mut buffer) = (Vec::new(), [0; 1 << 16]);
        self.client.poll(now, &mut out);
        if let Some(bytes) = counts.receive(&self.socket, &mut buffer) {
            self.client.on_datagram(bytes, now, &mut out);
        }
        if self.spoke.elapsed() > SLOW_WORD && self.client.session().is_some() {
            self.spoke = Instant::now();
            self.client.sync(b"", now, &mut out);
        }
        out.iter().for_each(|bytes| counts.send(&self.socket, bytes));
    }
}

/// Clients that open a session and then say a word every few seconds; a few more open one and are
/// gone.
fn sessions(end: Instant, mut random: Rng, tally: &Tally) {
    let mut slow: Vec<_> = (0..SLOW).map(|_| Dribbler::new(&mut random)).collect();
    let mut leaving = Dribbler::new(&mut random);
    while Instant::now() < end {
        for one in &mut slow {
            one.step(&tally.slow);
            if one.client.is_over() {
                *one = Dribbler::new(&mut random);
            }
        }
        leaving.step(&tally.abandoned);
        let is_open = leaving.client.session().is_some();
        if is_open && leaving.begun.elapsed() > NEXT_VICTIM || leaving.client.is_over() {
            leaving = Dribbler::new(&mut random);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Clients that are killed or stopped for a while, in turn, at any moment.
fn victims(end: Instant, mut random: Rng, tally: &Tally) {
    while Instant::now() < end {
        let client = blast(&Place::here(), SINK, "-e plain -t 1 -r 2k");
        std::thread::sleep(NEXT_VICTIM + Duration::from_millis(random.u64(..1_000)));
        if random.bool() {
            client.kill9();
            tally.killed.fetch_add(1, Ordering::Relaxed);
        } else {
            client.signal(libc::SIGSTOP);
            std::thread::sleep(NEXT_VICTIM);
            client.signal(libc::SIGCONT);
            tally.stopped.fetch_add(1, Ordering::Relaxed);
        }
        // How one ends that was stopped depends on the moment; it has to end.
        let done = client.finish(2 * PATIENCE);
        assert!(done.signal.is_none_or(|signal| signal == libc::SIGKILL), "{done:?}");
    }
}

/// Clients that want to measure. Some are refused while all sessions are taken.
fn honest(end: Instant, tally: &Tally) {
    while Instant::now() < end {
        let done = blast(&Place::here(), SINK, "-e plain -n 500 -r 1k --max-missed 100%");
        let done = done.finish(2 * PATIENCE);
        match done.code {
            Some(0) => {
                let report = settled(&done);
                assert_eq!(number(only(&report), "ledger.duplicate"), 0, "{done:?}");
                tally.served.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                tally.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        std::thread::sleep(NEXT_VICTIM);
    }
}

/// Bytes that the sink's side has received and sent, headers included, as its kernel counts them.
fn carried(nets: &Nets) -> [u64; 2] {
    let text = nets.run(Side::A, "cat /proc/net/dev");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("x0:")).unwrap();
    let all: Vec<u64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
    [all[0], all[8]]
}

/// The sink's memory in KiB, files and threads.
fn size(sink: &Sink) -> [u64; 3] {
    let memory = sink.proc.memory_kib("VmRSS").unwrap();
    [memory, sink.proc.files() as u64, sink.proc.threads() as u64]
}

/// Reads the size until the end, and prints some; the median of the memory.
fn watch(end: Instant, sink: &Sink, nets: &Nets) -> u64 {
    let mut samples = Vec::new();
    let mut next_line = Instant::now();
    while Instant::now() < end {
        let [memory, files, threads] = size(sink);
        samples.push(memory);
        if Instant::now() >= next_line {
            let [received, sent] = carried(nets);
            eprintln!(
                "{memory} KiB, {files} files, {threads} threads; the wire had {received} bytes to \
                 the sink, {sent} from it"
            );
            next_line += LINE;
        }
        std::thread::sleep(SAMPLE);
    }
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// Waits until the threads of all sessions are over; the memory and files of the sink then. It
/// keeps the sockets of as many sessions as it once had, for the next ones.
fn at_rest(sink: &Sink, threads: u64) -> [u64; 2] {
    let end = Instant::now() + 2 * PATIENCE;
    loop {
        let now = size(sink);
        if now[2] <= threads {
            return [now[0], now[1]];
        }
        assert!(Instant::now() < end, "{now:?} are left of abuse, {threads} threads before it");
        std::thread::sleep(SAMPLE);
    }
}

/// Abuses a sink until `end`; the median of its memory meanwhile.
fn abuse_until(
    end: Instant,
    random: &mut Rng,
    (tally, recorded): (&Tally, &Recorded),
    (sink, nets): (&Sink, &Nets),
) -> u64 {
    let [one, two, three, four] = [(); 4].map(|()| random.fork());
    std::thread::scope(|scope| {
        scope.spawn(|| garbage(end, one, &tally.garbage, recorded));
        scope.spawn(|| hellos(end, two, &tally.hellos));
        scope.spawn(|| sessions(end, three, tally));
        scope.spawn(|| victims(end, four, tally));
        scope.spawn(|| honest(end, tally));
        watch(end, sink, nets)
    })
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn every_abuse_at_once_neither_grows_a_sink_nor_makes_it_send_more_than_it_gets() {
    let _alone = alone();
    let Some(nets) = Nets::make(&[]) else { return };
    let sink = Sink::start(&nets.place(Side::A), "-B 10.78.0.1 -p 7788 -J");
    let mut random = moments();
    let tally = Tally::default();
    let enter = nets.entrance(Side::B);
    std::thread::scope(|scope| {
        let (nets, tally) = (&nets, &tally);
        let outside = scope.spawn(move || {
            // Threads and programs that it starts are on its side, too.
            enter().unwrap();
            let recorded = Recorded::through("10.78.0.2", SINK, "");
            let (before, threads) = (carried(nets), size(&sink)[2]);
            let round = Duration::from_secs(soak().unwrap_or(SECONDS)) / ROUNDS;
            let memory: Vec<_> = (1..=ROUNDS)
                .map(|number| {
                    let end = Instant::now() + round;
                    let median = abuse_until(end, &mut random, (tally, &recorded), (&sink, nets));
                    let [rest, files] = at_rest(&sink, threads);
                    eprintln!(
                        "round {number} of {} s: median {median} KiB; at rest {rest} KiB, {files} \
                         files",
                        round.as_secs()
                    );
                    rest
                })
                .collect();
            let after = carried(nets);
            let words = "-e plain -n 2000 -r 5k --max-missed 100%";
            let report = report(&Place::here(), SINK, words);
            (sink, memory, [after[0] - before[0], after[1] - before[1]], report)
        });
        let (sink, memory, carried, report) = outside.join().unwrap();
        judge(tally, carried, &memory);
        let cell = only(&report);
        let sent = number(cell, "ledger.sent");
        assert!(sent > 0 && number(cell, "ledger.unaccounted") == 0, "{}", cell["ledger"]);
        assert_eq!(number(cell, "ledger.received") + located(cell), sent, "{}", cell["ledger"]);
        eprintln!("afterwards: {}", cell["ledger"]);
        assert_eq!(sink.end().document()["kind"], "sink");
    });
}

/// Prints what was done, and checks what holds of it.
fn judge(tally: &Tally, [received, sent]: [u64; 2], memory: &[u64]) {
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let kinds = [
        ("garbage and recorded control", &tally.garbage, true),
        ("hellos from new ports", &tally.hellos, true),
        ("abandoned sessions", &tally.abandoned, false),
        ("slow clients", &tally.slow, false),
    ];
    for (name, counts, is_bounded) in kinds {
        let [datagrams, went, came] = counts.all();
        eprintln!("{name}: {datagrams} datagrams, {went} bytes to the sink, {came} from it");
        assert!(datagrams > 0, "{name}: none was sent");
        // A client with a proved address may get more than it sent.
        assert!(!is_bounded || came <= went, "{name}: {came} bytes came back for {went}");
    }
    let [killed, stopped] = [&tally.killed, &tally.stopped].map(count);
    let [served, refused] = [&tally.served, &tally.refused].map(count);
    eprintln!("clients: {killed} killed, {stopped} stopped, {served} served, {refused} refused");
    eprintln!("on the wire: {received} bytes to the sink, {sent} from it");
    assert!(killed + stopped > 0 && served > 0, "nothing was measured amid the abuse");
    assert!(sent <= received, "{sent} bytes from the sink for {received} to it");
    let (first, last) = (memory[0], memory[memory.len() - 1]);
    assert!(last <= first + GROWTH_KIB, "{first} KiB at rest became {last}");
}
