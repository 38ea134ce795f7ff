//! fusewire: a Rust core behind libfuse's C ABI.
//!
//! A request's way through the folders: `transport` receives its bytes, `decode` makes a request of them, `session`
//! keeps it in flight, `dispatch` calls the daemon, `encode` makes bytes of the answer and `transport` sends them.
//! `capi` is what C sees; `abi` is what is fixed from outside.

// Tests, and those of programs that link this, unwind; clippy checks the latter, and nobody runs them.
#[cfg(not(any(panic = "abort", test, clippy)))]
compile_error!("panic must be \"abort\": unwinding through a C callback is undefined behaviour");
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("fusewire is for 64-bit Linux");

pub mod abi;
pub mod capi;
pub mod decode;
pub mod dispatch;
pub mod encode;
pub mod mount;
pub mod opt;
pub mod passthrough;
pub mod recovery;
pub mod session;
pub mod sync;
pub mod transport;
