//! What programs may do that attach to functions of other programs: take their place, or
//! trace them. The rules are Linux 6.18's; the kernel that answers the other questions here
//! refuses trampolines, so no answer of it is recorded.

use std::sync::Arc;

mod common;

use common::{Types, errno_and_log, request};
use skep_btf::{Btf, Builder, Kind, Linkage, TypeId};
use skep_isa::asm::{NoSymbols, assemble};
use skep_verifier::{AttachTo, FunctionFacts, Records, Request, TargetProgram};

const XDP: u32 = 6;
const TRACING: u32 = 26;
const EXT: u32 = 28;
const FENTRY: u32 = 24;
const FEXIT: u32 = 25;
const MODIFY: u32 = 26;
/// `bpf_xdp_adjust_head`.
const CHANGES_PACKET: &str = "r2 = 0\n.raw 0x85 0 0 0 44\nr0 = 0\nexit";
const LOOKS: &str = "r0 = *(u32 *)(r1 +0)\nr0 = 0\nexit";
const RETURNS: &str = "r0 = 0\nexit";

/// The functions of the program that is attached to, and those that attach.
fn types() -> Arc<Btf> {
    let mut b = Builder::new();
    let int = b.int("int", 4, true);
    let long = b.int("long", 8, true);
    let ctx = b.struct_("xdp_md", 4, &[("data", int, 0)]);
    let ctx = b.ptr(ctx);
    let kernel_ctx = b.struct_("xdp_buff", 8, &[("data", long, 0)]);
    b.struct_(
        "bpf_ctx_convert",
        8,
        &[("BPF_PROG_TYPE_XDP_kern", kernel_ctx, 0)],
    );
    let other = b.struct_("other", 4, &[("x", int, 0)]);
    let other = b.ptr(other);
    for (name, result, args, linkage) in [
        ("of_ctx", int, &[("ctx", ctx)][..], Linkage::Global),
        ("hidden", int, &[("ctx", ctx)], Linkage::Static),
        ("vague", int, &[("ctx", ctx)], Linkage::Global),
        ("caught", int, &[("cookie", long)], Linkage::Global),
        ("of_number", int, &[("x", int)], Linkage::Global),
        ("elsewhere", int, &[("ctx", ctx)], Linkage::Global),
        ("own", int, &[("ctx", ctx)], Linkage::Global),
        ("own_long", long, &[("ctx", ctx)], Linkage::Global),
        ("own_two", int, &[("ctx", ctx), ("x", int)], Linkage::Global),
        ("own_number", int, &[("x", int)], Linkage::Global),
        ("own_wide", int, &[("x", long)], Linkage::Global),
        ("own_other", int, &[("ctx", other)], Linkage::Global),
        ("own_static", int, &[("ctx", ctx)], Linkage::Static),
        ("own_pointer", other, &[("ctx", ctx)], Linkage::Global),
    ] {
        let args: &[(&str, TypeId)] = args;
        let proto = b.func_proto(result, args);
        b.func(name, proto, linkage);
    }
    Arc::new(Btf::parse(&b.finish()).expect("types"))
}

fn id(btf: &Btf, name: &str) -> u32 {
    btf.find_by_name_kind(name, Kind::Func).expect("function").0
}

fn program(btf: &Arc<Btf>) -> TargetProgram {
    let facts = |name: &str| FunctionFacts {
        btf_id: id(btf, name),
        unreliable: name == "vague",
        is_exception_callback: name == "caught",
        ..FunctionFacts::default()
    };
    let names = ["of_ctx", "hidden", "vague", "caught", "of_number"];
    TargetProgram {
        prog_type: XDP,
        btf: Some(btf.clone()),
        functions: names.map(facts).to_vec(),
        ..TargetProgram::default()
    }
}

/// What is asked: the function attached to, the program's own function and its text; the
/// errno, and a line of the log.
type Case = (&'static str, &'static str, &'static str, i32, &'static str);

const REPLACING: &[Case] = &[
    ("of_ctx", "own", LOOKS, 0, "Validating own() func#0..."),
    ("of_number", "own_number", "r0 = r1\nexit", 0, "R1=scalar()"),
    (
        "elsewhere",
        "own",
        LOOKS,
        22,
        "Subprog elsewhere doesn't exist",
    ),
    (
        "caught",
        "own",
        LOOKS,
        22,
        "Extension programs cannot attach to exception callback",
    ),
    ("vague", "own", LOOKS, 22, "Cannot replace static functions"),
    (
        "hidden",
        "own",
        LOOKS,
        22,
        "hidden() is not a global function",
    ),
    (
        "of_ctx",
        "own_static",
        LOOKS,
        22,
        "own_static() is not a global function",
    ),
    (
        "of_ctx",
        "own",
        CHANGES_PACKET,
        22,
        "Extension program changes packet data, while original does not",
    ),
    (
        "of_ctx",
        "own_two",
        LOOKS,
        22,
        "own_two() has 2 args while of_ctx() has 1 args",
    ),
    (
        "of_ctx",
        "own_pointer",
        LOOKS,
        22,
        "Return type PTR of own_pointer() doesn't match type INT of of_ctx()",
    ),
    (
        "of_ctx",
        "own_number",
        RETURNS,
        22,
        "arg0 in own_number() is INT while of_ctx() has PTR",
    ),
    (
        "of_number",
        "own_wide",
        RETURNS,
        22,
        "arg0 in own_wide() has size 8 while of_number() has 4",
    ),
    (
        "of_ctx",
        "own_other",
        RETURNS,
        22,
        "arg0 own_other(struct other *) doesn't match of_ctx(struct xdp_md *)",
    ),
];

const READS_CTX: &str = "r2 = *(u64 *)(r1 +0)\nr0 = 0\nexit";
const READS_RESULT: &str = "r2 = *(u64 *)(r1 +8)\nr0 = 0\nexit";

/// What is asked of programs that trace: the attach type, the function and the text.
const TRACED: &[(u32, &str, &str, i32, &str)] = &[
    (FENTRY, "of_ctx", READS_CTX, 0, "R2=ptr_xdp_buff()"),
    (FEXIT, "of_ctx", READS_RESULT, 0, "R2=scalar()"),
    (
        FENTRY,
        "of_ctx",
        READS_RESULT,
        13,
        "func 'of_ctx' doesn't have 2-th argument",
    ),
    (
        FENTRY,
        "vague",
        "r2 = *(u64 *)(r1 +32)\nr0 = 0\nexit",
        0,
        "R2=scalar()",
    ),
    (
        FENTRY,
        "vague",
        "r2 = *(u64 *)(r1 +40)\nr0 = 0\nexit",
        13,
        "func 'vague' doesn't have 6-th argument",
    ),
    (
        FENTRY,
        "caught",
        RETURNS,
        22,
        "FENTRY/FEXIT programs cannot attach to exception callback",
    ),
    (
        MODIFY,
        "of_ctx",
        RETURNS,
        22,
        "can't modify return codes of BPF programs",
    ),
    (
        FENTRY,
        "elsewhere",
        RETURNS,
        22,
        "Subprog elsewhere doesn't exist",
    ),
];

/// The question with this function as the program's own, put and compared.
fn check(
    request: Request<'_>,
    own: u32,
    program: TargetProgram,
    types: &Types,
    (errno, line): (i32, &str),
) -> Result<(), String> {
    let mut record = Vec::new();
    record.extend(0u32.to_ne_bytes());
    record.extend(own.to_ne_bytes());
    let request = Request {
        btf: types.0.clone(),
        func_info: Records::new(&record, 8),
        attach_to: AttachTo::Program(Arc::new(program)),
        ..request
    };
    let (found, log) = errno_and_log(&request, types)?;
    if found != errno || !log.contains(line) {
        return Err(format!(
            "errno {found}, not {errno}, or no `{line}` in\n{log}"
        ));
    }
    Ok(())
}

#[test]
fn functions_of_programs_are_replaced() {
    let btf = types();
    let types = Types(Some(btf.clone()));
    let ask = |case: &Case| {
        let (target, own, text, errno, line) = *case;
        let insns = assemble(text, &NoSymbols).expect("program").insns;
        let request = request(&insns, EXT, 0, id(&btf, target));
        check(request, id(&btf, own), program(&btf), &types, (errno, line))
            .map_err(|why| format!("{own} for {target}: {why}"))
    };
    let failures: Vec<String> = REPLACING
        .iter()
        .filter_map(|case| ask(case).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn functions_of_programs_are_traced() {
    let btf = types();
    let types = Types(Some(btf.clone()));
    let ask = |&(attach, target, text, errno, line): &(u32, &str, &str, i32, &str)| {
        let insns = assemble(text, &NoSymbols).expect("program").insns;
        let request = request(&insns, TRACING, attach, id(&btf, target));
        check(
            request,
            id(&btf, "own"),
            program(&btf),
            &types,
            (errno, line),
        )
        .map_err(|why| format!("{attach} of {target}: {why}"))
    };
    let failures: Vec<String> = TRACED.iter().filter_map(|case| ask(case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn chains_are_refused() {
    let btf = types();
    let types = Types(Some(btf.clone()));
    let insns = assemble(RETURNS, &NoSymbols).expect("program").insns;
    let own = id(&btf, "own");
    let of_ctx = id(&btf, "of_ctx");
    let check = |prog_type, attach, program, line| {
        let request = request(&insns, prog_type, attach, of_ctx);
        check(request, own, program, &types, (22, line))
    };
    let traced = TargetProgram {
        prog_type: TRACING,
        attach_type: FEXIT,
        traces_program: true,
        ..program(&btf)
    };
    let extension = TargetProgram {
        prog_type: EXT,
        ..program(&btf)
    };
    let nested = "Cannot nest tracing program attach more than once";
    assert_eq!(check(TRACING, FENTRY, traced.clone(), nested), Ok(()));
    assert_eq!(check(EXT, 0, traced, "Cannot extend fentry/fexit"), Ok(()));
    assert_eq!(
        check(EXT, 0, extension, "Cannot recursively attach"),
        Ok(())
    );
}
