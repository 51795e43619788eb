//! Second requests, which take a field of the first reply.

use super::*;
use crate::engine::Push;
use crate::payload::Then;

/// Requests of 8 bytes, the id; and second ones of 9, a byte of the first reply and the id.
fn spec_of_two() -> RequestSpec {
    let template = "{reply@0:1}{id:u64be}".to_owned();
    let then = Some(Then { template, is_hex: false, only_if: None });
    let spec = Spec { then, ..Spec::of(RequestSource::Text("{id:u64be}".to_owned())) };
    let (mut requests, mut matching) = spec.compile(1).unwrap();
    let second = spec.compile_second(1, &mut requests, &mut matching).unwrap();
    let (requests, matching) = (Arc::new(requests), Arc::new(matching));
    RequestSpec { requests, matching, second: second.map(Arc::new) }
}

/// Sends nothing for so many calls, and refuses a datagram in so many after those.
struct Unwilling {
    tx: PlainTx,
    full: u64,
    refuses: u64,
}

impl Tx for Unwilling {
    type Socket = UdpSocket;

    fn batch(&self, paced: bool) -> usize {
        self.tx.batch(paced)
    }

    fn lease(&mut self, want: usize) -> &mut [u8] {
        self.tx.lease(want)
    }

    fn stride(&self) -> usize {
        self.tx.stride()
    }

    fn lens(&mut self) -> &mut [u16] {
        self.tx.lens()
    }

    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push {
        let error = match (&mut self.full, &mut self.refuses) {
            (0, 0) => return self.tx.push(flow, first_sequence, count),
            (0, refuses) => {
                *refuses -= 1;
                SendError::NoBuffers
            }
            (full, _) => {
                *full -= 1;
                SendError::WouldBlock
            }
        };
        Push { refused: 1, error: Some(error), ..Push::default() }
    }
}

#[test]
fn second_requests_wait_for_the_send_buffer_and_those_refused_are_timeouts() {
    let size = PayloadSize::Varied { mean: 8, largest: 9 };
    let mut rig = rig_of(&spec_of_two(), size, 1, 4, 16);
    rig.send_due(0);
    let mut slot = [0; 64];
    let head = rig.worker.writer.head();
    // Counted when they are pulled.
    rig.worker.matcher.tally.arrived = 20;
    for at in 0..4 {
        let (len, _) = rig.server.recv_from(&mut slot).unwrap();
        // The reply, and a duplicate of it.
        for _ in 0..2 {
            let now = Nanos::from_millis(1 + at);
            rig.worker.matcher.datagram_of_steps(0, &slot[..len], None, now, head);
        }
    }
    let steps = |worker: &RequestWorker| {
        let counts = |step: &crate::measure::StepResult| {
            [step.sent, step.refused, step.answered, step.timeouts]
        };
        let results = &worker.matcher.steps.as_ref().unwrap().results;
        [counts(&results[0]), counts(&results[1])]
    };
    let matcher = &rig.worker.matcher;
    assert_eq!((matcher.tally.duplicate, matcher.exchange.continued), (4, 4));
    assert_eq!((matcher.in_flight(), matcher.has_second_requests()), (4, true));
    let Rig { mut worker, tx, control, server, .. } = rig;
    let mut tx = Unwilling { tx, full: 2, refuses: 1 };
    assert!(!worker.send_second(&mut tx, &control) && !worker.send_second(&mut tx, &control));
    assert_eq!(steps(&worker)[1], [0; 4], "they wait");
    assert!(worker.send_second(&mut tx, &control));
    assert_eq!(steps(&worker), [[0, 0, 4, 0], [3, 1, 0, 0]]);
    assert_eq!((worker.matcher.exchange.timeouts, worker.matcher.in_flight()), (1, 3));
    let replies: Vec<_> = (0..3)
        .map(|_| {
            let (len, _) = server.recv_from(&mut slot).unwrap();
            assert_eq!((len, slot[0]), (9, slot[1]), "the first byte of the id");
            slot[1..9].to_vec()
        })
        .collect();
    // As the second request has its id at 1, so has its reply.
    let reply = |id: &[u8]| [b"!", id].concat();
    worker.matcher.datagram_of_steps(0, &reply(&replies[0]), None, Nanos::from_millis(9), head);
    assert_eq!(steps(&worker)[1], [3, 1, 1, 0]);
    // After the end, too, the second request has the whole timeout.
    assert!(!worker.matcher.is_finished(Nanos::ZERO, Nanos::from_millis(1_150), false));
    assert_eq!(worker.matcher.exchange.given_up, 0);
    // The rest times out, by when the second requests were sent: after the first ones.
    let sent = worker.job.clock.now() - worker.job.epoch;
    worker.matcher.expire(sent + Nanos::from_millis(200), true);
    assert_eq!((steps(&worker)[1], worker.matcher.exchange.timeouts), ([3, 1, 1, 2], 3));
    assert_eq!(worker.matcher.in_flight(), 0);
    worker.matcher.datagram_of_steps(0, &reply(&replies[1]), None, Nanos::from_millis(999), head);
    assert_eq!((worker.matcher.tally.late, worker.matcher.tally.received), (1, 1));
}
