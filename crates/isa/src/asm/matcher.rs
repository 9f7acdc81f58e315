//! One form's text against a line of source: literal signs must be there, and a placeholder
//! gives a field its value.

use crate::asm::Symbols;
use crate::asm::cursor::{Cursor, Number};
use crate::asm::line::{Fixup, FixupKind, Line};
use crate::form::{Form, Meaning, PseudoKind, Rule, Target, placeholder};
use crate::insn::Insn;
use crate::op::{Size, Width};

/// One form's text on its way along the line.
pub(super) struct Matcher<'a, 's> {
    form: &'static Form,
    cursor: Cursor<'a>,
    /// Where to point at when the match fails; before the cursor when a number does not fit.
    blame: Cursor<'a>,
    /// Whether the line names the opcode.
    explicit: bool,
    symbols: &'s dyn Symbols,
    labels: &'s [&'s str],
    dst: Option<u8>,
    src: Option<u8>,
    insn: Insn,
    next_imm: i32,
    fixup: Option<Fixup>,
}

impl<'a, 's> Matcher<'a, 's> {
    /// A form before its match; `explicit` says that the line names the opcode.
    pub(super) fn new(
        form: &'static Form,
        cursor: Cursor<'a>,
        explicit: bool,
        symbols: &'s dyn Symbols,
        labels: &'s [&'s str],
    ) -> Matcher<'a, 's> {
        let fixed = |rule| match rule {
            Rule::Is(n) => n,
            _ => 0,
        };
        Matcher {
            form,
            cursor,
            blame: cursor,
            explicit,
            symbols,
            labels,
            dst: None,
            src: None,
            insn: Insn::new(form.code, 0, 0, fixed(form.off) as i16, fixed(form.imm)),
            next_imm: 0,
            fixup: None,
        }
    }

    /// How far the match came, and where to point at.
    pub(super) fn reach(&self) -> (usize, Cursor<'a>) {
        (self.cursor.rest().len(), self.blame)
    }

    /// Matches the whole line; the error says what was expected where the cursor stands.
    pub(super) fn run(&mut self) -> Result<(), String> {
        let mut rest = self.form.text.trim_start();
        while !rest.is_empty() {
            let field = placeholder(rest);
            self.cursor.skip_space();
            self.blame = self.cursor;
            let used = match field {
                Some(sign) => {
                    self.field(sign)?;
                    2
                }
                None => {
                    let end = |(at, c): (usize, char)| {
                        c == ' ' || placeholder(rest.get(at..).unwrap_or("")).is_some()
                    };
                    let used = rest
                        .char_indices()
                        .find(|c| end(*c))
                        .map_or(rest.len(), |c| c.0);
                    self.literal(rest.get(..used).unwrap_or(""))?;
                    used
                }
            };
            rest = rest.get(used..).unwrap_or("").trim_start();
        }
        let end = self.cursor.at_end();
        self.blame = self.cursor;
        if end {
            Ok(())
        } else {
            Err("the end of the line".to_owned())
        }
    }

    /// Signs without a blank among them; blanks in the source may stand between any two
    /// that do not make one word.
    fn literal(&mut self, signs: &str) -> Result<(), String> {
        let start = self.cursor;
        let mut in_word = true;
        for sign in signs.chars() {
            let word = sign.is_ascii_alphanumeric() || sign == '_';
            if !(word && in_word) {
                self.cursor.skip_space();
            }
            in_word = word;
            if !self.cursor.eat(sign) {
                self.cursor = start;
                return Err(format!("`{signs}`"));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Line {
        let src = match self.form.src {
            Rule::Is(n) => n as u8,
            _ => self.src.unwrap_or(0),
        };
        let first = Insn {
            dst: self.dst.unwrap_or(0),
            src,
            ..self.insn
        };
        let second = self
            .form
            .is_wide()
            .then(|| Insn::new(0, 0, 0, 0, self.next_imm));
        Line {
            first,
            second,
            fixup: self.fixup,
        }
    }

    fn field(&mut self, sign: char) -> Result<(), String> {
        match sign {
            'D' | 'd' | 'S' | 's' => {
                let prefix = if sign.is_uppercase() { 'r' } else { 'w' };
                self.register(prefix, matches!(sign, 'D' | 'd'))
            }
            'i' => {
                self.insn.imm = self.immediate(self.is_narrow())?;
                Ok(())
            }
            'x' => {
                self.insn.imm = self.immediate(true)?;
                Ok(())
            }
            'm' | 'M' => self.memory(sign == 'm'),
            'j' => self.jump(FixupKind::Off),
            'l' => self.jump(FixupKind::Imm),
            'c' | 'h' | 'k' => self.callee(),
            'q' => self.wide(),
            'A' => {
                let n = self.space()?;
                self.insn.imm |= n << 16;
                Ok(())
            }
            'a' => {
                self.insn.imm |= self.space()?;
                Ok(())
            }
            // The table holds no other sign; a test assembles every row.
            other => Err(format!("`%{other}`")),
        }
    }

    fn register(&mut self, prefix: char, is_dst: bool) -> Result<(), String> {
        let number = self
            .cursor
            .register(prefix)
            .ok_or(format!("a register {prefix}0 to {prefix}10"))?;
        let place = if is_dst { &mut self.dst } else { &mut self.src };
        match *place {
            Some(earlier) if earlier != number => Err(format!("{prefix}{earlier} again")),
            _ => {
                *place = Some(number);
                Ok(())
            }
        }
    }

    /// Whether only 32 bits of the immediate count, so that `0xffffffff` is as good as -1.
    fn is_narrow(&self) -> bool {
        match self.form.meaning {
            Meaning::Alu(width, ..) | Meaning::Mov(width, _) => width == Width::W32,
            Meaning::Store(size, _) => size != Size::B64,
            _ => false,
        }
    }

    fn immediate(&mut self, unsigned: bool) -> Result<i32, String> {
        let number = self.cursor.number().ok_or("a number")?;
        let value = if unsigned {
            number.as_bits32()
        } else {
            number.as_i32()
        };
        value.ok_or_else(|| match self.form.meaning {
            Meaning::Mov(Width::W64, _) => {
                "a number of 32 bits with sign (`ll` after it makes it 64 bits)".to_owned()
            }
            _ => "a number of 32 bits".to_owned(),
        })
    }

    fn memory(&mut self, base_is_dst: bool) -> Result<(), String> {
        if !self.cursor.eat('(') {
            return Err("`(`".to_owned());
        }
        self.cursor.skip_space();
        self.register('r', base_is_dst)?;
        let off = self.cursor.displacement().ok_or("a number")?;
        self.insn.off = i16::try_from(off).map_err(|_| "an offset of 16 bits")?;
        if self.cursor.eat_spaced(')') {
            Ok(())
        } else {
            Err("`)`".to_owned())
        }
    }

    fn space(&mut self) -> Result<i32, String> {
        let space = self.cursor.number().and_then(Number::as_i32);
        space
            .filter(|n| (0..=0xffff).contains(n))
            .ok_or("an address space".to_owned())
    }

    /// `pc+1`, `+1` or a label.
    fn jump(&mut self, kind: FixupKind) -> Result<(), String> {
        let start = self.cursor;
        match self.cursor.name() {
            Some("pc") => {}
            Some(label) => {
                self.fixup = Some(Fixup {
                    kind,
                    label: label.to_owned(),
                    column: start.column(),
                });
                return Ok(());
            }
            None => {}
        }
        let signed = self.cursor.rest().starts_with(['+', '-']);
        let delta = self
            .cursor
            .displacement()
            .filter(|_| signed)
            .ok_or("`pc+N` or a label")?;
        match kind {
            FixupKind::Off => {
                self.insn.off = i16::try_from(delta).map_err(|_| "a distance of 16 bits")?;
            }
            FixupKind::Imm => {
                self.insn.imm = i32::try_from(delta).map_err(|_| "a distance of 32 bits")?;
            }
        }
        Ok(())
    }

    /// What a call calls: `pc+1`, a label, a name, a name with its number, or a number.
    fn callee(&mut self) -> Result<(), String> {
        let target = match self.form.meaning {
            Meaning::Call(target) => target,
            _ => Target::Helper,
        };
        let wanted = || "a helper, a kernel function, a label or `pc+N`".to_owned();
        if target == Target::Helper
            && let Some(id) = self.cursor.number().and_then(Number::as_i32)
            && !self.cursor.rest().starts_with('#')
        {
            self.insn.imm = id;
            return Ok(());
        }
        let start = self.cursor;
        let name = self.cursor.name().unwrap_or("");
        let number = if self.cursor.eat('#') {
            Some(
                self.cursor
                    .number()
                    .and_then(Number::as_i32)
                    .ok_or("a number")?,
            )
        } else {
            None
        };
        let helper = self.symbols.helper(name);
        let kfunc = self.symbols.kfunc(name);
        let is_label = self.labels.contains(&name) && number.is_none();
        match target {
            Target::Subprog if name == "pc" || is_label => {
                self.cursor = start;
                self.jump(FixupKind::Imm)
            }
            Target::Helper if helper.is_some() && !is_label => {
                self.insn.imm = number.or(helper).unwrap_or(0);
                Ok(())
            }
            Target::Kfunc if kfunc.is_some() && helper.is_none() && !is_label => {
                let (id, off) = kfunc.unwrap_or((0, 0));
                self.insn.imm = id;
                self.insn.off = off;
                Ok(())
            }
            // The log prints a kernel function that has no name as `#0`.
            Target::Kfunc if name.is_empty() && number.is_some() => {
                self.insn.imm = number.unwrap_or(0);
                Ok(())
            }
            Target::Helper if !name.is_empty() && kfunc.is_none() && !is_label => {
                self.insn.imm = number.ok_or_else(wanted)?;
                Ok(())
            }
            _ => Err(wanted()),
        }
    }

    /// A 64-bit number, or a reference in brackets.
    fn wide(&mut self) -> Result<(), String> {
        let kind = match self.form.meaning {
            Meaning::LoadPseudo(kind) => kind,
            _ => {
                let number = self.cursor.number().ok_or("a number")?;
                let value = number.as_bits64().ok_or("a number of 64 bits")?;
                self.cursor.skip_space();
                if !self.cursor.rest().starts_with("ll") {
                    if !self.explicit {
                        return Err("`ll`".to_owned());
                    }
                } else {
                    let _ = self.cursor.word();
                }
                self.insn.imm = value as u32 as i32;
                self.next_imm = (value >> 32) as u32 as i32;
                return Ok(());
            }
        };
        if self.cursor.name() != Some(kind.word()) || !self.cursor.eat_spaced('[') {
            return Err(format!("`{}[…]`", kind.word()));
        }
        self.cursor.skip_space();
        self.reference(kind)?;
        if !self.cursor.eat_spaced(']') {
            return Err("`]`".to_owned());
        }
        if matches!(kind, PseudoKind::MapValue | PseudoKind::MapIdxValue) {
            let off = self.cursor.displacement().ok_or("a number")?;
            self.next_imm = i32::try_from(off)
                .or_else(|_| u32::try_from(off).map(|n| n as i32))
                .map_err(|_| "an offset of 32 bits")?;
        }
        Ok(())
    }

    /// What stands between the brackets.
    fn reference(&mut self, kind: PseudoKind) -> Result<(), String> {
        if kind == PseudoKind::Func {
            return self.jump(FixupKind::Imm);
        }
        if let Some(number) = self.cursor.number() {
            self.insn.imm = number.as_bits32().ok_or("a number of 32 bits")?;
            return Ok(());
        }
        let is_map = matches!(kind, PseudoKind::MapFd | PseudoKind::MapValue);
        let map = self
            .cursor
            .name()
            .filter(|_| is_map)
            .and_then(|name| self.symbols.map(name));
        self.insn.imm = map.ok_or(if is_map { "a map" } else { "a number" })?;
        Ok(())
    }
}
