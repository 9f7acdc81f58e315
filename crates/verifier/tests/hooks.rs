//! What programs may do that trampolines would run: on security hooks, and on functions whose
//! result they replace. The rules are Linux 6.18's; the kernel that answers the other
//! questions here refuses trampolines, so no answer of it is recorded.

use std::sync::Arc;

mod common;

use common::{Types, errno_and_log, request};
use skep_btf::{Btf, Builder, Kind, Linkage, TypeId};
use skep_isa::asm::{NoSymbols, assemble};
use skep_verifier::Request;

const TRACING: u32 = 26;
const LSM: u32 = 29;
const FENTRY: u32 = 24;
const FEXIT: u32 = 25;
const MODIFY: u32 = 26;
const HOOK: u32 = 27;
const CGROUP_HOOK: u32 = 43;
const SLEEPABLE: u32 = 1 << 4;

fn types() -> Arc<Btf> {
    let mut b = Builder::new();
    let int = b.int("int", 4, true);
    let long = b.int("long", 8, true);
    let pair = b.struct_("pair", 16, &[("a", long, 0), ("b", long, 64)]);
    let large = b.struct_("large", 24, &[("a", long, 0), ("c", long, 128)]);
    let file = b.struct_("file", 8, &[("f_mode", int, 0)]);
    let file = b.ptr(file);
    let none: &[(&str, TypeId)] = &[];
    let one: &[(&str, TypeId)] = &[("file", file)];
    for (name, result, args) in [
        ("bpf_lsm_file_open", int, one),
        ("bpf_lsm_file_free_security", TypeId::VOID, one),
        ("bpf_lsm_inode_getsecurity", int, one),
        ("bpf_lsm_audit_rule_known", int, one),
        ("bpf_lsm_func_proto", int, one),
        ("bpf_modify_return_test", int, one),
        ("bpf_fentry_test1", int, one),
        ("security_file_open", long, one),
        ("schedule", TypeId::VOID, none),
        ("do_exit", TypeId::VOID, one),
        ("migrate_enable", TypeId::VOID, none),
        ("__x64_sys_nanosleep", long, one),
        ("of_pair", int, &[("pair", pair), ("last", int)]),
        ("of_large", int, &[("large", large)]),
        ("of_any", int, &[("file", file), ("", TypeId::VOID)]),
        ("to_pair", pair, one),
        ("to_pointer", file, one),
    ] {
        let proto = b.func_proto(result, args);
        b.func(name, proto, Linkage::Static);
    }
    Arc::new(Btf::parse(&b.finish()).expect("types"))
}

/// What is asked: attach type, flags, target and program; the errno, and a line of the log.
type Case = (u32, u32, &'static str, &'static str, i32, &'static str);

const RETURNS: &str = "r0 = 0\nexit";
const GIVES_RESULT: &str = "r0 = *(u64 *)(r1 +8)\nexit";

const CASES: &[Case] = &[
    (
        HOOK,
        0,
        "bpf_lsm_file_open",
        RETURNS,
        0,
        "processed 2 insns",
    ),
    (
        HOOK,
        SLEEPABLE,
        "bpf_lsm_file_open",
        RETURNS,
        0,
        "processed 2 insns",
    ),
    (
        HOOK,
        0,
        "bpf_lsm_file_open",
        "r2 = *(u64 *)(r1 +0)\nr0 = 0\nexit",
        0,
        "R2=trusted_ptr_file()",
    ),
    (
        HOOK,
        0,
        "bpf_lsm_file_free_security",
        "r2 = *(u64 *)(r1 +0)\nr0 = 5\nexit",
        0,
        "R2=ptr_file()",
    ),
    (
        HOOK,
        SLEEPABLE,
        "bpf_lsm_file_free_security",
        RETURNS,
        22,
        "bpf_lsm_file_free_security is not sleepable",
    ),
    (
        HOOK,
        0,
        "bpf_lsm_inode_getsecurity",
        RETURNS,
        22,
        " points to disabled hook bpf_lsm_inode_getsecurity",
    ),
    (
        HOOK,
        0,
        "bpf_lsm_func_proto",
        RETURNS,
        22,
        " points to wrong type name bpf_lsm_func_proto",
    ),
    (
        HOOK,
        0,
        "bpf_lsm_file_open",
        "r0 = 1\nexit",
        22,
        "At program exit the register R0 has smin=1 smax=1 should have been in [-4095, 0]",
    ),
    (
        HOOK,
        0,
        "bpf_lsm_file_open",
        "w0 = -1\nexit",
        0,
        "processed 2 insns",
    ),
    (
        HOOK,
        0,
        "bpf_lsm_audit_rule_known",
        "r0 = -1\nexit",
        22,
        "should have been in [0, 1]",
    ),
    (
        HOOK,
        0,
        "bpf_lsm_file_open",
        GIVES_RESULT,
        0,
        "R0=scalar(smin=smin32=-4095,smax=smax32=0)",
    ),
    (
        HOOK,
        0,
        "bpf_lsm_file_open",
        "r0 = *(u64 *)(r1 +16)\nexit",
        13,
        "func 'bpf_lsm_file_open' doesn't have 3-th argument",
    ),
    (
        CGROUP_HOOK,
        0,
        "bpf_lsm_file_open",
        "r0 = 1\nexit",
        0,
        "processed 2 insns",
    ),
    (
        CGROUP_HOOK,
        0,
        "bpf_lsm_file_open",
        "r0 = -1\nexit",
        22,
        "should have been in [0, 1]",
    ),
    (
        CGROUP_HOOK,
        0,
        "bpf_lsm_file_free_security",
        RETURNS,
        22,
        "Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!",
    ),
    (
        CGROUP_HOOK,
        SLEEPABLE,
        "bpf_lsm_file_open",
        RETURNS,
        22,
        "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable",
    ),
    (
        MODIFY,
        0,
        "bpf_modify_return_test",
        GIVES_RESULT,
        0,
        "R0=scalar()",
    ),
    (
        MODIFY,
        0,
        "security_file_open",
        "r0 = -1\nexit",
        0,
        "processed 2 insns",
    ),
    (
        MODIFY,
        0,
        "schedule",
        RETURNS,
        22,
        "schedule() is not modifiable",
    ),
    (
        MODIFY,
        SLEEPABLE,
        "schedule",
        RETURNS,
        22,
        "schedule is not sleepable",
    ),
    (
        FENTRY,
        SLEEPABLE,
        "__x64_sys_nanosleep",
        RETURNS,
        0,
        "processed 2 insns",
    ),
    (
        FENTRY,
        SLEEPABLE,
        "bpf_fentry_test1",
        RETURNS,
        0,
        "processed 2 insns",
    ),
    (FENTRY, 0, "do_exit", RETURNS, 0, "processed 2 insns"),
    (
        FEXIT,
        0,
        "do_exit",
        RETURNS,
        22,
        "Attaching fexit/fmod_ret to __noreturn function 'do_exit' is rejected.",
    ),
    (
        FENTRY,
        0,
        "migrate_enable",
        RETURNS,
        22,
        "Attaching tracing programs to function 'migrate_enable' is rejected.",
    ),
    (
        FENTRY,
        0,
        "of_pair",
        "r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r1 +16)\nr0 = 0\nexit",
        0,
        "R3=scalar()",
    ),
    (
        FENTRY,
        0,
        "of_pair",
        "r2 = *(u64 *)(r1 +24)\nr0 = 0\nexit",
        13,
        "func 'of_pair' doesn't have 3-th argument",
    ),
    (
        FENTRY,
        0,
        "of_large",
        RETURNS,
        22,
        "The function of_large arg0 type STRUCT is unsupported.",
    ),
    (
        FENTRY,
        0,
        "of_any",
        RETURNS,
        22,
        "The function of_any with variable args is unsupported.",
    ),
    (
        FENTRY,
        0,
        "to_pair",
        RETURNS,
        22,
        "The function to_pair return type STRUCT is unsupported.",
    ),
    (
        FEXIT,
        0,
        "to_pointer",
        "r2 = *(u64 *)(r1 +8)\nr0 = 0\nexit",
        0,
        "R2=ptr_file()",
    ),
    (
        FEXIT,
        0,
        "schedule",
        "r2 = *(u64 *)(r1 +0)\nr0 = 0\nexit",
        13,
        "func 'schedule' doesn't have 2-th argument",
    ),
];

fn check(case: &Case, types: &Types) -> Result<(), String> {
    let (attach, flags, target, text, errno, line) = *case;
    let insns = assemble(text, &NoSymbols).expect("program").insns;
    let btf = types.0.as_ref().expect("types");
    let id = btf.find_by_name_kind(target, Kind::Func).expect("target");
    let prog_type = match attach {
        HOOK | CGROUP_HOOK => LSM,
        _ => TRACING,
    };
    let request = Request {
        flags,
        ..request(&insns, prog_type, attach, id.0)
    };
    let (found, log) = errno_and_log(&request, types)?;
    if found != errno || !log.contains(line) {
        return Err(format!(
            "{target} ({attach}): errno {found}, not {errno}, or no `{line}` in\n{log}"
        ));
    }
    Ok(())
}

#[test]
fn hooks_and_functions_have_their_rules() {
    let types = Types(Some(types()));
    let failures: Vec<String> = CASES
        .iter()
        .filter_map(|case| check(case, &types).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
