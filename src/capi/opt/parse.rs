//! fuse_opt_parse() and fuse_opt_match(): the parser of [`crate::opt`] driven by a C program's table and callback.

use super::args::{self, CArgs};
use crate::abi::c::opt::{
    FUSE_OPT_KEY_DISCARD, FUSE_OPT_KEY_KEEP, FUSE_OPT_KEY_NONOPT, FUSE_OPT_KEY_OPT, fuse_args, fuse_opt,
    fuse_opt_proc_t,
};
use crate::opt::{self, Event, Result, Spec, Value, Verdict, scan, template};
use core::ffi::{c_char, c_int, c_ulong, c_void};
use nix::errno::Errno;
use std::ffi::CStr;

/// The offset that makes `value` a key: what FUSE_OPT_KEY() puts there, an `unsigned int` of -1 widened.
const KEY_OFFSET: c_ulong = u32::MAX as c_ulong;

/// Whether an option calls the callback, rather than being stored. A -1 of the member's full width means the same to
/// whoever writes the table without the macro.
fn is_key(opt: &fuse_opt) -> bool {
    matches!(opt.offset, KEY_OFFSET | c_ulong::MAX)
}

/// The table of a C program.
///
/// # Safety
/// `opts` is NULL, for an empty table, or an array that an element with a NULL template ends; it stays until `'a` ends.
unsafe fn table<'a>(mut opts: *const fuse_opt) -> Vec<Spec<'a, &'a fuse_opt>> {
    let mut specs = Vec::new();
    // SAFETY: by contract; the last element has been reached when the template is NULL.
    while let Some(opt) = unsafe { opts.as_ref() }
        && !opt.templ.is_null()
    {
        // SAFETY: by contract.
        specs.push(Spec::new(unsafe { CStr::from_ptr(opt.templ) }, opt));
        // SAFETY: there is a further element.
        opts = unsafe { opts.add(1) };
    }
    specs
}

/// What fuse_opt_match() does.
///
/// # Safety
/// `opts` as in fuse_opt_match().
pub unsafe fn is_known(opts: *const fuse_opt, option: &CStr) -> bool {
    // SAFETY: by contract.
    unsafe { table(opts) }.iter().any(|spec| template::matches(spec.template, option).is_some())
}

/// What fuse_opt_parse() does.
///
/// # Safety
/// As fuse_opt_parse().
pub unsafe fn parse(
    args: *mut fuse_args,
    data: *mut c_void,
    opts: *const fuse_opt,
    proc: fuse_opt_proc_t,
) -> Result<()> {
    // SAFETY: by contract.
    let Some(&list) = (unsafe { args.as_ref() }) else {
        return Ok(());
    };
    if list.argv.is_null() || list.argc == 0 {
        return Ok(());
    }
    // The callback gets the very strings of the list, since programs keep pointers to them.
    // SAFETY: by contract, the strings stay as long as the parser runs.
    let (input, specs) = unsafe { (args::borrow(list)?, table(opts)) };
    let mut out = CArgs::default();
    opt::parse_into(&input, &specs, &mut out, &mut |event, out| {
        // SAFETY: data and proc are the caller's, who owes what the table says of them.
        unsafe { handle(event, data, proc, out) }
    })?;
    // SAFETY: by contract.
    let mut old = unsafe { core::ptr::replace(args, out.into_raw()) };
    // SAFETY: nothing borrows the former list any more.
    unsafe { args::free(&mut old) };
    Ok(())
}

/// # Safety
/// `data` fits the offsets and templates of the table, and is what `proc` takes.
unsafe fn handle(
    event: Event<'_, &fuse_opt>,
    data: *mut c_void,
    proc: fuse_opt_proc_t,
    out: &mut CArgs,
) -> Result<Verdict> {
    let (arg, key) = match event {
        Event::Matched { tag, arg, value } if !is_key(tag) => {
            // SAFETY: by contract.
            unsafe { store(tag, arg, value, data) }?;
            return Ok(Verdict::Drop);
        }
        Event::Matched { tag, arg, .. } => (arg, tag.value),
        Event::Unknown(arg) => (arg, FUSE_OPT_KEY_OPT),
        Event::NonOption(arg) => (arg, FUSE_OPT_KEY_NONOPT),
    };
    let call = match (key, proc) {
        (FUSE_OPT_KEY_DISCARD, _) => return Ok(Verdict::Drop),
        (FUSE_OPT_KEY_KEEP, _) | (_, None) => return Ok(Verdict::Keep),
        (_, Some(call)) => call,
    };
    // SAFETY: by contract. The callback may change the list, which is borrowed only by this pointer meanwhile.
    match unsafe { call(data, arg.as_ptr(), key, out.as_raw()) } {
        -1 => Err(Errno::EINVAL),
        0 => Ok(Verdict::Drop),
        _ => Ok(Verdict::Keep),
    }
}

/// Stores what an option says at its place in the data.
///
/// # Safety
/// At `opt.offset` of `data` there is what the template's conversion stores, or an int.
unsafe fn store(opt: &fuse_opt, arg: &CStr, value: Option<Value<'_>>, data: *mut c_void) -> Result<()> {
    if data.is_null() {
        log::error!("option '{}' has no place for its value: the data pointer is null", arg.to_string_lossy());
        return Err(Errno::EINVAL);
    }
    let place = data.wrapping_byte_add(opt.offset as usize);
    let Some(value) = value else {
        // SAFETY: by contract an int is there.
        unsafe { place.cast::<c_int>().write_unaligned(opt.value) };
        return Ok(());
    };
    if value.conversion.to_bytes().starts_with(b"%s") {
        // SAFETY: by contract a pointer is there, NULL or from malloc(3).
        return unsafe { store_string(place.cast(), value.text) };
    }
    // The conversions a template may have, and what they refuse, are sscanf's own; only the program knows the type
    // behind them.
    // SAFETY: by contract the one object that the format stores is there.
    if unsafe { libc::sscanf(value.text.as_ptr(), value.conversion.as_ptr(), place) } == 1 {
        return Ok(());
    }
    scan::bad_value(arg);
    Err(Errno::EINVAL)
}

/// # Safety
/// `place` holds NULL or a string from malloc(3).
unsafe fn store_string(place: *mut *mut c_char, value: &CStr) -> Result<()> {
    // SAFETY: a NUL-terminated string.
    let copy = unsafe { libc::strdup(value.as_ptr()) };
    if copy.is_null() {
        return Err(args::out_of_memory());
    }
    // SAFETY: by contract.
    unsafe {
        libc::free(place.read_unaligned().cast());
        place.write_unaligned(copy);
    }
    Ok(())
}
