//! What is done with one input: shared by these tests and the fuzz targets in `fuzz/`.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use udperf::document::Report;
use udperf::measure::{LatencyHistograms, read_histogram};
use udperf::remote::client::read_bodies;
use udperf::remote::protocol::{
    Body, CloseReason, Key, LONGEST, MAC_LEN, Message, RejectReason, Seal, Tagger, decode, encode,
    peek,
};
use udperf::remote::rpc::{Limits, RpcClient, RpcServer, ServerEvent, ServerOutcome};
use udperf::report::format::hdr;
use udperf::report::read::read;
use udperf::unit::Nanos;
use udperf::wire::{
    HEADER_LEN, LAG_END, MAX_SEQUENCE, MAX_TIME, decode_lag, decode_own, has_tag, word,
};

/// The key of all that is keyed here.
const KEY: &[u8] = b"of the fuzzer";

/// Any bytes as a header.
pub(crate) fn header(bytes: &[u8]) {
    let own = bytes.first_chunk().map_or(0, |tag| u16::from_be_bytes(*tag));
    let header = decode_own(bytes, own);
    assert_eq!(has_tag(bytes, own), bytes.len() >= HEADER_LEN);
    assert!(header.is_none() || has_tag(bytes, own));
    assert_eq!(word(bytes).is_some(), bytes.len() >= HEADER_LEN);
    assert_eq!(decode_lag(bytes).is_some(), bytes.len() >= LAG_END);
    assert_eq!(decode_own(bytes, own ^ 1), None);
    if let Some(header) = header {
        assert!(header.sequence <= MAX_SEQUENCE && header.intended_ns <= MAX_TIME);
        let mut again = [0; HEADER_LEN];
        udperf::wire::encode(header, &mut again);
        if udperf::wire::is_marked(bytes) {
            udperf::wire::mark(&mut again);
        }
        assert_eq!(again, bytes[..HEADER_LEN]);
    }
}

/// Any bytes as the body of a control message; whether they were one.
pub(crate) fn bodies(bytes: &[u8]) -> bool {
    let read = read_bodies(bytes, Nanos::from_millis(5_000));
    assert!(!read.accepted || read.request);
    assert_eq!(read, read_bodies(bytes, Nanos::from_millis(5_000)));
    read.request || read.response
}

/// The first bytes of a histogram in HdrHistogram's V2 format, and an offset, digits and bounds
/// that are accepted; the length is what is tried.
const HISTOGRAM: [u8; 4] = [0x1C, 0x84, 0x93, 0x13];

/// A stored document, one histogram of which is replaced.
pub(crate) struct Documents {
    report: Report,
}

impl Documents {
    pub(crate) fn new() -> Self {
        let kept = include_str!("../../results/2026-11-23-x86_64-2c-coturn/report.json");
        let mut report = read(kept).expect("it was kept as udperf wrote it");
        report.cells.truncate(1);
        Self { report }
    }

    /// The histogram that it has.
    pub(crate) fn sample(&self) -> Vec<u8> {
        let latency = self.report.cells[0].latency.as_ref().expect("it has one");
        STANDARD.decode(&latency.histogram).expect("it is base64")
    }

    /// Any bytes as a histogram: of a document that is shown, and of what another host measured;
    /// as they are and behind the right first bytes. Whether one of these was a histogram.
    pub(crate) fn histogram(&mut self, bytes: &[u8]) -> bool {
        let mut is_one = false;
        for bytes in [bytes, &[&HISTOGRAM, bytes].concat()] {
            if let Some(latency) = &mut self.report.cells[0].latency {
                latency.histogram = STANDARD.encode(bytes);
            }
            let shown = hdr::render(&self.report).is_ok();
            assert_eq!(shown, read_histogram(bytes).is_ok());
            // As it travels: its bytes, minimum, maximum, two sums, and how many were clamped.
            let packed = (bytes, 0_u64, u64::MAX, 0_u128, 0_u128, 0_u64);
            let packed = postcard::to_stdvec(&packed).expect("it is numbers and bytes");
            if let Ok(mut latency) = postcard::from_bytes::<LatencyHistograms>(&packed) {
                latency.merge(&latency.shifted(-1_000));
            }
            is_one |= shown;
        }
        is_one
    }
}

/// Both seals, and both ends of a session that has begun.
pub(crate) struct Control {
    keyed: Seal,
    public: Seal,
    tagger: Tagger,
    server: RpcServer,
    caller: RpcClient,
    home: SocketAddr,
    now: Nanos,
}

impl Control {
    /// With a session open and a request under way.
    pub(crate) fn new() -> Self {
        let key = Key::from_bytes(KEY).expect("it is not empty");
        let mut server = RpcServer::new(&[7; 32], Some(&key), Limits::default());
        let mut caller = RpcClient::new(Some(&key), 42, 1, Nanos::from_millis(10_000));
        let home = SocketAddr::from(([192, 0, 2, 1], 9));
        caller.request(vec![1, 2, 3], Nanos(0)).expect("it is the first");
        let mut sent = Vec::new();
        assert_eq!(caller.poll(Nanos(0), &mut sent), None);
        while caller.session().is_none() {
            let mut replies = Vec::new();
            for bytes in sent.drain(..) {
                server.on_datagram(home, &bytes, Nanos(0), &mut replies);
            }
            for (_, bytes) in replies {
                caller.on_datagram(&bytes, Nanos(0), &mut sent);
            }
        }
        let (keyed, public) = (Seal::new(Some(&key)), Seal::new(None));
        Self { keyed, public, tagger: Tagger::new(KEY), server, caller, home, now: Nanos(0) }
    }

    /// Messages of every kind, under either seal, of the session and of others.
    pub(crate) fn samples(&self) -> Vec<Vec<u8>> {
        let bodies = [
            Body::Hello,
            Body::Challenge([1; 16]),
            Body::Open([2; 16]),
            Body::Opened(3),
            Body::Request(b"request"),
            Body::Working,
            Body::Answer(b"answer"),
            Body::Large(5_000),
            Body::Pull(0),
            Body::Chunk(0, &[4; 1_159]),
            Body::Sync(0, b"note"),
            Body::SyncReply([0, 1, 2]),
            Body::Closed(CloseReason::Requested),
            Body::Refused(RejectReason::Busy),
        ];
        let mut samples = Vec::new();
        for session in [self.caller.session().unwrap_or(0), 42, 7] {
            for number in [0, 1, 2] {
                for body in bodies {
                    let message = Message { session, number, body };
                    samples.push(encode(&message, &self.keyed));
                    samples.push(encode(&message, &self.public));
                }
            }
        }
        samples
    }

    /// Any bytes as a message, as they are and with a right code behind them; tells how many of
    /// these were messages.
    pub(crate) fn decode(&self, bytes: &[u8]) -> usize {
        let mut accepted = 0;
        let mut sealed = bytes.to_vec();
        sealed.extend_from_slice(&self.tagger.tag(&[bytes]));
        let cut = &bytes[..bytes.len().saturating_sub(MAC_LEN)];
        let mut again = cut.to_vec();
        again.extend_from_slice(&self.tagger.tag(&[cut]));
        for bytes in [bytes, &sealed, &again] {
            let seen = peek(bytes);
            for seal in [&self.keyed, &self.public] {
                if let Ok(message) = decode(bytes, seal) {
                    accepted += 1;
                    assert!(bytes.len() <= LONGEST);
                    assert_eq!(seen.map(|seen| seen.session), Ok(message.session));
                    // Closed and Refused keep a reason in the number's place, as encode writes it.
                    assert_eq!(encode(&message, seal), bytes);
                }
            }
        }
        accepted
    }

    /// Any bytes at both ends of the session, as they are and with a right code.
    pub(crate) fn converse(&mut self, bytes: &[u8]) {
        let cut = &bytes[..bytes.len().saturating_sub(MAC_LEN)];
        let mut again = cut.to_vec();
        again.extend_from_slice(&self.tagger.tag(&[cut]));
        for bytes in [bytes, &again] {
            self.now += Nanos::from_millis(1);
            let mut replies = Vec::new();
            let took = self.server.on_datagram(self.home, bytes, self.now, &mut replies);
            assert!(replies.len() <= 1 && replies.iter().all(|(_, reply)| reply.len() <= LONGEST));
            if let ServerOutcome::Event(session, ServerEvent::Requested(number, body)) = took {
                let answer = body.repeat(1_000);
                assert_eq!(self.server.answer(session, number, answer, &mut replies), Ok(()));
            }
            let mut sent = Vec::new();
            self.caller.on_datagram(bytes, self.now, &mut sent);
            self.caller.poll(self.now, &mut sent);
            // As many parts as are asked for at once, and what they stood behind.
            assert!(sent.len() <= 32, "{} datagrams", sent.len());
            self.server.tick(self.now, &mut replies);
            assert!(self.server.sessions() <= 64);
        }
        if self.caller.is_over() {
            *self = Self::new();
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}
