//! What the generator believes of registers and stack while it writes.

/// What a register or a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Kind {
    /// Nothing that may be read.
    #[default]
    Unset,
    /// A number, at most this when that is known.
    Number(Option<u32>),
    /// The context.
    Ctx,
    /// The stack of this function, at this offset from r10.
    Stack(i16),
    /// Memory of the caller: this many bytes from here on are numbers.
    Lent(i16),
    /// A map's value at this offset.
    Value { map: usize, off: i16 },
    /// The packet at this offset from its start; this many bytes from the start were
    /// checked.
    Packet { off: i16, checked: i16 },
    /// The end of the packet.
    PacketEnd,
}

impl Kind {
    pub(crate) const ANY_NUMBER: Kind = Kind::Number(None);

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Kind::Number(_))
    }

    pub(crate) fn is_pointer(self) -> bool {
        !matches!(self, Kind::Unset | Kind::Number(_))
    }

    /// What holds where two paths meet.
    fn join(self, other: Kind) -> Kind {
        match (self, other) {
            (a, b) if a == b => a,
            (Kind::Number(a), Kind::Number(b)) => Kind::Number(a.zip(b).map(|(a, b)| a.max(b))),
            (Kind::Packet { off: a, checked: c }, Kind::Packet { off: b, checked: d })
                if a == b =>
            {
                Kind::Packet {
                    off: a,
                    checked: c.min(d),
                }
            }
            _ => Kind::Unset,
        }
    }
}

/// The slots of the stack that are kept track of: r10-8 is the first. Those from
/// [`BUFFER_SLOT`] on hold bytes only, never a pointer.
pub(crate) const SLOTS: usize = 16;
/// The first slot of the part for keys and buffers.
pub(crate) const BUFFER_SLOT: usize = 8;

/// What the generator believes at one point of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Model {
    pub(crate) regs: [Kind; 11],
    pub(crate) slots: [Kind; SLOTS],
}

impl Model {
    pub(crate) fn new() -> Model {
        let mut regs = [Kind::Unset; 11];
        regs[10] = Kind::Stack(0);
        Model {
            regs,
            slots: [Kind::Unset; SLOTS],
        }
    }

    pub(crate) fn get(&self, reg: u8) -> Kind {
        self.regs.get(usize::from(reg)).copied().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, reg: u8, kind: Kind) {
        if let Some(place) = self.regs.get_mut(usize::from(reg)) {
            *place = kind;
        }
    }

    /// After a call: r0 holds `result`, r1 to r5 nothing.
    pub(crate) fn called(&mut self, result: Kind) {
        for reg in 1..=5 {
            self.set(reg, Kind::Unset);
        }
        self.set(0, result);
    }

    /// What holds where this path and another meet.
    pub(crate) fn join(&mut self, other: &Model) {
        let pairs = self.regs.iter_mut().zip(&other.regs);
        for (mine, theirs) in pairs.chain(self.slots.iter_mut().zip(&other.slots)) {
            *mine = mine.join(*theirs);
        }
    }

    /// Registers whose kind fits.
    pub(crate) fn registers(&self, fits: impl Fn(Kind) -> bool) -> Vec<u8> {
        (0u8..10).filter(|reg| fits(self.get(*reg))).collect()
    }

    /// Forgets how large numbers are, as at the head of a loop.
    pub(crate) fn forget_bounds(&mut self) {
        for kind in self.regs.iter_mut().chain(self.slots.iter_mut()) {
            if kind.is_number() {
                *kind = Kind::ANY_NUMBER;
            }
        }
    }

    /// Forgets every packet pointer, as after a call that may move the packet.
    pub(crate) fn forget_packets(&mut self) {
        for kind in self.regs.iter_mut().chain(self.slots.iter_mut()) {
            if matches!(kind, Kind::Packet { .. } | Kind::PacketEnd) {
                *kind = Kind::Unset;
            }
        }
    }
}
