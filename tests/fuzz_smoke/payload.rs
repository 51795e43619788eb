//! What is done with bytes that claim to be replies, captures or templates: shared by these tests
//! and the fuzz targets in `fuzz/`.

use udperf::payload::{Dns, MatchRule, Matching, Preset, RequestSource, Requests, Role, Spec};

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
        let [dns, ntp, stun, memcached, coap, quic, ..] = &mut samples[..] else {
            panic!("a protocol is missing")
        };
        dns[2] |= 0x80;
        (ntp[0], ntp[1]) = (0x24, 1);
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
            let answers = matching.answers(requests, 1, sent, bytes, scratch);
            scratch.fill(0xFF);
            assert_eq!(matching.answers(requests, 1, sent, bytes, scratch), answers);
            let has_id = id.or_else(|| matching.short_id_of(bytes)).is_some();
            assert!(!answers || has_id && matching.expects_reply());
            let role = matching.role_of(bytes);
            assert!(!answers || !matches!(role, Role::Part { index: 1.., .. }));
            if answers && bits > 0 {
                assert!(!matching.answers(requests, 1, sent ^ 1, bytes, scratch));
            }
            is_reply |= answers && bits > 0;
        }
        is_reply
    }
}

/// Any bytes as a capture; whether it was one.
pub(crate) fn capture(bytes: &[u8]) -> bool {
    let source = RequestSource::Capture { bytes: bytes.to_vec(), port: None };
    let Ok((requests, _)) = Spec::of(source).compile(SEED) else { return false };
    let times = requests.recorded.as_ref().unwrap();
    assert!(times.len() == requests.variants() && times[0] == 0 && times.is_sorted());
    let mut slot = vec![0; requests.largest];
    for n in 0..times.len() as u64 {
        let len = requests.write(n, 0, 0, &mut slot);
        let payload = &slot[..len];
        assert!(payload.is_empty() || bytes.windows(len).any(|window| window == payload));
    }
    true
}

/// Any bytes as text, hex and lines with fields; how many of these they were.
pub(crate) fn template(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let sources = [
        RequestSource::Text(text.clone()),
        RequestSource::Hex(text),
        RequestSource::Lines(bytes.to_vec()),
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
