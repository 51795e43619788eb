//! At a terminal: commands, editing, history, and what arrives above the line.

use std::io::{Read, Write};
use std::net::TcpListener;

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::common::udperf;
use crate::rig::{PATIENCE, Plain};

fn at_terminal(words: &str, editing: bool) -> PtySession {
    let mut command = udperf();
    command.arg("talk").args(words.split_whitespace());
    command.env("TERM", if editing { "xterm" } else { "dumb" }).env("NO_COLOR", "1");
    spawn_command(command, Some(PATIENCE.as_millis() as u64)).unwrap()
}

fn say(session: &mut PtySession, line: &str) {
    session.send(line).unwrap();
    session.send("\r").unwrap();
    session.flush().unwrap();
}

fn code(session: &mut PtySession) -> i32 {
    session.exp_eof().unwrap();
    match session.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

/// The key with Ctrl held.
fn control(session: &mut PtySession, key: char) {
    session.send_control(key).unwrap();
    session.flush().unwrap();
}

/// Ends the input by Ctrl-D. Between two lines, the editor leaves the terminal as it was, and a
/// Ctrl-D that comes then is a NUL for the editor (n_tty of the kernel clears the marks of line ends
/// when ICANON changes). So it is sent at a prompt behind an answer, when the editor reads.
fn end_input(session: &mut PtySession, editing: bool) {
    if editing && cfg!(feature = "line-editing") {
        say(session, "/at-the-prompt");
        session.exp_string("unknown command /at-the-prompt").unwrap();
        session.exp_string("> ").unwrap();
    }
    control(session, 'd');
}

#[test]
fn lines_are_sent_and_answers_shown_with_their_sender() {
    for editing in [true, false] {
        let server = Plain::new();
        let mut session = at_terminal(&server.addr().to_string(), editing);
        say(&mut session, "hello");
        let (line, from) = server.recv();
        assert_eq!(line, b"hello");
        server.send(b"and you\r\nmore\r\n", from);
        let about = format!("Z  {}  15 B  and you", server.addr());
        session.exp_string(&about).unwrap();
        session.exp_string("  | more").unwrap();
        server.send(b"\x1b[2Jx", from);
        session.exp_string("5 B  hex 1b 5b 32 4a 78").unwrap();
        server.send("a\u{202E}b\u{2028}c\rd".as_bytes(), from);
        session.exp_string("a\\u{202e}b\\u{2028}c\\rd").unwrap();
        server.send(&[0; 40], from);
        session.exp_string("  | 0020  00 00 00 00 00 00 00 00").unwrap();
        say(&mut session, "//slash");
        assert_eq!(server.recv().0, b"/slash");
        end_input(&mut session, editing);
        assert_eq!(code(&mut session), 0);
    }
}

#[test]
fn commands_send_bytes_and_change_the_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes");
    std::fs::write(&path, b"\x01\n\x02").unwrap();
    for editing in [true, false] {
        let server = Plain::new();
        let mut session = at_terminal(&server.addr().to_string(), editing);
        say(&mut session, "/hex 0a0b ff");
        let (bytes, from) = server.recv();
        assert_eq!(bytes, [0x0A, 0x0B, 0xFF]);
        say(&mut session, &format!("/file {}", path.display()));
        assert_eq!(server.recv().0, b"\x01\n\x02");
        say(&mut session, "/encoding gbk");
        session.exp_string("text is GBK from now on").unwrap();
        say(&mut session, "你好");
        assert_eq!(server.recv().0, [0xC4, 0xE3, 0xBA, 0xC3]);
        server.send(&[b'=', 0xC4], from);
        session.exp_string("hex 3d c4").unwrap();
        for (line, says) in [
            ("/hex 0", "is half a byte"),
            ("/encoding x", "label of the Encoding Standard"),
            ("/file /no/such", "cannot read /no/such"),
            ("/nonsense", "unknown command /nonsense; see /help"),
            ("/help", "send the bytes of a file"),
            ("/to 7", "no peer has that name or number"),
            ("/to lab7:0", "use 1 to 65535"),
            ("\u{1F600}", "cannot be written in GBK"),
        ] {
            say(&mut session, line);
            session.exp_string(says).unwrap();
        }
        say(&mut session, "/quit");
        assert_eq!(code(&mut session), 0);
    }
}

#[test]
fn a_sender_is_chosen_by_number_or_address() {
    let mut session = at_terminal("--bind 127.0.0.1:0", true);
    session.exp_string("talk on 127.0.0.1:").unwrap();
    let port = session.exp_regex("[0-9]+").unwrap().1;
    let at = format!("127.0.0.1:{port}");
    say(&mut session, "too early");
    session.exp_string("no peer yet; use /to").unwrap();
    let (first, second, third) = (Plain::new(), Plain::new(), Plain::new());
    first.send(b"one", &at);
    session.exp_string(&format!("#1 {}  3 B  one", first.addr())).unwrap();
    second.send(b"two", &at);
    session.exp_string(&format!("#2 {}  3 B  two", second.addr())).unwrap();
    say(&mut session, "to the last");
    assert_eq!(second.recv().0, b"to the last");
    say(&mut session, "/to 1");
    session.exp_string("from now on").unwrap();
    say(&mut session, "/peers");
    session.exp_string(&format!("#1 {}  <- gets your lines", first.addr())).unwrap();
    session.exp_string(&format!("#2 {}", second.addr())).unwrap();
    second.send(b"two again", &at);
    session.exp_string("two again").unwrap();
    say(&mut session, "to the chosen one");
    assert_eq!(first.recv().0, b"to the chosen one");
    say(&mut session, &format!("/to {}", third.addr()));
    session.exp_string("from now on").unwrap();
    say(&mut session, "unasked");
    assert_eq!(third.recv().0, b"unasked");
    say(&mut session, "/to");
    session.exp_string("from now on").unwrap();
    say(&mut session, "to the last again");
    assert_eq!(second.recv().0, b"to the last again");
    control(&mut session, 'c');
    assert_eq!(code(&mut session), 130);
}

#[cfg(feature = "line-editing")]
#[test]
fn lines_are_edited_and_called_back() {
    let server = Plain::new();
    let mut session = at_terminal(&server.addr().to_string(), true);
    session.exp_string("> ").unwrap();
    say(&mut session, "hexlo\u{1b}[D\u{1b}[D\u{7f}l");
    assert_eq!(server.recv().0, b"hello");
    // The upward arrow.
    say(&mut session, "\u{1b}[A again");
    let (line, from) = server.recv();
    assert_eq!(line, b"hello again");
    // What arrives while a line is being typed does not end up in it.
    session.send("begun").unwrap();
    session.flush().unwrap();
    session.exp_string("begun").unwrap();
    server.send(b"meanwhile", from);
    session.exp_string("9 B  meanwhile").unwrap();
    session.exp_string("begun").unwrap();
    say(&mut session, " and ended");
    assert_eq!(server.recv().0, b"begun and ended");
    end_input(&mut session, true);
    assert_eq!(code(&mut session), 0);
}

#[test]
fn a_connection_that_ends_gives_the_terminal_back() {
    for editing in [true, false] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let words = format!("--tcp {}", server.local_addr().unwrap());
        // A shell tells the state of the terminal when the conversation has ended by itself.
        let mut command = std::process::Command::new("sh");
        let program = udperf();
        let program = program.get_program().to_string_lossy().into_owned();
        command.args(["-c", &format!("{program} talk {words}; echo rc $?; stty -a")]);
        command.env("TERM", if editing { "xterm" } else { "dumb" }).env("NO_COLOR", "1");
        let mut session = spawn_command(command, Some(PATIENCE.as_millis() as u64)).unwrap();
        let (mut stream, _) = server.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        session.exp_string("connected to").unwrap();
        say(&mut session, "hello");
        let mut line = [0; 6];
        stream.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"hello\n");
        stream.write_all(b"bye\n").unwrap();
        drop(stream);
        session.exp_string("bye").unwrap();
        session.exp_string("has closed").unwrap();
        session.exp_string("rc 0").unwrap();
        let state = session.exp_eof().unwrap();
        let has = |word: &str| state.split([' ', ';', '\r', '\n']).any(|found| found == word);
        assert!(has("icanon") && has("isig"), "{state}");
    }
}

#[test]
fn one_line_is_data_at_a_terminal_too() {
    let server = Plain::new();
    let mut session = at_terminal(&format!("{} --once", server.addr()), true);
    say(&mut session, "/quit");
    let (line, from) = server.recv();
    assert_eq!(line, b"/quit");
    server.send("an\rswer\u{202E}".as_bytes(), from);
    session.exp_string("B from").unwrap();
    session.exp_string("an\\rswer\\u{202e}").unwrap();
    assert_eq!(code(&mut session), 0);
}
