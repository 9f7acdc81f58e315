//! Lookups in maps as far as Linux writes them out.

use skep_abi::{MapFlags, MapType};
use skep_isa::{Insn, alu, jmp, size};

use super::{
    Writer, alu_imm, alu_reg, alu32_imm, call, goto, jump_imm, load, mov_imm, mov_reg, store_imm,
};
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
            Some(MapType::HashOfMaps) => self.hash(map, helper, &[load(size::DW, 0, 0, 0)]),
            Some(MapType::PercpuHash) => {
                self.hash(map, helper, &[load(size::DW, 0, 0, 0), per_cpu(0)]);
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
            Then::PerCpu => &[load(size::DW, 0, 0, 0), per_cpu(0)],
            Then::Inner => &[load(size::DW, 0, 0, 0), jump_imm(jmp::JEQ, 0, 0, 1)],
        };
        let mask = map.for_unprivileged;
        let beyond = 3 + u8::from(mask) as usize + rest.len();
        self.out.extend([
            alu_imm(alu::ADD, 1, ARRAY_VALUES),
            load(size::W, 0, 2, 0),
            jump_imm(jmp::JGE, 0, map.max_entries as i32, beyond as i16),
        ]);
        if mask {
            self.out
                .push(alu32_imm(alu::AND, 0, index_mask(map) as i32));
        }
        let element = value_size.next_multiple_of(8);
        self.out.push(match element.is_power_of_two() {
            true => alu_imm(alu::LSH, 0, element.trailing_zeros() as i32),
            false => alu_imm(alu::MUL, 0, element as i32),
        });
        self.out.push(alu_reg(alu::ADD, 0, 1));
        self.out.extend(rest);
        self.out.extend([goto(1), mov_imm(0, 0)]);
    }

    fn hash(&mut self, map: &MapFacts, helper: i32, rest: &[Insn]) {
        let value = ENTRY_HEAD + map.key_size.next_multiple_of(8);
        self.out.extend([
            call(helper),
            jump_imm(jmp::JEQ, 0, 0, 1 + rest.len() as i16),
            alu_imm(alu::ADD, 0, value as i32),
        ]);
        self.out.extend(rest);
    }

    fn lru_hash(&mut self, map: &MapFacts, helper: i32) {
        let value = ENTRY_HEAD + map.key_size.next_multiple_of(8);
        self.out.extend([
            call(helper),
            jump_imm(jmp::JEQ, 0, 0, 4),
            load(size::B, 1, 0, ENTRY_USED),
            jump_imm(jmp::JNE, 1, 0, 1),
            store_imm(size::B, 0, ENTRY_USED, 1),
            alu_imm(alu::ADD, 0, value as i32),
        ]);
    }

    fn xskmap(&mut self, map: &MapFacts) {
        self.out.extend([
            load(size::W, 0, 2, 0),
            jump_imm(jmp::JGE, 0, map.max_entries as i32, 5),
            alu_imm(alu::LSH, 0, 3),
            alu_imm(alu::ADD, 1, XSK_ENTRIES),
            alu_reg(alu::ADD, 0, 1),
            load(size::DW, 0, 0, 0),
            goto(1),
            mov_imm(0, 0),
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
        ..mov_reg(dst, dst)
    }
}
