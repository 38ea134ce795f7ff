//! `struct fuse_args`: an argument list in memory that C frees.

use crate::abi::c::opt::fuse_args;
use crate::opt::{ArgList, Args, Result};
use core::ffi::{c_char, c_int};
use nix::errno::Errno;
use std::ffi::CStr;

/// An argument list in memory from malloc(3), which the daemon's callbacks may be shown.
pub struct CArgs(fuse_args);

const EMPTY: fuse_args = fuse_args { argc: 0, argv: core::ptr::null_mut(), allocated: 0 };

impl Default for CArgs {
    /// An empty list.
    fn default() -> Self {
        CArgs(EMPTY)
    }
}

impl CArgs {
    /// The list as C sees it. C may add to it with the functions of fuse_opt.h, or replace it by its like.
    pub fn as_raw(&mut self) -> *mut fuse_args {
        &raw mut self.0
    }

    /// Gives the list and its memory away.
    pub fn into_raw(self) -> fuse_args {
        core::mem::ManuallyDrop::new(self).0
    }

    fn strings(&self) -> &[*mut c_char] {
        // SAFETY: the list is ours, or what C left of it with the functions of fuse_opt.h.
        unsafe { strings(&self.0) }
    }
}

impl Drop for CArgs {
    fn drop(&mut self) {
        // SAFETY: the list is ours and nobody uses it any more.
        unsafe { free(&mut self.0) };
    }
}

impl ArgList for CArgs {
    fn len(&self) -> usize {
        self.strings().len()
    }

    fn last(&self) -> Option<&CStr> {
        let last = *self.strings().last()?;
        // SAFETY: a string of the list, which lives until the list is changed.
        (!last.is_null()).then(|| unsafe { CStr::from_ptr(last) })
    }

    fn push(&mut self, arg: &CStr) -> Result<()> {
        // SAFETY: the list is in memory from malloc(3).
        unsafe { push(&mut self.0, arg) }
    }

    fn insert(&mut self, at: usize, arg: &CStr) -> Result<()> {
        // SAFETY: as in push().
        unsafe { insert(&mut self.0, at, arg) }
    }

    fn pop(&mut self) {
        if let Some(&last) = self.strings().last() {
            self.0.argc -= 1;
            // SAFETY: the list has argc pointers and a NULL; the string came from malloc(3).
            unsafe {
                self.0.argv.add(self.0.argc as usize).write(core::ptr::null_mut());
                libc::free(last.cast());
            }
        }
    }
}

/// The string pointers of a list; none when the list is empty or its count is negative.
///
/// # Safety
/// `argv` is NULL or has `argc` pointers that stay until the slice is dropped.
unsafe fn strings(args: &fuse_args) -> &[*mut c_char] {
    let count = usize::try_from(args.argc).unwrap_or(0);
    if args.argv.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: by contract.
    unsafe { core::slice::from_raw_parts(args.argv, count) }
}

/// The arguments of a list, to be read. EINVAL, and a line, when one of them is NULL.
///
/// # Safety
/// `argv` is NULL or has `argc` pointers to NUL-terminated strings or NULL; they stay until `'a` ends.
pub unsafe fn borrow<'a>(args: fuse_args) -> Result<Vec<&'a CStr>> {
    // SAFETY: by contract.
    let pointers = unsafe { strings(&args) };
    let borrowed = pointers.iter().enumerate().map(|(i, &arg)| {
        if arg.is_null() {
            log::error!("argument {i} of {} is a null pointer", args.argc);
            return Err(Errno::EINVAL);
        }
        // SAFETY: by contract.
        Ok(unsafe { CStr::from_ptr(arg) })
    });
    borrowed.collect()
}

/// Copies a C program's list, for Rust to parse; [`write_back()`] is its counterpart.
///
/// # Safety
/// `args` is NULL, for an empty list, or as in [`borrow()`].
pub unsafe fn read(args: *const fuse_args) -> Result<Args> {
    // SAFETY: by contract.
    let Some(&list) = (unsafe { args.as_ref() }) else {
        return Ok(Args::default());
    };
    // SAFETY: by contract; the borrow ends here.
    Ok(unsafe { borrow(list) }?.into_iter().collect())
}

/// Puts a parsed list into a C program's `struct fuse_args`, whose former memory is freed where it was allocated. On
/// an error, which is ENOMEM only, that list is as it was.
///
/// # Safety
/// `args` points to a list that nothing else uses; when it is `allocated`, its memory came from malloc(3).
pub unsafe fn write_back(args: *mut fuse_args, list: &Args) -> Result<()> {
    let mut new = CArgs::default();
    list.iter().try_for_each(|arg| new.push(arg))?;
    // SAFETY: by contract.
    let args = unsafe { &mut *args };
    let mut old = core::mem::replace(args, new.into_raw());
    // SAFETY: by contract; no one has a pointer to the former list any more.
    unsafe { free(&mut old) };
    Ok(())
}

/// Empties a list and frees its memory where it was allocated.
///
/// # Safety
/// When the list is `allocated`, its memory came from malloc(3) and nothing else uses it.
pub unsafe fn free(args: &mut fuse_args) {
    let old = core::mem::replace(args, EMPTY);
    if old.allocated == 0 || old.argv.is_null() {
        return;
    }
    // SAFETY: by contract; each string is freed once, then their array.
    unsafe {
        strings(&old).iter().for_each(|arg| libc::free(arg.cast()));
        libc::free(old.argv.cast());
    }
}

/// Adds a copy of an argument at the end. EINVAL when the list is not empty and not in memory from malloc(3).
///
/// # Safety
/// When the list is `allocated`, its memory came from malloc(3) and nothing else uses it.
pub unsafe fn push(args: &mut fuse_args, arg: &CStr) -> Result<()> {
    let count = growable(args)?;
    let room = (count + 2).checked_mul(size_of::<*mut c_char>()).ok_or(Errno::ENOMEM)?;
    // SAFETY: NULL, or from malloc(3) by contract. A list that grew but got no string is still the same list.
    let argv: *mut *mut c_char = unsafe { libc::realloc(args.argv.cast(), room) }.cast();
    if argv.is_null() {
        return Err(out_of_memory());
    }
    args.argv = argv;
    args.allocated = 1;
    // SAFETY: the array has count + 2 elements now.
    unsafe {
        argv.add(count).write(core::ptr::null_mut());
        argv.add(count + 1).write(core::ptr::null_mut());
    }
    // SAFETY: a NUL-terminated string.
    let copy = unsafe { libc::strdup(arg.as_ptr()) };
    if copy.is_null() {
        return Err(out_of_memory());
    }
    // SAFETY: as above.
    unsafe { argv.add(count).write(copy) };
    args.argc = count as c_int + 1;
    Ok(())
}

/// Puts a copy of an argument before the one at `at`. EINVAL past the end, otherwise as [`push()`].
///
/// # Safety
/// As [`push()`].
pub unsafe fn insert(args: &mut fuse_args, at: usize, arg: &CStr) -> Result<()> {
    let count = growable(args)?;
    if at > count {
        let arg = arg.to_string_lossy();
        log::error!("cannot insert '{arg}' at position {at}: there are {count} arguments");
        return Err(Errno::EINVAL);
    }
    // SAFETY: by contract.
    unsafe { push(args, arg) }?;
    // SAFETY: the array has count + 1 strings now, and at is one of them.
    unsafe { core::slice::from_raw_parts_mut(args.argv.add(at), count + 1 - at) }.rotate_right(1);
    Ok(())
}

/// The number of arguments of a list that may get one more.
fn growable(args: &fuse_args) -> Result<usize> {
    if !args.argv.is_null() && args.allocated == 0 {
        log::error!("cannot add to an argument list that is not allocated: parse it first");
        return Err(Errno::EINVAL);
    }
    match usize::try_from(args.argc) {
        Ok(count) if args.argc < c_int::MAX - 1 => Ok(if args.argv.is_null() { 0 } else { count }),
        _ => {
            log::error!("an argument list cannot have {} arguments", args.argc);
            Err(Errno::EINVAL)
        }
    }
}

/// Logs that malloc(3) failed.
pub fn out_of_memory() -> Errno {
    log::error!("out of memory for an option");
    Errno::ENOMEM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_grows_and_shrinks() {
        let mut list = CArgs::default();
        for arg in [c"a", c"c"] {
            list.push(arg).unwrap();
        }
        assert_eq!(list.insert(1, c"b"), Ok(()));
        assert_eq!(list.insert(4, c"x"), Err(Errno::EINVAL));
        assert_eq!((list.len(), list.last()), (3, Some(c"c")));
        // SAFETY: the list lives on and is not changed.
        let borrowed = unsafe { borrow(*list.as_raw()) };
        assert_eq!(borrowed, Ok(vec![c"a", c"b", c"c"]));
        list.pop();
        assert_eq!(list.last(), Some(c"b"));
    }

    #[test]
    fn what_was_read_is_written_back() {
        let mut argv = [c"p".as_ptr().cast_mut(), c"x".as_ptr().cast_mut(), core::ptr::null_mut()];
        let mut args = fuse_args { argc: 2, argv: argv.as_mut_ptr(), allocated: 0 };
        // SAFETY: two strings, and the list is ours.
        unsafe {
            let mut list = read(&args).unwrap();
            list.push(c"y").unwrap();
            write_back(&mut args, &list).unwrap();
            assert_eq!(borrow(args), Ok(vec![c"p", c"x", c"y"]));
            assert!((*args.argv.add(3)).is_null());
            free(&mut args);
            assert_eq!(read(core::ptr::null()), Ok(Args::default()));
        }
        assert_eq!((args.argc, args.argv.is_null(), args.allocated), (0, true, 0));
    }

    #[test]
    fn foreign_memory_is_not_grown() {
        let mut argv = [c"p".as_ptr().cast_mut(), core::ptr::null_mut()];
        let mut args = fuse_args { argc: 1, argv: argv.as_mut_ptr(), allocated: 0 };
        // SAFETY: the list is not allocated.
        assert_eq!(unsafe { push(&mut args, c"x") }, Err(Errno::EINVAL));
        let holes = fuse_args { argc: 2, ..args };
        // SAFETY: two pointers, one of them NULL.
        assert_eq!(unsafe { borrow(holes) }, Err(Errno::EINVAL));
    }
}
