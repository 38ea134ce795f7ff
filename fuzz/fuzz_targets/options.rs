#![no_main]
//! See `fusewire_fuzz::options`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| fusewire_fuzz::options::run(data));
