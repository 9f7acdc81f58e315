//! What the parser takes, what it refuses and where, and what the queries answer.

use std::sync::Arc;

use skep_btf::{Btf, BtfExt, Builder, CoreKind, Kind, Linkage, Problem, TypeId};

/// One of everything.
fn sample() -> Vec<u8> {
    let mut b = Builder::new();
    let int = b.int("int", 4, true); // 1
    let ptr = b.ptr(int); // 2
    let array = b.array(int, int, 6); // 3
    let pair = b.struct_("pair", 16, &[("p", ptr, 0), ("n", int, 64)]); // 4
    b.union_("either", 8, &[("p", ptr, 0), ("n", int, 0)]); // 5
    b.enum_("colour", true, &[("RED", -1), ("BLUE", 7)]); // 6
    b.enum64("wide", false, &[("BIG", 0xffff_ffff_0000_0001)]); // 7
    let con = b.refer(Kind::Const, "", pair); // 8
    let tag = b.refer(Kind::TypeTag, "user", con); // 9
    let def = b.refer(Kind::Typedef, "pair_t", tag); // 10
    let proto = b.func_proto(int, &[("a", ptr), ("", TypeId::VOID)]); // 11
    let func = b.func("entry", proto, Linkage::Global); // 12
    let var = b.var("counter", array, Linkage::Static); // 13
    b.datasec(".bss", 24, &[(var, 0, 24)]); // 14
    b.decl_tag("hot", func, 0); // 15
    b.add(Kind::Float, "double", (0, false), 8, &[]); // 16
    b.add(Kind::Fwd, "later", (0, true), 0, &[]); // 17
    b.array(def, int, 3); // 18
    b.add(
        Kind::Struct,
        "bits",
        (2, true),
        4,
        &[0, 1, 3 << 24, 0, 1, 5 << 24 | 3],
    ); // 19
    b.finish()
}

#[test]
fn sizes_and_resolution() {
    let btf = Btf::parse(&sample()).unwrap();
    let check = |id: u32, size: Option<u32>, resolved: Option<u32>| {
        assert_eq!(btf.size_of(id), size, "size of {id}");
        assert_eq!(
            btf.resolve(id).map(|ty| ty.id().0),
            resolved,
            "resolution of {id}"
        );
    };
    check(0, None, Some(0));
    check(1, Some(4), Some(1));
    check(2, Some(8), Some(2));
    check(3, Some(24), Some(3));
    check(5, Some(8), Some(5));
    check(6, Some(4), Some(6));
    check(7, Some(8), Some(7));
    check(9, Some(16), Some(4));
    check(10, Some(16), Some(4));
    check(12, None, Some(12));
    check(13, Some(24), Some(13));
    check(17, None, Some(17));
    check(18, Some(48), Some(18));
    check(20, None, None);
    assert_eq!(btf.strip_modifiers(10u32).unwrap().id(), TypeId(10));
}

#[test]
fn views() {
    let btf = Btf::parse(&sample()).unwrap();
    let ty = |id: u32| btf.type_by_id(id).unwrap();
    assert!(ty(1).int().unwrap().signed);
    assert_eq!(ty(1).int().unwrap().bits, 32);
    assert_eq!(ty(3).array().unwrap().count, 6);
    let members: Vec<_> = ty(4)
        .members()
        .map(|m| (m.name, m.ty.0, m.bit_offset))
        .collect();
    assert_eq!(members, [("p", 2, 0), ("n", 1, 64)]);
    let bits: Vec<_> = ty(19)
        .members()
        .map(|m| (m.bit_offset, m.bitfield_size))
        .collect();
    assert_eq!(bits, [(0, 3), (3, 5)]);
    let values: Vec<_> = ty(6)
        .enumerators()
        .map(|e| (e.name, e.value as i64))
        .collect();
    assert_eq!(values, [("RED", -1), ("BLUE", 7)]);
    assert_eq!(
        ty(7).enumerators().next().unwrap().value,
        0xffff_ffff_0000_0001
    );
    assert_eq!(
        ty(11).params().map(|p| p.name).collect::<Vec<_>>(),
        ["a", ""]
    );
    assert_eq!(ty(12).linkage(), Some(Linkage::Global));
    assert_eq!(ty(13).linkage(), Some(Linkage::Static));
    assert_eq!(ty(14).vars().next().unwrap().size, 24);
    assert_eq!(ty(15).component_idx(), Some(0));
    assert_eq!(ty(15).target().unwrap().name(), "entry");
    assert_eq!(
        btf.find_by_name_kind("pair_t", Kind::Typedef),
        Some(TypeId(10))
    );
    assert_eq!(btf.find_by_name_kind("pair_t", Kind::Struct), None);
    assert_eq!(btf.find_by_name_kind("absent", Kind::Struct), None);
}

#[test]
fn editing_keeps_the_rest() {
    let btf = Btf::parse(&sample()).unwrap();
    let mut builder = Builder::from_btf(&btf);
    assert_eq!(builder.finish(), sample());
    assert!(builder.set_word(TypeId(14), 2, 32));
    assert!(!builder.set_word(TypeId(14), 99, 0));
    assert!(!builder.set_word(TypeId(0), 0, 0));
    let edited = Btf::parse(&builder.finish()).unwrap();
    assert_eq!(edited.size_of(14u32), Some(32));
}

#[test]
fn split_continues_its_base() {
    let base = Arc::new(Btf::parse(&sample()).unwrap());
    let mut builder = Builder::on(&base);
    let ptr = builder.ptr(TypeId(4));
    builder.refer(Kind::Typedef, "pair_ptr", ptr);
    let split = Btf::parse_split(&builder.finish(), base.clone()).unwrap();
    assert_eq!(ptr.0, base.type_count());
    assert_eq!(
        split.find_by_name_kind("pair_ptr", Kind::Typedef),
        Some(TypeId(ptr.0 + 1))
    );
    assert_eq!(
        split.find_by_name_kind("pair", Kind::Struct),
        Some(TypeId(4))
    );
    assert_eq!(split.type_by_id(4u32).unwrap().name(), "pair");
    assert_eq!(split.size_of(4u32), Some(16));
    assert!(
        Btf::parse(&builder.finish()).is_err(),
        "a split blob needs its base"
    );
}

/// A change to the sample, and the offset and problem it must cause.
#[test]
fn refuses() {
    let check = |change: &dyn Fn(&mut Vec<u8>), offset: usize, wanted: fn(&Problem) -> bool| {
        let mut bytes = sample();
        change(&mut bytes);
        let error = Btf::parse(&bytes).expect_err("must be refused");
        assert!(wanted(&error.problem), "{error}");
        assert_eq!(error.offset, offset, "{error}");
    };
    let put = |at: usize, value: u32| {
        move |bytes: &mut Vec<u8>| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes())
    };
    check(&|b| b.truncate(3), 0, |p| {
        matches!(p, Problem::Truncated { .. })
    });
    check(&|b| b.clear(), 0, |p| {
        matches!(p, Problem::Truncated { .. })
    });
    check(&|b| b.truncate(30), 8, |p| {
        matches!(p, Problem::Section { .. })
    });
    check(&|b| b[0] = 0, 0, |p| matches!(p, Problem::Magic(_)));
    check(&|b| b[..2].copy_from_slice(&[0xeb, 0x9f]), 0, |p| {
        matches!(p, Problem::BigEndian)
    });
    check(&|b| b[2] = 2, 2, |p| matches!(p, Problem::Version(2)));
    check(&|b| b[3] = 1, 3, |p| matches!(p, Problem::Flags(1)));
    check(&put(4, 20), 4, |p| matches!(p, Problem::HeaderLength(20)));
    check(&put(8, 2), 8, |p| matches!(p, Problem::Section { .. }));
    check(&put(12, u32::MAX), 8, |p| {
        matches!(p, Problem::Section { .. })
    });
    check(&put(24, 0x00ff_ffff), 24, |p| matches!(p, Problem::Name(_)));
    check(&put(28, 31 << 24), 28, |p| {
        matches!(p, Problem::Kind { id: 1, kind: 31 })
    });
    check(&put(28, 0), 28, |p| {
        matches!(p, Problem::Kind { id: 1, kind: 0 })
    });
    check(&put(28, 1 << 24 | 1 << 16), 28, |p| {
        matches!(p, Problem::Info { id: 1, .. })
    });
    check(&put(48, 999), 48, |p| {
        matches!(p, Problem::Reference { id: 2, target: 999 })
    });
    check(&put(28, 4 << 24 | 0xffff), 24, |p| {
        matches!(p, Problem::Truncated { .. })
    });
    check(
        &|b| {
            let last = b.len() - 1;
            b[last] = b'x';
        },
        Btf::parse(&sample())
            .map(|b| b.raw().len() - b.string_bytes().len())
            .unwrap(),
        |p| matches!(p, Problem::Strings),
    );
}

#[test]
fn every_truncation_and_flip_is_answered() {
    let sample = sample();
    for len in 0..sample.len() {
        assert!(Btf::parse(&sample[..len]).is_err(), "cut at {len}");
    }
    for at in 0..sample.len() {
        for bit in 0..8 {
            let mut bytes = sample.clone();
            bytes[at] ^= 1 << bit;
            if let Ok(btf) = Btf::parse(&bytes) {
                for ty in btf.types() {
                    let lists = ty.members().len() + ty.params().len() + ty.vars().len();
                    assert!(lists <= ty.vlen() as usize);
                    btf.resolve(ty.id());
                    btf.size_of(ty.id());
                }
            }
        }
    }
}

#[test]
fn ext_sections() {
    let words = |list: &[u32]| {
        list.iter()
            .flat_map(|w| w.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let parts = [
        8,
        1,
        2,
        0,
        5,
        8,
        6,
        16,
        1,
        1,
        0,
        10,
        20,
        7 << 10 | 3,
        16,
        1,
        1,
        8,
        4,
        30,
        2,
    ];
    let mut good = words(&[0x0001_eb9f, 32, 0, 28, 28, 28, 56, 28]);
    good.extend(words(&parts));
    let ext = BtfExt::parse(&good).unwrap();
    assert_eq!(ext.func_info[0].records[1].type_id, TypeId(6));
    assert_eq!(ext.line_info[0].records[0].line(), 7);
    assert_eq!(ext.line_info[0].records[0].column(), 3);
    assert_eq!(ext.core_relo[0].records[0].kind, CoreKind::FieldExists);
    for len in 0..good.len() {
        assert!(BtfExt::parse(&good[..len]).is_err(), "cut at {len}");
    }
    let check = |at: usize, value: u32, wanted: fn(&Problem) -> bool| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let error = BtfExt::parse(&bytes).expect_err("must be refused");
        assert!(wanted(&error.problem), "{error}");
    };
    check(32, 4, |p| matches!(p, Problem::RecordSize { size: 4, .. }));
    check(32, 10, |p| {
        matches!(p, Problem::RecordSize { size: 10, .. })
    });
    check(40, 0, |p| matches!(p, Problem::NoRecords(_)));
    check(40, u32::MAX, |p| matches!(p, Problem::Truncated { .. }));
}
