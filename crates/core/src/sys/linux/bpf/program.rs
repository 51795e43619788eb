//! The receive program of the engine `xdp`, and the assembler for it.
//!
//! It redirects datagrams to the addresses and ports of the run to AF_XDP sockets, and passes all
//! others to the kernel. It knows Ethernet with at most one VLAN tag, then IPv4 without fragments
//! or IPv6 without extension headers, then UDP. Instructions are those of
//! `Documentation/bpf/standardization/instruction-set.rst`.

use std::os::fd::RawFd;

use super::code;

/// Offsets in `struct xdp_md` of `include/uapi/linux/bpf.h`: where the packet begins and ends, and
/// the number of its receive queue.
const DATA: i16 = 0;
const DATA_END: i16 = 4;
const QUEUE: i16 = 16;

/// `XDP_PASS` of `enum xdp_action` in the same header.
const PASS: i32 = 2;

/// Offsets in a value of the map of ports: see [`super::PortValue`].
const SHORTEST: i16 = 0;
const MASK: i16 = 2;
const LOWEST: i16 = 4;
const HIGHEST: i16 = 6;
const WORDS: i16 = 8;
const ADDRESS: i16 = 12;

/// How many words all IPv4-mapped addresses have in common (RFC 4291 section 2.5.5.2).
pub(super) const V4_PREFIX: u16 = 3;

/// Lengths of headers: Ethernet and a VLAN tag (IEEE 802.3, 802.1Q), IPv4 without options
/// (RFC 791), IPv6 (RFC 8200), UDP (RFC 768).
const ETHERNET_LEN: i32 = 14;
const VLAN_LEN: i32 = 4;
const V4_LEN: i32 = 20;
const V6_LEN: i32 = 40;
const UDP_LEN: i32 = 8;

/// EtherTypes, of `include/uapi/linux/if_ether.h`.
const VLAN: i32 = 0x8100; // ETH_P_8021Q
const SERVICE_VLAN: i32 = 0x88A8; // ETH_P_8021AD
const V4: i32 = 0x0800; // ETH_P_IP
const V6: i32 = 0x86DD; // ETH_P_IPV6

/// UDP's protocol number (IANA).
const UDP: i32 = 17;

/// Offset of the type from the end of an Ethernet header or VLAN tag.
const TYPE_BEFORE_END: i16 = -2;

/// Offsets in the IPv4 header (RFC 791): flags with the fragment offset, the protocol, and the
/// destination.
const V4_FRAGMENT: i16 = 6;
const V4_PROTOCOL: i16 = 9;
const V4_DESTINATION: i16 = 16;

/// The flag "more fragments" and all bits of the fragment offset.
const FRAGMENT_BITS: i32 = 0x3FFF;

/// Offsets in the IPv6 header (RFC 8200): the next header, and the destination.
const V6_NEXT: i16 = 6;
const V6_DESTINATION: i16 = 24;

/// The third word of an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2); the first two are 0.
const MAPPED: i32 = i32::from_ne_bytes([0, 0, 0xFF, 0xFF]);

/// Offsets in the UDP header (RFC 768), and of the payload.
const UDP_PORT: i16 = 2;
const UDP_DATAGRAM_LEN: i16 = 4;
const PAYLOAD: i16 = 8;

/// Bytes of the payload that the mask applies to.
const TAG_LEN: i32 = 2;

/// Offsets from the frame pointer: the key for the map of ports, and the destination as IPv6.
const KEY: i16 = -4;
const DESTINATION: i16 = -20;

/// A register. Calls change 0 to 5; 10 points to the end of the stack.
#[derive(Debug, Clone, Copy)]
enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R10 = 10,
}
use Register::*;

/// Widths of a load or store.
#[derive(Debug, Clone, Copy)]
enum Width {
    Byte = 0x10, // BPF_B
    Half = 0x08, // BPF_H
    Word = 0x00, // BPF_W
}

/// Functions of the kernel, by their number in `enum bpf_func_id`.
#[derive(Debug, Clone, Copy)]
enum Helper {
    MapLookup = 1,
    RedirectMap = 51,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Tag,
    Network,
    V6,
    Udp,
    Payload,
    Redirect,
    Pass,
}

#[derive(Debug, Clone, Copy)]
enum Condition {
    Equal = 0x10,     // BPF_JEQ
    NotEqual = 0x50,  // BPF_JNE
    AnyBitSet = 0x40, // BPF_JSET
    Below = 0xA0,     // BPF_JLT
    Above = 0x20,     // BPF_JGT
}

/// An arithmetic operation.
#[derive(Debug, Clone, Copy)]
enum Arithmetic {
    Add = 0x00,     // BPF_ADD
    And = 0x50,     // BPF_AND
    ShiftUp = 0x60, // BPF_LSH
    Move = 0xB0,    // BPF_MOV
}

/// The right side of a comparison.
#[derive(Debug, Clone, Copy)]
enum With {
    Number(i32),
    Register(Register),
}

/// One step of the program.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Calculates in 64 bits with a constant, or with a register.
    Change(Register, Arithmetic, With),
    /// Loads from the address in the second register plus an offset.
    Load(Width, Register, Register, i16),
    /// Stores the last register at the address in the first one plus an offset.
    Store(Width, Register, i16, Register),
    /// Converts 16 bits from network byte order.
    FromNetwork(Register),
    /// Loads the map of this file descriptor.
    Map(Register, RawFd),
    Call(Helper),
    /// Continues at the label if the condition, without sign, holds.
    If(Register, Condition, With, Label),
    Jump(Label),
    At(Label),
    Exit,
}
use Arithmetic::{Add, And, Move, ShiftUp};
use Condition::{Above, AnyBitSet, Below, Equal, NotEqual};
use Step::{At, Call, Change, Exit, FromNetwork, If, Jump, Load, Map, Store};
use Width::{Byte, Half, Word};
use With::{Number, Register as Value};

/// One instruction: `struct bpf_insn` of `include/uapi/linux/bpf.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoded {
    code: u8,
    registers: u8,
    offset: i16,
    operand: i32,
}

/// The program with these maps: what to do by port, and sockets by queue. `None` if a label is
/// missing or too far.
pub(super) fn program(ports: RawFd, sockets: RawFd) -> Option<Vec<Encoded>> {
    let (udp, by_address, redirect) = (udp(ports), by_address(), redirect(sockets));
    assemble(&[ETHERNET, IP, &udp, &by_address, BY_PAYLOAD, &redirect, &[Exit]].concat())
}

/// Afterwards: R3 is the end of the packet, R4 its network header, R5 its EtherType; R6 is the
/// context.
const ETHERNET: &[Step] = &[
    Change(R6, Move, Value(R1)),
    Load(Word, R4, R6, DATA),
    Load(Word, R3, R6, DATA_END),
    Change(R4, Add, Number(ETHERNET_LEN)),
    If(R4, Above, Value(R3), Label::Pass),
    Load(Half, R5, R4, TYPE_BEFORE_END),
    FromNetwork(R5),
    If(R5, Equal, Number(VLAN), Label::Tag),
    If(R5, NotEqual, Number(SERVICE_VLAN), Label::Network),
    At(Label::Tag),
    Change(R4, Add, Number(VLAN_LEN)),
    If(R4, Above, Value(R3), Label::Pass),
    Load(Half, R5, R4, TYPE_BEFORE_END),
    FromNetwork(R5),
    At(Label::Network),
];

/// Afterwards, R4 is the UDP header, and the stack has the destination.
const IP: &[Step] = &[
    If(R5, Equal, Number(V6), Label::V6),
    If(R5, NotEqual, Number(V4), Label::Pass),
    Change(R1, Move, Value(R4)),
    Change(R1, Add, Number(V4_LEN)),
    If(R1, Above, Value(R3), Label::Pass),
    Load(Half, R1, R4, V4_FRAGMENT),
    FromNetwork(R1),
    If(R1, AnyBitSet, Number(FRAGMENT_BITS), Label::Pass),
    Load(Byte, R1, R4, V4_PROTOCOL),
    If(R1, NotEqual, Number(UDP), Label::Pass),
    Load(Word, R1, R4, V4_DESTINATION),
    Store(Word, R10, DESTINATION + 12, R1),
    Change(R1, Move, Number(MAPPED)),
    Store(Word, R10, DESTINATION + 8, R1),
    Change(R1, Move, Number(0)),
    Store(Word, R10, DESTINATION + 4, R1),
    Store(Word, R10, DESTINATION, R1),
    // The low half of the first byte is the length of the header in words.
    Load(Byte, R1, R4, 0),
    Change(R1, And, Number(0x0F)),
    Change(R1, ShiftUp, Number(2)),
    If(R1, Below, Number(V4_LEN), Label::Pass),
    Change(R4, Add, Value(R1)),
    Jump(Label::Udp),
    At(Label::V6),
    Change(R1, Move, Value(R4)),
    Change(R1, Add, Number(V6_LEN)),
    If(R1, Above, Value(R3), Label::Pass),
    Load(Byte, R2, R4, V6_NEXT),
    If(R2, NotEqual, Number(UDP), Label::Pass),
    Load(Word, R2, R4, V6_DESTINATION),
    Store(Word, R10, DESTINATION, R2),
    Load(Word, R2, R4, V6_DESTINATION + 4),
    Store(Word, R10, DESTINATION + 4, R2),
    Load(Word, R2, R4, V6_DESTINATION + 8),
    Store(Word, R10, DESTINATION + 8, R2),
    Load(Word, R2, R4, V6_DESTINATION + 12),
    Store(Word, R10, DESTINATION + 12, R2),
    Change(R4, Move, Value(R1)),
];

/// Afterwards: R0 is the port's entry in the map, R7 the UDP header, R8 the end of the packet.
fn udp(ports: RawFd) -> [Step; 13] {
    [
        At(Label::Udp),
        Change(R7, Move, Value(R4)),
        Change(R8, Move, Value(R3)),
        Change(R4, Add, Number(UDP_LEN)),
        If(R4, Above, Value(R3), Label::Pass),
        Load(Half, R1, R7, UDP_PORT),
        FromNetwork(R1),
        Store(Word, R10, KEY, R1),
        Map(R1, ports),
        Change(R2, Move, Value(R10)),
        Change(R2, Add, Number(KEY as i32)),
        Call(Helper::MapLookup),
        // The verifier requires it; the map has every port.
        If(R0, Equal, Number(0), Label::Pass),
    ]
}

/// Passes datagrams to other addresses than that of the entry. Afterwards, R5 is its `highest`.
fn by_address() -> Vec<Step> {
    let word = |at: i16| {
        [
            Load(Word, R1, R10, DESTINATION + 4 * at),
            Load(Word, R2, R0, ADDRESS + 4 * at),
            If(R1, NotEqual, Value(R2), Label::Pass),
        ]
    };
    let begin = [
        Load(Half, R5, R0, HIGHEST),
        If(R5, Equal, Number(0), Label::Pass),
        Load(Half, R4, R0, WORDS),
        If(R4, Equal, Number(0), Label::Payload),
    ];
    let is_v4 = If(R4, Equal, Number(V4_PREFIX as i32), Label::Payload);
    let end = [At(Label::Payload)];
    [&begin[..], &word(0), &word(1), &word(2), &[is_v4], &word(3), &end].concat()
}

/// Decides by the length of the payload and its first two bytes.
const BY_PAYLOAD: &[Step] = &[
    Load(Half, R4, R0, SHORTEST),
    If(R4, Equal, Number(0), Label::Redirect),
    // The length in the header, since a frame may have padding behind a short datagram.
    Change(R4, Add, Number(UDP_LEN)),
    Load(Half, R1, R7, UDP_DATAGRAM_LEN),
    FromNetwork(R1),
    If(R1, Below, Value(R4), Label::Pass),
    Change(R4, Add, Value(R7)),
    If(R4, Above, Value(R8), Label::Pass),
    // The verifier follows only sums with constants.
    Change(R1, Move, Value(R7)),
    Change(R1, Add, Number(UDP_LEN + TAG_LEN)),
    If(R1, Above, Value(R8), Label::Pass),
    Load(Half, R1, R7, PAYLOAD),
    FromNetwork(R1),
    Load(Half, R2, R0, MASK),
    Change(R1, And, Value(R2)),
    Load(Half, R2, R0, LOWEST),
    If(R1, Below, Value(R2), Label::Pass),
    If(R1, Above, Value(R5), Label::Pass),
];

fn redirect(sockets: RawFd) -> [Step; 8] {
    [
        At(Label::Redirect),
        Load(Word, R2, R6, QUEUE),
        Map(R1, sockets),
        // What to do if this queue has no socket.
        Change(R3, Move, Number(PASS)),
        Call(Helper::RedirectMap),
        Exit,
        At(Label::Pass),
        Change(R0, Move, Number(PASS)),
    ]
}

/// The registers of an instruction: destination and source in four bits each.
const fn registers(destination: u8, source: u8) -> u8 {
    if cfg!(target_endian = "big") { destination << 4 | source } else { source << 4 | destination }
}

const fn encoded(code: u8, registers: u8, offset: i16, operand: i32) -> Encoded {
    Encoded { code, registers, offset, operand }
}

/// Instructions of a step: a label has none, the file descriptor of a map takes two.
const fn length(step: &Step) -> usize {
    match step {
        At(_) => 0,
        Map(..) => 2,
        _ => 1,
    }
}

fn assemble(steps: &[Step]) -> Option<Vec<Encoded>> {
    let starts = steps.iter().scan(0, |next, step| {
        *next += length(step);
        Some(*next - length(step))
    });
    let starts: Vec<usize> = starts.collect();
    let mut all = Vec::new();
    for (step, start) in steps.iter().zip(&starts) {
        let jump = |to: &Label| {
            let target = steps.iter().position(|step| matches!(step, At(label) if label == to))?;
            // Jumps count from the next instruction.
            i16::try_from(starts[target].checked_sub(start + 1)?).ok()
        };
        match *step {
            Change(to, operation, with) => {
                let (code, source, operand) = operand(code::ARITHMETIC | operation as u8, with);
                all.push(encoded(code, registers(to as u8, source), 0, operand));
            }
            Load(width, to, from, offset) => {
                let registers = registers(to as u8, from as u8);
                all.push(encoded(code::LOAD | width as u8, registers, offset, 0));
            }
            Store(width, to, offset, from) => {
                let registers = registers(to as u8, from as u8);
                all.push(encoded(code::STORE | width as u8, registers, offset, 0));
            }
            FromNetwork(of) => all.push(encoded(code::FROM_NETWORK, registers(of as u8, 0), 0, 16)),
            Map(to, fd) => {
                let registers = registers(to as u8, code::MAP);
                all.push(encoded(code::LOAD_WIDE, registers, 0, fd));
                all.push(encoded(0, 0, 0, 0));
            }
            Call(helper) => all.push(encoded(code::CALL, 0, 0, helper as i32)),
            If(left, condition, with, to) => {
                let (code, source, operand) = operand(code::JUMP | condition as u8, with);
                all.push(encoded(code, registers(left as u8, source), jump(&to)?, operand));
            }
            Jump(to) => all.push(encoded(code::JUMP, 0, jump(&to)?, 0)),
            At(_) => {}
            Exit => all.push(encoded(code::EXIT, 0, 0, 0)),
        }
    }
    Some(all)
}

/// The code, source register and constant for the right side of an operation.
const fn operand(code: u8, with: With) -> (u8, u8, i32) {
    match with {
        Number(number) => (code, 0, number),
        With::Register(register) => (code | code::WITH_REGISTER, register as u8, 0),
    }
}
