//! What is fixed from outside: the kernel's wire protocol and the structs of the C headers.
//!
//! Nothing here acts, and nothing here imports another module.
#![forbid(unsafe_code)]

pub mod c;
pub mod flags;
pub mod opcode;
pub mod wire;
