#![no_main]
//! See `fusewire_fuzz::session::run_device`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| fusewire_fuzz::session::run_device(data));
