//! Types of `fuse_opt.h`.

use core::ffi::{c_char, c_int, c_ulong, c_void};

/// What an option looks like and what parsing does when it is met.
///
/// `templ` is the option's text, optionally with `=` or a space and a scanf-like conversion (`%s`, `%d`, `%lu`, …).
/// With an offset that is not -1U, the value is stored at that offset of the data passed to fuse_opt_parse():
/// `value` itself when the template has no conversion, what was converted otherwise. With offset -1U, which
/// FUSE_OPT_KEY() fills in, the processing function is called with `value` as its key.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_opt {
    /// Template to match; NULL ends the array.
    pub templ: *const c_char,
    /// Bytes from the start of the data where the value goes, or -1U.
    pub offset: c_ulong,
    /// Value to store, or key for the processing function.
    pub value: c_int,
}

/// An argument list as main() gets it, which parsing may replace.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_args {
    /// Number of arguments.
    pub argc: c_int,
    /// The arguments; NULL-terminated once `allocated`.
    pub argv: *mut *mut c_char,
    /// Not 0 when argv and its strings came from malloc(3) and fuse_opt_free_args() must free them.
    pub allocated: c_int,
}

/// Called by fuse_opt_parse() for an option that no template stores. Returns -1 on error, 0 to discard the
/// argument, 1 to keep it in the output.
pub type fuse_opt_proc_t =
    Option<unsafe extern "C" fn(data: *mut c_void, arg: *const c_char, key: c_int, outargs: *mut fuse_args) -> c_int>;

/// Key of an option that no template matched.
pub const FUSE_OPT_KEY_OPT: c_int = -1;
/// Key of an argument that is not an option.
pub const FUSE_OPT_KEY_NONOPT: c_int = -2;
/// Key of an option that stays in the output without a call of the processing function.
pub const FUSE_OPT_KEY_KEEP: c_int = -3;
/// Key of an option that is dropped without a call of the processing function.
pub const FUSE_OPT_KEY_DISCARD: c_int = -4;
