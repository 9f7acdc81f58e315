//! Which types become one: those that nothing tells apart, circles included.

use std::collections::HashMap;

use skep_btf::{Btf, Builder, Kind, Linkage, TypeId, check, dedup};

/// Adds the types of one compilation: a list of pairs, and a number that may differ.
fn unit(b: &mut Builder, number: &str, size: u32) {
    let int = b.int(number, size, true);
    let node = TypeId(int.0 + 1);
    let next = TypeId(int.0 + 2);
    let bits = size * 8;
    b.struct_(
        "node",
        24,
        &[("next", next, 0), ("n", int, 64), ("m", int, 64 + bits)],
    );
    b.ptr(node);
    b.array(node, int, 3);
    let proto = b.func_proto(next, &[("n", node)]);
    b.refer(Kind::Typedef, "walk_t", proto);
}

#[test]
fn equal_types_become_one() {
    let check_count = |units: &[(&str, u32)], count: u32| {
        let mut b = Builder::new();
        for (name, size) in units {
            unit(&mut b, name, *size);
        }
        let btf = Btf::parse(&b.finish()).unwrap();
        let done = dedup(&btf, &HashMap::new());
        let small = Btf::parse(&done.raw).unwrap();
        assert_eq!(small.type_count() - 1, count, "{units:?}");
        for ty in btf.types() {
            let new = small.type_by_id(done.id(ty.id())).unwrap();
            assert_eq!((new.kind(), new.name()), (ty.kind(), ty.name()));
        }
        // Once is enough.
        let again = dedup(&small, &HashMap::new());
        assert_eq!(again.raw, done.raw);
        assert_eq!(check(&done.raw, false).verdict, Ok(()));
    };
    check_count(&[("int", 4)], 6);
    check_count(&[("int", 4), ("int", 4)], 6);
    check_count(&[("int", 4), ("int", 4), ("int", 4)], 6);
    // One name further down tells everything above it apart.
    check_count(&[("int", 4), ("long", 4)], 12);
}

#[test]
fn declarations_meet_definitions() {
    let mut b = Builder::new();
    let ahead = b.add(Kind::Fwd, "s", (0, false), 0, &[]);
    let to_ahead = b.ptr(ahead);
    b.struct_("user", 8, &[("s", to_ahead, 0)]);
    let int = b.int("int", 4, true);
    let defined = b.struct_("s", 4, &[("a", int, 0)]);
    let to_defined = b.ptr(defined);
    b.struct_("user", 8, &[("s", to_defined, 0)]);
    b.add(Kind::Fwd, "nowhere", (0, false), 0, &[]);
    let btf = Btf::parse(&b.finish()).unwrap();
    let done = dedup(&btf, &HashMap::new());
    let small = Btf::parse(&done.raw).unwrap();
    assert_eq!(small.find_all("user").count(), 1);
    assert_eq!(small.find_all("s").count(), 1);
    assert_eq!(small.find_all("nowhere").count(), 1);
    assert_eq!(done.id(ahead), done.id(defined));
}

/// Long chains, and many types of one shape, take no more than a moment.
#[test]
fn no_blow_up() {
    let mut b = Builder::new();
    let mut last = b.int("int", 4, true);
    for _ in 0..100_000 {
        last = b.ptr(last);
    }
    let first = TypeId(last.0 + 1);
    for at in 0..50_000 {
        // One circle.
        let next = TypeId(first.0 + (at + 1) % 50_000);
        b.refer(Kind::Const, "", next);
    }
    let btf = Btf::parse(&b.finish()).unwrap();
    let done = dedup(&btf, &HashMap::new());
    assert!(Btf::parse(&done.raw).is_ok());
}

/// Variables and sections, which stay alone, keep what they are called.
#[test]
fn what_stays_alone_keeps_its_name() {
    let mut b = Builder::new();
    let int = b.int("int", 4, true);
    let again = b.int("int", 4, true);
    let var = b.var("counter", int, Linkage::Global);
    let other = b.var("counter", again, Linkage::Global);
    b.datasec(".bss", 8, &[(var, 0, 4), (other, 4, 4)]);
    let done = dedup(&Btf::parse(&b.finish()).unwrap(), &HashMap::new());
    let small = Btf::parse(&done.raw).unwrap();
    let told: Vec<(Kind, &str)> = small.types().map(|ty| (ty.kind(), ty.name())).collect();
    let wanted = [
        (Kind::Int, "int"),
        (Kind::Var, "counter"),
        (Kind::Var, "counter"),
        (Kind::DataSec, ".bss"),
    ];
    assert_eq!(told, wanted);
}
