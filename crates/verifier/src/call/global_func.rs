//! What a function expects in its arguments, as its BTF type and tags say.

use skep_abi::{AttachType, ProgType};
use skep_btf::{Btf, Kind as BtfKind, Type, TypeId};

use crate::context::{Res, Stop, Verifier};
use crate::refuse;

/// What one argument of a function must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgKind {
    /// A number.
    Scalar,
    /// The program's context.
    Ctx,
    /// Memory of this many bytes.
    Mem {
        /// Bytes.
        size: u32,
        /// Null is allowed.
        nullable: bool,
    },
    /// A place in an arena, or a number.
    Arena,
    /// A dynptr.
    Dynptr,
    /// Anything, of which is read as of an object of the kernel (or as bytes, with 0) that may
    /// not be there.
    Untrusted {
        /// Its type.
        id: u32,
    },
    /// A trusted object of the kernel.
    Object {
        /// Its type.
        id: u32,
        /// Null is allowed.
        nullable: bool,
    },
}

/// The most arguments of a function.
const MAX_ARGS: usize = 5;

/// The tags (`arg:…`) of one argument.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Tags {
    ctx: bool,
    nonnull: bool,
    nullable: bool,
    arena: bool,
    trusted: bool,
    untrusted: bool,
}

impl Tags {
    const NONE: Tags = Tags {
        ctx: false,
        nonnull: false,
        nullable: false,
        arena: false,
        trusted: false,
        untrusted: false,
    };

    fn set(&mut self, name: &str) -> bool {
        let tag = match name {
            "ctx" => &mut self.ctx,
            "nonnull" => &mut self.nonnull,
            "nullable" => &mut self.nullable,
            "arena" => &mut self.arena,
            "trusted" => &mut self.trusted,
            "untrusted" => &mut self.untrusted,
            _ => return false,
        };
        *tag = true;
        true
    }

    fn beyond_ctx(self) -> bool {
        Tags { ctx: false, ..self } != Tags::NONE
    }

    fn beyond_arena(self) -> bool {
        Tags {
            arena: false,
            ..self
        } != Tags::NONE
    }
}

impl Verifier<'_> {
    /// The name of a function from BTF; empty when it has none.
    pub fn subprog_name(&self, subprog: usize) -> String {
        let id = self.subprogs[subprog].btf_func;
        self.request
            .btf
            .as_ref()
            .filter(|_| id != 0)
            .and_then(|btf| Some(btf.type_by_id(id)?.name().to_string()))
            .unwrap_or_default()
    }

    /// Finds out, once, what the arguments of a function must be.
    ///
    /// # Errors
    /// `EINVAL` or `EOPNOTSUPP` for a type that cannot be an argument (for a static function
    /// that only means that its type tells nothing), `EFAULT` without type information.
    pub fn prepare_args(&mut self, subprog: usize) -> Res {
        if self.subprogs[subprog].args_cached {
            return Ok(());
        }
        let (id, is_global) = {
            let s = &self.subprogs[subprog];
            (s.btf_func, s.is_global)
        };
        let Some(btf) = self.request.btf.clone().filter(|_| id != 0) else {
            return Err(Stop::Reject(skep_abi::Errno::EFAULT));
        };
        let Some((func, proto)) = btf
            .type_by_id(id)
            .filter(|func| func.kind() == BtfKind::Func)
            .and_then(|func| Some((func, func.target()?)))
        else {
            return Err(Stop::Reject(skep_abi::Errno::EFAULT));
        };
        let name = func.name();
        let params: Vec<TypeId> = proto.params().map(|param| param.ty).collect();
        if params.len() > MAX_ARGS {
            if !is_global {
                return Err(Stop::Reject(skep_abi::Errno::EINVAL));
            }
            let count = params.len();
            refuse!(
                self,
                EINVAL,
                "Global function {name}() with {count} > {MAX_ARGS} args. Buggy compiler."
            );
        }
        let returns = proto.ref_type().and_then(|id| btf.resolve(id));
        if !returns.is_some_and(|ty| is_number(ty)) {
            if !is_global {
                return Err(Stop::Reject(skep_abi::Errno::EINVAL));
            }
            refuse!(
                self,
                EINVAL,
                "Global function {name}() doesn't return scalar. Only those are supported."
            );
        }
        let mut args = Vec::with_capacity(params.len());
        for (index, ty) in params.into_iter().enumerate() {
            let tags = self.arg_tags(&btf, func.id(), index, is_global)?;
            args.push(self.arg_kind(&btf, name, index, ty, tags, is_global)?);
        }
        let s = &mut self.subprogs[subprog];
        s.args = args;
        s.args_cached = true;
        Ok(())
    }

    fn arg_tags(&mut self, btf: &Btf, func: TypeId, index: usize, is_global: bool) -> Res<Tags> {
        let mut tags = Tags::NONE;
        for ty in btf.decl_tags() {
            if ty.ref_type() != Some(func) || ty.component_idx() != Some(index as i32) {
                continue;
            }
            let Some(tag) = ty.name().strip_prefix("arg:") else {
                continue;
            };
            if !is_global {
                refuse!(
                    self,
                    EOPNOTSUPP,
                    "arg#{index} type tag is not supported in static functions"
                );
            }
            if !tags.set(tag) {
                refuse!(self, EOPNOTSUPP, "arg#{index} has unsupported set of tags");
            }
        }
        Ok(tags)
    }

    fn arg_kind(
        &mut self,
        btf: &Btf,
        func: &str,
        index: usize,
        ty: TypeId,
        tags: Tags,
        is_global: bool,
    ) -> Res<ArgKind> {
        let Some(ty) = btf.resolve(ty) else {
            return Err(Stop::Reject(skep_abi::Errno::EINVAL));
        };
        if ty.kind() == BtfKind::Ptr
            && let Some(kind) = self.pointer_arg(btf, index, ty, tags, is_global)?
        {
            return Ok(kind);
        }
        if tags != Tags::NONE {
            refuse!(
                self,
                EINVAL,
                "arg#{index} has pointer tag, but is not a pointer type"
            );
        }
        if is_number(ty) {
            return Ok(ArgKind::Scalar);
        }
        if !is_global {
            return Err(Stop::Reject(skep_abi::Errno::EINVAL));
        }
        let kind = ty.kind().name();
        refuse!(
            self,
            EINVAL,
            "Arg#{index} type {kind} in {func}() is not supported yet."
        );
    }

    fn pointer_arg(
        &mut self,
        btf: &Btf,
        index: usize,
        ptr: Type<'_>,
        tags: Tags,
        is_global: bool,
    ) -> Res<Option<ArgKind>> {
        let prog_type = ProgType::from_u32(self.request.prog_type);
        if tags.ctx || is_context(btf, ptr, prog_type) {
            if tags.beyond_ctx() {
                refuse!(self, EINVAL, "arg#{index} has invalid combination of tags");
            }
            if tags.ctx {
                self.check_tagged_context(btf, index, ptr, prog_type)?;
            }
            return Ok(Some(ArgKind::Ctx));
        }
        let pointee = ptr.ref_type().and_then(|id| btf.resolve(id));
        if pointee.is_some_and(|ty| ty.kind() == BtfKind::Struct && ty.name() == "bpf_dynptr") {
            if tags != Tags::NONE {
                refuse!(self, EINVAL, "arg#{index} has invalid combination of tags");
            }
            return Ok(Some(ArgKind::Dynptr));
        }
        if tags.trusted {
            // That it is not to be trusted is let pass, and does not count.
            let beyond = Tags {
                trusted: false,
                untrusted: false,
                nullable: false,
                ..tags
            };
            if beyond != Tags::NONE {
                refuse!(self, EINVAL, "arg#{index} has invalid combination of tags");
            }
            return Ok(Some(ArgKind::Object {
                id: self.kernel_type_of(index, pointee)?,
                nullable: tags.nullable,
            }));
        }
        if tags.untrusted {
            let beyond = Tags {
                untrusted: false,
                ..tags
            };
            if beyond != Tags::NONE {
                refuse!(
                    self,
                    EINVAL,
                    "arg#{index} untrusted cannot be combined with any other tags"
                );
            }
            let plain = pointee.is_none_or(|ty| ty.kind() == BtfKind::Void || is_number(ty));
            return Ok(Some(ArgKind::Untrusted {
                id: match plain {
                    true => 0,
                    false => self.kernel_type_of(index, pointee)?,
                },
            }));
        }
        if tags.arena {
            if tags.beyond_arena() {
                refuse!(
                    self,
                    EINVAL,
                    "arg#{index} arena cannot be combined with any other tags"
                );
            }
            return Ok(Some(ArgKind::Arena));
        }
        if !is_global {
            return Ok(None);
        }
        if tags.nullable {
            refuse!(self, EINVAL, "arg#{index} has invalid combination of tags");
        }
        let (kind, name) = pointee.map_or(("UNKNOWN", ""), |ty| (ty.kind().name(), ty.name()));
        let Some(size) = pointee.and_then(|ty| btf.size_of(ty.id())) else {
            refuse!(
                self,
                EINVAL,
                "arg#{index} reference type('{kind} {name}') size cannot be determined: -22"
            );
        };
        Ok(Some(ArgKind::Mem {
            size,
            nullable: !tags.nonnull,
        }))
    }

    fn iterates(&self) -> bool {
        self.request.expected_attach_type == AttachType::TraceIter as u32
    }

    /// The type of the kernel that the program knows under a name, perhaps with a flavour
    /// (`___…`) behind it.
    fn kernel_type_of(&mut self, index: usize, ty: Option<Type<'_>>) -> Res<u32> {
        let Some(ty) = ty else {
            return Err(Stop::Reject(skep_abi::Errno::EINVAL));
        };
        let (kind, name) = (ty.kind(), crate::access::btf_id::shown(&ty));
        let short = name.split("___").next().unwrap_or(name);
        let of = kind.name();
        if ty.name().is_empty() {
            refuse!(
                self,
                EINVAL,
                "arg#{index} reference type('{of} {name}') candidate matching error: -22"
            );
        }
        let btf = crate::setup::target::kernel_btf(self)?;
        let mut found = btf.find_all(short).filter(|ty| ty.kind() == kind);
        match (found.next(), found.next()) {
            (Some(ty), None) => Ok(ty.id().0),
            (None, _) => refuse!(
                self,
                ENOENT,
                "arg#{index} reference type('{of} {name}') has no matches"
            ),
            _ => refuse!(
                self,
                EEXIST,
                "arg#{index} reference type('{of} {name}') has multiple matches"
            ),
        }
    }

    /// Checks the type of an argument that a tag declares to be the context.
    fn check_tagged_context(
        &mut self,
        btf: &Btf,
        index: usize,
        ptr: Type<'_>,
        prog_type: Option<ProgType>,
    ) -> Res {
        use ProgType as P;
        if names_user_regs(btf, ptr) && matches!(prog_type, Some(P::Kprobe | P::PerfEvent)) {
            return Ok(());
        }
        let Some(ty) = ptr.ref_type().and_then(|id| btf.resolve(id)) else {
            return Err(Stop::Reject(skep_abi::Errno::EINVAL));
        };
        if ty.kind() == BtfKind::Void {
            return Ok(());
        }
        let name = ty.name();
        if name.is_empty() {
            refuse!(self, EINVAL, "arg#{index} type doesn't have a name");
        }
        let is_struct = ty.kind() == BtfKind::Struct;
        let is_u64 = ty.kind() == BtfKind::Int && ty.size() == Some(8);
        match prog_type {
            Some(P::Kprobe | P::PerfEvent) if is_struct && name == "pt_regs" => return Ok(()),
            Some(P::RawTracepoint | P::RawTracepointWritable) if is_u64 => return Ok(()),
            Some(P::Lsm | P::StructOps) if is_u64 => return Ok(()),
            Some(P::Tracing) if self.iterates() && is_struct && name.starts_with("bpf_iter__") => {
                return Ok(());
            }
            Some(P::Tracing) if is_u64 && !self.iterates() => return Ok(()),
            Some(P::Tracepoint | P::Syscall | P::Ext) => return Ok(()),
            _ => {}
        }
        let Some(expected) = prog_type.and_then(context_struct) else {
            refuse!(self, EINVAL, "arg#{index} should be void pointer");
        };
        if !is_struct || name != expected {
            refuse!(self, EINVAL, "arg#{index} should be `struct {expected} *`");
        }
        Ok(())
    }
}

fn is_number(ty: Type<'_>) -> bool {
    ty.kind() == BtfKind::Int || ty.kind().is_enum()
}

/// Whether a pointer's target is spelt `bpf_user_pt_regs_t`.
fn names_user_regs(btf: &Btf, ptr: Type<'_>) -> bool {
    ptr.ref_type()
        .and_then(|id| btf.strip_modifiers(id))
        .is_some_and(|ty| ty.kind() == BtfKind::Typedef && ty.name() == "bpf_user_pt_regs_t")
}

/// Whether a pointer points at what this type of program gets as its context.
fn is_context(btf: &Btf, ptr: Type<'_>, prog_type: Option<ProgType>) -> bool {
    if prog_type == Some(ProgType::Kprobe) && names_user_regs(btf, ptr) {
        return true;
    }
    let Some(ty) = ptr
        .ref_type()
        .and_then(|id| btf.resolve(id))
        .filter(|ty| ty.kind() == BtfKind::Struct)
    else {
        return false;
    };
    prog_type.is_some_and(|prog_type| is_context_name(ty.name(), prog_type))
}

/// The structure that programs of a type get as their context; `None` where it has no name.
fn context_struct(prog_type: ProgType) -> Option<&'static str> {
    let name = skep_catalog::prog_type(prog_type)?.context;
    (!name.is_empty()).then_some(name)
}

/// Whether a structure's name is that of the context of programs of a type, in the program's
/// view or the kernel's.
pub(crate) fn is_context_name(name: &str, prog_type: ProgType) -> bool {
    let Some(expected) = context_struct(prog_type) else {
        return false;
    };
    let kernel_side = match expected {
        "__sk_buff" => "sk_buff",
        "xdp_md" => "xdp_buff",
        other => other,
    };
    name == expected || name == kernel_side
}
