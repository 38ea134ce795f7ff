//! `fuse_opt.h`.

pub mod args;
mod parse;

use crate::abi::c::opt::{fuse_args, fuse_opt, fuse_opt_proc_t};
use crate::capi::log;
use crate::opt::group::{self, Escape};
use core::ffi::{c_char, c_int, c_void};
use nix::errno::Errno;
use std::ffi::CStr;

/// 0, or -1 for an error: its line has been logged.
fn status(result: crate::opt::Result<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

/// The string behind a pointer. EINVAL, and a line that names the function, for NULL.
///
/// # Safety
/// `text` is NULL or a NUL-terminated string that stays until `'a` ends.
unsafe fn text<'a>(text: *const c_char, function: &str) -> crate::opt::Result<&'a CStr> {
    if text.is_null() {
        log::install();
        ::log::error!("{function}: the option is a null pointer");
        return Err(Errno::EINVAL);
    }
    // SAFETY: by contract.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// Parses an argument list and takes the options out of it that the table knows.
///
/// An option is looked up in the whole table, and everything that matches is done in the order of the table: a value
/// is stored in `data`, or `proc` is called. Options are arguments that begin with `-`, and what stands between the
/// commas of `-o`; in the latter a backslash makes the next character an ordinary one, and `\ooo` stands for the
/// byte of that octal number. What is not in the table goes to `proc` with the key FUSE_OPT_KEY_OPT, what is no
/// option with FUSE_OPT_KEY_NONOPT, as does everything behind `--`. Without `proc` such arguments stay.
///
/// - `args`: the list, replaced by what remains: the program's name, one `-o` with the options of groups, and the
///   rest. It is allocated then and belongs to the caller, who frees it with fuse_opt_free_args(). On an error it
///   stays as it was. NULL or an empty list is left alone.
/// - `data`: passed to `proc`, and where values are stored. A `%s` value is a copy from malloc(3), the string that
///   was there before is freed. May be NULL if the table stores nothing.
/// - `opts`: the table, ended by FUSE_OPT_END; NULL for an empty one.
/// - `proc`: NULL to keep everything it would be asked about.
///
/// Several lists may be parsed at the same time. Returns 0, or -1 after a log line or when `proc` returned -1. Since
/// libfuse 3.0.
///
/// # Safety
/// Pointers as above; at each offset of the table there is an object of the template's type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_opt_parse(
    args: *mut fuse_args,
    data: *mut c_void,
    opts: *const fuse_opt,
    proc: fuse_opt_proc_t,
) -> c_int {
    log::install();
    // SAFETY: by contract.
    status(unsafe { parse::parse(args, data, opts, proc) })
}
symver!(fuse_opt_parse, "FUSE_3.0");

/// Adds an option to a comma-separated group, as it is.
///
/// - `opts`: the group, NULL or from malloc(3); it may move. It belongs to the caller.
/// - `opt`: the option, which is copied.
///
/// Returns 0, or -1 when memory ran out, and then `opts` is as it was. Since libfuse 3.0.
///
/// # Safety
/// Pointers as above, and nothing else uses the group meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_opt_add_opt(opts: *mut *mut c_char, opt: *const c_char) -> c_int {
    // SAFETY: by contract.
    status(unsafe { add_opt(opts, opt, Escape::No) })
}
symver!(fuse_opt_add_opt, "FUSE_3.0");

/// As fuse_opt_add_opt(), with a backslash before each comma and backslash of the option, so that it stays one.
///
/// # Safety
/// As fuse_opt_add_opt().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_opt_add_opt_escaped(opts: *mut *mut c_char, opt: *const c_char) -> c_int {
    // SAFETY: by contract.
    status(unsafe { add_opt(opts, opt, Escape::Yes) })
}
symver!(fuse_opt_add_opt_escaped, "FUSE_3.0");

/// # Safety
/// As fuse_opt_add_opt().
unsafe fn add_opt(opts: *mut *mut c_char, opt: *const c_char, escape: Escape) -> crate::opt::Result<()> {
    // SAFETY: by contract.
    let opt = unsafe { text(opt, "fuse_opt_add_opt") }?;
    // SAFETY: by contract.
    let group = unsafe { *opts };
    let length = match group.is_null() {
        true => 0,
        // SAFETY: by contract a string.
        false => unsafe { libc::strlen(group) },
    };
    let suffix = group::suffix(length, opt, escape);
    // SAFETY: NULL or from malloc(3) by contract.
    let group: *mut u8 = unsafe { libc::realloc(group.cast(), length + suffix.len() + 1) }.cast();
    if group.is_null() {
        log::install();
        return Err(args::out_of_memory());
    }
    // SAFETY: there is room for what was there, the suffix and a NUL; the suffix is memory of our own.
    unsafe {
        core::ptr::copy_nonoverlapping(suffix.as_ptr(), group.add(length), suffix.len());
        group.add(length + suffix.len()).write(0);
        *opts = group.cast();
    }
    Ok(())
}

/// Adds an argument at the end of a list.
///
/// - `args`: the list: empty, or allocated as fuse_opt_parse() leaves it.
/// - `arg`: the argument, which is copied.
///
/// Returns 0, or -1 after a log line when memory ran out or the list is not allocated. Since libfuse 3.0.
///
/// # Safety
/// Pointers as above, and nothing else uses the list meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_opt_add_arg(args: *mut fuse_args, arg: *const c_char) -> c_int {
    log::install();
    // SAFETY: by contract.
    status(unsafe { text(arg, "fuse_opt_add_arg").and_then(|arg| args::push(&mut *args, arg)) })
}
symver!(fuse_opt_add_arg, "FUSE_3.0");

/// Puts an argument into a list, before the one at position `pos`; see fuse_opt_add_arg().
///
/// `pos` counts from 0, and adding at the end is allowed. Returns 0, or -1 also for a position that the list does not
/// have. Since libfuse 3.0.
///
/// # Safety
/// As fuse_opt_add_arg().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_opt_insert_arg(args: *mut fuse_args, pos: c_int, arg: *const c_char) -> c_int {
    log::install();
    let Ok(pos) = usize::try_from(pos) else {
        ::log::error!("fuse_opt_insert_arg: position {pos} is negative");
        return -1;
    };
    // SAFETY: by contract.
    status(unsafe { text(arg, "fuse_opt_insert_arg").and_then(|arg| args::insert(&mut *args, pos, arg)) })
}
symver!(fuse_opt_insert_arg, "FUSE_3.0");

/// Frees what an allocated list holds, and empties it. NULL is allowed. Since libfuse 3.0.
///
/// # Safety
/// Nothing uses the list's memory any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_opt_free_args(args: *mut fuse_args) {
    // SAFETY: by contract.
    if let Some(args) = unsafe { args.as_mut() } {
        // SAFETY: by contract.
        unsafe { args::free(args) };
    }
}
symver!(fuse_opt_free_args, "FUSE_3.0");

/// Returns 1 when a template of the table matches the option, 0 otherwise. Since libfuse 3.0.
///
/// - `opts`: the table, ended by FUSE_OPT_END; NULL for an empty one.
/// - `opt`: one option.
///
/// # Safety
/// Pointers as above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_opt_match(opts: *const fuse_opt, opt: *const c_char) -> c_int {
    // SAFETY: by contract.
    let Ok(option) = (unsafe { text(opt, "fuse_opt_match") }) else {
        return 0;
    };
    // SAFETY: by contract.
    c_int::from(unsafe { parse::is_known(opts, option) })
}
symver!(fuse_opt_match, "FUSE_3.0");
