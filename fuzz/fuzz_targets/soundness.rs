//! Do accepted programs stay inside what the verifier claimed of them?
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_fuzz::soundness(data));
