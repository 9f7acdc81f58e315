//! Each record by itself: its extent, its name, and what its kind allows it to say.

use skep_abi::Errno;

use super::log::Log;
use super::member::Member;
use super::records::{Record, Records, is_possible_id};
use crate::kind::Kind;

/// Bytes that every record begins with.
const RECORD_LEN: usize = 12;
/// The `info` bits that mean something.
const INFO_MASK: u32 = 0x9f00_ffff;
/// The bits of an integer's word that mean something.
const INT_MASK: u32 = 0x0fff_ffff;
/// The most bits of an integer.
const INT_BITS_MAX: u32 = 128;

type Res = Result<(), Errno>;

/// Checks all records in order and returns them.
pub(super) fn check<'a>(mut records: Records<'a>, log: &mut Log) -> Result<Records<'a>, Errno> {
    let types = records.types;
    let mut at = 0;
    while at < types.len() {
        let id = records.count();
        let left = types.len() - at;
        if left < RECORD_LEN {
            log.say(format_args!(
                "[{id}] meta_left:{left} meta_needed:{RECORD_LEN}"
            ));
            return Err(Errno::EINVAL);
        }
        let info = crate::words::u32_at(types, at + 4).unwrap_or(0);
        if info & !INFO_MASK != 0 {
            log.say(format_args!("[{id}] Invalid btf_info:{info:x}"));
            return Err(Errno::EINVAL);
        }
        let number = (info >> 24) & 0x1f;
        let known = Kind::from_number(number).filter(|kind| *kind != Kind::Void);
        let (Some(_), Some(ty)) = (known, records.at(id, at)) else {
            log.say(format_args!("[{id}] Invalid kind:{number}"));
            return Err(Errno::EINVAL);
        };
        if !records.has_name(ty.name) {
            log.say(format_args!("[{id}] Invalid name_offset:{}", ty.name));
            return Err(Errno::EINVAL);
        }
        let need = 4 * ty.kind.extra_words(ty.vlen() as usize);
        if ty.extra.len() < need {
            let why = format!("meta_left:{} meta_needed:{need}", left - RECORD_LEN);
            log.basic(&records, &ty, &why);
            return Err(Errno::EINVAL);
        }
        // An id past the last possible one cannot be named, so nothing is said of it.
        if !is_possible_id(id) {
            return Err(Errno::E2BIG);
        }
        Check {
            records: &records,
            ty: &ty,
            log,
        }
        .kind()?;
        records.add(at);
        at += RECORD_LEN + need;
    }
    Ok(records)
}

struct Check<'r, 'a> {
    records: &'r Records<'a>,
    ty: &'r Record<'a>,
    log: &'r mut Log,
}

impl Check<'_, '_> {
    fn kind(&mut self) -> Res {
        match self.ty.kind {
            Kind::Int => self.int(),
            Kind::Array => self.array(),
            Kind::Struct | Kind::Union => self.composite(),
            Kind::Enum | Kind::Enum64 => self.enumeration(),
            Kind::Fwd => self.forward(),
            Kind::Func => self.function(),
            Kind::FuncProto => self.prototype(),
            Kind::Var => self.variable(),
            Kind::DataSec => self.section(),
            Kind::Float => self.float(),
            Kind::DeclTag => self.declaration_tag(),
            _ => self.reference(),
        }
    }

    /// Objects to the type if the fact holds.
    fn refuse_if(&mut self, wrong: bool, why: &str) -> Res {
        if wrong {
            self.log.ty(self.records, self.ty, why);
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn no_vlen(&mut self) -> Res {
        self.refuse_if(self.ty.vlen() != 0, "vlen != 0")
    }

    fn no_flag(&mut self) -> Res {
        self.refuse_if(self.ty.flag(), "Invalid btf_info kind_flag")
    }

    fn no_name(&mut self) -> Res {
        self.refuse_if(self.ty.name != 0, "Invalid name")
    }

    fn identifier(&mut self) -> Res {
        let wrong = self.ty.name == 0 || !self.records.is_identifier(self.ty.name);
        self.refuse_if(wrong, "Invalid name")
    }

    fn no_name_or_identifier(&mut self) -> Res {
        let wrong = self.ty.name != 0 && !self.records.is_identifier(self.ty.name);
        self.refuse_if(wrong, "Invalid name")
    }

    fn possible_id(&mut self) -> Res {
        self.refuse_if(!is_possible_id(self.ty.size_or_type), "Invalid type_id")
    }

    fn show(&mut self) {
        self.log.ty(self.records, self.ty, "");
    }

    fn int(&mut self) -> Res {
        self.no_vlen()?;
        self.no_flag()?;
        let data = self.ty.word(0);
        if data & !INT_MASK != 0 {
            let why = format!("Invalid int_data:{data:x}");
            self.log.basic(self.records, self.ty, &why);
            return Err(Errno::EINVAL);
        }
        let bits = self.ty.int_bits() + self.ty.int_offset();
        self.refuse_if(bits > INT_BITS_MAX, "nr_bits exceeds 128")?;
        self.refuse_if(
            bits.div_ceil(8) > self.ty.size_or_type,
            "nr_bits exceeds type_size",
        )?;
        // One encoding at most; others may come to mean something.
        if !matches!((data >> 24) & 0xf, 0 | 1 | 2 | 4) {
            self.log.ty(self.records, self.ty, "Unsupported encoding");
            return Err(Errno::ENOTSUPP);
        }
        self.show();
        Ok(())
    }

    fn reference(&mut self) -> Res {
        self.no_vlen()?;
        if self.ty.kind != Kind::TypeTag {
            self.no_flag()?;
        }
        self.possible_id()?;
        match self.ty.kind {
            Kind::Typedef => self.identifier()?,
            Kind::TypeTag => {
                self.refuse_if(self.records.name(self.ty.name).is_empty(), "Invalid name")?;
            }
            _ => self.no_name()?,
        }
        self.show();
        Ok(())
    }

    fn array(&mut self) -> Res {
        self.no_name()?;
        self.no_vlen()?;
        self.no_flag()?;
        self.refuse_if(self.ty.size_or_type != 0, "size != 0")?;
        let wrong = |id| id == 0 || !is_possible_id(id);
        self.refuse_if(wrong(self.ty.word(0)), "Invalid elem")?;
        self.refuse_if(wrong(self.ty.word(1)), "Invalid index")?;
        self.show();
        Ok(())
    }

    fn composite(&mut self) -> Res {
        self.no_name_or_identifier()?;
        self.show();
        let mut last = 0;
        for index in 0..self.ty.vlen() as usize {
            let member = Member::read(self.ty, index);
            if let Some(why) = self.member(&member, last) {
                self.log.member(self.records, &member, &why);
                return Err(Errno::EINVAL);
            }
            self.log.member(self.records, &member, "");
            last = member.bit_offset;
        }
        Ok(())
    }

    /// What is wrong with a member; `last` is where the one before it begins.
    fn member(&self, member: &Member, last: u32) -> Option<String> {
        let at = member.bit_offset;
        if !self.records.has_name(member.name) {
            return Some(format!("Invalid member name_offset:{}", member.name));
        }
        let why = if member.name != 0 && !self.records.is_identifier(member.name) {
            "Invalid name"
        } else if member.ty == 0 || !is_possible_id(member.ty) {
            "Invalid type_id"
        } else if self.ty.kind == Kind::Union && at != 0 || at < last {
            "Invalid member bits_offset"
        } else if at.div_ceil(8) > self.ty.size_or_type {
            "Member bits_offset exceeds its struct size"
        } else {
            return None;
        };
        Some(why.to_string())
    }

    fn enumeration(&mut self) -> Res {
        let size = self.ty.size_or_type;
        self.refuse_if(!matches!(size, 1 | 2 | 4 | 8), "Unexpected size")?;
        self.no_name_or_identifier()?;
        self.show();
        let wide = self.ty.kind == Kind::Enum64;
        let step = if wide { 3 } else { 2 };
        for index in 0..self.ty.vlen() as usize {
            let name = self.ty.word(step * index);
            if !self.records.has_name(name) {
                self.log.say(format_args!("\tInvalid name_offset:{name}"));
                return Err(Errno::EINVAL);
            }
            let wrong = name == 0 || !self.records.is_identifier(name);
            self.refuse_if(wrong, "Invalid name")?;
            let low = self.ty.word(step * index + 1);
            let high = if wide {
                self.ty.word(step * index + 2)
            } else {
                0
            };
            let value = u64::from(high) << 32 | u64::from(low);
            let name = self.records.name(name);
            match (wide, self.ty.flag()) {
                (_, false) => self.log.constant(name, format_args!("{value}")),
                (false, true) => self
                    .log
                    .constant(name, format_args!("{}", low.cast_signed())),
                (true, true) => self
                    .log
                    .constant(name, format_args!("{}", value.cast_signed())),
            }
        }
        Ok(())
    }

    fn forward(&mut self) -> Res {
        self.no_vlen()?;
        self.refuse_if(self.ty.size_or_type != 0, "type != 0")?;
        self.identifier()?;
        self.show();
        Ok(())
    }

    fn function(&mut self) -> Res {
        self.identifier()?;
        // Static or global: what is extern has no body here.
        self.refuse_if(self.ty.vlen() > 1, "Invalid func linkage")?;
        self.no_flag()?;
        self.show();
        Ok(())
    }

    fn prototype(&mut self) -> Res {
        self.no_name()?;
        self.no_flag()?;
        self.show();
        Ok(())
    }

    fn variable(&mut self) -> Res {
        self.no_vlen()?;
        self.no_flag()?;
        self.identifier()?;
        let ty = self.ty.size_or_type;
        self.refuse_if(ty == 0 || !is_possible_id(ty), "Invalid type_id")?;
        self.refuse_if(self.ty.word(0) > 1, "Linkage not supported")?;
        self.show();
        Ok(())
    }

    fn section(&mut self) -> Res {
        let size = self.ty.size_or_type;
        self.refuse_if(size == 0, "size == 0")?;
        self.no_flag()?;
        let wrong = self.ty.name == 0 || !self.records.is_section_name(self.ty.name);
        self.refuse_if(wrong, "Invalid name")?;
        self.show();
        let (mut end, mut sum) = (0u64, 0u64);
        for index in 0..self.ty.vlen() as usize {
            let variable = self.ty.variable(index);
            let [ty, offset, len] = variable;
            let stop = u64::from(offset) + u64::from(len);
            let why = if ty == 0 || !is_possible_id(ty) {
                "Invalid type_id"
            } else if u64::from(offset) < end || offset >= size {
                "Invalid offset"
            } else if len == 0 || len > size {
                "Invalid size"
            } else if stop > u64::from(size) {
                "Invalid offset+size"
            } else {
                ""
            };
            self.log.variable(variable, why);
            if !why.is_empty() {
                return Err(Errno::EINVAL);
            }
            end = stop;
            sum += u64::from(len);
        }
        self.refuse_if(sum > u64::from(size), "Invalid btf_info size")
    }

    fn float(&mut self) -> Res {
        self.no_vlen()?;
        self.no_flag()?;
        let size = self.ty.size_or_type;
        self.refuse_if(!matches!(size, 2 | 4 | 8 | 12 | 16), "Invalid type_size")?;
        self.show();
        Ok(())
    }

    fn declaration_tag(&mut self) -> Res {
        self.refuse_if(self.records.name(self.ty.name).is_empty(), "Invalid value")?;
        self.no_vlen()?;
        let component = self.ty.word(0).cast_signed();
        self.refuse_if(component < -1, "Invalid component_idx")?;
        self.show();
        Ok(())
    }
}
