#![no_main]
//! See `fusewire_fuzz::extensions`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| fusewire_fuzz::extensions::run(data));
