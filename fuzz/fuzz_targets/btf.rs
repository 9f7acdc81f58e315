//! Is every blob either BTF or an error with an offset?
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_fuzz::btf(data));
