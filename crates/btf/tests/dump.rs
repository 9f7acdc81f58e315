//! Types as text: what bpftool 7.1 prints of the same blob, and C with the same layouts.
//!
//! The C of the types of Linux 6.18.44 (9,747 structures and unions, 67,570 assertions over
//! sizes and offsets) was compiled by clang 19, and the BTF that came of it compared.

use skep_btf::dump::c::DumpError;
use skep_btf::dump::{c, header, raw};
use skep_btf::{Btf, Builder, Kind, Linkage, TypeId};

macro_rules! recorded {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("data/", $name, ".btf")),
            include_str!(concat!("data/", $name, ".h")),
        )
    };
}

#[test]
fn records() {
    let mut b = Builder::new();
    let int = b.int("int", 4, true);
    let ptr = b.ptr(int);
    b.enum_("colour", true, &[("RED", -1)]);
    b.enum64("wide", false, &[("BIG", 0xffff_ffff_0000_0001)]);
    let proto = b.func_proto(int, &[("a", ptr), ("", TypeId::VOID)]);
    b.func("entry", proto, Linkage::Global);
    let var = b.var("counter", int, Linkage::Static);
    b.datasec(".bss", 4, &[(var, 0, 4)]);
    b.add(Kind::Fwd, "later", (0, true), 0, &[]);
    let bits = [0, 1, 3 << 24, 0, 1, 5 << 24 | 3];
    b.add(Kind::Struct, "bits", (2, true), 4, &bits);
    b.decl_tag("hot", int, -1);
    b.array(int, int, 6);
    let btf = Btf::parse(&b.finish()).unwrap();
    let mut text = String::new();
    raw::all(&btf, &mut text).unwrap();
    let wanted = "\
[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
[2] PTR '(anon)' type_id=1
[3] ENUM 'colour' encoding=SIGNED size=4 vlen=1
\t'RED' val=-1
[4] ENUM64 'wide' encoding=UNSIGNED size=8 vlen=1
\t'BIG' val=18446744069414584321ULL
[5] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
\t'a' type_id=2
\t'(anon)' type_id=0
[6] FUNC 'entry' type_id=5 linkage=global
[7] VAR 'counter' type_id=1, linkage=static
[8] DATASEC '.bss' size=4 vlen=1
\ttype_id=7 offset=0 size=4 (VAR 'counter')
[9] FWD 'later' fwd_kind=union
[10] STRUCT 'bits' size=4 vlen=2
\t'(anon)' type_id=1 bits_offset=0 bitfield_size=3
\t'(anon)' type_id=1 bits_offset=3 bitfield_size=5
[11] DECL_TAG 'hot' type_id=1 component_idx=-1
[12] ARRAY '(anon)' type_id=1 index_type_id=1 nr_elems=6
";
    assert_eq!(text, wanted);
}

fn check(build: impl FnOnce(&mut Builder), wanted: &str) {
    let mut b = Builder::new();
    build(&mut b);
    let btf = Btf::parse(&b.finish()).unwrap();
    assert_eq!(c::all(&btf).unwrap(), wanted);
}

#[test]
fn layouts() {
    // Holes are named by nothing, and what no compiler would do by itself is packed.
    check(
        |b| {
            let int = b.int("int", 4, true);
            let char = b.int("char", 1, true);
            b.struct_("hole", 16, &[("c", char, 0), ("i", int, 64)]);
            b.struct_("tight", 5, &[("c", char, 0), ("i", int, 8)]);
            b.union_("either", 4, &[("c", char, 0), ("i", int, 0)]);
        },
        "struct hole {\n\tchar c;\n\tlong: 0;\n\tint i;\n\tlong: 0;\n};\n\n\
         struct tight {\n\tchar c;\n\tint i;\n} __attribute__((packed));\n\n\
         union either {\n\tchar c;\n\tint i;\n};\n\n",
    );
}

#[test]
fn order_and_declarators() {
    // What is held by value comes first, what is pointed at is declared.
    check(
        |b| {
            let int = b.int("int", 4, true);
            let inner = TypeId(int.0 + 2);
            b.struct_("outer", 8, &[("in", inner, 0)]);
            let own = TypeId(inner.0 + 1);
            b.struct_("inner", 8, &[("next", own, 0)]);
            b.ptr(inner);
            let other = b.add(Kind::Fwd, "other", (0, false), 0, &[]);
            let other = b.ptr(other);
            let konst = b.refer(Kind::Const, "", int);
            let konst = b.ptr(konst);
            let proto = b.func_proto(int, &[("o", other), ("k", konst)]);
            let call = b.ptr(proto);
            let calls = b.array(call, int, 3);
            b.refer(Kind::Typedef, "calls_t", calls);
        },
        "struct inner {\n\tstruct inner *next;\n};\n\n\
         struct outer {\n\tstruct inner in;\n};\n\n\
         struct other;\n\n\
         typedef int (*calls_t[3])(struct other *o, const int *k);\n\n",
    );
}

#[test]
fn nameless_and_shared_names() {
    check(
        |b| {
            let int = b.int("int", 4, true);
            let anon = b.union_("", 4, &[("a", int, 0), ("b", int, 0)]);
            let values = b.enum_("", false, &[("ONE", 1)]);
            b.struct_("s", 8, &[("", anon, 0), ("e", values, 32)]);
            b.struct_("s", 4, &[("x", int, 0)]);
            b.enum_("other", false, &[("ONE", 2)]);
        },
        "struct s {\n\tunion {\n\t\tint a;\n\t\tint b;\n\t};\n\tenum {\n\t\tONE = 1,\n\t} e;\n};\n\n\
         struct s___2 {\n\tint x;\n};\n\nenum other {\n\tONE___2 = 2,\n};\n\n",
    );
}

/// What libbpf 1.7 makes of made-up types of every kind (`cargo xtask libbpf dump` compares as
/// many as one likes): order, forward declarations, gaps, numbers for shared names.
#[test]
fn text_is_libbpfs() {
    let recorded: [(&str, &[u8], &str); 7] = [
        recorded!("made-1"),
        recorded!("made-6"),
        recorded!("made-8"),
        recorded!("made-21"),
        recorded!("made-22"),
        recorded!("enums"),
        recorded!("declarations"),
    ];
    for (name, types, text) in recorded {
        let btf = Btf::parse(types).unwrap();
        assert_eq!(c::all(&btf).unwrap(), text, "{name}");
    }
}

/// Blobs that no compiler wrote come to an end, or are refused.
#[test]
fn no_blow_up() {
    // Nameless structures, each with two of the one before: the text would double each time.
    let mut b = Builder::new();
    let mut last = b.int("int", 4, true);
    for _ in 0..40 {
        last = b.union_("", 4, &[("a", last, 0), ("b", last, 0)]);
    }
    b.struct_("bomb", 4, &[("all", last, 0)]);
    let btf = Btf::parse(&b.finish()).unwrap();
    assert_eq!(c::all(&btf), Err(DumpError::TooLong));
    // A chain that is only met from its far end.
    let mut b = Builder::new();
    for next in 2..60_000 {
        b.refer(Kind::Typedef, "t", TypeId(next));
    }
    b.int("int", 4, true);
    assert!(c::all(&Btf::parse(&b.finish()).unwrap()).is_ok());
    // Structures that hold themselves, pointers in a circle, and pointers past counting.
    let mut b = Builder::new();
    b.struct_("own", 4, &[("me", TypeId(1), 0), ("a", TypeId(2), 0)]);
    b.struct_("", 4, &[("me", TypeId(2), 0)]);
    for next in 4..2000 {
        b.ptr(TypeId(next));
    }
    b.ptr(TypeId(3));
    b.refer(Kind::Typedef, "deep", TypeId(3));
    assert_eq!(
        c::all(&Btf::parse(&b.finish()).unwrap()),
        Err(DumpError::Cycle(TypeId(1)))
    );
    let mut b = Builder::new();
    for next in 2..2000 {
        b.ptr(TypeId(next));
    }
    b.ptr(TypeId(1));
    b.refer(Kind::Typedef, "deep", TypeId(1));
    assert_eq!(
        c::all(&Btf::parse(&b.finish()).unwrap()),
        Err(DumpError::TooLong)
    );
    let mut b = Builder::new();
    b.int("int", 4, true);
    for next in 1..2000 {
        b.ptr(TypeId(next));
    }
    b.refer(Kind::Typedef, "deep", TypeId(2000));
    assert_eq!(
        c::all(&Btf::parse(&b.finish()).unwrap()),
        Err(DumpError::TooDeep)
    );
}

/// What a dump calls structures is what who compiles it has to write.
#[test]
fn structures_are_called_as_the_dump_writes_them() {
    let mut types = Builder::new();
    let int = types.int("int", 4, true);
    let first = types.struct_("twice", 4, &[("a", int, 0)]);
    let second = types.struct_("twice", 8, &[("a", int, 0), ("b", int, 32)]);
    let union = types.union_("once", 4, &[("a", int, 0)]);
    types.struct_("", 4, &[("a", int, 0)]);
    let btf = Btf::parse(&types.finish()).unwrap();
    let text = skep_btf::dump::c::all(&btf).unwrap();
    let names = skep_btf::dump::c::composites(&btf).unwrap();
    let wanted = [
        (first, "struct twice"),
        (second, "struct twice___2"),
        (union, "union once"),
    ];
    for ((id, name), (wanted_id, wanted)) in names.iter().zip(wanted) {
        assert_eq!((*id, name.as_str()), (wanted_id, wanted));
        assert!(text.contains(&format!("{name} {{")), "{name}: {text}");
    }
    assert_eq!(names.len(), wanted.len());
}

/// What bpftool 7.8 prints of these types, but for the first, which it loses.
#[test]
fn headers_are_sorted_and_declare_functions() {
    let mut b = Builder::new();
    let int = b.int("int", 4, true);
    let later = b.struct_("later", 4, &[("n", int, 0)]);
    let alias = b.refer(Kind::Typedef, "alias_t", later);
    b.struct_("early", 4, &[("of", alias, 0)]);
    b.refer(Kind::Typedef, "number_t", int);
    b.enum_("", false, &[("LAST", 1)]);
    b.enum_("", false, &[("FIRST", 1)]);
    b.enum_("colour", false, &[("RED", 0)]);
    let mode = b.enum_("", false, &[("ON", 0)]);
    b.refer(Kind::Typedef, "a_mode", mode);
    let to = b.ptr(later);
    let proto = b.func_proto(int, &[("a", to)]);
    let slow = b.func("slow_one", proto, Linkage::Global);
    let fast = b.func("fast_one", proto, Linkage::Global);
    let other = b.func("other", proto, Linkage::Global);
    for (tag, func) in [
        ("bpf_kfunc", slow),
        ("bpf_kfunc", fast),
        ("bpf_fastcall", fast),
    ] {
        b.decl_tag(tag, func, -1);
    }
    b.decl_tag("hot", other, -1);
    let btf = Btf::parse(&b.finish()).unwrap();
    let check = |wanted: header::Wanted, first: &str, last: &str| {
        let text = header::text(&btf, wanted).unwrap();
        let (_, text) = text
            .rsplit_once("#define __bpf_fastcall\n#endif\n#endif\n\n")
            .unwrap();
        let (text, _) = text
            .split_once("#ifndef BPF_NO_PRESERVE_ACCESS_INDEX")
            .unwrap();
        assert_eq!(text, format!("{first}{last}"));
    };
    let functions = "\n\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n\
        extern int slow_one(struct later *a) __weak __ksym;\n\
        extern __bpf_fastcall int fast_one(struct later *a) __weak __ksym;\n#endif\n\n";
    let constants = ["LAST", "FIRST"].map(|name| format!("enum {{\n\t{name} = 1,\n}};\n\n"));
    let [last, first] = constants;
    let colour = "enum colour {\n\tRED = 0,\n};\n\n";
    let mode = "typedef enum {\n\tON = 0,\n} a_mode;\n\n";
    let number = "typedef int number_t;\n\n";
    let later = "struct later {\n\tint n;\n};\n\n";
    let alias = "typedef struct later alias_t;\n\n";
    let early = "struct early {\n\talias_t of;\n};\n\n";
    let sorted = [&first, &last, mode, colour, number, later, alias, early];
    let by_number = [later, alias, early, number, &last, &first, colour, mode];
    check(
        header::Wanted::Sorted,
        sorted.concat().trim_end_matches('\n'),
        &format!("\n{functions}"),
    );
    check(
        header::Wanted::Unsorted,
        by_number.concat().trim_end_matches('\n'),
        &format!("\n{functions}"),
    );
    check(
        header::Wanted::Roots(vec![alias_id(&btf)]),
        &[later, alias].concat(),
        "",
    );
}

fn alias_id(btf: &Btf) -> TypeId {
    btf.find_by_name_kind("alias_t", Kind::Typedef).unwrap()
}

/// A module's types stand on the kernel's; what programs may call of both is declared.
#[test]
fn functions_of_the_base_are_declared_too() {
    let mut base = Builder::new();
    let int = base.int("int", 4, true);
    let proto = base.func_proto(int, &[]);
    let func = base.func("of_kernel", proto, Linkage::Global);
    base.decl_tag("bpf_kfunc", func, -1);
    let base = std::sync::Arc::new(Btf::parse(&base.finish()).unwrap());
    let mut split = Builder::on(&base);
    let func = split.func("of_module", proto, Linkage::Global);
    split.decl_tag("bpf_kfunc", func, -1);
    let split = Btf::parse_on(split.finish(), Some(base)).unwrap();
    let text = header::text(&split, header::Wanted::Unsorted).unwrap();
    let (_, functions) = text.split_once("BPF_NO_KFUNC_PROTOTYPES\n").unwrap();
    let both = "extern int of_kernel(void) __weak __ksym;\n\
        extern int of_module(void) __weak __ksym;\n#endif\n";
    assert!(functions.starts_with(both), "{functions}");
}
