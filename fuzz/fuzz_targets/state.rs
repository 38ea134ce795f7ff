#![no_main]
//! See `fusewire_fuzz::state::run`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| fusewire_fuzz::state::run(data));
