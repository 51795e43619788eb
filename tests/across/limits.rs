//! What a sink does not do: more clients than it is to serve, more or longer than it is to take.

use std::process::Command;

use crate::common::{number, together};
use crate::nets::Place;
use crate::proc::{PATIENCE, Proc};
use crate::rig::{Sink, blast, only, report, still_serves};

/// A sink that says who comes.
fn talkative(words: &str) -> Sink {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udperf"));
    command.args(["sink", "-B", "127.0.0.1", "-p", "0", "-J"]).args(words.split_whitespace());
    let mut proc = Proc::start(command);
    let at = proc.line("udperf: sink on ").parse().unwrap();
    Sink { proc, at }
}

/// A client that stays until it is interrupted; it is there when this returns.
fn guest(sink: &mut Sink) -> Proc {
    let guest = blast(&Place::here(), sink.at, "-e plain -r 100 -t 1h");
    let said = sink.proc.line("udperf: client 127.0.0.1:");
    assert!(said.ends_with(" connected"), "{said}");
    guest
}

#[track_caller]
fn leave(guest: Proc) {
    guest.interrupt();
    guest.finish(PATIENCE).expect(130);
}

/// A client is refused, with these words.
#[track_caller]
fn refused(sink: &Sink, words: &str, why: &[&str]) {
    let done = blast(&Place::here(), sink.at, &format!("-e plain {words}")).finish(PATIENCE);
    done.expect_error(why);
    assert!(done.stdout.trim().is_empty(), "nothing was measured: {done:?}");
}

#[test]
fn one_client_more_than_may_be_is_told_so() {
    let _together = together();
    let mut sink = talkative("--max-clients 2");
    let guests = [guest(&mut sink), guest(&mut sink)];
    refused(&sink, "-n 10", &["as many clients as it may", "--max-clients"]);
    guests.into_iter().for_each(leave);
    still_serves(&Place::here(), sink.at);
    let document = sink.end().document();
    assert_eq!(document["clients"].as_array().unwrap().len(), 3);
    // Whoever was refused is no traffic.
    assert_eq!(number(&document, "others.datagrams"), 0);
    assert!(number(&document, "stray_control") >= 1);
}

#[test]
fn a_sink_for_one_client_serves_no_other_beside_it() {
    let _together = together();
    let mut sink = talkative("--once");
    let guest = guest(&mut sink);
    refused(&sink, "-n 10", &["as many clients as it may", "--once"]);
    leave(guest);
    let document = sink.proc.finish(PATIENCE).expect(0).document();
    let clients = document["clients"].as_array().unwrap();
    assert_eq!(clients.len(), 1, "{clients:?}");
}

#[test]
fn no_more_and_no_longer_than_a_sink_takes() {
    let _together = together();
    let sink = Sink::here("--max-rate 5k --max-time 2 -J");
    for way in ["", "--reverse"] {
        for (words, why) in [
            ("-r 5001 -t 1", ["--max-rate", "5.00 kpps"]),
            ("-r max -t 1", ["--max-rate", "5.00 kpps"]),
            ("-r 5k -t 3", ["--max-time", "--time"]),
            ("-r 5k -n 100", ["--max-time", "--time"]),
        ] {
            refused(&sink, &format!("{words} {way}"), &why);
        }
        let within = report(&Place::here(), sink.at, &format!("-e plain -r 5k -t 100ms {way}"));
        assert_eq!(only(&within)["rate_pps"], 5_000.0, "{way}");
    }
    sink.end();
}

#[test]
fn a_sink_knows_of_its_clients_what_they_know() {
    let _together = together();
    let sink = Sink::here("-J");
    let cell = report(&Place::here(), sink.at, "-e plain -l 100 -r 10k -n 1000");
    let n = |path: &str| number(only(&cell), &format!("ledger.{path}"));
    let document = sink.end().document();
    let client = &document["clients"][0];
    assert_eq!(number(client, "received"), n("received"));
    assert_eq!(number(client, "bytes"), 100 * n("received"));
    assert_eq!(number(client, "received") + number(client, "lost"), 1_000);
    for fate in ["lost", "duplicate", "late", "foreign", "corrupt"] {
        assert_eq!(number(client, fate), n(fate), "{fate}");
    }
}
