//! The library's log while it is fuzzed.

use core::ffi::{CStr, c_char, c_int, c_void};

// SAFETY: the declarations are those of the library's header and of C's; a `va_list` is a pointer as a parameter.
unsafe extern "C" {
    fn fuse_set_log_func(func: Option<unsafe extern "C" fn(c_int, *const c_char, *mut c_void)>);
    fn vsnprintf(into: *mut c_char, size: usize, format: *const c_char, arguments: *mut c_void) -> c_int;
}

/// Lines go nowhere from now on, but for those that say that the library, or the harness, has failed.
pub fn quiet() {
    // SAFETY: the function may be called from any thread.
    unsafe { fuse_set_log_func(Some(line)) };
}

unsafe extern "C" fn line(_level: c_int, format: *const c_char, arguments: *mut c_void) {
    let mut line = [0 as c_char; 1000];
    // SAFETY: the format and its arguments are the library's; the buffer has the size that is stated.
    let line = unsafe {
        vsnprintf(line.as_mut_ptr(), line.len(), format, arguments);
        CStr::from_ptr(line.as_ptr())
    };
    assert!(!line.is_empty(), "a line without text");
    if line.to_bytes().starts_with(b"fuse: internal error") {
        eprint!("{}", line.to_string_lossy());
    }
}
