//! The structs, types and constants of the C headers, one file per header. The header generator reads these files,
//! so what stands here is what a C program sees, documentation included.
#![expect(non_camel_case_types, reason = "these are the C interface's own names")]

pub mod common;
pub mod log;
pub mod lowlevel;
pub mod opt;
