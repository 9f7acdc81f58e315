//! Is every text either a program or an error with a place?
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| skep_fuzz::asm(text));
