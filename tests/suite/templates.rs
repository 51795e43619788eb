//! Fields of requests, byte for byte, against an encoder in Python, and the templates of the
//! manual.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use udperf::payload::{MatchRule, RequestNumber, RequestSource, Spec};

use crate::common::skip;

/// Evaluates the expression of each line of JSON, and prints its bytes.
const ENCODER: &str = r"
import datetime, json, struct, sys, zlib

def be(size, value):
    return (value % (1 << 8 * size)).to_bytes(size, 'big')

def le(size, value):
    return be(size, value)[::-1]

def dec(size, value):
    return str(value)[-size:].rjust(size, '0').encode()

def plain(value):
    return str(value % 2**53).encode()

def inet(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def ntp(ns):
    seconds, rest = divmod(ns, 10**9)
    return (seconds + 2208988800) * 2**32 + rest * 2**32 // 10**9

def rfc3339(ns):
    time = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=ns // 1000)
    return time.isoformat(timespec='microseconds').encode() + b'Z'

for line in sys.stdin:
    case = json.loads(line)
    values = dict(case['values'], sent=bytes.fromhex(case['sent']))
    print(eval(case['expression'], {**globals(), **values}).hex())
";

/// What Python makes of these cases; `None` without Python.
fn encoded(cases: &[serde_json::Value]) -> Option<Vec<String>> {
    let mut command = Command::new("python3");
    command.args(["-c", ENCODER]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        skip::missing("python3");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let lines: String = cases.iter().map(|case| format!("{case}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares requests of each template with the expression of its bytes.
fn assert_bytes(cases: &[(Spec, &str)]) {
    let numbers = [
        (0_u64, 0_u64, 0_u64, 1_u64 << 62, 1_000_000_000_000_000_001_u64),
        (1, 3, 250, 0x1234_5678_9ABC_DEF0, 1_700_000_000_123_456_789),
        (70_000, 300, 65_540, u64::MAX, 1_900_000_000_999_999_999),
        (1 << 40, 1, 1 << 33, 0, 4_102_444_799_000_000_001),
    ];
    let (mut inputs, mut sents) = (Vec::new(), Vec::new());
    for (spec, expression) in cases {
        let spec = Spec { rule: MatchRule::None, ..spec.clone() };
        let (requests, _) = spec.compile(7).unwrap();
        for (turn, stream, place, id, now_ns) in numbers {
            let number = RequestNumber { turn, unique: turn + 9, stream, place };
            let mut slot = vec![0xAA; requests.largest];
            let len = requests.write(number, id, now_ns, &mut slot);
            let sent = hex(&slot[..len]);
            let values =
                json!({"n": turn, "stream": stream, "place": place, "id": id, "now": now_ns});
            inputs.push(json!({"expression": expression, "values": values, "sent": sent}));
            sents.push((format!("{spec} {values}"), sent));
        }
    }
    let Some(expected) = encoded(&inputs) else { return };
    assert_eq!(expected.len(), sents.len());
    for ((what, sent), expected) in sents.into_iter().zip(expected) {
        assert_eq!(sent, expected, "{what}");
    }
}

fn text(template: &str) -> Spec {
    Spec::of(RequestSource::Text(template.to_owned()))
}

fn hex_digits(template: &str) -> Spec {
    Spec::of(RequestSource::Hex(template.to_owned()))
}

#[test]
fn each_field_is_what_another_encoder_writes() {
    let cases = [
        ("{id:u16be}{id:u24be}{id:u48le}{id:u64le}", "be(2,id)+be(3,id)+le(6,id)+le(8,id)"),
        ("{counter:u24le}{counter:u48be}{counter:u32le}", "le(3,n)+be(6,n)+le(4,n)"),
        ("{counter:dec4}{counter}{counter:hex3}", "dec(4,n)+dec(10,n)+(b'%03x'%n)[-3:]"),
        ("{counter:u32be:start=7:step=160:stream}", "be(4,7+160*place)"),
        ("{counter:u16le:start=-2:step=-30}", "le(2,-2-30*n)"),
        ("{counter:dec:step=30}/{id:dec}", "plain(30*n)+b'/'+plain(id)"),
        ("{stream:u16be}{stream}{stream:dec}", "be(2,stream)+dec(10,stream)+plain(stream)"),
        ("{time:ns:u64be}{time:us:u48be}", "be(8,now)+be(6,now//1000)"),
        ("{time:ms:u64le}{time:s:u32be}", "le(8,now//10**6)+be(4,now//10**9)"),
        ("{time:nsec}{time:nsec:u32be}", "dec(9,now%10**9)+be(4,now%10**9)"),
        ("{time:ntp}{time:ntp:u48be}", "be(8,ntp(now))+be(6,ntp(now))"),
        ("{time:rfc3339} {time:s}", "rfc3339(now)+b' '+dec(10,now//10**9)"),
        ("{len:u16be}{counter:dec}", "be(2,2+len(plain(n)))+plain(n)"),
        ("{len:dec:of=a}{begin:a}x{counter:dec}{end:a}", "plain(1+len(plain(n)))+b'x'+plain(n)"),
        ("{crc32}{counter:dec}", "b'%08x'%zlib.crc32(bytes(8)+plain(n))+plain(n)"),
        ("ab{id:u32be}{crc32:u32be}", "b'ab'+be(4,id)+be(4,zlib.crc32(b'ab'+be(4,id)+bytes(4)))"),
        (
            "a{inet_checksum:u16be:of=p}{begin:p}b{counter:u24be}{id:u64be}{end:p}c",
            "b'a'+be(2,inet(b'b'+be(3,n)+be(8,id)))+b'b'+be(3,n)+be(8,id)+b'c'",
        ),
        (
            "{inet_checksum}{begin:a}{crc32:u32be:of=a}{id:u8}{counter:dec}",
            "(lambda tail: (lambda body: b'%04x'%inet(bytes(4)+body)+body)\
             (be(4,zlib.crc32(bytes(4)+tail))+tail))(be(1,id)+plain(n))",
        ),
    ];
    let cases = cases.map(|(template, expression)| (text(template), expression));
    assert_bytes(&cases);
    let in_hex = [
        ("{id}{counter}{stream}{time}", "be(4,id)+be(4,n)+be(4,stream)+be(8,now)"),
        ("{len}ff{crc32}", "be(2,7)+b'\\xff'+be(4,zlib.crc32(be(2,7)+b'\\xff'+bytes(4)))"),
        ("{inet_checksum}{counter:u8}", "be(2,inet(bytes(2)+be(1,n)))+be(1,n)"),
    ];
    assert_bytes(&in_hex.map(|(template, expression)| (hex_digits(template), expression)));
}

/// The template that docs/load.md sends to this port.
fn recipe(port: u16) -> Spec {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/load.md");
    let page = std::fs::read_to_string(page).unwrap().replace("\\\n", " ");
    let target = format!("127.0.0.1:{port}");
    let command = page.lines().find(|line| line.contains(&target)).unwrap();
    let words = shlex::split(command).unwrap();
    let template = words.last().unwrap();
    if words.contains(&"--hex".to_owned()) { hex_digits(template) } else { text(template) }
}

#[test]
fn templates_of_the_manual_are_well_formed() {
    let cases = [
        (5_004, "struct.pack('!BBHI',128,0,(1+place)%2**16,160*place%2**32)+sent[8:172]"),
        (
            2_055,
            "struct.pack('!HHIIIIBBH',5,1,now//10**6%2**32,now//10**9,now%10**9,place%2**32,0,\
             stream%256,0)+struct.pack('!4sIIHHIIII2sHBBBBHHBBH',sent[24:28],0x0a000001,0,1,2,3,\
             1536,now//10**6%2**32,now//10**6%2**32,sent[56:58],53,0,16,17,0,65000,65001,24,24,0)",
        ),
        (
            5_514,
            "b'<134>1 '+rfc3339(now)+(' host%d app %d ID47 - user '%(stream,1+n)).encode()\
             +sent[-18:-10]+b' logged in'",
        ),
        (
            9_001,
            "('{\"id\":%d,\"at\":%d,\"seq\":%d,\"value\":%d,\"tag\":\"%s\"}'%(id%2**53,now//10**6,\
             place,json.loads(sent)['value'],['a','bc'][n%2])).encode()",
        ),
        (
            9_002,
            "(lambda rest: b'\\x08\\0'+be(2,inet(b'\\x08\\0\\0\\0'+rest))+rest)\
             (be(2,id)+be(2,n)+sent[8:64])",
        ),
        (
            9_003,
            "(lambda body: b'\\xca\\xfe'+be(2,len(body))+body+le(4,zlib.crc32(body)))\
             (be(4,id)+be(6,n)+sent[14:17])",
        ),
    ];
    assert_bytes(&cases.map(|(port, expression)| (recipe(port), expression)));
    // One SSRC for each flow.
    let (requests, _) = recipe(5_004).compile(7).unwrap();
    let ssrc = |stream, place| {
        let mut slot = [0; 172];
        let number = RequestNumber { turn: place, unique: stream << 32 | place, stream, place };
        assert_eq!(requests.write(number, 0, 0, &mut slot), 172);
        slot[8..12].to_vec()
    };
    let all: BTreeSet<_> = (0..400).map(|n| ssrc(n % 4, n / 4)).collect();
    assert_eq!(all.len(), 4);
}
