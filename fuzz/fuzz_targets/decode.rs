#![no_main]
//! See `fusewire_fuzz::decode`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| fusewire_fuzz::decode::run(data));
