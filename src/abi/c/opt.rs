//! Types of `fuse_opt.h`.

use core::ffi::{c_char, c_int, c_ulong, c_void};

/// One rule of an option table: how an option looks, and what fuse_opt_parse() does where it meets it. An array of
/// rules ends with FUSE_OPT_END. Every rule that matches an option is carried out.
///
/// Forms of a template:
/// - `-x`, `--long`: the argument as it stands;
/// - `name`: the word `name` in the comma-separated list after `-o`;
/// - `-x=`, `--long=`, `name=`: the same with a value after the equals sign, which the processing function gets;
/// - a conversion after the `=` (`name=%u`, `--long=%s`): the value is converted as sscanf(3) would and stored;
/// - a space instead of the `=` (`-x %s`, `-x `): the value may be glued on or be the next argument.
///
/// What is stored where `offset` is not -1U: with a conversion, the converted value, in a variable of the conversion's
/// type (`%s` stores a malloc(3)ed copy and frees the string that was there before); without one, `value`, as an int.
/// With offset -1U the processing function is called with `value` as the key.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_opt {
    /// The template; NULL ends the array.
    pub templ: *const c_char,
    /// Bytes from the start of the data to the variable (`offsetof`), or -1U, as FUSE_OPT_KEY() has it, to call the
    /// processing function.
    pub offset: c_ulong,
    /// What to store, or the key for the processing function.
    pub value: c_int,
}

/// An argument list as main() gets one. Parsing may replace it by a list of its own; fuse_opt_free_args() frees that.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct fuse_args {
    /// Number of arguments.
    pub argc: c_int,
    /// The arguments, and a NULL after the last.
    pub argv: *mut *mut c_char,
    /// Not 0 when `argv` and its strings came from malloc(3) and belong to this struct.
    pub allocated: c_int,
}

/// Called by fuse_opt_parse() for an argument that is not an option, an option that no rule matches, and an option
/// whose rule has the offset -1U.
///
/// - `data`: what fuse_opt_parse() was called with.
/// - `arg`: the argument, valid during the call. An option from an `-o` list comes without the `-o`; one with its
///   value in the next argument comes as one string.
/// - `key`: FUSE_OPT_KEY_OPT, FUSE_OPT_KEY_NONOPT or the matching rule's `value`.
/// - `outargs`: the output so far, to which the function may add.
///
/// Returns 1 to keep the argument in the output, 0 to drop it, -1 to make fuse_opt_parse() fail.
pub type fuse_opt_proc_t =
    Option<unsafe extern "C" fn(data: *mut c_void, arg: *const c_char, key: c_int, outargs: *mut fuse_args) -> c_int>;

/// Key with which the processing function gets an option that no rule matches.
pub const FUSE_OPT_KEY_OPT: c_int = -1;
/// Key with which the processing function gets an argument that is not an option: one that does not start with a
/// dash, and whatever follows `--`.
pub const FUSE_OPT_KEY_NONOPT: c_int = -2;
/// As a rule's `value` with offset -1U: keep the option in the output, do not call the processing function.
pub const FUSE_OPT_KEY_KEEP: c_int = -3;
/// As a rule's `value` with offset -1U: drop the option, do not call the processing function.
pub const FUSE_OPT_KEY_DISCARD: c_int = -4;
