//! solana-sbpf: its JIT, in the dialect that knows most of what clang makes (version 3).

use std::ptr::NonNull;
use std::sync::Arc;

use solana_sbpf::ebpf;
use solana_sbpf::elf::Executable;
use solana_sbpf::memory_region::{MemoryMapping, MemoryRegion};
use solana_sbpf::program::{BuiltinProgram, FunctionRegistry, SBPFVersion};
use solana_sbpf::vm::{Config, ContextObject, EbpfVm, ExecutionMode};

use crate::{Ready, least_us};

struct Context {
    mapping: MemoryMapping,
}

impl ContextObject for Context {
    fn consume(&mut self, _: u64) {}

    fn get_remaining(&self) -> u64 {
        i64::MAX as u64
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::from(&mut self.mapping)
    }
}

/// The embedder's cheapest way: no meter, no random padding, no hiding of constants.
fn config() -> Config {
    Config {
        enable_instruction_meter: false,
        enable_stack_frame_gaps: false,
        noop_instruction_rate: 0,
        sanitize_user_provided_values: false,
        ..Config::default()
    }
}

pub fn ready<'a>(text: &'a [u8], memory: &'a mut [u8]) -> Result<Ready<'a>, String> {
    let told = |e: &dyn std::fmt::Display| format!("solana-sbpf: {e}");
    let version = SBPFVersion::V3;
    let loader = Arc::new(BuiltinProgram::<Context>::new_loader(config()));
    let executable = Executable::<Context>::from_text_bytes(
        text,
        loader.clone(),
        version,
        FunctionRegistry::default(),
    )
    .map_err(|e| told(&e))?;
    executable.jit_compile().map_err(|e| told(&e))?;
    let compile_us = least_us(|| executable.jit_compile().is_ok());
    let mut stack = vec![0u8; loader.get_config().stack_size()];
    let stack_len = stack.len();
    let len = memory.len() as u64;
    let regions = vec![
        MemoryRegion::new(&raw mut stack[..], ebpf::MM_STACK_START),
        MemoryRegion::new(&raw mut memory[..], ebpf::MM_INPUT_START),
    ];
    // SAFETY: the stack goes along with the closure, and the memory is borrowed by it.
    let mapping = unsafe { MemoryMapping::new(regions, loader.get_config(), version) }
        .map_err(|e| told(&e))?;
    let mut context = Context { mapping };
    Ok(Ready {
        engine: "solana-sbpf",
        run: Box::new(move || {
            let _ = (&stack, &memory);
            let mut vm = EbpfVm::new(loader.clone(), version, &mut context, stack_len);
            vm.registers[1] = ebpf::MM_INPUT_START;
            vm.registers[2] = len;
            let (_, result) = vm.execute_program(&executable, &mut ExecutionMode::Jit, &mut []);
            Result::from(result).map_err(|e| format!("{e}"))
        }),
        compile_us,
        code_bytes: 0,
    })
}
