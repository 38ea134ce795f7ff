//! The structs, types and constants of the C headers: for each header a file of its name, and a folder where one file
//! would be too long. The header generator reads these files, so what stands here is what a C program sees,
//! documentation included.
//!
//! A type that C passes as an enum is an integer alias here, since or-ed flags are no value of a Rust enum; the
//! generator makes the enum from the alias and the constants of its type. A struct with bit-fields stands here twice:
//! with a word for the bits, and as the header shows it behind `cfg(header_view)`, which no build sets.
#![expect(non_camel_case_types, reason = "these are the C interface's own names")]

pub mod common;
pub mod config;
pub mod cuse;
pub mod daemonize;
pub mod log;
pub mod lowlevel;
pub mod opt;
pub mod service;

#[cfg(test)]
mod layout;
