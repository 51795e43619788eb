//! Options of EDNS in queries, read by another library, and cookies of replies.

use simple_dns::Packet;

use super::dns::{dns, names, raw, www};
use super::*;

fn with_options(add: impl FnOnce(&mut EdnsOptions)) -> Spec {
    dns(|dns| add(&mut dns.options))
}

/// The options of a query, as the other library reads them.
fn options_of(query: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let packet = Packet::parse(query).unwrap();
    let all = &packet.opt().unwrap().opt_codes;
    all.iter().map(|option| (option.code, option.data.to_vec())).collect()
}

#[test]
fn options_are_those_of_rfc_7871_and_7873() {
    let spec = with_options(|options| {
        options.add_subnet("10.1.2.255/22".parse().unwrap()).unwrap();
        options.add_cookie(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        options.add("3:").unwrap();
        options.add("65001:0a 0B").unwrap();
    });
    let query = compiled(&spec).written(0, 0);
    // OPT: root, type, 1232 bytes, no flags, 33 bytes: subnet of 7 (IPv4, 22 bits, scope 0), cookie
    // of 8, NSID, and two bytes of option 65001.
    let opt = b"\0\0\x29\x04\xD0\0\0\0\0\0\x21\
                \0\x08\0\x07\0\x01\x16\0\x0A\x01\0\
                \0\x0A\0\x08\x01\x02\x03\x04\x05\x06\x07\x08\
                \0\x03\0\0\
                \xFD\xE9\0\x02\x0A\x0B";
    assert!(query.ends_with(opt), "{query:02x?}");
    assert_eq!(
        spec.to_string(),
        "dns \"www.example.com\" A, EDNS 1232, subnet 10.1.2.255/22, a cookie, option 3:, option \
         65001:0a0b"
    );
    for (subnet, data) in [
        ("10.1.2.3", &b"\0\x01\x20\0\x0A\x01\x02\x03"[..]),
        ("0.0.0.0/0", b"\0\x01\0\0"),
        ("255.255.255.255/1", b"\0\x01\x01\0\x80"),
        ("10.1.0.0/16", b"\0\x01\x10\0\x0A\x01"),
        ("2001:db8:12:34ff::1/57", b"\0\x02\x39\0\x20\x01\x0D\xB8\0\x12\x34\x80"),
        ("::1", b"\0\x02\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"),
    ] {
        let spec = with_options(|options| options.add_subnet(subnet.parse().unwrap()).unwrap());
        let query = compiled(&spec).written(0, 0);
        let expected = [&[0, 8, 0, data.len() as u8], data].concat();
        assert!(query.ends_with(&expected), "{subnet}: {query:02x?}");
        assert_eq!(options_of(&query), [(8, data.to_vec())], "{subnet}");
    }
}

#[test]
fn subnets_of_a_file_are_in_turns_or_drawn() {
    let file = b"; of clients\n10.1.0.0/24\n 10.2.0.0/17 \r\n\n# of IPv6\n2001:db8::/24\n";
    let expected =
        [&b"\0\x01\x18\0\x0A\x01\0"[..], b"\0\x01\x11\0\x0A\x02\0", b"\0\x02\x18\0\x20\x01\x0D"];
    // With two names, each meets each subnet.
    let two = |options: EdnsOptions| {
        compiled(&dns(|dns| (dns.names, dns.options) = (names("a.example\nb.example\n"), options)))
    };
    let subnet = |of: &Compiled, n| options_of(&of.written(n, 0)).remove(0).1;
    let mut options = EdnsOptions::default();
    options.add("3:").unwrap();
    options.add_subnets(file, false).unwrap();
    let of = two(options);
    for n in 0..7 {
        let query = of.written(n, 0);
        let [(3, nsid), (8, data)] = &options_of(&query)[..] else { panic!("{query:02x?}") };
        assert!(nsid.is_empty());
        assert_eq!(data, expected[n as usize % 3]);
        assert_eq!(query[13], b"ab"[n as usize % 2]);
    }
    let mut options = EdnsOptions::default();
    options.add_subnets(file, true).unwrap();
    let of = two(options);
    let drawn: Vec<_> = (0..300).map(|n| subnet(&of, n)).collect();
    let times = expected.map(|one| drawn.iter().filter(|drawn| *drawn == one).count());
    assert!(
        times.iter().all(|times| *times > 60) && times.iter().sum::<usize>() == 300,
        "{times:?}"
    );
    assert!(drawn.windows(3).any(|three| three[0] == three[1]), "not in turns");
}

#[test]
fn lines_of_names_have_subnets_of_their_own() {
    let lines = "a.example A +ecs=10.1.0.0/16\nb.example A ignored\nc.example MX x +ecs=::/0\n\
                 d.example A +ecs=10.0.0.0/33\n";
    let spec = dns(|dns| {
        dns.names = names(lines);
        dns.options.add("3:").unwrap();
        dns.options.add_subnet("10.9.0.0/16".parse().unwrap()).unwrap();
    });
    let of = compiled(&spec);
    let subnet = |n| {
        let all = options_of(&of.written(n, 0));
        assert_eq!((all.len(), all.iter().filter(|(code, _)| *code == 3).count()), (2, 1));
        all.into_iter().find(|(code, _)| *code == 8).unwrap().1
    };
    let expected = [&b"\0\x01\x10\0\x0A\x01"[..], b"\0\x01\x10\0\x0A\x09", b"\0\x02\0\0"];
    assert_eq!([0, 1, 2].map(subnet), expected);
    let notes = of.input().notes.join("\n");
    assert!(notes.contains("line 4") && notes.contains("+ecs= is invalid"), "{notes}");
}

#[test]
fn a_reply_with_the_cookie_of_another_client_does_not_match() {
    let cookie = [1, 2, 3, 4, 5, 6, 7, 8];
    let of = compiled(&with_options(|options| options.add_cookie(&cookie).unwrap()));
    let query = of.written(0, 1);
    let question = &query[12..33];
    let reply = |flags, options: &[u8]| {
        let len = (options.len() as u16).to_be_bytes();
        let opt = [&[0, 0, 41, 4, 0xD0, 0, 0, 0, 0][..], &len, options].concat();
        raw(&query, flags, [1, 0, 0, 1], &[question, &opt])
    };
    let with = |client: [u8; 8], server: &[u8]| {
        [&[0, 3, 0, 0, 0, 10, 0, 8 + server.len() as u8][..], &client, server].concat()
    };
    let mut other = cookie;
    other[7] ^= 1;
    for (options, expected) in [
        (with(cookie, b""), true),
        (with(cookie, b"of the server 16"), true),
        (with(other, b""), false),
        (with(other, b"of the server 16"), false),
        (vec![0, 10, 0, 2, 1, 2], false),
        // A server without cookies.
        (vec![], true),
        (vec![0, 3, 0, 1, 9], true),
        // Truncated.
        (vec![0, 10, 0, 9, 1], true),
    ] {
        for flags in [[0x81, 0], [0x81, 3]] {
            assert_eq!(of.matches(0, 1, &reply(flags, &options)), expected, "{options:?}");
        }
    }
    assert!(of.matches(0, 1, &raw(&query, [0x81, 1], [0; 4], &[])), "an error without OPT");
    // Without a cookie in the request, none is compared.
    let plain = www();
    let query = plain.written(0, 1);
    let opt = [&[0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8][..], &other].concat();
    assert!(plain.matches(0, 1, &raw(&query, [0x81, 0], [1, 0, 0, 1], &[&query[12..33], &opt])));
}

#[test]
fn rejects_impossible_options() {
    let added = |add: fn(&mut EdnsOptions) -> Result<(), PayloadError>| {
        add(&mut EdnsOptions::default()).unwrap_err().to_string()
    };
    let twice = |options: &mut EdnsOptions| {
        options.add("8:0001")?;
        options.add_subnet("10.0.0.0/8".parse()?)
    };
    for (error, part) in [
        (added(|options| options.add("3")), "'3' is not an option of EDNS; use CODE:HEX"),
        (added(|options| options.add("65536:")), "'65536:' is not an option"),
        (added(|options| options.add("3:0")), "'3:0' is not an option"),
        (added(twice), "option 8 of EDNS is given twice (8 is --ecs"),
        (added(|options| options.add_cookie(&[0; 9])), "cannot have 9 bytes"),
        (added(|options| options.add_subnets(b" \n#\n", false)), "no client subnet"),
        (
            added(|options| options.add_subnets(b"10.0.0.0/8\n\n10.0.0.0/16\n", false)),
            "line 3: this client subnet has 2 bytes of address, and the first one has 1",
        ),
        (
            added(|options| options.add_subnets(b"10.0.0.0/8\nlab\n", false)),
            "line 2: 'lab' is not a client subnet",
        ),
        (added(|options| options.add(&format!("9:{}", "00".repeat(65_532)))), "too long"),
    ] {
        assert!(error.contains(part), "{error}");
    }
    for word in ["10.0.0.0/33", "::/129", "10.0.0", "10.0.0.0/", "10.0.0.0/-1", ""] {
        assert!(word.parse::<Subnet>().is_err(), "{word}");
    }
    let spec = dns(|dns| {
        dns.edns = None;
        dns.options.add("3:").unwrap();
    });
    assert_eq!(error(&spec), PayloadError::OptionsWithoutEdns);
}
