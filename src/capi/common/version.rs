//! The version of libfuse that the library stands in for.

use core::ffi::{c_char, c_int};

#[cfg(soname = "3")]
const NUMBER: c_int = 314;
/// The release of libfuse that the library stands in for.
#[cfg(soname = "3")]
pub const TEXT: &core::ffi::CStr = c"3.14.0";
#[cfg(not(soname = "3"))]
const NUMBER: c_int = 319;
/// The release of libfuse that the library stands in for.
#[cfg(not(soname = "3"))]
pub const TEXT: &core::ffi::CStr = c"3.19.0";

/// Returns the version of libfuse whose interface this library has: 100 times the major plus the minor number. Since
/// libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_version() -> c_int {
    NUMBER
}
symver!(fuse_version, "FUSE_3.0");

/// Returns that version as text, with all three numbers. It lives as long as the library. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_pkgversion() -> *const c_char {
    TEXT.as_ptr()
}
symver!(fuse_pkgversion, "FUSE_3.0");
