//! What is done with bytes that claim to be replies, captures or templates: shared by these tests
//! and the fuzz targets in `fuzz/`.

use std::sync::Arc;

use udperf::payload::{
    BytesAt, Dns, EdnsOptions, ErrorRule, MatchRule, Matching, Names, Preset, ReplyRule,
    RequestSource, Requests, Role, SecondRequest, Spec, Then, answer_ping, ping_server,
};

/// Seed of all requests.
const SEED: u64 = 7;

/// The longest datagram of IPv4 in bytes: its 65,535 less both headers.
const MAX_PAYLOAD: usize = 65_507;

/// Each protocol, and rules without one.
pub(crate) struct Replies {
    all: Vec<(Requests, Matching, Option<SecondRequest>)>,
    scratch: Vec<u8>,
}

impl Replies {
    pub(crate) fn new() -> Self {
        let presets = [
            Preset::Dns(with_cookie()),
            Preset::Ntp,
            Preset::Stun { fingerprint: true },
            Preset::Memcached { key: "key".to_owned() },
            Preset::Coap { path: "a/b".to_owned(), confirmable: true, blocks: 1 },
            Preset::QuicVn,
            Preset::A2s,
            Preset::Sip { uri: "sip:a.test".to_owned() },
            Preset::Radius { secret: "secret".to_owned() },
            Preset::Snmp { community: "public".to_owned(), oid: "1.3.6.1".to_owned() },
            Preset::Bedrock,
            Preset::Tftp { path: "file".to_owned() },
            Preset::Echo { size: 32 },
        ];
        let text =
            |text: &str, rule| Spec { rule, ..Spec::of(RequestSource::Text(text.to_owned())) };
        let rules = [
            text("{id:hex4} {time}", MatchRule::Echo),
            text("{id:dec5}{choice:a|bc}", MatchRule::IdAt(3)),
            text("ping", MatchRule::Echo),
            text("ping", MatchRule::Any),
            text("ping", MatchRule::None),
        ];
        let presets = presets.map(|preset| Spec::of(RequestSource::Preset(preset)));
        let compile = |spec: &Spec| {
            let (mut requests, mut matching) = spec.compile(SEED).unwrap();
            let second = spec.compile_second(SEED, &mut requests, &mut matching).unwrap();
            (requests, matching, second)
        };
        let all: Vec<_> = presets.iter().chain(&rules).map(compile).collect();
        let longest = all.iter().map(|(requests, ..)| requests.largest).max().unwrap();
        Self { all, scratch: vec![0; longest] }
    }

    /// Replies as servers send them to request 1 with id 0, and the requests, which are echoes.
    pub(crate) fn samples(&self) -> Vec<Vec<u8>> {
        let mut samples = Vec::new();
        for (requests, ..) in &self.all {
            let mut slot = vec![0; requests.largest];
            let len = requests.write(1, 0, 0, &mut slot);
            slot.truncate(len);
            samples.push(slot);
        }
        let [dns, ntp, stun, memcached, coap, quic, a2s, sip, radius, snmp, bedrock, tftp, ..] =
            &mut samples[..]
        else {
            panic!("a protocol is missing")
        };
        dns[2] |= 0x80;
        (ntp[0], ntp[1]) = (0x24, 1);
        a2s[4] = b'A';
        let via = sip.windows(5).position(|line| line == b"Via: ").unwrap();
        sip.splice(..via, *b"SIP/2.0 404 Not Found\r\n");
        radius[0] = 2;
        snmp[13] = 0xA2;
        bedrock[0] = 0x1C;
        bedrock.splice(9..9, *b"serverid");
        tftp[1] = 5;
        (stun[0], stun[1]) = (1, 1);
        memcached.truncate(8);
        memcached.extend(b"VALUE key 0 1\r\na\r\nEND\r\n");
        coap[0] = 0x68;
        coap[1] = 0x45;
        quic.truncate(23);
        quic[1..5].fill(0);
        let (dcid, scid) = (quic[6..14].to_vec(), quic[15..23].to_vec());
        quic[6..14].copy_from_slice(&scid);
        quic[15..23].copy_from_slice(&dcid);
        quic.extend([0, 0, 0, 1]);
        samples
    }

    /// Whether these bytes are a reply of any protocol.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> bool {
        let mut is_reply = false;
        let mut answered = bytes.to_vec();
        if answer_ping(&mut answered) {
            assert!(ping_server(bytes, &answered).is_some());
        }
        for (requests, matching, second) in &self.all {
            if let Some(second) = second {
                let is_written = write_twice(second, bytes, requests.largest);
                is_reply |= is_written && second.follows(bytes, 0);
                second.follows(bytes, 1);
                second.matching().answers(requests, 1, 0, 0, bytes, &mut self.scratch);
            }
            if let Some(code) = matching.code_of(bytes) {
                assert!(!matching.code_name(code).is_empty());
            }
            let id = matching.id_of(bytes);
            let bits = requests.id_bits;
            if let Some(id) = id {
                assert!(bits == 64 || id < 1 << bits, "{id} in {bits} bits");
            }
            let sent = id.or_else(|| matching.short_id_of(bytes)).unwrap_or_default();
            let scratch = &mut self.scratch[..];
            let answers = matching.answers(requests, 1, sent, 0, bytes, scratch);
            scratch.fill(0xFF);
            assert_eq!(matching.answers(requests, 1, sent, 0, bytes, scratch), answers);
            let has_id = id.or_else(|| matching.short_id_of(bytes)).is_some();
            assert!(!answers || has_id && matching.expects_reply(), "{matching:?}");
            let role = matching.role_of(bytes);
            assert!(!answers || !matches!(role, Role::Part { index: 1.., .. }));
            if answers && bits > 0 {
                assert!(!matching.answers(requests, 1, sent ^ 1, 0, bytes, scratch));
            }
            is_reply |= answers && bits > 0;
        }
        is_reply
    }
}

/// Any bytes as a capture, with and without what is inside tunnels; whether it was one.
pub(crate) fn capture(bytes: &[u8]) -> bool {
    let read = |inner, port| {
        let source = RequestSource::Capture { bytes: bytes.to_vec(), port, inner };
        Spec::of(source).compile(SEED)
    };
    let all =
        [(false, None), (true, None), (true, Some(53))].map(|(inner, port)| read(inner, port));
    all.into_iter().flatten().map(|(requests, _)| replay(bytes, &requests)).count() > 0
}

/// Checks the account of a capture, and its payloads against the bytes of the file.
fn replay(bytes: &[u8], requests: &Requests) {
    let input = requests.input.as_ref().unwrap();
    let left_out: u64 = input.left_out.values().sum();
    assert_eq!(input.records + input.reassembled, input.used + input.fragments + left_out);
    assert_eq!(input.used, requests.variants() as u64);
    assert!(input.fragments >= 2 * input.reassembled);
    let times = requests.recorded.as_ref().unwrap();
    assert!(times.len() == requests.variants() && times[0] == 0 && times.is_sorted());
    let mut slot = vec![0; requests.largest];
    for n in 0..times.len() as u64 {
        let len = requests.write(n, 0, 0, &mut slot);
        let payload = &slot[..len];
        let is_there = || bytes.windows(len).any(|window| window == payload);
        assert!(input.reassembled > 0 || payload.is_empty() || is_there());
    }
}

/// Any bytes as text, hex and lines with fields; how many of these they were.
pub(crate) fn template(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let sources = [
        RequestSource::Text(text.clone()),
        RequestSource::Hex(text),
        RequestSource::Lines(bytes.to_vec().into()),
    ];
    let mut count = 0;
    for source in sources {
        let spec = Spec { rule: MatchRule::Any, ..Spec::of(source) };
        let Ok((requests, _)) = spec.compile(SEED) else { continue };
        count += 1;
        let (mut slot, mut again) = (vec![0; requests.largest], vec![1; requests.largest]);
        for n in [0, 1, u64::MAX] {
            let len = requests.write(n, n, n, &mut slot);
            assert_eq!(requests.write(n, n, n, &mut again), len);
            assert_eq!(slot[..len], again[..len]);
            assert!(requests.same_len.is_none_or(|same| same == len));
        }
    }
    count
}

/// Bytes as a rule and, after the first newline, a reply; whether it was a rule. What a rule finds
/// is what the plainest search finds.
pub(crate) fn rule(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let [word, reply] = [(); 2].map(|()| parts.next().unwrap_or_default());
    let word = String::from_utf8_lossy(word);
    let ids = || Spec::of(RequestSource::Text("{id:hex2}".to_owned()));
    let mut is_rule = false;
    if let Ok(rule) = word.parse::<MatchRule>() {
        is_rule = true;
        assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
        if let Ok((_, matching)) = (Spec { rule: rule.clone(), ..ids() }).compile(SEED) {
            let id = matching.id_of(reply);
            assert!(id.is_none_or(|id| id < 1 << 8));
            let found = match &rule {
                MatchRule::After(text) => Some(after(reply, text.as_bytes())),
                MatchRule::AfterHex(bytes) => Some(after(reply, bytes)),
                _ => None,
            };
            assert!(found.is_none_or(|found| found == id), "{rule}: {found:?}, {id:?}");
        }
    }
    if let Ok(rule) = word.parse::<ErrorRule>() {
        is_rule = true;
        assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
        let spec = Spec { errors: vec![rule.clone()], ..ids() };
        let (_, matching) = spec.compile(SEED).unwrap();
        let code = matching.code_of(reply);
        assert_eq!(code, matching.clone().code_of(reply));
        assert!(code.is_none_or(|code| !matching.code_name(code).contains(char::is_control)));
        let has = |bytes: &[u8]| reply.windows(bytes.len()).any(|window| window == bytes);
        let fits = match &rule.rule {
            ReplyRule::Prefix(text) => Some(reply.starts_with(text.as_bytes())),
            ReplyRule::Text(text) => Some(has(text.as_bytes())),
            ReplyRule::Hex { at: None, bytes } => Some(has(bytes)),
            ReplyRule::Hex { at: Some(at), bytes } => {
                Some(reply.iter().skip(*at).take(bytes.len()).eq(bytes))
            }
            ReplyRule::Byte { at, value } => Some(reply.get(*at) == Some(value)),
            ReplyRule::Regex(_) => None,
        };
        assert!(fits.is_none_or(|fits| fits == code.is_some()), "{rule}");
    }
    is_rule
}

/// The first two hexadecimal digits behind these bytes.
fn after(reply: &[u8], bytes: &[u8]) -> Option<u64> {
    let behind = |at: usize| reply.get(at..)?.strip_prefix(bytes)?.get(..2);
    let digits = (0..reply.len()).filter_map(|at| std::str::from_utf8(behind(at)?).ok());
    let all = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    all.map(|digits| u64::from_str_radix(digits, 16).unwrap()).next()
}

/// Queries with a cookie.
fn with_cookie() -> Dns {
    let mut options = EdnsOptions::default();
    options.add_cookie(&[7; 8]).unwrap();
    Dns { options, ..Dns::of("www.example.com") }
}

/// Whether a second request can be written after this reply; twice the same.
fn write_twice(second: &SecondRequest, reply: &[u8], largest: usize) -> bool {
    let (mut slot, mut again) = (vec![0; largest], vec![1; largest]);
    let len = second.write((reply, 0), 1.into(), 2, 3, &mut slot);
    assert_eq!(second.write((reply, 0), 1.into(), 2, 3, &mut again), len);
    len.is_some_and(|len| {
        assert!(len <= second.largest());
        assert_eq!(slot[..len], again[..len]);
        true
    })
}

/// Any bytes as a file of names, with options that change its queries; of how many it was one. Each
/// query is one question, which its own reply answers.
pub(crate) fn names(bytes: &[u8]) -> usize {
    let lines = Arc::new(bytes.to_vec());
    let of =
        |strict| Dns { names: Names::Lines { bytes: Arc::clone(&lines), strict }, ..with_cookie() };
    let mut subnets = EdnsOptions::default();
    let has_subnets = subnets.add_subnets(bytes, false).is_ok();
    let plain = Dns { edns: None, options: EdnsOptions::default(), ..of(false) };
    let labelled = Dns { random_subdomain: Some(8), ..plain.clone() };
    let with_subnets = Dns { options: subnets, ..Dns::of("example.com") };
    let mut count = 0;
    let mut read = |dns: Dns| {
        let spec = Spec::of(RequestSource::Preset(Preset::Dns(dns)));
        let (requests, matching) = spec.compile(SEED).ok()?;
        count += 1;
        let (mut slot, mut scratch) = (vec![0; requests.largest], vec![0; requests.largest]);
        for n in (0..requests.variants() as u64).take(MOST_LINES) {
            let len = requests.write(n, 5, 0, &mut slot);
            let reply = &mut slot[..len];
            assert_eq!(question_end(reply).map(|end| end <= len), Some(true), "{n}");
            reply[2] |= 0x80;
            assert_eq!(matching.id_of(reply), Some(5));
            assert!(matching.answers(&requests, n, 5, 0, reply, &mut scratch), "{n}: {reply:?}");
        }
        Some(requests.input.as_ref().map_or(0, |input| {
            let left_out: u64 = input.left_out.values().sum();
            assert_eq!(
                (input.records, input.used),
                (input.used + left_out, requests.variants() as u64)
            );
            left_out
        }))
    };
    let left_out = read(plain);
    let strict = read(of(true));
    let lenient = read(of(false));
    assert_eq!(
        strict.is_some(),
        lenient == Some(0),
        "{lenient:?}, {}",
        String::from_utf8_lossy(bytes)
    );
    assert!(left_out != Some(0) || strict.is_some() || bytes.contains(&b'+'));
    read(labelled);
    assert!(!has_subnets || read(with_subnets).is_some());
    count
}

/// Lines of a file that are written. Arbitrary: a slow input finds no more.
const MOST_LINES: usize = 64;

/// Where the question of a query ends.
fn question_end(query: &[u8]) -> Option<usize> {
    assert_eq!(query.get(4..6)?, [0, 1]);
    let mut at = 12;
    loop {
        match query.get(at)? {
            0 => return Some(at + 5),
            len @ 1..=63 => at += 1 + usize::from(*len),
            _ => return None,
        }
    }
}

/// The presets with text of the user: the first byte chooses one, its lines are its text; whether
/// it has requests. Each fits a datagram, and its description a line.
pub(crate) fn preset(bytes: &[u8]) -> bool {
    let (kind, text) = bytes.split_first().unwrap_or((&0, &[]));
    let text = String::from_utf8_lossy(text).into_owned();
    let mut lines = text.split('\n').map(str::to_owned);
    let [first, second] = [(); 2].map(|()| lines.next().unwrap_or_default());
    let preset = match kind % 12 {
        0 => {
            let mut options = EdnsOptions::default();
            for line in lines {
                let subnet = line.parse().map(|subnet| options.add_subnet(subnet).ok());
                subnet.unwrap_or_else(|_| options.add(&line).ok());
            }
            Preset::Dns(Dns { rtype: second, options, ..Dns::of(&first) })
        }
        1 => Preset::Memcached { key: text },
        2 => Preset::Coap { path: text, confirmable: false, blocks: 2 },
        3 => Preset::Coap { path: text, confirmable: true, blocks: 1 },
        4 => Preset::Statsd(text),
        5 => Preset::Syslog(text),
        6 => Preset::Sip { uri: text },
        7 => Preset::Radius { secret: text },
        8 => Preset::Snmp { community: first, oid: second },
        9 => Preset::Tftp { path: text },
        10 => Preset::Echo { size: text.parse().unwrap_or(16) },
        _ => Preset::Ping { size: text.parse().unwrap_or(16) },
    };
    let spec = Spec::of(RequestSource::Preset(preset));
    let Ok((mut requests, mut matching)) = spec.compile(SEED) else { return false };
    spec.compile_second(SEED, &mut requests, &mut matching).unwrap();
    assert!(!spec.to_string().contains(char::is_control), "{spec}");
    let (mut slot, mut again) = (vec![0; requests.largest], vec![1; requests.largest]);
    for n in [0, 1, 77] {
        let len = requests.write(n, n, n, &mut slot);
        assert!(len <= MAX_PAYLOAD && requests.write(n, n, n, &mut again) == len);
        assert_eq!(slot[..len], again[..len]);
    }
    true
}

/// Bytes as a second request, a condition, and the reply to the first; whether these are valid.
pub(crate) fn second(bytes: &[u8]) -> bool {
    let (flags, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let [template, condition, reply] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let [template, condition] =
        [template, condition].map(|part| String::from_utf8_lossy(part).into_owned());
    let only_if = condition.parse::<BytesAt>();
    if let Ok(rule) = &only_if {
        assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
    }
    let rules =
        [MatchRule::Preset, MatchRule::IdAt(1), MatchRule::Any, MatchRule::After("a".to_owned())];
    let rule = rules[usize::from(flags / 2 % 4)].clone();
    let first = if rule == MatchRule::Any { "ping" } else { "{id:hex4}" };
    let then = Some(Then { template, is_hex: flags % 2 == 1, only_if: only_if.ok() });
    let spec = Spec { rule, then, ..Spec::of(RequestSource::Text(first.to_owned())) };
    let (mut requests, mut matching) = spec.compile(SEED).unwrap();
    let Ok(second) = spec.compile_second(SEED, &mut requests, &mut matching) else { return false };
    let second = second.unwrap();
    assert!(second.largest() <= requests.largest && requests.largest <= MAX_PAYLOAD);
    second.follows(reply, 0);
    write_twice(&second, reply, requests.largest);
    let mut scratch = vec![0; requests.largest];
    if let Some(id) = second.matching().id_of(reply) {
        assert!(id <= requests.id_mask());
        second.matching().answers(&requests, 1, id, 0, reply, &mut scratch);
    }
    true
}
