//! How an instruction and its source line are written.

use std::borrow::Cow;

use skep_isa::field::pseudo;
use skep_isa::{Insn, Names};

use crate::context::Verifier;
use crate::setup::btf_info::LineInfo;

impl Verifier<'_> {
    /// The text of an instruction, without a line end.
    pub fn insn_text(&self, at: u32) -> String {
        skep_isa::text(&self.insns, at as usize, &ProgramNames(self))
    }

    /// Writes the instruction's text and ends the line.
    pub fn log_insn(&mut self, at: u32) {
        if self.log.enabled() {
            let text = self.insn_text(at);
            self.log.write(format_args!("{text}\n"));
        }
    }

    /// Writes the source line of an instruction, when it differs from the last one written.
    pub fn log_line(&mut self, at: u32, prefix: &str) {
        if !self.log.enabled() || self.lines.is_empty() {
            return;
        }
        let index = self.lines.partition_point(|line| line.insn <= at);
        let Some(index) = index.checked_sub(1) else {
            return;
        };
        // Records often differ in the column only; a line is told once.
        if let Some(before) = self.log.prev_line
            && (before == index || self.same_line(&self.lines[before], &self.lines[index]))
        {
            return;
        }
        self.log.prev_line = Some(index);
        let line = self.lines[index];
        let btf = self.request.btf.clone();
        let string = |offset| btf.as_ref()?.string(offset);
        let file = string(line.file).unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or_default();
        let text = string(line.text).unwrap_or_default().trim_start();
        self.log
            .write(format_args!("{prefix}{text} @ {file}:{}\n", line.line));
    }

    /// Whether two records name the same line, by its number and the name of its file.
    fn same_line(&self, a: &LineInfo, b: &LineInfo) -> bool {
        let btf = self.request.btf.as_ref();
        let string = |offset| btf.and_then(|btf| btf.string(offset));
        a.line == b.line && (a.file == b.file || string(a.file) == string(b.file))
    }
}

/// Names and addresses as the kernel that is asked knows them.
struct ProgramNames<'v, 'a>(&'v Verifier<'a>);

impl Names for ProgramNames<'_, '_> {
    fn helper(&self, id: i32) -> Option<Cow<'_, str>> {
        if id == 0 {
            // The number is taken, by nothing.
            return Some(Cow::Borrowed("bpf_unspec"));
        }
        let helper = skep_catalog::helper(u32::try_from(id).ok()?)?;
        Some(Cow::Borrowed(helper.name))
    }

    fn kfunc(&self, btf_id: i32, off: i16) -> Option<Cow<'_, str>> {
        if btf_id == 0 || off != 0 && self.0.module.is_none() {
            return None;
        }
        let btf = self.0.kernel_types()?;
        Some(Cow::Owned(
            btf.type_by_id(btf_id as u32)?.name().to_string(),
        ))
    }

    fn reference(&self, at: usize, first: Insn, _second: Insn) -> Option<Cow<'_, str>> {
        let (index, offset) = self.0.aux.get(at)?.map?;
        if !self.0.request.privilege.allow_ptr_leaks {
            return Some(Cow::Borrowed("0x0"));
        }
        let map = self.0.maps.get(index as usize)?;
        let address = if matches!(first.src, pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE) {
            self.0.env.map_value_address(map.id, offset)?
        } else {
            self.0.env.map_address(map.id)
        };
        Some(Cow::Owned(format!("{address:#x}")))
    }
}
