//! What the programs of objects are run on: a few packets and contexts that reach most of
//! what such programs look at.

use skep_abi::ProgType;
use skep_abi::context::SkLookup;

use crate::case::Input;

/// Ethernet, IPv4 10.0.0.1 to 10.0.0.2, TCP 40000 to 80, SYN, with four bytes of payload.
const TCP4: &[u8] = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0\
    \x45\0\0\x2c\x12\x34\x40\0\x40\x06\x14\x92\x0a\0\0\x01\x0a\0\0\x02\
    \x9c\x40\0\x50\0\0\0\x01\0\0\0\0\x50\x02\xfa\xf0\x8a\x3b\0\0GET ";

/// Ethernet, IPv4 192.168.1.7 to 8.8.8.8, UDP 5353 to 53, a DNS question for `a.example`.
const DNS4: &[u8] = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0\
    \x45\0\0\x37\0\x01\0\0\x40\x11\xa8\x44\xc0\xa8\x01\x07\x08\x08\x08\x08\
    \x14\xe9\0\x35\0\x23\0\0\
    \xbe\xef\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

/// Ethernet, IPv6 fe80::1 to fe80::2, UDP 1000 to 2000, four bytes of payload.
const UDP6: &[u8] = b"\x33\x33\0\0\0\x01\x02\0\0\0\0\x01\x86\xdd\
    \x60\0\0\0\0\x0c\x11\x40\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\
    \xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\
    \x03\xe8\x07\xd0\0\x0c\0\0abcd";

/// Ethernet, VLAN 100, IPv4 10.0.0.1 to 10.0.0.9, ICMP echo request.
const VLAN_ICMP: &[u8] = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x81\0\0\x64\x08\0\
    \x45\0\0\x1c\0\x02\0\0\x40\x01\x66\xd4\x0a\0\0\x01\x0a\0\0\x09\
    \x08\0\xf7\xfd\0\x01\0\x01";

/// Ethernet, ARP: who has 10.0.0.2?
const ARP: &[u8] = b"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x08\x06\
    \0\x01\x08\0\x06\x04\0\x01\x02\0\0\0\0\x01\x0a\0\0\x01\0\0\0\0\0\0\x0a\0\0\x02";

/// An Ethernet header that promises IPv4 and ends one byte into it.
const SHORT4: &[u8] = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0\x45";

/// Words of a tracepoint's arguments.
const ARGUMENTS: u64 = 12;
/// Bytes of a syscall program's context.
const CONTEXT: usize = 64;

/// The inputs for programs of a type; none when such programs cannot be run.
pub fn inputs(prog_type: ProgType) -> Vec<Input> {
    let packet = |data: &[u8]| Input {
        data: data.to_vec(),
        ctx: Vec::new(),
    };
    let context = |ctx: Vec<u8>| Input {
        data: Vec::new(),
        ctx,
    };
    match prog_type {
        ProgType::Xdp
        | ProgType::SchedCls
        | ProgType::SchedAct
        | ProgType::SocketFilter
        | ProgType::CgroupSkb
        | ProgType::LwtIn
        | ProgType::LwtOut
        | ProgType::LwtXmit
        | ProgType::FlowDissector => {
            // The same flow twice, for programs that remember it.
            [TCP4, DNS4, UDP6, VLAN_ICMP, ARP, SHORT4, TCP4]
                .map(packet)
                .to_vec()
        }
        ProgType::SkLookup => [AF_INET, AF_INET6]
            .map(|family| context(lookup(family)))
            .to_vec(),
        ProgType::RawTracepoint => {
            vec![context((0..ARGUMENTS).flat_map(u64::to_ne_bytes).collect())]
        }
        ProgType::Syscall => {
            let counting = (0u8..).take(CONTEXT).collect();
            vec![context(vec![0; CONTEXT]), context(counting)]
        }
        _ => Vec::new(),
    }
}

const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// The context of a UDP packet to port 53, with a number of its own in each byte of an address.
fn lookup(family: u32) -> Vec<u8> {
    const ADDRESSES: core::ops::Range<u8> = 16..60;
    let numbered: Vec<u8> = (0..ADDRESSES.end)
        .map(|at| if ADDRESSES.contains(&at) { at } else { 0 })
        .collect();
    let mut ctx = SkLookup::prefix(&numbered);
    ctx.set_family(family).set_protocol(17).set_local_port(53);
    ctx.bytes().to_vec()
}
