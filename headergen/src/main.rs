//! Generates the C headers and the pkg-config metadata.
fn main() {}
