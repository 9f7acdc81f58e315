//! What is known of the stack, in slots of eight bytes.

use super::reg::{Kind, Reg};

/// What one byte of the stack holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum SlotType {
    /// Nothing was stored.
    #[default]
    Invalid,
    /// Part of a spilled register.
    Spill,
    /// Some data.
    Misc,
    /// Zero.
    Zero,
    /// Part of a dynptr.
    Dynptr,
    /// Part of an iterator.
    Iter,
    /// Part of saved interrupt flags.
    Irq,
}

impl SlotType {
    /// The letter that stands for the byte in a log.
    pub fn letter(self) -> char {
        match self {
            SlotType::Invalid => '?',
            SlotType::Spill => 'r',
            SlotType::Misc => 'm',
            SlotType::Zero => '0',
            SlotType::Dynptr => 'd',
            SlotType::Iter => 'i',
            SlotType::Irq => 'f',
        }
    }

    /// Whether the byte belongs to an object that is not plain data.
    pub fn is_special(self) -> bool {
        matches!(
            self,
            SlotType::Spill | SlotType::Dynptr | SlotType::Iter | SlotType::Irq
        )
    }
}

/// Eight bytes of stack. `types[7]` is for the byte at the slot's own address, `types[0]` for
/// the highest one: the order in which the log writes them.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// What each byte holds.
    pub types: [SlotType; 8],
    /// The register spilled here, when `types[7]` is [`SlotType::Spill`].
    pub spilled: Reg,
}

impl Default for Slot {
    fn default() -> Slot {
        Slot::EMPTY
    }
}

impl Slot {
    /// A slot nothing was stored to.
    pub const EMPTY: Slot = Slot {
        types: [SlotType::Invalid; 8],
        spilled: Reg::NOT_INIT,
    };

    /// Whether a register was spilled here (wholly, or its low part).
    #[inline]
    pub fn is_spill(&self) -> bool {
        self.types[7] == SlotType::Spill
    }

    /// Whether the spilled register fills the whole slot.
    #[inline]
    pub fn is_full_spill(&self) -> bool {
        self.types[0] == SlotType::Spill
    }

    /// Whether a whole or partial number was spilled here.
    #[inline]
    pub fn is_spilled_scalar(&self) -> bool {
        self.is_spill() && self.spilled.kind == Kind::Scalar
    }

    /// Whether a whole number was spilled here.
    #[inline]
    pub fn is_full_spilled_scalar(&self) -> bool {
        self.is_full_spill() && self.spilled.kind == Kind::Scalar
    }
}
