//! What cannot be, and what it says.

use crate::rig::{talk, text};

#[test]
fn what_cannot_be_names_what_mends_it() {
    for (words, code, says) in [
        ("--bind nowhere", 2, "use ADDR, ADDR:PORT, [v6%DEV]:PORT, :PORT or unix:PATH"),
        ("--bind :1 -p 2", 2, "omit one of them"),
        ("--encoding utf-9", 2, "such as utf-8, gbk"),
        ("--encoding gbk --hex", 2, "cannot be used with"),
        ("-4 -6", 2, "cannot be used with"),
        ("--tcp --stream", 2, "cannot be used with"),
        ("--stream", 2, "--stream is for unix:PATH"),
        ("--stream unix:/a --bind unix:/b", 2, "omit --bind"),
        ("--tcp unix:/a", 2, "streams are --stream"),
        ("-p 7 unix:/a", 2, "--port is not supported with AF_UNIX"),
        ("unix:", 2, "has no name"),
        ("127.0.0.1 --bind unix:/a", 2, "is not supported with AF_UNIX"),
        ("127.0.0.1 -6", 2, "no address of that family"),
        ("[::1] --bind 127.0.0.1", 2, "no address of that family"),
        ("--bind 127.0.0.1 -6", 2, "not of the requested family"),
        ("127.0.0.1:0", 2, "use 1 to 65535"),
        ("192.0.2.1", 2, "--allow-public"),
        ("--tcp 192.0.2.1 --once", 2, "--allow-public"),
        ("--bind 192.0.2.1:0", 1, "not an address of this host"),
        ("--linger never", 2, "never"),
    ] {
        let output = talk(words, b"");
        let (got, out, error) = text(&output);
        assert_eq!((got, out), (code, ""), "{words}: {error}");
        assert!(error.contains(says), "{words}: {error}");
    }
}
