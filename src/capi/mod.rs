//! The C surface: one folder or file per header. Raw pointers end here; everything below takes references.
//!
//! Each exported function is a literal `#[unsafe(no_mangle)] pub unsafe extern "C" fn` (the header generator reads
//! it) followed by `symver!` with its GNU symbol version.
#![expect(non_camel_case_types, reason = "these are the C interface's own names")]

/// Gives an exported function its symbol version, and further versions of the same code under other names.
///
/// It must stand in the module of the function, so that both land in one codegen unit. Without `soname` (an rlib for
/// fuzzing, a unit test) symbols stay unversioned.
macro_rules! symver {
    ($function:ident, $version:literal) => {
        #[cfg(all(any(soname = "3", soname = "4"), not(test)))]
        core::arch::global_asm!(concat!(
            ".symver ", stringify!($function), ", ", stringify!($function), "@@", $version, ", remove"
        ));
    };
    ($function:ident as $name:ident @ $version:literal) => {
        symver!(@alias $function, concat!("fusewire_", stringify!($function), "_as_", stringify!($name)), concat!(stringify!($name), "@", $version));
    };
    ($function:ident as $name:ident @@ $version:literal) => {
        symver!(@alias $function, concat!("fusewire_", stringify!($function), "_as_default_", stringify!($name)), concat!(stringify!($name), "@@", $version));
    };
    (@alias $function:ident, $alias:expr, $versioned:expr) => {
        #[cfg(all(any(soname = "3", soname = "4"), not(test)))]
        core::arch::global_asm!(
            concat!(".globl ", $alias),
            concat!(".set ", $alias, ", ", stringify!($function)),
            concat!(".symver ", $alias, ", ", $versioned, ", remove")
        );
    };
}

pub mod cmdline;
pub mod common;
pub mod cuse;
#[cfg(not(soname = "3"))]
pub mod daemonize;
pub mod log;
pub mod lowlevel;
mod memory;
pub mod opt;
mod result;
#[cfg(not(soname = "3"))]
pub mod service;
