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
        &["task", "unsigned", "int", "state", "int", "file"],
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
