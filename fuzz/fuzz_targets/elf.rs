//! Is every file either an object or an error with an offset?
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_fuzz::elf(data));
