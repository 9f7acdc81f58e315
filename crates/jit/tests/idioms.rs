//! Are calls of small functions, counts of bits and copies of CPUs what the machine does in few
//! instructions, and do they give what they gave before?

mod common;

use common::{MACHINES, TestHost, executable, of_insns, same};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};
use skep_isa::Insn;
use skep_jit::{CpuCopies, Facts, Features, Options, compile_for};
use skep_verifier::{Executable, MapId};
use skep_vm::{Cpu, Limits, Linker, Mode, Program, run};

/// The instructions of the first function, up to where the next one begins.
fn entry(executable: &Executable, facts: &dyn Facts, features: Features) -> Vec<Instruction> {
    let image = compile_for(executable, facts, Options::new(features)).expect("code");
    let end = image.functions.get(1).copied().unwrap_or(image.bytes.len());
    let code = &image.bytes[image.functions[0]..end];
    Decoder::new(64, code, DecoderOptions::NONE)
        .into_iter()
        .collect()
}

/// `r2 = *(u64 *)(r1 +0)`, steps, and r0 in the end: both engines agree for many numbers.
fn agree(steps: &str) -> Executable {
    let program = executable(&format!("r2 = *(u64 *)(r1 +0); {steps} exit"));
    let mut values = vec![
        0u64,
        1,
        2,
        3,
        u64::MAX,
        1 << 63,
        1 << 31,
        1 << 32,
        0xffff_ffff,
    ];
    let mut state = 1u64;
    for n in 0..60 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        values.push(state >> n);
        values.push(state << n);
    }
    for value in values {
        let prepare = || {
            let mut host = TestHost::new();
            host.block[0] = value;
            host
        };
        same(&program, &prepare).unwrap_or_else(|e| panic!("{steps} of {value:#x}: {e}"));
    }
    program
}

/// The ones of the register, by adding pairs, fours and bytes; it uses r4 and r5.
fn ones(wide: bool, swapped: bool) -> String {
    let (r, n, top) = if wide { ("r", "ll", 56) } else { ("w", "", 24) };
    let fill = |byte: u64| match wide {
        true => format!("{:#x} {n}", byte * 0x0101_0101_0101_0101),
        false => format!("{:#x}", byte * 0x0101_0101),
    };
    // A mask is in a register where it is too long for an instruction.
    let mask = |reg: &str, byte: u64| match wide {
        true => format!("r5 = {}; {reg} &= r5;", fill(byte)),
        false => format!("{reg} &= {};", fill(byte)),
    };
    let (first, second) = if swapped { (4, 2) } else { (2, 4) };
    let product = match wide {
        true => format!("r5 = {}; r0 *= r5;", fill(1)),
        false => format!("w0 *= {};", fill(1)),
    };
    format!(
        "{r}4 = {r}2; {r}4 >>= 1; {} {r}2 -= {r}4; \
         {r}4 = {r}2; {} {r}2 >>= 2; {} {r}{first} += {r}{second}; \
         {r}0 = {r}{first}; {r}0 >>= 4; {r}0 += {r}{first}; {} {product} {r}0 >>= {top};",
        mask(&format!("{r}4"), 0x55),
        mask(&format!("{r}4"), 0x33),
        mask(&format!("{r}2"), 0x33),
        mask(&format!("{r}0"), 0x0f),
    )
}

#[test]
fn bits_are_counted_at_once() {
    let smear = |r: &str, from: u32| {
        let steps = [1, 2, 4, 8, 16, 32].into_iter().filter(|n| *n <= from);
        let step = |n| format!("{r}3 = {r}2; {r}3 >>= {n}; {r}2 |= {r}3;");
        steps.map(step).collect::<String>() + &format!("{r}2 ^= -1;")
    };
    let fold = |widths: [&str; 6]| {
        let steps = [32, 16, 8, 4, 2, 1].into_iter().zip(widths);
        let step = |(n, r)| format!("{r}3 = {r}2; {r}3 >>= {n}; {r}2 ^= {r}3;");
        steps.map(step).collect::<String>() + "r0 = r2; r0 &= 1;"
    };
    let lowest = "r3 = r2; r3 = -r3; r2 &= r3; r2 += -1;";
    let below = "w3 = w2; w3 += -1; w2 ^= -1; w2 &= w3;";
    for (steps, mnemonic, most) in [
        (ones(true, false), Mnemonic::Popcnt, 3),
        (ones(false, true), Mnemonic::Popcnt, 3),
        (lowest.to_string() + &ones(true, false), Mnemonic::Tzcnt, 3),
        (below.to_string() + &ones(false, false), Mnemonic::Tzcnt, 3),
        (smear("r", 32) + &ones(true, true), Mnemonic::Lzcnt, 3),
        (smear("w", 16) + &ones(false, false), Mnemonic::Lzcnt, 3),
        (fold(["r"; 6]), Mnemonic::Popcnt, 4),
        (fold(["r", "r", "r", "r", "w", "w"]), Mnemonic::Popcnt, 4),
    ] {
        let program = agree(&steps);
        let code = entry(&program, &TestHost::new(), MACHINES[0]);
        let count = code.iter().filter(|i| i.mnemonic() == mnemonic).count();
        assert_eq!(count, 1, "{steps}: {code:?}");
        assert!(code.len() <= most, "{steps}: {code:?}");
        // Other machines do it step by step.
        let code = entry(&program, &TestHost::new(), MACHINES[1]);
        assert!(code.iter().all(|i| i.mnemonic() != mnemonic));
        assert!(code.len() > 6);
    }
}

#[test]
fn what_only_looks_alike_is_left() {
    for steps in [
        ones(true, false).replace(">>= 4", ">>= 5"),
        ones(true, false).replace(">>= 56", ">>= 55"),
        ones(false, false).replace("0x33333333", "0x33333323"),
        "r3 = r2; r3 >>= 32; r2 ^= r3; r3 = r2; r3 >>= 16; r2 ^= r3; r3 = r2; r3 >>= 8; r2 ^= r3; r3 = r2; r3 >>= 4; r2 ^= r3; r3 = r2; r3 >>= 2; r2 ^= r3; r0 = r2; r0 &= 1;".to_string(),
    ] {
        let code = entry(&agree(&steps), &TestHost::new(), MACHINES[0]);
        assert!(code.iter().all(|i| i.mnemonic() != Mnemonic::Popcnt), "{steps}");
    }
}

#[test]
fn small_functions_are_not_called() {
    for (source, calls) in [
        (
            "r6 = r1; r1 = 5; r2 = 4; call f; r7 = r0; r1 = r7; r2 = 7; call f; r0 ^= r7; exit; f: r0 = r1; r0 -= r2; r0 *= 10; exit",
            0,
        ),
        // With ways of its own, in a loop, and a function within another.
        (
            "r6 = 9; r7 = 0; l: r1 = r6; call f; r7 += r0; r6 += -1; if r6 != 0 goto l; r0 = r7; exit; f: r0 = 3; if r1 > 4 goto o; r0 = r1; r0 <<= 4; o: exit",
            0,
        ),
        (
            "r1 = *(u64 *)(r1 +0); r1 += 77; call f; r0 += 1; exit; f: r6 = r1; call f2; r0 += r6; exit; f2: r0 = r1; if r1 < 100 goto m; r0 = 5; exit; m: r0 *= 3; exit",
            0,
        ),
        (
            "r6 = r1; r1 = 3; call f; r6 = r0; r1 = r6; call f; exit; f: r0 = r1; n: r0 += 7; r1 += -1; if r1 != 0 goto n; exit",
            0,
        ),
        // A function with a frame of its own keeps it, one that is long stays where it is.
        (
            "r1 = 3; call f; exit; f: *(u64 *)(r10 -8) = r1; r1 = r10; r1 += -8; call reverse; exit",
            1,
        ),
        (
            &format!(
                "r1 = *(u64 *)(r1 +0); r1 += 3; call f; exit; f: r0 = r1; {} exit",
                "r0 *= r1; r0 ^= 77; ".repeat(20)
            ),
            1,
        ),
    ] {
        let program = executable(source);
        same(&program, &TestHost::new).unwrap_or_else(|e| panic!("{source}: {e}"));
        for machine in MACHINES {
            let code = entry(&program, &TestHost::new(), machine);
            let called = code
                .iter()
                .filter(|i| i.flow_control() == FlowControl::Call);
            assert_eq!(called.count(), calls, "{source}: {code:?}");
        }
    }
}

/// A host whose objects have a copy for each of four CPUs.
struct Copies(TestHost);

impl Linker for Copies {
    fn map_handle(&self, map: MapId) -> u64 {
        self.0.map_handle(map)
    }

    fn map_value_address(&self, map: MapId, offset: u32) -> Option<u64> {
        self.0.map_value_address(map, offset)
    }
}

impl Facts for Copies {
    fn cpu_copies(&self) -> Option<CpuCopies> {
        Some(CpuCopies {
            stride: 512,
            cpus: 4,
        })
    }
}

#[test]
fn copies_of_cpus_are_found_in_place() {
    const PER_CPU_PTR: i32 = 153;
    const THIS_CPU_PTR: i32 = 154;
    let object = 0x1_2345_6000u64;
    for (helper, pointer, cpu, expected) in [
        (THIS_CPU_PTR, object, 0, object + 3 * 512),
        (THIS_CPU_PTR, 0, 0, 0),
        (PER_CPU_PTR, object, 0, object),
        (PER_CPU_PTR, object, 2, object + 1024),
        (PER_CPU_PTR, object, 4, 0),
        (PER_CPU_PTR, object, -1, 0),
        (PER_CPU_PTR, 0, 1, 0),
    ] {
        for constant in [true, false] {
            let mut insns = match constant {
                true => Insn::ld_imm64(1, pointer).to_vec(),
                false => vec![Insn::new(0x79, 1, 1, 0, 0)],
            };
            insns.extend([
                Insn::mov64_imm(2, cpu),
                Insn::call_helper(helper),
                Insn::exit(),
            ]);
            let program = of_insns(insns, &[0]);
            let mut host = Copies(TestHost::new());
            host.0.block[0] = pointer;
            for machine in MACHINES {
                let code = entry(&program, &host, machine);
                let calls = |i: &Instruction| i.flow_control() == FlowControl::IndirectCall;
                assert!(!code.iter().any(calls), "{helper}: {code:?}");
            }
            if !common::has_back_end() {
                continue;
            }
            let code = skep_jit::compile(&program, &host, Options::new(Features::detect()));
            let linked = Program::link(&program, &host).expect("a program");
            linked.with_native(|| Some(Box::new(code.expect("code"))));
            // SAFETY: the program reads eight bytes of the host's memory, and calls nothing.
            let mode = Mode::Trusting(unsafe { skep_vm::Trust::promise() });
            let ctx = host.0.memory();
            let got = run(
                &linked,
                &mut Cpu::new(3),
                &mut host.0,
                mode,
                ctx,
                Limits::default(),
            );
            assert_eq!(got, Ok(expected), "{helper} of {cpu}, constant {constant}");
        }
    }
    // Who says nothing of copies is called.
    let call = of_insns(vec![Insn::call_helper(THIS_CPU_PTR), Insn::exit()], &[0]);
    let code = entry(&call, &TestHost::new(), MACHINES[0]);
    assert!(
        code.iter()
            .any(|i| i.flow_control() == FlowControl::IndirectCall)
    );
}
