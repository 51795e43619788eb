//! Datagrams, through pipes.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::common::udperf;
use crate::rig::{PATIENCE, Plain, Talking, nobody, talk, text};

#[test]
fn lines_are_datagrams_without_their_newlines() {
    let server = Plain::new();
    let client = Talking::start(&format!("{} --linger 0", server.addr()));
    let output = client.finish("hello\n\n/quit\n//x\r\ntail \u{1F600}".as_bytes());
    assert_eq!(text(&output), (0, "", ""));
    for line in ["hello", "", "/quit", "//x\r", "tail \u{1F600}"] {
        assert_eq!(server.recv().0, line.as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text_leave_as_they_are() {
    let server = Plain::new();
    let bytes: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    assert_eq!(text(&talk(&format!("{} --linger 0", server.addr()), &bytes)).0, 0);
    assert_eq!(server.recv().0, bytes);
}

#[test]
fn encodings_are_exact_both_ways() {
    let server = Plain::new();
    for (label, line, bytes) in [
        ("gbk", "你好", &[0xC4, 0xE3, 0xBA, 0xC3][..]),
        ("GB2312", "你好", &[0xC4, 0xE3, 0xBA, 0xC3]),
        ("utf-8", "你好", &[0xE4, 0xBD, 0xA0, 0xE5, 0xA5, 0xBD]),
        ("latin1", "é€", &[0xE9, 0x80]),
        ("utf-16be", "é", &[0, 0xE9]),
    ] {
        let mut client = Talking::start(&format!("{} --encoding {label} -q", server.addr()));
        client.write(format!("{line}\n").as_bytes());
        let (got, from) = server.recv();
        assert_eq!(got, bytes, "{label}");
        server.send(bytes, from);
        assert_eq!(client.line(), format!("{line}\n"), "{label}");
    }
}

#[test]
fn what_is_no_text_is_shown_as_hex() {
    let server = Plain::new();
    let mut client = Talking::start(&format!("{} --encoding gbk", server.addr()));
    client.write(b"x\n");
    let (_, from) = server.recv();
    // Half a character; a control character; text again.
    for (bytes, shown) in
        [(&[0xC4_u8][..], "c4\n"), (b"\x1b[2J", "1b 5b 32 4a\n"), (b"ok\n", "ok\n"), (b"", "\n")]
    {
        server.send(bytes, from);
        assert_eq!(client.line(), shown);
    }
    assert!(client.notice().ends_with("no text: shown as hex"));
    assert!(client.notice().ends_with("no text: shown as hex"));
    assert!(client.notice().contains(" 3 B from "));
}

#[test]
fn hex_goes_out_and_comes_in() {
    let server = Plain::new();
    let mut client = Talking::start(&format!("{} --hex -q", server.addr()));
    client.write(b"ff ff:00,0x0a 41\n\n");
    let (got, from) = server.recv();
    assert_eq!(got, [0xFF, 0xFF, 0, 0x0A, 0x41]);
    assert_eq!(server.recv().0, b"");
    server.send(b"text too", from);
    assert_eq!(client.line(), "74 65 78 74 20 74 6f 6f\n");
    let output = client.finish(b"0a xy\n");
    let (code, _, error) = text(&output);
    assert_eq!(code, 1);
    assert!(
        error.contains("line 3 of standard input: 'x', character 4, is not a hex digit"),
        "{error}"
    );
}

#[test]
fn characters_that_an_encoding_lacks_are_named() {
    let output = talk(&format!("{} --encoding gbk", nobody()), "好😀\n".as_bytes());
    let (code, _, error) = text(&output);
    assert_eq!(code, 1);
    assert!(error.contains("line 1 of standard input: '😀' (U+1F600), character 2"), "{error}");
}

#[test]
fn payloads_are_raw_where_asked() {
    let server = Plain::new();
    let mut client = Talking::start(&format!("{} --raw --linger 200ms", server.addr()));
    client.write(b"x\n");
    let (_, from) = server.recv();
    server.send(b"\0\xFF\n", from);
    server.send(b"end", from);
    assert!(client.notice().contains("3 B from"));
    assert!(client.notice().contains("3 B from"));
    let output = client.finish(b"");
    assert_eq!(output.stdout, b"\0\xFF\nend");
}

#[test]
fn answers_count_the_lingering_anew_and_its_end_is_well() {
    let server = Plain::new();
    let mut client = Talking::start(&format!("{} -q", server.addr()));
    client.write(b"x\n");
    drop(client.stdin.take());
    let (_, from) = server.recv();
    server.send(b"late", from);
    let output = client.end();
    assert_eq!(text(&output), (0, "late\n", ""));
}

#[test]
fn a_receiver_answers_who_was_heard_last_and_outlives_its_input() {
    let (mut listener, at) = Talking::listen("--bind 127.0.0.1:0");
    // Lines wait for somebody to send them to.
    listener.write(b"to the first\n");
    let (first, second) = (Plain::new(), Plain::new());
    first.send(b"one", &at);
    assert_eq!(listener.line(), "one\n");
    assert_eq!(first.recv().0, b"to the first");
    second.send(b"two", &at);
    assert_eq!(listener.line(), "two\n");
    listener.write(b"to the last\n");
    assert_eq!(second.recv().0, b"to the last");
    drop(listener.stdin.take());
    first.send(b"three", &at);
    assert_eq!(listener.line(), "three\n");
    listener.signal("INT");
    let output = listener.end();
    assert_eq!(text(&output).0, 130);
    assert_eq!(text(&output).1, "");
    let notices: Vec<_> = text(&output).2.lines().collect();
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert!(notices[1].contains(&format!("#2 {}", second.addr())), "{notices:?}");
    assert!(notices[2].contains(&format!("#1 {}", first.addr())), "{notices:?}");
}

#[test]
fn any_address_is_one_of_either_family_at_one_port() {
    let (mut listener, v4) = Talking::listen("--bind :0");
    let port = v4.strip_prefix("0.0.0.0:").unwrap().to_owned();
    Plain::new().send(b"by four", format!("127.0.0.1:{port}"));
    assert_eq!(listener.line(), "by four\n");
    match std::net::UdpSocket::bind("[::1]:0") {
        Ok(v6) => {
            assert_eq!(listener.notice(), format!("udperf: talk on [::]:{port}"));
            v6.send_to(b"by six", format!("[::1]:{port}")).unwrap();
            assert_eq!(listener.line(), "by six\n");
        }
        Err(why) => crate::common::skip::unavailable(format_args!("no IPv6 here: {why}")),
    }
    let (_listener, at) = Talking::listen("-4 -p 0");
    assert!(at.starts_with("0.0.0.0:"), "{at}");
}

#[test]
fn the_port_can_be_fixed() {
    let (server, free) = (Plain::new(), nobody());
    for words in [
        format!("--bind 127.0.0.1:{}", free.port()),
        format!("--bind 127.0.0.1 -p {}", free.port()),
        format!("-p {}", free.port()),
    ] {
        let output = talk(&format!("{} --linger 0 {words}", server.addr()), b"x\n");
        assert_eq!(text(&output), (0, "", ""), "{words}");
        assert_eq!(server.recv().1.port(), free.port(), "{words}");
    }
    let words = format!("--bind {}", server.addr());
    let output = talk(&words, b"");
    assert_eq!(text(&output).0, 1);
    assert!(text(&output).2.contains("address in use; choose another --port"), "{words}");
}

#[test]
fn a_refused_port_is_a_notice_and_no_end() {
    let at = nobody();
    let mut client = Talking::start(&at.to_string());
    client.write(b"anybody there?\n");
    let notice = client.notice();
    assert!(notice.starts_with(&format!("udperf: {at}: port unreachable (ICMP)")), "{notice}");
    let server = std::net::UdpSocket::bind(at).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write(b"and now?\n");
    let mut slot = [0; 99];
    let len = server.recv(&mut slot).unwrap();
    assert_eq!(&slot[..len], b"and now?");
}

#[test]
fn many_refusals_are_one_notice() {
    let at = nobody();
    let output = talk(&format!("{at} --linger 100ms"), &b"x\n".repeat(50));
    let (code, _, error) = text(&output);
    assert_eq!(code, 0);
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_found_before_anybody_comes() {
    let output = talk("--bind 127.0.0.1:0 --file /no/such/file", b"");
    assert_eq!(text(&output).0, 1);
    let error = "udperf: cannot read /no/such/file: no such file or directory; check the path\n";
    assert_eq!(text(&output).2, error);
}

#[cfg(target_os = "linux")]
#[test]
fn names_in_the_abstract_namespace_are_names_too() {
    let name = format!("unix:@udperf-test-{}", std::process::id());
    let (mut listener, at) = Talking::listen(&format!("--bind {name}"));
    assert_eq!(at, name);
    let mut client = Talking::start(&name);
    client.write(b"hello\n");
    assert_eq!(listener.line(), "hello\n");
    listener.write(b"back\n");
    assert_eq!(client.line(), "back\n");
}

#[test]
fn the_largest_datagram_leaves_and_a_larger_one_is_named() {
    let server = Plain::new();
    let words = format!("{} --linger 0", server.addr());
    assert_eq!(text(&talk(&words, &[b'x'; 65_507])).0, 0);
    assert_eq!(server.recv().0.len(), 65_507);
    let output = talk(&words, &[b'x'; 65_508]);
    assert_eq!(text(&output).0, 1);
    assert!(text(&output).2.contains("cannot send 65508 bytes: more than"), "{output:?}");
    let output = talk(&words, &vec![b'x'; 2 << 20]);
    assert_eq!(text(&output).0, 1);
    assert!(text(&output).2.contains("longer than 1048576 bytes"), "{output:?}");
}

#[test]
fn quiet_says_nothing_but_payloads() {
    let server = Plain::new();
    let mut client = Talking::start(&format!("-q {} --linger 50ms", server.addr()));
    client.write(b"x\n");
    let (_, from) = server.recv();
    server.send(b"y", from);
    assert_eq!(client.line(), "y\n");
    assert_eq!(text(&client.finish(b"")), (0, "", ""));
    assert_eq!(text(&talk(&format!("-q {} --linger 0", nobody()), b"x\n")), (0, "", ""));
}

#[test]
fn a_closed_standard_output_ends_quietly() {
    let mut command = udperf();
    let server = Plain::new();
    command.args(["talk", "-q", &server.addr().to_string()]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"x\n").unwrap();
    let (_, from) = server.recv();
    // A test that starts a program at that moment lends it the other end of the pipe until it
    // runs, so that what is written is taken: it ends with the first answer that is not.
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE, "it does not end");
        server.send(b"y", from);
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(text(&output), (0, "", ""));
}

#[cfg(all(unix, not(udperf_portable)))]
#[test]
fn unix_datagrams_find_their_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("here").display().to_string();
    let (mut listener, at) = Talking::listen(&format!("--bind unix:{path}"));
    assert_eq!(at, format!("unix:{path}"));
    let mut client = Talking::start(&format!("unix:{path}"));
    client.write("你好\n".as_bytes());
    assert_eq!(listener.line(), "你好\n");
    listener.write(b"back\n");
    assert_eq!(client.line(), "back\n");
    let named = folder.path().join("named").display().to_string();
    let mut second = Talking::start(&format!("unix:{path} --bind unix:{named} --once"));
    second.write(b"once\n");
    assert_eq!(listener.line(), "once\n");
    listener.write(b"answer\n");
    assert_eq!(text(&second.end()).1, "answer\n");
    listener.signal("INT");
    assert_eq!(text(&listener.end()).0, 130);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "no file stays: {left:?}");
    let output = talk(&format!("unix:{path} --once"), b"x\n");
    assert_eq!(text(&output).0, 1);
    assert!(text(&output).2.contains("no such socket"), "{output:?}");
}
