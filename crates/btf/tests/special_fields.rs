//! Which structures with fields of the kernel's own Linux 6.18 takes, as it answered when
//! structures of the same shape were loaded, and which fields are found in them.

use skep_abi::Errno;
use skep_btf::{Btf, Builder, Holder, Kind, SpecialKind, TypeId};

/// A member: its type by name, or what is made of one.
enum Of {
    Is(&'static str),
    Array(&'static str, u32),
    Tagged(&'static str, &'static str),
    TaggedArray(&'static str, &'static str, u32),
    Holds(&'static str, &'static str),
}
use Of::*;

const SIZES: [(&str, u32); 8] = [
    ("bpf_spin_lock", 4),
    ("bpf_res_spin_lock", 4),
    ("bpf_timer", 16),
    ("bpf_list_head", 16),
    ("bpf_list_node", 24),
    ("bpf_rb_node", 32),
    ("bpf_refcount", 4),
    ("plain", 8),
];

/// Type information of one structure `v` with these members, each at the next multiple of
/// eight, and of what they need.
fn build(members: &[Of]) -> (Vec<u8>, TypeId) {
    let mut to = Builder::new();
    let int = to.int("int", 4, true);
    let mut named = Vec::new();
    for (name, size) in SIZES {
        named.push((name, to.struct_(name, size, &[("a", int, 0)]), size));
    }
    let node = named[4].1;
    named.push(("item", to.struct_("item", 24, &[("n", node, 0)]), 24));
    named.push(("int", int, 4));
    let of = |name: &str| {
        *named
            .iter()
            .find(|row| row.0 == name)
            .expect("a known type")
    };
    let mut rows = Vec::new();
    let mut tags = Vec::new();
    let mut offset = 0;
    for (index, member) in members.iter().enumerate() {
        let (ty, size) = match member {
            Is(name) => (of(name).1, of(name).2),
            Array(name, count) => (to.array(of(name).1, int, *count), of(name).2 * count),
            Tagged(tag, name) | TaggedArray(tag, name, _) => {
                let tagged = to.refer(Kind::TypeTag, tag, of(name).1);
                let ptr = to.ptr(tagged);
                match member {
                    TaggedArray(_, _, count) => (to.array(ptr, int, *count), 8 * count),
                    _ => (ptr, 8),
                }
            }
            Holds(name, tag) => {
                tags.push((*tag, index as i32));
                (of(name).1, of(name).2)
            }
        };
        rows.push(("m", ty, offset * 8));
        offset += size.next_multiple_of(8);
    }
    let whole = to.struct_("v", offset, &rows);
    for (tag, index) in tags {
        to.decl_tag(tag, whole, index);
    }
    (to.finish(), whole)
}

#[test]
fn structures_are_taken_as_linux_takes_them() {
    let check = |members: &[Of], wanted: Result<(), Errno>, what: &str| {
        let (raw, _) = build(members);
        assert_eq!(skep_btf::check(&raw, false).verdict, wanted, "{what}");
    };
    let lock = || Is("bpf_spin_lock");
    let kptr = || Tagged("kptr", "plain");
    check(&[kptr()], Ok(()), "a pointer");
    check(&[lock(), lock()], Err(Errno::E2BIG), "two locks");
    check(
        &[lock(), Is("bpf_res_spin_lock")],
        Err(Errno::EINVAL),
        "a lock of each kind",
    );
    let two = [Is("bpf_res_spin_lock"), Is("bpf_res_spin_lock")];
    check(&two, Ok(()), "resilient locks alone are not looked at");
    let two = [
        Is("bpf_refcount"),
        Is("bpf_res_spin_lock"),
        Is("bpf_res_spin_lock"),
    ];
    check(&two, Err(Errno::E2BIG), "two resilient locks");
    check(
        &[lock(), Is("bpf_timer"), Is("bpf_timer")],
        Ok(()),
        "timers are not for objects",
    );
    check(
        &[Tagged("rcu", "plain")],
        Ok(()),
        "other tags alone are not looked at",
    );
    for tag in ["kptr", "kptr_untrusted", "percpu_kptr"] {
        let both = [Tagged("rcu", "plain"), Tagged(tag, "plain")];
        check(&both, Err(Errno::EINVAL), tag);
    }
    let both = [Tagged("rcu", "plain"), Tagged("uptr", "plain")];
    check(&both, Ok(()), "pointers to user space make no object");
    let both = [Tagged("rcu", "plain"), Tagged("kptr", "int")];
    check(&both, Ok(()), "nor do pointers to numbers");
    let both = [Tagged("rcu", "plain"), TaggedArray("kptr", "plain", 2)];
    check(&both, Ok(()), "nor do arrays of pointers");
    check(
        &[TaggedArray("kptr", "plain", 10), lock()],
        Ok(()),
        "11 fields",
    );
    check(
        &[TaggedArray("kptr", "plain", 11), lock()],
        Err(Errno::E2BIG),
        "12 fields",
    );
    let head = |tag| Holds("bpf_list_head", tag);
    check(
        &[head("contains:item:n")],
        Err(Errno::EINVAL),
        "a list without a lock",
    );
    check(&[lock(), head("contains:item:n")], Ok(()), "a list");
    check(
        &[lock(), head("contains:item:m")],
        Err(Errno::ENOENT),
        "no such member",
    );
    check(
        &[lock(), head("contains:none:n")],
        Err(Errno::ENOENT),
        "no such type",
    );
    check(
        &[lock(), head("contains:plain:a")],
        Err(Errno::EINVAL),
        "no node",
    );
    check(&[lock(), Is("bpf_list_head")], Err(Errno::EINVAL), "no tag");
    check(
        &[Is("bpf_list_node"), Is("bpf_rb_node")],
        Err(Errno::EINVAL),
        "nodes uncounted",
    );
    let counted = [Is("bpf_list_node"), Is("bpf_rb_node"), Is("bpf_refcount")];
    check(&counted, Ok(()), "nodes and a count");
    check(
        &[lock(), Array("bpf_refcount", 2)],
        Err(Errno::EINVAL),
        "an array of counts",
    );
}

#[test]
fn what_a_value_may_hold_is_found_in_it() {
    let check = |members: &[Of], holder: Holder, wanted: Result<&[SpecialKind], Errno>| {
        let (raw, id) = build(members);
        let btf = Btf::parse(&raw).expect("it was built so");
        let found = btf.special_fields(id, holder);
        let kinds = found.map(|fields| fields.iter().map(|f| f.kind).collect::<Vec<_>>());
        assert_eq!(kinds, wanted.map(<[_]>::to_vec));
    };
    use SpecialKind::*;
    let value = Holder::MapValue;
    check(&[Is("bpf_timer")], value, Ok(&[Timer]));
    check(&[Is("bpf_timer")], Holder::Object, Ok(&[]));
    check(&[Is("bpf_list_node")], value, Ok(&[]));
    check(&[Is("bpf_list_node")], Holder::Object, Ok(&[ListNode]));
    check(
        &[Is("bpf_timer"), Is("bpf_timer")],
        value,
        Err(Errno::E2BIG),
    );
    check(&[Array("bpf_timer", 2)], value, Err(Errno::EINVAL));
    check(&[Array("bpf_timer", 1)], value, Ok(&[Timer]));
    check(&[TaggedArray("kptr", "plain", 2)], value, Ok(&[Kptr, Kptr]));
    check(&[Tagged("kptr", "int")], value, Err(Errno::EINVAL));
    check(&[Tagged("uptr", "plain")], value, Ok(&[Uptr]));
}
