#![no_main]
//! See `fusewire_fuzz::session::run_received`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| fusewire_fuzz::session::run_received(data));
