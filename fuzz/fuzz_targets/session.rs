#![no_main]
//! See `fusewire_fuzz::session`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| fusewire_fuzz::session::run(data));
