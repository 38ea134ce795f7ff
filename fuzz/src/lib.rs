//! Fuzz targets: each a function that takes any bytes, does what a hostile peer or user could, and panics when
//! something that must hold does not. `fuzz_targets/` hands them to libFuzzer, `replay` runs them over the corpus.

pub mod decode;
pub mod extensions;
mod log;
mod message;
pub mod mount_options;
pub mod options;
mod oracle;
pub mod session;
pub mod state;

/// What a target does with any bytes.
pub type Run = fn(&[u8]);

/// Every target by its name, which is also its folder in the corpus.
pub const TARGETS: &[(&str, Run)] = &[
    ("decode", decode::run),
    ("extensions", extensions::run),
    ("session", session::run),
    ("received", session::run_received),
    ("device", session::run_device),
    ("state", state::run),
    ("options", options::run),
    ("mount_options", mount_options::run),
];

/// Whether `part` lies within `whole`.
fn lies_within(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}
