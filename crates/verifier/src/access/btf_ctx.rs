//! What a load from a context gives whose words are typed by BTF.

use skep_abi::ProgType;
use skep_btf::{Btf, Kind as BtfKind, Type, TypeId};
use skep_catalog::IterValue;

use crate::access::Attempt;
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::say;
use crate::setup::target::{Place, Target, kernel_btf};
use crate::state::reg::DEF_NOT_SUBREG;
use crate::state::{Flags, Kind, Reg};

/// Bytes of the longest such context.
const MAX_CONTEXT: i32 = 12 * 8;

/// Arguments of a function about which nothing is known.
const UNTYPED_ARGS: i32 = 5;

/// What one word of the context is.
enum Word {
    Number,
    /// A number between these, both included.
    Between(i32, i32),
    Buffer(Flags),
    Object(TypeId, Flags),
}

impl Verifier<'_> {
    pub(crate) fn access_typed_ctx(&mut self, at: &Attempt) -> Res {
        let (off, size) = (at.off, at.size);
        let word = if at.writes() || !(0..MAX_CONTEXT).contains(&off) || off % size != 0 {
            None
        } else {
            self.context_word(off, size)?
        };
        let Some(word) = word else {
            refuse!(
                self,
                EACCES,
                "invalid bpf_context access off={off} size={size}"
            );
        };
        let end = u32::try_from(off + size).unwrap_or(0);
        self.max_ctx_offset = self.max_ctx_offset.max(end);
        let Some(number) = at.fills() else {
            return Ok(());
        };
        match word {
            Word::Number => {
                self.mark_unknown(number);
                Ok(())
            }
            Word::Between(min, max) => {
                self.mark_unknown(number);
                let num = &mut self.reg_mut(number).num;
                (num.s32_min, num.s32_max) = (min, max);
                (num.smin, num.smax) = (min.into(), max.into());
                num.sync();
                Ok(())
            }
            Word::Buffer(flags) => {
                self.put_pointer(number, Reg::pointer(Kind::Buf), flags);
                Ok(())
            }
            Word::Object(id, flags) => {
                self.put_object(number, id, flags);
                Ok(())
            }
        }
    }

    /// Puts a pointer to an object of the kernel into a register.
    pub(crate) fn put_object(&mut self, number: u8, id: TypeId, flags: Flags) {
        let object = Reg {
            aux: id.0,
            ..Reg::pointer(Kind::BtfId)
        };
        self.put_pointer(number, object, flags);
    }

    fn put_pointer(&mut self, number: u8, pointer: Reg, flags: Flags) {
        let id = if flags.any(Flags::MAYBE_NULL) {
            self.next_id()
        } else {
            0
        };
        *self.reg_mut(number) = Reg {
            flags,
            id,
            subreg_def: DEF_NOT_SUBREG,
            ..pointer
        };
    }

    /// The same for an object whose type is known by name.
    pub(crate) fn fill_object(&mut self, number: u8, name: &str, flags: Flags) -> Res {
        let id = self.kernel_struct(name)?;
        self.put_object(number, id, flags);
        Ok(())
    }

    /// The kernel's structure with this name.
    ///
    /// # Errors
    /// Unsupported when the kernel's types are not given or do not have it.
    pub(crate) fn kernel_struct(&self, name: &str) -> Res<TypeId> {
        kernel_btf(self)?
            .find_by_name_kind(name, BtfKind::Struct)
            .ok_or_else(|| Stop::Unsupported(format!("struct {name}, which the kernel lacks")))
    }

    /// Notes that the program cannot run without a kernel.
    pub(crate) fn need_kernel(&mut self, what: &str) {
        if self.needs_kernel.is_none() {
            self.needs_kernel = Some(what.to_string());
        }
    }

    fn context_word(&mut self, off: i32, size: i32) -> Res<Option<Word>> {
        let Some(target) = self.target.clone() else {
            return Ok(None);
        };
        let name = &target.name;
        let btf = match &target.program {
            None => kernel_btf(self)?,
            Some(types) => match types.btf.clone() {
                Some(btf) => btf,
                None => return Ok(self.untyped_word(&target, off)),
            },
        };
        if off % 8 != 0 {
            say!(self, "func '{name}' offset {off} is not multiple of 8\n");
            return Ok(None);
        }
        let arg = match target.place {
            Place::Tracepoint(_) => (off / 8) as usize,
            _ => target.argument_at(&btf, off as u32),
        };
        let ends = matches!(
            target.place,
            Place::Exit | Place::Modify | Place::Hook | Place::CgroupHook
        );
        let ty = match target.args.get(arg) {
            Some(ty) => *ty,
            None if arg == target.args.len() && ends => {
                if let Some(word) = self.result_word(&btf, &target) {
                    return Ok(word);
                }
                target.result
            }
            None => {
                let nth = missing_argument(&btf, &target, arg);
                say!(self, "func '{name}' doesn't have {nth}-th argument\n");
                return Ok(None);
            }
        };
        let Some(ty) = btf.resolve(ty) else {
            return Ok(None);
        };
        if is_plain_number(ty) {
            return Ok(Some(Word::Number));
        }
        if ty.kind() != BtfKind::Ptr {
            let kind = match ty.kind() {
                BtfKind::Void => "UNKNOWN",
                kind => kind.name(),
            };
            let of = super::btf_id::shown(&ty);
            say!(
                self,
                "func '{name}' arg{arg} '{of}' has type {kind}. Only pointer access is allowed\n"
            );
            return Ok(None);
        }
        if size != 8 {
            say!(self, "func '{name}' size {size} must be 8\n");
            return Ok(None);
        }
        self.pointer_word(&btf, &target, arg, ty)
    }

    /// A word of a function about whose arguments nothing is known.
    fn untyped_word(&mut self, target: &Target, off: i32) -> Option<Word> {
        let name = &target.name;
        if off % 8 != 0 {
            say!(self, "func '{name}' offset {off} is not multiple of 8\n");
            return None;
        }
        let arg = off / 8;
        let last = match target.place {
            Place::Exit => UNTYPED_ARGS,
            _ => UNTYPED_ARGS - 1,
        };
        if arg > last {
            let nth = arg + 1;
            say!(self, "func '{name}' doesn't have {nth}-th argument\n");
            return None;
        }
        Some(Word::Number)
    }

    /// What a traced program gets for the context, the only object that programs hand on.
    fn program_context(
        &mut self,
        to: Type<'_>,
        arg: usize,
        prog_type: Option<ProgType>,
    ) -> Res<Option<Word>> {
        if to.kind() != BtfKind::Struct {
            say!(self, "arg#{arg} type is not a struct\n");
            return Ok(None);
        }
        let Some(prog_type) = prog_type else {
            return Ok(None);
        };
        if !crate::call::global_func::is_context_name(to.name(), prog_type) {
            return Ok(None);
        }
        let id = self.kernel_context(prog_type)?;
        Ok(Some(Word::Object(id, Flags::NONE)))
    }

    /// What stands for the result that is there already, where that needs more than its type.
    fn result_word(&mut self, btf: &Btf, target: &Target) -> Option<Option<Word>> {
        let result = btf.resolve(target.result)?;
        match target.place {
            Place::Modify if !is_small_int(result) => {
                let kind = match result.kind() {
                    BtfKind::Void => "UNKNOWN",
                    kind => kind.name(),
                };
                say!(self, "ret type {kind} not allowed for fmod_ret\n");
                Some(None)
            }
            Place::Hook if result.kind() != BtfKind::Void => {
                let (min, max) = skep_catalog::hook(&target.name)?.results();
                Some(Some(Word::Between(min, max)))
            }
            _ => None,
        }
    }

    fn pointer_word(
        &mut self,
        btf: &Btf,
        target: &Target,
        arg: usize,
        ptr: Type<'_>,
    ) -> Res<Option<Word>> {
        let name = &target.name;
        if let Place::Iterator(values) = target.place
            && let Some(value) = arg.checked_sub(1).and_then(|at| values.get(at))
            && let Some(word) = self.iterator_word(*value)?
        {
            return Ok(Some(word));
        }
        if let Place::Operation(operations) = target.place
            && operations.nullable_args(name) >> arg & 1 != 0
            && let Some(object) = ptr.ref_type().and_then(|id| btf.resolve(id))
        {
            let flags = Flags::TRUSTED.with(Flags::MAYBE_NULL);
            return Ok(Some(Word::Object(object.id(), flags)));
        }
        let Some(to) = ptr.ref_type().and_then(|id| btf.resolve(id)) else {
            return Ok(None);
        };
        if matches!(to.kind(), BtfKind::Void | BtfKind::Int) {
            return Ok(Some(Word::Number));
        }
        if !to.kind().is_composite() {
            let kind = to.kind().name();
            say!(self, "func '{name}' arg{arg} type {kind} is not a struct\n");
            return Ok(None);
        }
        if let Some(types) = &target.program {
            return self.program_context(to, arg, types.prog_type);
        }
        let mut flags = match target.place {
            Place::Tracepoint(nullable) if nullable >> arg & 1 != 0 => {
                Flags::TRUSTED.with(Flags::MAYBE_NULL)
            }
            Place::Tracepoint(_) | Place::Iterator(_) | Place::Operation(_) => Flags::TRUSTED,
            Place::Hook | Place::CgroupHook
                if skep_catalog::hook(name).is_some_and(|hook| hook.is_trusted()) =>
            {
                Flags::TRUSTED
            }
            Place::Hook | Place::CgroupHook => Flags::NONE,
            Place::Entry | Place::Exit | Place::Modify => Flags::NONE,
        };
        flags = flags.with(super::btf_id::tag_flags(btf, ptr).without(Flags::RCU));
        let (id, kind, of) = (to.id(), to.kind().name(), to.name());
        say!(
            self,
            "func '{name}' arg{arg} has btf_id {} type {kind} '{of}'\n",
            id.0
        );
        if let Place::Operation(operations) = target.place
            && let Some((from, to)) = operations.promoted
            && of == from
        {
            return Ok(Some(Word::Object(self.kernel_struct(to)?, flags)));
        }
        Ok(Some(Word::Object(id, flags)))
    }

    /// What the iterator itself says of an argument; `None` where it leaves that to the types.
    fn iterator_word(&self, value: IterValue) -> Res<Option<Word>> {
        let null = Flags::MAYBE_NULL;
        let object = |name, flags| Ok(Word::Object(self.kernel_struct(name)?, flags));
        Ok(Some(match value {
            IterValue::AsTyped => return Ok(None),
            IterValue::Number => Word::Number,
            IterValue::TrustedOrNull(name) => object(name, Flags::TRUSTED.with(null))?,
            IterValue::PlainOrNull(name) => object(name, null)?,
            IterValue::ReadOnlyBufferOrNull => Word::Buffer(Flags::RDONLY.with(null)),
            IterValue::BufferOrNull => Word::Buffer(null),
        }))
    }
}

/// Whether the value is an integer of at most a register.
fn is_small_int(ty: Type<'_>) -> bool {
    ty.kind() == BtfKind::Int && ty.size().is_some_and(|size| size <= 8)
}

/// Whether the value is a number that any part of its word may be read of.
fn is_plain_number(ty: Type<'_>) -> bool {
    let small = ty.size().is_some_and(|size| size <= 8);
    match ty.kind() {
        BtfKind::Int => small,
        BtfKind::Struct | BtfKind::Union => true,
        kind => kind.is_enum(),
    }
}

/// The number that Linux gives an argument which is not there: behind the arguments it counts
/// the result, and everything further as one.
fn missing_argument(btf: &Btf, target: &Target, arg: usize) -> usize {
    // Listeners of tracepoints get data of their own first, which is no argument to them.
    let own = usize::from(matches!(target.place, Place::Tracepoint(_)));
    let count = target.args.len() + own;
    let returns = btf
        .resolve(target.result)
        .is_some_and(|ty| ty.kind() != BtfKind::Void);
    if arg < count || arg == count && returns {
        arg + 1
    } else {
        count + 2
    }
}
