//! Distilled bases: the blobs that libbpf 1.7 makes of the same types (`cargo xtask libbpf distill`
//! compares as many made-up ones as one likes), and what has no place in one.

use std::sync::Arc;

use skep_btf::{Btf, Builder, DistillError, Kind, Linkage, TypeId, distill};

#[test]
fn the_blobs_are_libbpfs() {
    let base = Arc::new(Btf::parse(include_bytes!("data/distill.base")).unwrap());
    let split = include_bytes!("data/distill.split");
    let split = Btf::parse_split(split, base).unwrap();
    let done = distill(&split).unwrap();
    assert_eq!(done.base.raw(), include_bytes!("data/distilled.base"));
    assert_eq!(done.split.raw(), include_bytes!("data/distilled.split"));
}

/// Split types with one pointer, to a type of a base that `build` makes.
fn pointing(build: impl FnOnce(&mut Builder) -> TypeId) -> Btf {
    let mut base = Builder::new();
    let to = build(&mut base);
    let base = Arc::new(Btf::parse(&base.finish()).unwrap());
    let mut split = Builder::on(&base);
    split.ptr(to);
    Btf::parse_split(&split.finish(), base).unwrap()
}

#[test]
fn what_belongs_to_the_base_is_refused() {
    let check = |build: fn(&mut Builder, TypeId) -> TypeId, wanted: Kind| {
        let split = pointing(|base| {
            let int = base.int("int", 4, true);
            build(base, int)
        });
        let error = distill(&split).expect_err("must be refused");
        assert!(
            matches!(error, DistillError::Kind { kind, .. } if kind == wanted),
            "{error}"
        );
    };
    check(
        |base, int| {
            let proto = base.func_proto(int, &[]);
            base.func("f", proto, Linkage::Global)
        },
        Kind::Func,
    );
    check(|base, int| base.var("v", int, Linkage::Global), Kind::Var);
    check(|base, _| base.datasec(".data", 4, &[]), Kind::DataSec);
    check(|base, int| base.decl_tag("t", int, -1), Kind::DeclTag);
    let alone = Btf::parse(&Builder::new().finish()).unwrap();
    assert_eq!(distill(&alone).unwrap_err(), DistillError::NoBase);
}

/// Nameless structures that refer to each other, and nothing that is distilled.
#[test]
fn circles_are_copied_once() {
    let split = pointing(|base| {
        base.ptr(TypeId(2));
        base.struct_("", 8, &[("next", TypeId(1), 0)])
    });
    let done = distill(&split).unwrap();
    assert_eq!(done.base.type_count(), 1);
    assert_eq!(done.split.type_count(), 4);
    let node = done.split.type_by_id(1).unwrap().target().unwrap();
    assert_eq!((node.id(), node.kind()), (TypeId(3), Kind::Struct));
    let next = node.members().next().unwrap().ty;
    let next = done.split.type_by_id(next).unwrap();
    assert_eq!(next.target().unwrap().id(), node.id());
}
