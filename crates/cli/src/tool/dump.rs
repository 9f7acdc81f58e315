//! `prog dump`: the instructions of a program after the kernel's rewrites.

use std::borrow::Cow;
use std::collections::BTreeMap;

use skep::inspect::{self, Kind, ProgDetails};
use skep_btf::{Btf, Kind as TypeKind, TypeId};
use skep_isa::{Insn, Names, pseudo};

use super::failure::{Answer, Failure};
use super::json::{Fields, Json};
use super::session::Session;
use super::words::{Words, is_prefix};
use super::{graph, jited};

/// What is shown besides the instructions.
#[derive(Clone, Copy, Default)]
pub(super) struct Shown {
    pub(super) opcodes: bool,
    pub(super) linum: bool,
    pub(super) visual: bool,
}

/// Carries `prog dump` out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let what = words.next().unwrap_or_default();
    let jited = match what.as_str() {
        word if is_prefix(word, "xlated") => false,
        word if is_prefix(word, "jited") => true,
        other => {
            let text = format!("expected 'xlated' or 'jited', got: {other}");
            return Err(Failure::message(text));
        }
    };
    let (_, fd) = session.select_one(Kind::Prog, words)?;
    let mut shown = Shown::default();
    let mut file = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            word if is_prefix(word, "file") => {
                file = Some(words.value_of("file")?);
                break;
            }
            word if is_prefix(word, "opcodes") => shown.opcodes = true,
            word if is_prefix(word, "linum") => shown.linum = true,
            word if is_prefix(word, "visual") => shown.visual = true,
            _ => return Err(Failure::Usage),
        }
    }
    words.end()?;
    let details = inspect::prog_details(session.kernel(), fd.raw())
        .map_err(|errno| Failure::because("can't get prog info", errno))?;
    let bytes = if jited {
        &details.jited
    } else {
        &details.xlated
    };
    if bytes.is_empty() {
        return Err(Failure::message("no instructions returned"));
    }
    if let Some(path) = file {
        return std::fs::write(&path, bytes)
            .map_err(|error| Failure::message(format!("{path}: {error}")));
    }
    if jited && !cfg!(target_arch = "x86_64") {
        let text = "machine code of this machine as text (write it to a file with 'file FILE')";
        return Err(Failure::unsupported(text));
    }
    let insns = Insn::slice_from_bytes(&details.xlated)
        .map_err(|_| Failure::message("the kernel returned half an instruction"))?;
    let dump = Dump {
        insns: &insns,
        details: &details,
        btf: session.btf(details.info.btf_id()),
        kernel: session
            .chosen
            .is_linux()
            .then(|| Symbols::of(session.chosen.symbols().unwrap_or_default())),
        types: session.kernel().kernel_btf().ok(),
    };
    match (jited, session.json()) {
        (true, true) => session.answer(jited::json(&dump, shown)),
        (true, false) => session.say(&jited::text(&dump, shown)),
        (false, _) if shown.visual => session.say(&graph::dot(&dump, shown)),
        (false, true) => session.answer(dump.json(shown)),
        (false, false) => session.say(&dump.text(shown)),
    }
    Ok(())
}

/// The kernel's symbols, both ways.
struct Symbols {
    by_address: BTreeMap<u64, String>,
    /// What helpers are called relative to.
    base: u64,
}

impl Symbols {
    fn of(by_name: BTreeMap<String, u64>) -> Symbols {
        let base = by_name.get("__bpf_call_base").copied().unwrap_or(0);
        let by_address = by_name.into_iter().map(|(name, at)| (at, name)).collect();
        Symbols { by_address, base }
    }

    /// The function that a call of this distance goes to.
    fn called(&self, distance: i32) -> Option<&str> {
        let at = self.base.wrapping_add_signed(i64::from(distance));
        self.by_address.get(&at).map(String::as_str)
    }
}

/// A program on its way to the screen.
pub(super) struct Dump<'a> {
    pub(super) insns: &'a [Insn],
    pub(super) details: &'a ProgDetails,
    btf: Option<Btf>,
    /// The symbols, when the running Linux has the program.
    kernel: Option<Symbols>,
    /// The kernel's own types, for the names of its functions.
    types: Option<Vec<u8>>,
}

impl Names for Dump<'_> {
    fn helper(&self, id: i32) -> Option<Cow<'_, str>> {
        let known = || skep::helper_name(u32::try_from(id).ok()?).map(Cow::from);
        match &self.kernel {
            Some(symbols) => symbols.called(id).map(Cow::from).or_else(known),
            None => known(),
        }
    }

    fn kfunc(&self, id: i32, _: i16) -> Option<Cow<'_, str>> {
        if let Some(symbols) = &self.kernel {
            return symbols.called(id).map(Cow::from);
        }
        let btf = Btf::parse(self.types.as_ref()?).ok()?;
        let name = btf.type_by_id(TypeId(u32::try_from(id).ok()?))?.name();
        Some(Cow::Owned(name.to_string()))
    }

    fn reference(&self, _: usize, first: Insn, second: Insn) -> Option<Cow<'_, str>> {
        Some(Cow::Owned(match first.src {
            pseudo::MAP_FD | pseudo::MAP_IDX => format!("map[id:{}]", first.imm),
            pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE => {
                format!("map[id:{}][0]+{}", first.imm, second.imm.cast_unsigned())
            }
            pseudo::FUNC => format!("subprog[{:+}]", first.imm),
            _ => {
                let low = u64::from(first.imm.cast_unsigned());
                let high = u64::from(second.imm.cast_unsigned());
                format!("{:#x}", high << 32 | low)
            }
        }))
    }
}

/// What stands before an instruction.
struct Before {
    proto: Option<String>,
    source: Option<Source>,
}

/// A line of source.
pub(super) struct Source {
    text: String,
    file: String,
    line: u32,
    column: u32,
}

impl Source {
    /// The line as a comment.
    pub(super) fn heading(&self, linum: bool) -> String {
        let place = match linum {
            true => format!(
                " [file:{} line_num:{} line_col:{}]",
                self.file, self.line, self.column
            ),
            false => String::new(),
        };
        format!("; {}{place}\n", self.text)
    }

    /// The line among the fields of an instruction.
    pub(super) fn add_to(&self, fields: &mut Fields, linum: bool) {
        fields.add("src", self.text.clone());
        if linum {
            let known = |number: u32| (number != 0).then_some(number);
            fields
                .add("file", self.file.clone())
                .maybe("line_num", known(self.line))
                .maybe("line_col", known(self.column));
        }
    }
}

impl Dump<'_> {
    /// The slots that hold an instruction, and how many slots it takes.
    pub(super) fn slots(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let insn = self.insns.get(at)?;
            let len = if insn.is_ld_imm64() { 2 } else { 1 };
            let here = at;
            at += len;
            Some((here, len))
        })
    }

    fn before(&self, at: usize) -> Before {
        let Some(btf) = &self.btf else {
            return Before {
                proto: None,
                source: None,
            };
        };
        let here = |slot: u32| slot as usize == at;
        let func = self.details.func_info.iter().find(|(slot, _)| here(*slot));
        let line = self.details.line_info.iter().find(|[slot, ..]| here(*slot));
        Before {
            proto: func.and_then(|(_, ty)| prototype(btf, TypeId(*ty))),
            source: line.and_then(|line| source(btf, line)),
        }
    }

    /// The line whose machine code begins at an address.
    pub(super) fn line_at(&self, address: u64) -> Option<Source> {
        let at = self
            .details
            .jited_lines
            .iter()
            .position(|a| *a == address)?;
        source(self.btf.as_ref()?, self.details.line_info.get(at)?)
    }

    /// A function's prototype and name.
    pub(super) fn function(&self, ty: u32) -> (Option<String>, Option<String>) {
        let Some(btf) = &self.btf else {
            return (None, None);
        };
        let name = btf.type_by_id(TypeId(ty)).map(|ty| ty.name().to_string());
        (prototype(btf, TypeId(ty)), name)
    }

    pub(super) fn insn(&self, at: usize) -> String {
        let mut text = skep_isa::text(self.insns, at, self);
        let Some(insn) = self.insns.get(at) else {
            return text;
        };
        if insn.is_pseudo_call() {
            let target = self.callee(at, *insn);
            text += &target.map(|name| format!("#{name}")).unwrap_or_default();
        }
        text
    }

    /// The name of a function of the program.
    fn callee(&self, at: usize, insn: Insn) -> Option<String> {
        let function = usize::try_from(insn.off).ok();
        let address = function.and_then(|index| self.details.jited_ksyms.get(index));
        if let (Some(symbols), Some(address)) = (&self.kernel, address) {
            let name = symbols.by_address.get(address).cloned();
            return Some(name.unwrap_or_else(|| format!("{address:#x}")));
        }
        let to = i64::try_from(at).ok()? + i64::from(insn.imm) + 1;
        let starts = self.details.func_info.iter();
        let (_, ty) = starts
            .into_iter()
            .find(|(slot, _)| i64::from(*slot) == to)?;
        Some(self.btf.as_ref()?.type_by_id(*ty)?.name().to_string())
    }

    fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        let insns = self.insns.get(at..).unwrap_or(&[]);
        insns
            .iter()
            .take(len)
            .flat_map(|insn| insn.to_bytes())
            .collect()
    }

    fn text(&self, shown: Shown) -> String {
        let mut out = String::new();
        for (at, len) in self.slots() {
            let before = self.before(at);
            if let Some(proto) = before.proto {
                out += &format!("{proto}:\n");
            }
            if let Some(source) = before.source {
                out += &source.heading(shown.linum);
            }
            out += &format!("{at:4}: {}\n", self.insn(at));
            if shown.opcodes {
                let digits: Vec<_> = self
                    .bytes(at, len)
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                out += &format!("       {}\n", digits.join(" "));
            }
        }
        out
    }

    fn json(&self, shown: Shown) -> Json {
        let all = self.slots().map(|(at, len)| {
            let before = self.before(at);
            let mut fields = Fields::new();
            fields.maybe("proto", before.proto);
            if let Some(source) = before.source {
                source.add_to(&mut fields, shown.linum);
            }
            fields.add("disasm", self.insn(at));
            if shown.opcodes {
                fields.add("opcodes", opcodes(&self.bytes(at, len)));
            }
            fields.done()
        });
        Json::Array(all.collect())
    }
}

/// A record of line information as a line; `None` for an empty one.
fn source(btf: &Btf, [_, file, text, position]: &[u32; 4]) -> Option<Source> {
    let text = btf.string(*text)?.trim_start().to_string();
    (!text.is_empty()).then_some(Source {
        text,
        file: btf.string(*file)?.to_string(),
        line: position >> 10,
        column: position & 0x3ff,
    })
}

fn opcodes(bytes: &[u8]) -> Json {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let part = |from: usize, to: usize| Json::bytes(bytes.get(from..to).unwrap_or(&[]));
    let mut fields = Fields::new();
    fields
        .add("code", format!("{:#04x}", byte(0)))
        .add("src_reg", format!("{:#x}", byte(1) >> 4))
        .add("dst_reg", format!("{:#x}", byte(1) & 0xf))
        .add("off", part(2, 4));
    // Of a wide load, the whole second slot belongs to the number.
    fields.add("imm", part(4, bytes.len())).done()
}

/// A function as C declares it, in bpftool's spacing.
fn prototype(btf: &Btf, func: TypeId) -> Option<String> {
    let func = btf
        .type_by_id(func)
        .filter(|ty| ty.kind() == TypeKind::Func)?;
    let proto = btf.type_by_id(func.ref_type()?)?;
    let params: Vec<String> = proto
        .params()
        .map(|param| match param.ty {
            TypeId::VOID => "...".to_string(),
            ty => format!("{}{}", type_text(btf, ty), param.name),
        })
        .collect();
    let params = match params.is_empty() {
        true => "void".to_string(),
        false => params.join(", "),
    };
    let ret = type_text(btf, proto.ref_type()?);
    Some(format!("{ret}{}({params})", func.name()))
}

/// A type with a space behind it.
fn type_text(btf: &Btf, id: TypeId) -> String {
    let mut suffix = String::new();
    let mut prefix = String::new();
    let mut id = id;
    for _ in 0..skep_btf::MAX_RESOLVE_DEPTH {
        let Some(ty) = btf.type_by_id(id) else { break };
        match ty.kind() {
            TypeKind::Void => return format!("{prefix}void {suffix}"),
            TypeKind::Ptr => suffix.insert_str(0, "* "),
            TypeKind::Const => prefix += "const ",
            TypeKind::Volatile => prefix += "volatile ",
            TypeKind::Restrict => prefix += "restrict ",
            TypeKind::TypeTag => {}
            kind => {
                let word = match kind {
                    TypeKind::Struct => "struct ",
                    TypeKind::Union => "union ",
                    TypeKind::Enum | TypeKind::Enum64 => "enum ",
                    TypeKind::Fwd if ty.kind_flag() => "union ",
                    TypeKind::Fwd => "struct ",
                    _ => "",
                };
                return format!("{prefix}{word}{} {suffix}", ty.name());
            }
        }
        match ty.ref_type() {
            Some(next) => id = next,
            None => break,
        }
    }
    format!("{prefix}? {suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_btf::{Builder, Linkage};

    #[test]
    fn prototypes() {
        let mut types = Builder::new();
        let int = types.int("int", 4, true);
        let ctx = types.struct_("xdp_md", 4, &[("data", int, 0)]);
        let ptr = types.ptr(ctx);
        let constant = types.refer(TypeKind::Const, "", int);
        let to_constant = types.ptr(constant);
        let deep = types.ptr(to_constant);
        let proto = types.func_proto(int, &[("ctx", ptr), ("p", deep)]);
        let func = types.func("run", proto, Linkage::Global);
        let empty = types.func_proto(TypeId::VOID, &[]);
        let nothing = types.func("nothing", empty, Linkage::Global);
        let btf = Btf::parse(&types.finish()).unwrap();
        let check = |id, wanted: &str| assert_eq!(prototype(&btf, id).as_deref(), Some(wanted));
        check(func, "int run(struct xdp_md * ctx, const int * * p)");
        check(nothing, "void nothing(void)");
    }
}
