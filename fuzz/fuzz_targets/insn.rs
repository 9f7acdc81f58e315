//! Are all instructions read, shown and read back the same?
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_fuzz::insn(data));
