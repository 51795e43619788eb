//! Servers of SIP, RADIUS, SNMP and TFTP as people run them, and a test double of RakNet's pong.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::actions::Counts;
use crate::common::{number, together};
use crate::daemons::Daemon;
use crate::recorder::Recorder;
use crate::rig::{adds_up, counts, engines, load, only, run};

/// All are answered, with these errors.
#[track_caller]
fn all(report: &Value, count: u64, errors: &[(&str, u64)]) {
    let errors: BTreeMap<_, _> =
        errors.iter().map(|(name, times)| ((*name).to_owned(), *times)).collect();
    let expected =
        Counts { requests: count, replies: count, matched: count, errors, ..Counts::default() };
    assert_eq!(counts(only(report)), expected, "{}", only(report)["exchange"]);
}

/// None of 20 requests is answered.
#[track_caller]
fn none(at: SocketAddr, words: &str) {
    let report = adds_up(&run("load", &at.to_string(), words).expect(5), "load");
    assert_eq!((counts(only(&report)).replies, counts(only(&report)).timeouts), (0, 20));
}

/// A get of sysUpTime.0 from the community public; RFC 3416 and X.690 section 8.
const GET: &[u8] = b"\x30\x29\x02\x01\x01\x04\x06public\xA0\x1C\x02\x04\x40\0\0\x01\x02\x01\0\
                     \x02\x01\0\x30\x0E\x30\x0C\x06\x08\x2B\x06\x01\x02\x01\x01\x03\0\x05\0";

#[test]
fn snmpd_tells_its_uptime_and_what_it_lacks() {
    let _together = together();
    let make = |folder: &Path, port| {
        let at = folder.display();
        let conf = format!(
            "rocommunity public 127.0.0.1\nagentaddress udp:127.0.0.1:{port}\n\
             [snmp] persistentDir {at}\n"
        );
        (format!("-f -Lo -C -c {at}/conf"), vec![("conf", conf)])
    };
    let Some(snmpd) = Daemon::start("snmpd", make, GET) else { return };
    let get = |words: &str| load(snmpd.at, &format!("--preset snmp-get -n 200 {words}"));
    for engine in engines() {
        for words in ["-r 2k", "--outstanding 10 -P 4"] {
            all(&get(&format!("-e {engine} {words}")), 200, &[]);
        }
    }
    all(&get("-r 2k --oid 1.3.6.1.2.1.1.1.7"), 200, &[("noSuchInstance", 200)]);
    all(&get("-r 2k --oid .1.3.6.1.4.1.4294967295.128.0"), 200, &[("noSuchObject", 200)]);
    // Of a community that it does not serve, it says nothing.
    none(snmpd.at, "--preset snmp-get --community other -n 20 -r 1k --timeout 200ms");
}

/// The example of RFC 5997 section 6.1, with the secret xyzzy5461.
const STATUS: &[u8] = b"\x0c\xda\x00\x26\x8a\x54\xf4\x68\x6f\xb3\x94\xc5\x28\x66\xe3\x02\x18\x5d\x06\
                        \x23\x50\x12\x5a\x66\x5e\x2e\x1e\x84\x11\xf3\xe2\x43\x82\x20\x97\xc8\x4f\xa3";

#[test]
fn freeradius_tells_its_status_to_those_who_know_the_secret() {
    let _together = together();
    let make = |folder: &Path, port| {
        let at = folder.display();
        let one =
            "start_servers = 1\nmax_servers = 1\nmin_spare_servers = 1\nmax_spare_servers = 1";
        let conf = format!(
            "name = radiusd\nmax_requests = 100000\nlogdir = {at}\nrun_dir = {at}\npidfile = {at}/pid\n\
             security {{\nstatus_server = yes\n}}\n\
             client here {{\nipaddr = 127.0.0.1\nsecret = xyzzy5461\n}}\n\
             thread pool {{\n{one}\n}}\nmodules {{\nalways ok {{\nrcode = ok\n}}\n}}\n\
             server default {{\nlisten {{\ntype = status\nipaddr = 127.0.0.1\nport = {port}\n}}\n\
             authorize {{\nAutz-Type Status-Server {{\nok\n}}\n}}\n}}\n"
        );
        let dictionary = "$INCLUDE /usr/share/freeradius/dictionary\n".to_owned();
        let files = vec![("radiusd.conf", conf), ("dictionary", dictionary)];
        (format!("-f -l stdout -d {at}"), files)
    };
    let Some(radius) = Daemon::start("freeradius", make, STATUS) else { return };
    for engine in engines() {
        for words in ["-r 1k", "--outstanding 10 -P 4"] {
            let words =
                format!("--preset radius-status --secret xyzzy5461 -n 200 -e {engine} {words}");
            all(&load(radius.at, &words), 200, &[]);
        }
    }
    // It drops what another secret authenticates.
    none(radius.at, "--preset radius-status --secret other -n 20 -r 1k --timeout 200ms");
}

#[test]
fn tftpd_sends_the_first_block_from_another_port() {
    let _together = together();
    let make = |folder: &Path, port| {
        let at = folder.display();
        // The server serves what all may read.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder, open).unwrap();
        let files = vec![("small", "a".repeat(511)), ("large", "b".repeat(513))];
        (format!("-L -a 127.0.0.1:{port} -u root -s {at}"), files)
    };
    // A read request of a file that does not exist; RFC 1350 section 5.
    let Some(tftpd) = Daemon::start("in.tftpd", make, b"\0\x01none\0octet\0") else { return };
    for words in ["-n 100 -r 200", "-n 100 --outstanding 4 -P 2"] {
        for (path, first, error) in
            [("small", 100, None), ("large", 100, None), ("none", 0, Some(("file not found", 100)))]
        {
            let words = format!("--preset tftp-read --path {path} {words} --timeout 5s");
            let report = load(tftpd.at, &words);
            let cell = only(&report);
            all(&report, 100, error.as_slice());
            // The last block is acknowledged; a transfer that is not over is ended by an error.
            let second = &cell["exchange"]["steps"][1];
            assert_eq!((second["sent"].as_u64(), second["answered"].as_u64()), (Some(first), None));
            assert_eq!(report["scenario"]["connect"], false);
            let bytes = match path {
                "small" => 4 + 511,
                "large" => 4 + 512,
                _ => continue,
            };
            assert_eq!(number(cell, "rx.bytes"), 100 * bytes, "{words}");
        }
    }
}

/// A server of SIP: OPTIONS get this status line; headers are in another order than in requests.
fn sipp(status: &str) -> Option<Daemon> {
    let scenario = format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n\
         <scenario name=\"options\">\n<recv request=\"OPTIONS\"></recv>\n<send><![CDATA[\n\n\
         SIP/2.0 {status}\nContent-Length: 0\n[last_Call-ID:]\n[last_To:];tag=[call_number]\n\
         [last_CSeq:]\n[last_From:]\n[last_Via:]\n\n]]></send>\n</scenario>\n"
    );
    let make = |folder: &Path, port| {
        let words = format!("-sf {}/uas.xml -i 127.0.0.1 -p {port} -nostdin", folder.display());
        (words, vec![("uas.xml", scenario)])
    };
    let probe = "OPTIONS sip:a@b.invalid SIP/2.0\r\nVia: SIP/2.0/UDP b.invalid;rport;branch=z9hG4bK1\
                 \r\nMax-Forwards: 70\r\nFrom: <sip:a@b.invalid>;tag=1\r\nTo: <sip:a@b.invalid>\r\n\
                 Call-ID: probe\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    Daemon::start("sipp", make, probe.as_bytes())
}

#[test]
fn sipp_answers_options_and_its_codes_are_errors() {
    let _together = together();
    for (status, errors) in [("200 OK", None), ("404 Not Found", Some(("404", 100)))] {
        let Some(sipp) = sipp(status) else { return };
        for engine in engines() {
            for words in ["-r 500", "--outstanding 5 -P 2"] {
                let words = format!("--preset sip-options -n 100 -e {engine} {words}");
                all(&load(sipp.at, &words), 100, errors.as_slice());
            }
        }
    }
}

#[test]
fn raknet_pongs_return_the_time_of_their_ping() {
    let _together = together();
    // A double by https://minecraft.wiki/w/RakNet: kind, time, id of the server, magic bytes, text.
    const MAGIC: &[u8] = b"\0\xFF\xFF\0\xFE\xFE\xFE\xFE\xFD\xFD\xFD\xFD\x12\x34\x56\x78";
    let server = Recorder::start(|at, ping| {
        assert_eq!((ping.len(), ping[0], &ping[9..25]), (33, 1, MAGIC));
        let text = b"MCPE;udperf test double;";
        let pong =
            [&[0x1C], &ping[1..9], b"serverid", MAGIC, &[0, text.len() as u8], text].concat();
        let mut other = pong.clone();
        other[1] ^= 0x80;
        match at % 4 {
            0 => vec![pong],
            1 => vec![pong.clone(), pong],
            2 => vec![other, pong],
            _ => vec![],
        }
    });
    let report = load(server.at, "--preset bedrock-ping -n 100 -r 1k --timeout 500ms");
    server.end();
    let expected = Counts {
        requests: 100,
        replies: 125,
        matched: 75,
        duplicate: 25,
        unmatched: 25,
        timeouts: 25,
        ..Counts::default()
    };
    assert_eq!(counts(only(&report)), expected);
}

#[test]
fn provisional_responses_of_sip_are_no_answers() {
    let _together = together();
    let server = Recorder::start(|_, request| {
        let text = String::from_utf8(request.to_vec()).unwrap();
        assert!(text.starts_with("OPTIONS sip:bob@example.test SIP/2.0\r\n"), "{text}");
        let via = text.lines().find(|line| line.starts_with("Via: ")).unwrap();
        // Case of names and tokens does not matter; RFC 3261 section 7.3.1.
        let via = via.replace("branch=z9hG4bK", "Branch=Z9HG4BK");
        let reply = |status| format!("SIP/2.0 {status}\r\n{via}\r\nContent-Length: 0\r\n\r\n");
        [reply("100 Trying"), reply("503 Busy")].map(String::into_bytes).into()
    });
    let report = load(server.at, "--preset sip-options --uri sip:bob@example.test -n 50 -r 500");
    server.end();
    let expected = Counts {
        requests: 50,
        replies: 100,
        matched: 50,
        continued: 50,
        errors: [("503".to_owned(), 50)].into(),
        ..Counts::default()
    };
    assert_eq!(counts(only(&report)), expected);
}
