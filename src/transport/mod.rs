//! How bytes and file descriptors get in and out of the process; knows descriptors, not opcodes.

pub mod fd;
