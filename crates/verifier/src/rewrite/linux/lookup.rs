//! Lookups in maps as far as Linux writes them out.

use skep_abi::{MapFlags, MapType};
use skep_isa::{Insn, alu, jmp, size};

use super::Writer;
use crate::env::MapFacts;

/// Where the values of an array lie in Linux's structure, and the entries of other tables.
const ARRAY_VALUES: i32 = 312;
const XSK_ENTRIES: i32 = 304;
/// Bytes before the key of an entry of a hash table, and where it notes that it was used.
const ENTRY_HEAD: u32 = 48;
const ENTRY_USED: i16 = 35;

/// What is done with the address of an array's element.
enum Then {
    /// It is the value.
    Value,
    /// It holds the address of the value of all processors.
    PerCpu,
    /// It holds an inner map, or nothing.
    Inner,
}

impl Writer<'_, '_> {
    /// Writes a lookup out; `false` where it stays a call.
    pub(super) fn lookup(&mut self, map: &MapFacts, helper: i32) -> bool {
        let inner = MapFlags(map.flags).contains(MapFlags::INNER_MAP);
        match MapType::from_u32(map.map_type) {
            Some(MapType::Array) if !inner => self.array(map, map.value_size, Then::Value),
            Some(MapType::PercpuArray) if !inner => self.array(map, 8, Then::PerCpu),
            Some(MapType::ArrayOfMaps) => self.array(map, 8, Then::Inner),
            Some(MapType::Hash) => self.hash(map, helper, &[]),
            Some(MapType::HashOfMaps) => self.hash(map, helper, &[Insn::ldx(size::DW, 0, 0, 0)]),
            Some(MapType::PercpuHash) => {
                self.hash(map, helper, &[Insn::ldx(size::DW, 0, 0, 0), per_cpu(0)]);
            }
            Some(MapType::LruHash) => self.lru_hash(map, helper),
            Some(MapType::Xskmap) => self.xskmap(map),
            _ => return false,
        }
        true
    }

    fn array(&mut self, map: &MapFacts, value_size: u32, then: Then) {
        let rest: &[Insn] = match then {
            Then::Value => &[],
            Then::PerCpu => &[Insn::ldx(size::DW, 0, 0, 0), per_cpu(0)],
            Then::Inner => &[
                Insn::ldx(size::DW, 0, 0, 0),
                Insn::jmp_imm(jmp::JEQ, 0, 0, 1),
            ],
        };
        let mask = map.for_unprivileged;
        let beyond = 3 + u8::from(mask) as usize + rest.len();
        self.out.extend([
            Insn::alu64_imm(alu::ADD, 1, ARRAY_VALUES),
            Insn::ldx(size::W, 0, 2, 0),
            Insn::jmp_imm(jmp::JGE, 0, map.max_entries as i32, beyond as i16),
        ]);
        if mask {
            self.out
                .push(Insn::alu32_imm(alu::AND, 0, index_mask(map) as i32));
        }
        let element = value_size.next_multiple_of(8);
        self.out.push(match element.is_power_of_two() {
            true => Insn::alu64_imm(alu::LSH, 0, element.trailing_zeros() as i32),
            false => Insn::alu64_imm(alu::MUL, 0, element as i32),
        });
        self.out.push(Insn::alu64_reg(alu::ADD, 0, 1));
        self.out.extend(rest);
        self.out.extend([Insn::goto(1), Insn::mov64_imm(0, 0)]);
    }

    fn hash(&mut self, map: &MapFacts, helper: i32, rest: &[Insn]) {
        let value = ENTRY_HEAD + map.key_size.next_multiple_of(8);
        self.out.extend([
            Insn::call_helper(helper),
            Insn::jmp_imm(jmp::JEQ, 0, 0, 1 + rest.len() as i16),
            Insn::alu64_imm(alu::ADD, 0, value as i32),
        ]);
        self.out.extend(rest);
    }

    fn lru_hash(&mut self, map: &MapFacts, helper: i32) {
        let value = ENTRY_HEAD + map.key_size.next_multiple_of(8);
        self.out.extend([
            Insn::call_helper(helper),
            Insn::jmp_imm(jmp::JEQ, 0, 0, 4),
            Insn::ldx(size::B, 1, 0, ENTRY_USED),
            Insn::jmp_imm(jmp::JNE, 1, 0, 1),
            Insn::st(size::B, 0, ENTRY_USED, 1),
            Insn::alu64_imm(alu::ADD, 0, value as i32),
        ]);
    }

    fn xskmap(&mut self, map: &MapFacts) {
        self.out.extend([
            Insn::ldx(size::W, 0, 2, 0),
            Insn::jmp_imm(jmp::JGE, 0, map.max_entries as i32, 5),
            Insn::alu64_imm(alu::LSH, 0, 3),
            Insn::alu64_imm(alu::ADD, 1, XSK_ENTRIES),
            Insn::alu64_reg(alu::ADD, 0, 1),
            Insn::ldx(size::DW, 0, 0, 0),
            Insn::goto(1),
            Insn::mov64_imm(0, 0),
        ]);
    }
}

/// The bits that an index into a map for the unprivileged may have.
pub(super) fn index_mask(map: &MapFacts) -> u32 {
    map.max_entries
        .checked_next_power_of_two()
        .unwrap_or(0)
        .wrapping_sub(1)
}

/// `dst = this processor's address of dst`.
pub(super) fn per_cpu(dst: u8) -> Insn {
    Insn {
        off: -1,
        ..Insn::mov64_reg(dst, dst)
    }
}
