#![no_main]
//! See `fusewire_fuzz::mount_options`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| fusewire_fuzz::mount_options::run(data));
