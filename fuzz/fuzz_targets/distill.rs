//! Are split types distilled to what can be read, or refused?
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_fuzz::distill(data));
