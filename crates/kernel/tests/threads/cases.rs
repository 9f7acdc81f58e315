//! Which maps there are, what their keys and values are, and what programs do with each.

use skep_abi::{MapType, ProgType};
use skep_kernel::{Role, Socket};

use crate::programs::*;

/// What stands in a key or a value.
#[derive(Clone, Copy)]
pub enum Word {
    /// Any number, in so many bytes.
    Number(u32),
    /// A prefix of an address.
    Prefix,
    /// A descriptor of such an object.
    Object(Role),
    /// A descriptor of a map or a program that suits.
    Reference,
    /// Nothing.
    None,
}

impl Word {
    pub fn size(self) -> u32 {
        match self {
            Word::Number(size) => size,
            Word::Prefix => 8,
            Word::Object(_) | Word::Reference => 4,
            Word::None => 0,
        }
    }
}

/// One type of map and how it is used.
pub struct Case {
    pub map_type: MapType,
    pub flags: u32,
    pub entries: u32,
    pub key: Word,
    pub value: Word,
    /// What programs do with it.
    pub program: Option<(ProgType, &'static [&'static str])>,
}

pub const fn case(
    map_type: MapType,
    key: Word,
    value: Word,
    program: Option<&'static [&'static str]>,
) -> Case {
    let program = match program {
        Some(text) => Some((ProgType::Xdp, text)),
        None => None,
    };
    Case {
        map_type,
        flags: 0,
        entries: 16,
        key,
        value,
        program,
    }
}

const fn socket(family: u16, state: u8) -> Word {
    Word::Object(Role::Socket(Socket {
        family,
        kind: 1,
        protocol: 6,
        state,
        in_reuseport_group: true,
    }))
}

pub fn cases() -> Vec<Case> {
    use MapType::*;
    use Word::{Number, Object, Reference};
    let index = Number(4);
    let none = Word::None;
    let storage = |map_type, role, program| Case {
        flags: 1,
        entries: 0,
        program,
        ..case(map_type, Object(role), Number(8), None)
    };
    let Word::Object(connected) = socket(2, 1) else {
        unreachable!("a socket is an object");
    };
    vec![
        case(Array, index, Number(16), Some(&[LOOKUP])),
        case(PercpuArray, index, Number(16), Some(&[LOOKUP])),
        case(Hash, Number(8), Number(8), Some(ELEMENTS)),
        Case {
            flags: 1,
            ..case(Hash, Number(8), Number(8), Some(ELEMENTS))
        },
        case(PercpuHash, Number(8), Number(8), Some(ELEMENTS)),
        case(LruHash, Number(8), Number(8), Some(ELEMENTS)),
        case(LruPercpuHash, Number(8), Number(8), Some(ELEMENTS)),
        Case {
            flags: 1,
            ..case(LpmTrie, Word::Prefix, Number(8), Some(ELEMENTS))
        },
        case(Queue, none, Number(8), Some(&[PUSH, PEEK, POP])),
        case(Stack, none, Number(8), Some(&[PUSH, PEEK, POP])),
        case(BloomFilter, none, Number(8), Some(&[PUSH, PEEK])),
        case(ArrayOfMaps, index, Reference, Some(&[INNER])),
        case(HashOfMaps, index, Reference, Some(&[INNER])),
        Case {
            entries: 4096,
            ..case(Ringbuf, none, none, Some(&[RECORDS]))
        },
        Case {
            entries: 4096,
            ..case(UserRingbuf, none, none, None)
        },
        case(Devmap, index, index, Some(&[REDIRECT])),
        case(DevmapHash, index, index, Some(&[REDIRECT])),
        case(Cpumap, index, index, Some(&[REDIRECT])),
        case(Xskmap, index, socket(44, 7), Some(&[REDIRECT])),
        case(Sockmap, index, socket(2, 1), None),
        case(Sockhash, index, socket(2, 1), None),
        case(ReuseportSockarray, index, socket(2, 7), None),
        case(ProgArray, index, Reference, Some(&[TAIL_CALL])),
        case(
            PerfEventArray,
            index,
            Object(Role::PerfEvent),
            Some(&[EVENTS]),
        ),
        Case {
            program: Some((ProgType::SchedCls, &[UNDER_CGROUP])),
            ..case(CgroupArray, index, Object(Role::Cgroup), None)
        },
        Case {
            program: Some((ProgType::RawTracepoint, &[STACKS])),
            ..case(StackTrace, index, Number(32), None)
        },
        storage(
            TaskStorage,
            Role::Task,
            Some((ProgType::Syscall, &[OF_TASKS])),
        ),
        storage(
            SkStorage,
            connected,
            Some((ProgType::SchedCls, &[OF_SOCKETS])),
        ),
        storage(CgrpStorage, Role::Cgroup, None),
        storage(InodeStorage, Role::File, None),
    ]
}
