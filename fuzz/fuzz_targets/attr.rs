//! Is every attribute either a view or an errno?
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_fuzz::attr(data));
