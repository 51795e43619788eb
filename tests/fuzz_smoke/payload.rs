//! What is done with bytes that claim to be replies, captures or templates: shared by these tests
//! and the fuzz targets in `fuzz/`.

use udperf::payload::{
    Dns, ErrorRule, MatchRule, Matching, Preset, ReplyRule, RequestSource, Requests, Role, Spec,
};

/// Seed of all requests.
const SEED: u64 = 7;

/// Each protocol, and rules without one.
pub(crate) struct Replies {
    all: Vec<(Requests, Matching)>,
    scratch: Vec<u8>,
}

impl Replies {
    pub(crate) fn new() -> Self {
        let presets = [
            Preset::Dns(Dns::of("www.example.com")),
            Preset::Ntp,
            Preset::Stun { fingerprint: true },
            Preset::Memcached { key: "key".to_owned() },
            Preset::Coap { path: "a/b".to_owned(), confirmable: true },
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
        let all: Vec<_> =
            presets.iter().chain(&rules).map(|spec| spec.compile(SEED).unwrap()).collect();
        let longest = all.iter().map(|(requests, _)| requests.largest).max().unwrap();
        Self { all, scratch: vec![0; longest] }
    }

    /// Replies as servers send them to request 1 with id 0, and the requests, which are echoes.
    pub(crate) fn samples(&self) -> Vec<Vec<u8>> {
        let mut samples = Vec::new();
        for (requests, _) in &self.all {
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
        for (requests, matching) in &self.all {
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
            assert!(!answers || has_id && matching.expects_reply());
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
