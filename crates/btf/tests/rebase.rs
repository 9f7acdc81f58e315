//! Split types on a distilled base, moved onto kernels that have the same types elsewhere.

use std::sync::Arc;

use skep_btf::{Btf, Builder, Kind, TypeId, rebase};

/// What a module knows of its kernel: names, kinds and sizes.
fn distilled(task_size: u32) -> Arc<Btf> {
    let mut types = Builder::new();
    types.int("int", 4, true);
    types.struct_("task", task_size, &[]);
    types.add(Kind::Enum, "state", (0, false), 4, &[]);
    types.refer(Kind::Fwd, "file", TypeId::VOID);
    Arc::new(Btf::parse(&types.finish()).unwrap())
}

/// The module's own types on it.
fn module(base: &Arc<Btf>) -> Btf {
    let mut types = Builder::on(base);
    let pointer = types.ptr(TypeId(4));
    let members = [
        ("count", TypeId(1), 0),
        ("state", TypeId(3), 32),
        ("file", pointer, 64),
        ("task", TypeId(2), 128),
    ];
    types.struct_("holder", 80, &members);
    Btf::parse_split(&types.finish(), Arc::clone(base)).unwrap()
}

/// A kernel with those types in another order, among others, under the names given.
fn kernel(names: &[&str]) -> Arc<Btf> {
    let mut types = Builder::new();
    let long = types.int("long", 8, true);
    for name in names {
        match *name {
            "task" => types.struct_("task", 64, &[("pid", long, 0)]),
            "other task" => types.struct_("task", 64, &[("tgid", long, 0)]),
            "file" => types.struct_("file", 16, &[("inode", long, 0)]),
            "state" => types.enum_("state", false, &[("RUNNING", 1)]),
            "unsigned" => types.int("int", 4, false),
            _ => types.int("int", 4, true),
        };
    }
    Arc::new(Btf::parse(&types.finish()).unwrap())
}

#[test]
fn modules_stand_on_other_kernels() {
    let split = module(&distilled(64));
    for names in [
        &["state", "file", "int", "task"][..],
        &["task", "unsigned", "int", "state", "file"],
    ] {
        let base = kernel(names);
        let moved = rebase(&split, &base).unwrap();
        let id = moved.find_by_name_kind("holder", Kind::Struct).unwrap();
        let holder = moved.type_by_id(id).unwrap();
        let told: Vec<(String, String)> = holder
            .members()
            .map(|member| {
                let ty = moved.resolve(member.ty).unwrap();
                let ty = ty.target().unwrap_or(ty);
                (
                    member.name.to_string(),
                    format!("{} {}", ty.kind(), ty.name()),
                )
            })
            .collect();
        let wanted = [
            ("count", "INT int"),
            ("state", "ENUM state"),
            ("file", "STRUCT file"),
            ("task", "STRUCT task"),
        ];
        let wanted = wanted.map(|(a, b)| (a.to_string(), b.to_string()));
        assert_eq!(told, wanted, "{names:?}");
        // What stands for a number has its sign, too.
        let count = moved.resolve(holder.members().next().unwrap().ty).unwrap();
        assert!(count.int().unwrap().signed);
        let task = moved.resolve(holder.members().last().unwrap().ty).unwrap();
        assert_eq!(task.members().count(), 1, "the kernel's own structure");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let check = |task_size: u32, names: &[&str], words: &str| {
        let error = rebase(&module(&distilled(task_size)), &kernel(names));
        let error = error.expect_err("must not fit").to_string();
        assert!(error.contains(words), "{error}");
    };
    let all = ["task", "int", "state", "file"];
    check(72, &all, "no STRUCT 'task' of 72 bytes");
    check(64, &all[..3], "no FWD 'file'");
    check(64, &["task", "unsigned", "state", "file"], "no INT 'int'");
    check(
        64,
        &["task", "other task", "int", "state", "file"],
        "several",
    );
    let mut odd = Builder::new();
    odd.ptr(TypeId::VOID);
    let odd = Arc::new(Btf::parse(&odd.finish()).unwrap());
    let split = Builder::on(&odd).finish();
    let split = Btf::parse_split(&split, odd).unwrap();
    let error = rebase(&split, &kernel(&all)).expect_err("a pointer");
    assert!(error.to_string().contains("type [1]"), "{error}");
}

/// A type of that name for `name`, as the rows of `data/rebase.txt` call it.
fn namesake(types: &mut Builder, name: &str) {
    let of = |kind: Kind, flag: bool, size: u32, extra: &[u32]| (kind, flag, size, extra.to_vec());
    let (kind, flag, size, extra) = match name {
        "S8" => of(Kind::Struct, false, 8, &[]),
        "S16" => of(Kind::Struct, false, 16, &[]),
        "S0" => of(Kind::Struct, false, 0, &[]),
        "U8" => of(Kind::Union, false, 8, &[]),
        "FS" => of(Kind::Fwd, false, 0, &[]),
        "FU" => of(Kind::Fwd, true, 0, &[]),
        "E4" => of(Kind::Enum, false, 4, &[]),
        "I4" => of(Kind::Int, false, 4, &[1 << 24 | 32]),
        "I4u" => of(Kind::Int, false, 4, &[32]),
        "I8" => of(Kind::Int, false, 8, &[1 << 24 | 64]),
        "F4" => of(Kind::Float, false, 4, &[]),
        "T" => of(Kind::Typedef, false, 1, &[]),
        other => panic!("{other}?"),
    };
    types.add(kind, "x", (0, flag), size, &extra);
}

/// Which type of the new base is taken is what libbpf takes.
#[test]
fn the_types_that_libbpf_takes() {
    let rows = include_str!("data/rebase.txt").lines();
    for row in rows.filter(|row| !row.starts_with('#')) {
        let words: Vec<&str> = row.split(' ').collect();
        let [wanted, how, has, answer] = words[..] else {
            panic!("{row}");
        };
        let mut distilled = Builder::new();
        distilled.int("int", 4, true);
        namesake(&mut distilled, wanted);
        let distilled = Arc::new(Btf::parse(&distilled.finish()).unwrap());
        let mut split = Builder::on(&distilled);
        let user = match how {
            "held" => split.struct_("user", 8, &[("x", TypeId(2), 0)]),
            _ => split.ptr(TypeId(2)),
        };
        let split = Btf::parse_split(&split.finish(), distilled).unwrap();
        let mut base = Builder::new();
        base.int("int", 4, true);
        has.split(',').for_each(|name| namesake(&mut base, name));
        let base = Arc::new(Btf::parse(&base.finish()).unwrap());
        let told = rebase(&split, &base).ok().map(|moved| {
            let user = moved.type_by_id(user.0 - 3 + base.type_count()).unwrap();
            let held = user.members().next().map(|member| member.ty);
            held.or(user.ref_type()).unwrap_or_default().0.to_string()
        });
        assert_eq!(told.as_deref().unwrap_or("none"), answer, "{row}");
    }
}
