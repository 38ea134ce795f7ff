//! How results become what C functions return.

use core::ffi::c_int;
use core::hint::cold_path;
use nix::errno::Errno;

/// A result on its way to C.
pub trait ToC {
    /// 0 or a negative errno.
    fn code(self) -> c_int;
    /// 0, or -1 with errno set.
    fn status(self) -> c_int;
}

impl ToC for Result<(), Errno> {
    #[inline]
    fn code(self) -> c_int {
        match self {
            Ok(()) => 0,
            Err(errno) => {
                cold_path();
                -(errno as c_int)
            }
        }
    }

    fn status(self) -> c_int {
        self.map_or_else(
            |errno| {
                errno.set();
                -1
            },
            |()| 0,
        )
    }
}
