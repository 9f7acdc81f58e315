//! Does the verifier answer whatever it is asked?
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_fuzz::verify(data));
