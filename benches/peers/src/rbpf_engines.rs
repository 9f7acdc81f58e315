//! rbpf: its interpreter, its own JIT, and Cranelift.

use rbpf::EbpfVmRaw;

use crate::{Ready, least_us};

/// The program with `r2 = len` before it: rbpf gives the first argument only.
pub fn with_len(text: &[u8], len: u32) -> Vec<u8> {
    let mut out = vec![0xb7, 2, 0, 0];
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text);
    out
}

fn vm(text: &[u8]) -> Result<EbpfVmRaw<'_>, String> {
    EbpfVmRaw::new(Some(text)).map_err(|e| e.to_string())
}

pub fn interpreter<'a>(text: &'a [u8], memory: &'a mut [u8]) -> Result<Ready<'a>, String> {
    let vm = vm(text)?;
    let memory: *mut [u8] = memory;
    Ok(Ready {
        engine: "rbpf-interp",
        run: Box::new(move || {
            // SAFETY: the memory is borrowed for as long as this closure lives, by it alone.
            let memory = unsafe { &mut *memory };
            vm.execute_program(memory).map_err(|e| e.to_string())
        }),
        compile_us: 0.0,
        code_bytes: 0,
    })
}

pub fn jit<'a>(text: &'a [u8], memory: &'a mut [u8]) -> Result<Ready<'a>, String> {
    let mut vm = vm(text)?;
    vm.jit_compile().map_err(|e| format!("rbpf-jit: {e}"))?;
    let compile_us = least_us(|| {
        let mut vm = EbpfVmRaw::new(Some(text)).ok()?;
        vm.jit_compile().ok()
    });
    let memory: *mut [u8] = memory;
    Ok(Ready {
        engine: "rbpf-jit",
        run: Box::new(move || {
            // SAFETY: as above; the programs are those of the benchmark.
            unsafe { vm.execute_program_jit(&mut *memory) }.map_err(|e| e.to_string())
        }),
        compile_us,
        code_bytes: 0,
    })
}

pub fn cranelift<'a>(text: &'a [u8], memory: &'a mut [u8]) -> Result<Ready<'a>, String> {
    let mut vm = vm(text)?;
    vm.cranelift_compile()
        .map_err(|e| format!("rbpf-cranelift: {e}"))?;
    let compile_us = least_us(|| {
        let mut vm = EbpfVmRaw::new(Some(text)).ok()?;
        vm.cranelift_compile().ok()
    });
    let memory: *mut [u8] = memory;
    Ok(Ready {
        engine: "rbpf-cranelift",
        run: Box::new(move || {
            // SAFETY: as above.
            vm.execute_program_cranelift(unsafe { &mut *memory })
                .map_err(|e| e.to_string())
        }),
        compile_us,
        code_bytes: 0,
    })
}
