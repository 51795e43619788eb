//! One line each way, as scripts do it.

use crate::rig::{Plain, Talking, nobody, talk, text};

#[test]
fn two_of_them_exchange_a_line_each_way() {
    let (listener, at) = Talking::listen("--bind 127.0.0.1:0 --once");
    let asker = Talking::start(&format!("{at} --once"));
    let reader = std::thread::spawn(move || listener.finish(b"and hello to you\nnever sent\n"));
    let asker = asker.finish(b"hello\nnever sent\n");
    let listener = reader.join().unwrap();
    assert_eq!(text(&asker).1, "and hello to you\n");
    assert_eq!(text(&asker).0, 0, "{}", text(&asker).2);
    assert_eq!(text(&listener).1, "hello\n");
    assert_eq!(text(&listener).0, 0, "{}", text(&listener).2);
    assert!(text(&listener).2.contains(" 5 B from #1 127.0.0.1:"), "{}", text(&listener).2);
}

#[test]
fn a_listener_without_a_line_prints_and_ends() {
    let (listener, at) = Talking::listen("--bind 127.0.0.1:0 --once");
    let plain = Plain::new();
    plain.send("grüß dich".as_bytes(), &at);
    let output = listener.finish(b"");
    assert_eq!(text(&output).0, 0);
    assert_eq!(text(&output).1, "grüß dich\n");
    plain.0.set_nonblocking(true).unwrap();
    assert!(plain.0.recv(&mut [0; 9]).is_err(), "nothing was to be answered");
}

#[test]
fn a_listener_ends_also_where_its_input_stays_open() {
    let (mut listener, at) = Talking::listen("--bind 127.0.0.1:0 --once --linger 10ms");
    Plain::new().send(b"hello", &at);
    let open = listener.stdin.take();
    let output = listener.end();
    drop(open);
    assert_eq!(text(&output).0, 0);
    assert_eq!(text(&output).1, "hello\n");
}

#[test]
fn only_the_first_one_is_answered() {
    let (mut listener, at) = Talking::listen("--bind 127.0.0.1:0 --once --linger 20s");
    let (first, second) = (Plain::new(), Plain::new());
    first.send(b"first", &at);
    assert_eq!(listener.line(), "first\n");
    second.send(b"second", &at);
    let output = listener.finish(b"answer\n");
    assert_eq!(text(&output).0, 0);
    assert_eq!(text(&output).1, "", "the second came after its end");
    assert_eq!(first.recv().0, b"answer");
}

#[test]
fn the_answer_is_that_of_who_was_asked() {
    let server = Plain::new();
    let mut asker = Talking::start(&format!("{} --once", server.addr()));
    asker.write(b"question\n");
    let (question, from) = server.recv();
    assert_eq!(question, b"question");
    let stranger = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
    let to = format!("127.0.0.1:{}", from.port());
    stranger.send_to(b"lie", &to).unwrap();
    assert!(asker.notice().contains("ignored a datagram of "));
    // From another port of the host that was asked.
    Plain::new().send(b"truth\n", &to);
    let output = asker.finish(b"");
    assert_eq!(text(&output).0, 0);
    assert_eq!(text(&output).1, "truth\n", "one newline, not two");
}

#[test]
fn no_answer_is_an_error() {
    let silent = Plain::new();
    let output = talk(&format!("{} --once --linger 50ms", silent.addr()), b"hello\n");
    let (code, out, error) = text(&output);
    assert_eq!((code, out), (1, ""));
    assert!(error.contains("no reply within 50.0 ms"), "{error}");
    assert_eq!(silent.recv().0, b"hello");
}

#[test]
fn a_refused_port_is_an_error_at_once() {
    let output = talk(&format!("{} --once --linger 10m", nobody()), b"hello\n");
    let (code, out, error) = text(&output);
    assert_eq!((code, out), (1, ""));
    assert!(error.contains("port unreachable (ICMP)"), "{error}");
}

#[test]
fn without_a_line_there_is_nothing_to_send() {
    let output = talk(&format!("{} --once", nobody()), b"");
    assert_eq!(text(&output).0, 1);
    assert!(text(&output).2.contains("no line to send"), "{}", text(&output).2);
}

#[test]
fn a_file_stands_for_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("request");
    let request: Vec<u8> = (0..=255).cycle().take(9_000).collect();
    std::fs::write(&path, &request).unwrap();
    let server = Plain::new();
    let words = format!("{} --once --raw --file {}", server.addr(), path.display());
    let asker = Talking::start(&words);
    let (got, from) = server.recv();
    assert_eq!(got, request);
    server.send(&request, from);
    // With a file, standard input is left alone.
    let output = asker.end();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, request, "raw is raw");
    let output = talk(&format!("{} --once --file /no/such/file", server.addr()), b"");
    assert_eq!(text(&output).0, 1);
    assert!(text(&output).2.contains("cannot read /no/such/file"), "{}", text(&output).2);
}

#[test]
fn an_interrupt_ends_it_quietly() {
    let (listener, _) = Talking::listen("--bind 127.0.0.1:0 --once");
    listener.signal("INT");
    let output = listener.end();
    assert_eq!(text(&output), (130, "", ""));
}
