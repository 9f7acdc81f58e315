//! The relocations that the kernel is to carry out (CO-RE): what they look for in its types, and
//! what the log says of it.

use skep_abi::Errno;
use skep_btf::relo::{
    self, Decision, Judged, Levels, PatchError, Patched, PathError, ReloError, Spec, Step, Subject,
};
use skep_btf::{Btf, CoreKind, CoreRelo, Kind, TypeId};
use skep_isa::Insn;

use super::btf_info::{MOST_BYTES, all_read, record_size_fits, unended, word};
use crate::context::{Res, Stop, Verifier};
use crate::env::Candidates;
use crate::log::LEVEL2;
use crate::{refuse, say};

/// Bytes of one relocation that are known.
const RELOCATION: usize = 16;
/// The most bytes of a path that the log shows.
const SHOWN: usize = 255;

/// Carries out all relocations, one after the other.
///
/// # Errors
/// `EINVAL`, `E2BIG` for records with something unknown in them, paths and bit fields that are
/// too long, `ERANGE` for offsets that do not fit.
pub fn apply(v: &mut Verifier<'_>) -> Res {
    let records = v.request.core_relos;
    if records.count > MOST_BYTES / RELOCATION as u32 || !record_size_fits(records.size, RELOCATION)
    {
        return Err(Stop::Reject(Errno::EINVAL));
    }
    let Some(btf) = v.request.btf.clone() else {
        return Err(Stop::Reject(Errno::EINVAL));
    };
    for (index, record) in records.iter().enumerate() {
        if record[RELOCATION..].iter().any(|&b| b != 0) {
            let text = "nonzero tailing record in core_relo";
            return Err(unended(v, Errno::E2BIG, text.into()));
        }
        let (off, len) = (word(record, 0), v.insns.len());
        let insn = off as usize / 8;
        if !off.is_multiple_of(8) || insn >= len {
            refuse!(
                v,
                EINVAL,
                "Invalid core_relo[{index}].insn_off:{off} prog->len:{len}"
            );
        }
        let relo = CoreRelo {
            insn_off: off,
            type_id: TypeId(word(record, 1)),
            access: word(record, 2),
            kind: CoreKind::from_number(word(record, 3)),
        };
        Relocation {
            index,
            insn,
            local: &btf,
            relo,
        }
        .carry_out(v)?;
    }
    all_read(records)
}

/// One relocation.
struct Relocation<'a> {
    index: usize,
    /// The instruction it is about.
    insn: usize,
    local: &'a Btf,
    relo: CoreRelo,
}

impl Relocation<'_> {
    fn carry_out(&self, v: &mut Verifier<'_>) -> Res {
        let (index, id) = (self.index, self.relo.type_id);
        let Some(ty) = self.local.type_by_id(id) else {
            refuse!(v, EINVAL, "relo #{index}: bad type id {}", id.0);
        };
        if self.relo.kind == CoreKind::TypeIdLocal {
            return self.fit(v, None);
        }
        let name = relo::essential_name(ty.name());
        let found = match name.is_empty() {
            true => None,
            false => v.env.candidates(name, ty.kind()),
        };
        let done = match found {
            Some(candidates) => {
                let kind = candidates.kind.name();
                for (_, id) in &candidates.places {
                    say!(
                        v,
                        "CO-RE relocating {kind} {name}: found target candidate {id}\n"
                    );
                }
                self.fit(v, Some(candidates))
            }
            None => {
                let text = format_args!("target candidate search failed for {}", id.0);
                Err(v.reject(Errno::EINVAL, text))
            }
        };
        if v.log.at(LEVEL2) {
            let [kernel, modules] = v.env.candidates_kept();
            say!(v, "vmlinux_cand_cache:{kernel}\n");
            say!(v, "module_cand_cache:{modules}\n");
        }
        done
    }

    /// Finds the answer and writes it down.
    fn fit(&self, v: &mut Verifier<'_>, candidates: Option<Candidates>) -> Res {
        let (index, kind, local) = (self.index, self.relo.kind, self.local);
        let spec = match Spec::parse(local, &self.relo) {
            Ok(spec) => spec,
            Err(error) => return Err(self.unreadable(v, &error)),
        };
        self.say_path(v, "", (local, &spec), "");
        let places = candidates.iter().flat_map(|found| &found.places);
        let types = places.map(|(btf, id)| (btf.as_ref(), *id));
        let mut any = kind == CoreKind::TypeIdLocal;
        let decision = relo::answer(local, (kind, &spec), types, Levels::LINUX, |at, judged| {
            any |= !matches!(judged, Judged::Differs(..));
            match judged {
                Judged::Matches(btf, found) => {
                    self.say_path(v, &format!("matching candidate #{at} "), (btf, found), "");
                }
                Judged::Differs(btf, found) => {
                    let text = format!("non-matching candidate #{at} ");
                    self.say_path(v, &text, (btf, found), "");
                }
                Judged::Fails(btf, root) => {
                    let mut found = spec.clone();
                    found.root = root;
                    let text = format!("error matching candidate #{at} ");
                    self.say_path(v, &text, (btf, &found), ": -22");
                }
            }
        });
        if !any {
            say!(v, "prog '': relo #{index}: no matching targets found\n");
        }
        match decision {
            Ok(decision) => self.write(v, &decision),
            Err(error) => Err(self.unanswered(v, &error)),
        }
    }

    /// One line that shows a path.
    fn say_path(&self, v: &mut Verifier<'_>, before: &str, path: (&Btf, &Spec), after: &str) {
        if !v.log.enabled() {
            return;
        }
        let (index, kind) = (self.index, self.relo.kind);
        let mut text = shown(kind, path.0, path.1);
        let mut end = SHOWN.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        say!(v, "prog '': relo #{index}: {before}{text}{after}\n");
    }

    /// The path of the relocation makes no sense.
    fn unreadable(&self, v: &mut Verifier<'_>, error: &PathError) -> Stop {
        let (index, id) = (self.index, self.relo.type_id);
        if let PathError::Leaf { step, ty, kind } = error {
            let kind = kind.name();
            say!(
                v,
                "prog '': relo for {id}  (at idx {step}) captures type {ty} of unexpected kind {kind}\n"
            );
        }
        let (errno, number) = match error {
            PathError::Long(_) => (Errno::E2BIG, 7),
            _ => (Errno::EINVAL, 22),
        };
        let (kind, name) = named(self.local, id);
        let path = self.local.string(self.relo.access).unwrap_or("<?>");
        v.reject(
            errno,
            format_args!(
                "prog '': relo #{index}: parsing {id} {kind} {name} + {path} failed: -{number}"
            ),
        )
    }

    /// Nothing can answer.
    fn unanswered(&self, v: &mut Verifier<'_>, error: &ReloError) -> Stop {
        let (index, insn) = (self.index, self.insn);
        let kind = self.relo.kind.number();
        match error {
            ReloError::Offsets { offsets, .. } => {
                let (other, first) = offsets;
                v.reject(
                    Errno::EINVAL,
                    format_args!(
                        "prog '': relo #{index}: field offset ambiguity: {other} != {first}"
                    ),
                )
            }
            ReloError::Answers { answers, .. } => {
                let told = |answer: &relo::Answer| match answer {
                    relo::Answer::Number(value) => format!("success {value}"),
                    relo::Answer::Absent => "failure 0".to_string(),
                };
                let (other, first) = (told(&answers.0), told(&answers.1));
                v.reject(
                    Errno::EINVAL,
                    format_args!(
                        "prog '': relo #{index}: relocation decision ambiguity: {other} != {first}"
                    ),
                )
            }
            ReloError::Element => v.reject(
                Errno::EINVAL,
                format_args!(
                    "prog '': relo {kind} at insn #{insn} can't be applied to array access"
                ),
            ),
            ReloError::Bitfield => v.reject(
                Errno::E2BIG,
                format_args!(
                    "prog '': relo {kind} at insn #{insn} can't be satisfied for bitfield"
                ),
            ),
            other => {
                v.message = other.to_string();
                Stop::Reject(Errno::EINVAL)
            }
        }
    }

    /// Changes the instruction.
    fn write(&self, v: &mut Verifier<'_>, decision: &Decision) -> Res {
        let (index, at) = (self.index, self.insn);
        let before = v.insns.get(at).copied().unwrap_or_default();
        match relo::apply(&mut v.insns, at, decision) {
            Ok(patched) => {
                self.say_patched(v, &patched);
                Ok(())
            }
            Err(error) => {
                if let PatchError::Access { offsets, .. } | PatchError::Bytes { offsets, .. } =
                    &error
                {
                    self.say_patched(v, &Patched::Offset(offsets.0, offsets.1, None));
                }
                let errno = match error {
                    PatchError::TooBig(_) => Errno::ERANGE,
                    _ => Errno::EINVAL,
                };
                match unwritten(&error, before, at, decision) {
                    Some(text) => {
                        Err(v.reject(errno, format_args!("prog '': relo #{index}: {text}")))
                    }
                    None => {
                        v.message = error.to_string();
                        Err(Stop::Reject(errno))
                    }
                }
            }
        }
    }

    fn say_patched(&self, v: &mut Verifier<'_>, patched: &Patched) {
        let (index, at) = (self.index, self.insn);
        match patched {
            Patched::Imm(old, new) => {
                let old = i64::from(*old).cast_unsigned();
                say!(
                    v,
                    "prog '': relo #{index}: patched insn #{at} (ALU/ALU64) imm {old} -> {new}\n"
                );
            }
            Patched::Wide(old, new) => say!(
                v,
                "prog '': relo #{index}: patched insn #{at} (LDIMM64) imm64 {old} -> {new}\n"
            ),
            Patched::Offset(old, new, size) => {
                say!(
                    v,
                    "prog '': relo #{index}: patched insn #{at} (LDX/ST/STX) off {old} -> {new}\n"
                );
                if let Some((old, new)) = size {
                    say!(
                        v,
                        "prog '': relo #{index}: patched insn #{at} (LDX/ST/STX) mem_sz {old} -> {new}\n"
                    );
                }
            }
            Patched::Unlike => {
                say!(
                    v,
                    "prog '': relo #{index}: insn #{at} (LDX/ST/STX) accesses field incorrectly. \
                     Make sure you are accessing pointers, unsigned integers, or fields of \
                     matching type and size.\n"
                );
                self.say_poisoned(v, at);
            }
            Patched::Absent { wide } => {
                if *wide {
                    self.say_poisoned(v, at + 1);
                }
                self.say_poisoned(v, at);
            }
        }
    }

    fn say_poisoned(&self, v: &mut Verifier<'_>, at: usize) {
        let index = self.index;
        say!(
            v,
            "prog '': relo #{index}: substituting insn #{at} w/ invalid insn\n"
        );
    }
}

/// Why an answer cannot be written, if the log says so.
fn unwritten(error: &PatchError, insn: Insn, at: usize, decision: &Decision) -> Option<String> {
    let new = match decision.answer {
        relo::Answer::Number(value) => value,
        relo::Answer::Absent => 0,
    };
    Some(match error {
        PatchError::Holds { found, compiled } => {
            let (word, found) = match insn.class() {
                skep_isa::class::LD => ("LDIMM64", *found),
                skep_isa::class::LDX | skep_isa::class::ST | skep_isa::class::STX => {
                    ("LDX/ST/STX", u64::from(*found as u32))
                }
                _ => ("ALU/ALU64", u64::from(*found as u32)),
            };
            format!("unexpected insn #{at} ({word}) value: got {found}, exp {compiled} -> {new}")
        }
        PatchError::TooBig(value) => format!("insn #{at} (LDX/ST/STX) value too big: {value}"),
        PatchError::Access {
            found, compiled, ..
        } => {
            format!("insn #{at} (LDX/ST/STX) unexpected mem size: got {found}, exp {compiled}")
        }
        PatchError::Bytes { bytes, .. } => {
            format!("insn #{at} (LDX/ST/STX) invalid new mem size: {bytes}")
        }
        PatchError::Wide => format!("insn #{at} (LDIMM64) has unexpected form"),
        PatchError::Code(code) => {
            let (src, dst, off, imm) = (insn.src, insn.dst, insn.off, insn.imm);
            format!(
                "trying to relocate unrecognized insn #{at}, code:{code:#x}, src:{src:#x}, \
                 dst:{dst:#x}, off:{:#x}, imm:{imm:#x}",
                i32::from(off)
            )
        }
        PatchError::Register(_) | PatchError::NoInsn => return None,
    })
}

/// A type's kind and name.
fn named(btf: &Btf, id: TypeId) -> (&'static str, &str) {
    let ty = btf.type_by_id(id);
    let kind = ty.map_or(Kind::Void, |ty| ty.kind());
    let name = ty.map_or("", |ty| ty.name());
    (kind.name(), if name.is_empty() { "<anon>" } else { name })
}

/// A path as Linux's log shows it: `<byte_off> [7] STRUCT task_struct.pid (0:1 @ offset 4)`.
fn shown(kind: CoreKind, btf: &Btf, spec: &Spec) -> String {
    let (word, name) = named(btf, spec.root);
    let mut text = format!("<{}> {} {word} {name}", kind.name(), spec.root);
    match &spec.subject {
        Subject::Type | Subject::WholeType => {}
        Subject::Enumerator(index, _) => {
            let ty = btf.resolve(spec.root);
            if let Some((ty, found)) = ty.and_then(|ty| Some((ty, ty.enumerators().nth(*index)?))) {
                let value = match (ty.kind_flag(), ty.kind() == Kind::Enum64) {
                    (true, true) => found.value.cast_signed().to_string(),
                    (false, true) => found.value.to_string(),
                    (true, false) => (found.value as u32).cast_signed().to_string(),
                    (false, false) => (found.value as u32).to_string(),
                };
                text += &format!("::{} = {value}", found.name);
            }
        }
        Subject::Field(steps) => {
            for (number, step) in steps.iter().enumerate() {
                match step {
                    Step::Field { name, .. } => text += &format!(".{name}"),
                    Step::Element { index: 0, .. } if number == 0 => {}
                    Step::Element { index, .. } => text += &format!("[{index}]"),
                }
            }
            let numbers: Vec<String> = spec.numbers.iter().map(u32::to_string).collect();
            let (byte, bit) = (spec.bit_offset / 8, spec.bit_offset % 8);
            text += &format!(" ({} @ offset {byte}", numbers.join(":"));
            if bit != 0 {
                text += &format!(".{bit}");
            }
            text.push(')');
        }
    }
    text
}
