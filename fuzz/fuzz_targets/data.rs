//! Are bytes the value of a type, or an error, whatever the type claims?
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_fuzz::data(data));
