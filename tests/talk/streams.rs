//! Streams, over TCP and AF_UNIX.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use crate::rig::{PATIENCE, Talking, nobody, talk, text};

fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read(stream: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn two_of_them_exchange_a_line_each_way_over_tcp() {
    let (listener, at) = Talking::listen("--tcp --bind 127.0.0.1:0 --once");
    let reader = std::thread::spawn(move || listener.finish(b"answer\nnever sent\n"));
    let asker = talk(&format!("--tcp {at} --once"), b"question\nnever sent\n");
    let listener = reader.join().unwrap();
    assert_eq!((text(&asker).0, text(&asker).1), (0, "answer\n"), "{asker:?}");
    assert_eq!((text(&listener).0, text(&listener).1), (0, "question\n"), "{listener:?}");
}

#[test]
fn a_client_sends_lines_with_their_newlines_and_tells_its_end() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let words = format!("--tcp {} -q", server.local_addr().unwrap());
    let mut client = Talking::start(&words);
    client.write("hello\n/quit\nno newline 你".as_bytes());
    drop(client.stdin.take());
    let mut stream = accept(&server);
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "hello\n/quit\nno newline 你");
    // In pieces that cut a character, and without a newline at the end.
    let answer = "先 answer\nthen a prompt> ".as_bytes();
    stream.write_all(&answer[..2]).unwrap();
    stream.write_all(&answer[2..]).unwrap();
    drop(stream);
    let output = client.end();
    assert_eq!(text(&output), (0, "先 answer\nthen a prompt> ", ""));
}

#[test]
fn encodings_hold_over_streams() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let words = format!("--tcp {} -q --encoding gbk", server.local_addr().unwrap());
    let mut client = Talking::start(&words);
    client.write("你好\n".as_bytes());
    let mut stream = accept(&server);
    assert_eq!(read(&mut stream, 5), [0xC4, 0xE3, 0xBA, 0xC3, b'\n']);
    stream.write_all(&[0xC4, 0xE3, b'\n']).unwrap();
    assert_eq!(client.line(), "你\n");
    // Hex has no newline but its own.
    let words = format!("--tcp {} -q --hex", server.local_addr().unwrap());
    let mut client = Talking::start(&words);
    client.write(b"00 ff\n");
    drop(client.stdin.take());
    let mut stream = accept(&server);
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert_eq!(got, [0, 0xFF]);
    stream.write_all(&[0, 0x0A]).unwrap();
    drop(stream);
    assert_eq!(text(&client.end()), (0, "00 0a\n", ""));
}

#[test]
fn much_is_carried_whole_both_ways() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("much");
    let much: Vec<u8> = (0_u32..700_000).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &much).unwrap();
    let addr = server.local_addr().unwrap();
    for words in [format!("--file {}", path.display()), String::new()] {
        let client = Talking::start(&format!("--tcp {addr} -q --raw {words}"));
        let mut stream = accept(&server);
        let much_too = much.clone();
        let echo = std::thread::spawn(move || {
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            assert!(got == much_too, "{} of {} bytes", got.len(), much_too.len());
            stream.write_all(&got).unwrap();
        });
        let output = if words.is_empty() { client.finish(&much) } else { client.end() };
        echo.join().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout == much, "{} of {} bytes", output.stdout.len(), much.len());
    }
}

#[test]
fn a_listener_serves_several_and_answers_who_spoke_last() {
    let (mut listener, at) = Talking::listen("--tcp --bind 127.0.0.1:0");
    let connect = || {
        let stream = TcpStream::connect(&at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let (mut first, mut second) = (connect(), connect());
    for (name, stream) in [("first", &mut first), ("second", &mut second)] {
        stream.write_all(format!("{name}\n").as_bytes()).unwrap();
        assert_eq!(listener.line(), format!("{name}\n"));
        listener.write(format!("for the {name}\n").as_bytes());
        let answer = format!("for the {name}\n");
        assert_eq!(read(stream, answer.len()), answer.as_bytes());
    }
    drop(second);
    let left = loop {
        let notice = listener.notice();
        if notice.contains("has closed") {
            break notice;
        }
    };
    assert!(left.contains("#2 127.0.0.1:"), "{left}");
    listener.write(b"who is left\n");
    assert_eq!(read(&mut first, 12), b"who is left\n");
}

#[test]
fn who_has_said_all_can_still_be_answered() {
    let (mut listener, at) = Talking::listen("--tcp --bind 127.0.0.1:0 --linger 20s");
    let mut stream = TcpStream::connect(&at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"all I say\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(listener.line(), "all I say\n");
    while !listener.notice().contains("has closed") {}
    listener.write(b"answer\n");
    assert_eq!(read(&mut stream, 7), b"answer\n");
    // And after a while, it is let go.
    let (mut listener, at) = Talking::listen("--tcp --bind 127.0.0.1:0 --linger 10ms");
    let mut stream = TcpStream::connect(&at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    while !listener.notice().contains("has closed") {}
}

#[test]
fn who_ends_with_the_question_gets_the_answer() {
    let (mut listener, at) = Talking::listen("--tcp --bind 127.0.0.1:0 --once");
    let mut asker = TcpStream::connect(at).unwrap();
    asker.set_read_timeout(Some(PATIENCE)).unwrap();
    // Without a newline, so that the end of the line is that of the stream.
    asker.write_all(b"question").unwrap();
    asker.shutdown(Shutdown::Write).unwrap();
    assert_eq!(listener.line(), "question\n");
    let output = listener.finish(b"answer\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut got = String::new();
    asker.read_to_string(&mut got).unwrap();
    assert_eq!(got, "answer\n");
}

#[cfg(target_os = "linux")]
#[test]
fn who_says_no_more_gets_all_that_was_under_way() {
    // More than the buffers of a Unix stream hold, in one line.
    const LINE: usize = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let words = format!("--stream --bind unix:{} --linger 0s --encoding utf-8", path.display());
    let (mut listener, _) = Talking::listen(&words);
    let mut reader = std::os::unix::net::UnixStream::connect(&path).unwrap();
    reader.set_read_timeout(Some(PATIENCE)).unwrap();
    listener.write(&[vec![b'x'; LINE - 1], vec![b'\n']].concat());
    assert_eq!(read(&mut reader, 1), b"x");
    reader.shutdown(Shutdown::Write).unwrap();
    while !listener.notice().ends_with("has closed") {}
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), LINE - 1);
    listener.signal("INT");
    listener.finish(b"");
}

#[test]
fn failures_of_connections_are_errors() {
    for once in ["", "--once"] {
        let output = talk(&format!("--tcp {} {once}", nobody()), b"x\n");
        assert_eq!(text(&output).0, 1, "{output:?}");
        assert!(text(&output).2.contains("connection refused"), "{output:?}");
    }
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Talking::start(&format!("--tcp {} --once", server.local_addr().unwrap()));
    let closer = std::thread::spawn(move || {
        let mut stream = accept(&server);
        assert_eq!(read(&mut stream, 2), b"x\n");
    });
    let output = client.finish(b"x\n");
    closer.join().unwrap();
    assert_eq!(text(&output).0, 1, "{output:?}");
    assert!(text(&output).2.contains("closed without a reply"), "{output:?}");
}

#[test]
fn one_answer_is_one_line() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    for (sent, shown) in [("one\ntwo\n", "one\n"), ("no newline", "no newline\n")] {
        let words = format!("--tcp -q {} --once --linger 200ms", server.local_addr().unwrap());
        let mut client = Talking::start(&words);
        client.write(b"x\n");
        let mut stream = accept(&server);
        assert_eq!(read(&mut stream, 2), b"x\n");
        stream.write_all(sent.as_bytes()).unwrap();
        assert_eq!(text(&client.end()), (0, shown, ""));
    }
}

#[test]
fn an_answer_is_waited_for_until_its_line_ends() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = server.local_addr().unwrap();
    // A listener shows the beginning when it has waited for the rest, by which time an answer that
    // is cut would have been shown.
    let (mut witness, at) = Talking::listen("--tcp --bind 127.0.0.1:0");
    let mut asker = Talking::start(&format!("--tcp -q {addr} --once --linger 20s"));
    asker.write(b"x\n");
    let mut stream = accept(&server);
    assert_eq!(read(&mut stream, 2), b"x\n");
    stream.write_all(b"the first half").unwrap();
    TcpStream::connect(at).unwrap().write_all(b"half").unwrap();
    let mut shown = [0; 4];
    witness.stdout.read_exact(&mut shown).unwrap();
    stream.write_all(b", the second\n").unwrap();
    assert_eq!(text(&asker.end()), (0, "the first half, the second\n", ""));
}

#[test]
fn long_lines_are_text_and_a_bad_line_is_alone() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    // The cuts after 64 KiB fall into characters.
    let long = format!("a{}\n", "你".repeat(100_000));
    for (sent, shown) in [
        (long.as_bytes(), long.as_str()),
        (b"one\n\xFF\xFE\ntwo\n", "one\nff fe 0a\ntwo\n"),
        ("cut 你".as_bytes().split_last().unwrap().1, "cut e4 bd\n"),
    ] {
        let client = Talking::start(&format!("--tcp -q {}", server.local_addr().unwrap()));
        let mut stream = accept(&server);
        stream.write_all(sent).unwrap();
        drop(stream);
        assert_eq!(text(&client.finish(b"")), (0, shown, ""));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_it_also_where_nobody_reads() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Talking::start(&format!("--tcp -q {}", server.local_addr().unwrap()));
    let mut stream = accept(&server);
    stream.set_write_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let line = [&[b'x'; 9_999][..], b"\n"].concat();
    // Until it takes no more.
    while stream.write_all(&line).is_ok() {}
    client.signal("INT");
    assert_eq!(client.ends_unread(), Some(130));
}

#[test]
fn who_only_says_no_more_is_told_all_the_same() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Talking::start(&format!("--tcp {}", server.local_addr().unwrap()));
    let mut stream = accept(&server);
    stream.write_all(b"bye\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.line(), "bye\n");
    let much = vec![b'x'; 3_000_000];
    let expected = much.len();
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        got.len()
    });
    let output = client.finish(&much);
    assert_eq!(reader.join().unwrap(), expected);
    assert_eq!(text(&output).0, 0, "{output:?}");
}

#[test]
fn who_goes_before_all_was_sent_is_an_error() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Talking::start(&format!("--tcp {}", server.local_addr().unwrap()));
    drop(accept(&server));
    // More than all buffers between hold.
    let output = client.finish(&vec![b'x'; 30_000_000]);
    assert_eq!(text(&output).0, 1, "{output:?}");
    assert!(text(&output).2.contains(" broke: "), "{output:?}");
}

#[cfg(all(unix, not(udperf_portable)))]
#[test]
fn unix_streams_go_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("here").display().to_string();
    let (mut listener, at) = Talking::listen(&format!("--stream --bind unix:{path}"));
    assert_eq!(at, format!("unix:{path}"));
    let mut client = Talking::start(&format!("--stream unix:{path}"));
    client.write("你好\n".as_bytes());
    assert_eq!(listener.line(), "你好\n");
    listener.write(b"back\n");
    assert_eq!(client.line(), "back\n");
    let asker = Talking::start(&format!("--stream unix:{path} --once"));
    let reader = std::thread::spawn(move || asker.finish(b"once\n"));
    assert_eq!(listener.line(), "once\n");
    listener.write(b"answer\n");
    assert_eq!(text(&reader.join().unwrap()).1, "answer\n");
    listener.signal("TERM");
    assert_eq!(text(&listener.end()).0, 130);
    assert_eq!(text(&client.finish(b"")).0, 0);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "no file stays: {left:?}");
    let output = talk(&format!("unix:{path} --stream"), b"");
    assert_eq!(text(&output).0, 1);
    assert!(text(&output).2.contains("start the server"), "{output:?}");
}
