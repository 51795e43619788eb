//! What a program writes to strangers does not flood them.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use udperf::net::Options;
use udperf::talk::{Talk, TalkEnd, TalkInput, TalkOptions, Transport};
use udperf::unit::Nanos;

use crate::rig::Plain;

#[test]
fn lines_keep_their_distance() {
    const LINES: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(20);
    let server = Plain::new();
    let bind = "127.0.0.1:0".parse().unwrap();
    let sockets = vec![Options { bind, ..Options::default() }];
    let options = TalkOptions {
        via: Transport::Udp { sockets, peer: Some(server.addr()), others: Vec::new() },
        once: false,
        linger: Nanos::ZERO,
        pause: PAUSE.into(),
        by_line: false,
        unattended: true,
        answers: |_| true,
    };
    let (talk, input_sender) = Talk::open(options).unwrap();
    for line in 0..LINES {
        assert!(input_sender.send(TalkInput::Line(vec![line as u8])));
    }
    assert!(input_sender.send(TalkInput::End));
    let began = Instant::now();
    let end = talk.run(&AtomicBool::new(false), &mut |_| Ok(())).unwrap();
    assert_eq!(end, TalkEnd::Done);
    // A distance before all but the first, and none is ever shorter.
    assert!(began.elapsed() >= PAUSE * (LINES - 1));
    for line in 0..LINES {
        assert_eq!(server.recv().0, [line as u8]);
    }
    assert!(!input_sender.send(TalkInput::End), "it has ended");
}
