//! A header file that declares all types, and the functions that programs may call: bpftool's
//! `vmlinux.h`, in the text of bpftool 7.8.

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};

use super::c::{self, DumpError, Dumper};
pub use super::sorted::sorted;

/// Which types, in which order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Wanted {
    /// All, ordered by what they are and by name, so that headers can be compared.
    #[default]
    Sorted,
    /// All, in the order of their numbers.
    Unsorted,
    /// These and what they need, without functions.
    Roots(Vec<TypeId>),
}

const BEFORE: &str = "\
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(\".ksyms\")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

";

const BEHIND: &str = "\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
";

/// Writes the header.
///
/// # Errors
/// [`DumpError`] for blobs that no compiler wrote.
pub fn text(btf: &Btf, wanted: Wanted) -> Result<String, DumpError> {
    let every = 1..btf.type_count();
    let (roots, is_whole) = match wanted {
        Wanted::Sorted => (sorted(btf), true),
        Wanted::Unsorted => (every.map(TypeId).collect(), true),
        Wanted::Roots(roots) => (roots, false),
    };
    let mut dumper = c::roots_written(btf, roots.into_iter())?;
    if is_whole {
        kfuncs(btf, &mut dumper)?;
    }
    Ok(format!("{BEFORE}{}{BEHIND}", dumper.text()))
}

/// Declares the functions that are tagged as what programs may call, those of the base first.
fn kfuncs<'a>(btf: &'a Btf, dumper: &mut Dumper<'a>) -> Result<(), DumpError> {
    let mut blobs: Vec<&Btf> = vec![btf];
    while let Some(base) = blobs.last().and_then(|btf| btf.base()) {
        blobs.push(base);
    }
    let tagged = |name: &'static str| {
        let tags = blobs.iter().rev().flat_map(|btf| btf.decl_tags());
        tags.filter(move |tag| tag.name() == name)
            .filter_map(|tag| tag.target().filter(|ty| ty.kind() == Kind::Func))
    };
    let fast: Vec<TypeId> = tagged("bpf_fastcall").map(|func| func.id()).collect();
    dumper
        .out
        .extend_from_slice(b"\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n");
    for func in tagged("bpf_kfunc") {
        dumper.out.extend_from_slice(b"extern ");
        if fast.contains(&func.id()) {
            dumper.out.extend_from_slice(b"__bpf_fastcall ");
        }
        let proto = func.ref_type().unwrap_or_default();
        dumper.declaration(proto, func.name_bytes().into(), 0)?;
        dumper.out.extend_from_slice(b" __weak __ksym;\n");
    }
    dumper.out.extend_from_slice(b"#endif\n\n");
    Ok(())
}
