//! Help and version texts. They go through C's stdout, so that they come in order with what the program prints.

use crate::abi::wire::KERNEL_VERSION;
use crate::capi::log;
use crate::mount::print_helper_version;
use crate::session::EDITION;
use std::ffi::{CStr, CString};

/// Prints a text to C's stdout, with a newline after it.
fn print(text: &CStr) {
    // SAFETY: a NUL-terminated string.
    unsafe { libc::puts(text.as_ptr()) };
}

const CMDLINE: &CStr = c"    -h, --help              show this text and exit
    -V, --version           show the version and exit
    -d, -o debug            log every request; stays in the foreground
    -f                      stay in the foreground
    -s                      serve with a single thread
    -o clone_fd             give each worker thread its own device fd
    -o max_idle_threads=N   idle worker threads beyond N end (no limit unless given)
    -o max_threads=N        run N worker threads at most (10 unless given)";

const MOUNT: &CStr = c"    -o allow_other          let every user in, not just the one who mounts
    -o allow_root           let root in besides the user who mounts
    -o auto_unmount         unmount when the daemon is gone, whatever ended it";

#[cfg(not(soname = "3"))]
const SESSION: &CStr = c"    -o io_uring             exchange requests over io_uring where the kernel can
    -o io_uring_q_depth=N   requests in flight for each ring";

/// Prints to stdout, one per line, the options that fuse_parse_cmdline() takes. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_cmdline_help() {
    print(CMDLINE);
}
symver!(fuse_cmdline_help, "FUSE_3.0");

/// Prints to stdout, one per line, those options of fuse_session_new() that a user may want. Since libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_lowlevel_help() {
    print(MOUNT);
    #[cfg(not(soname = "3"))]
    print(SESSION);
}
symver!(fuse_lowlevel_help, "FUSE_3.0");

/// Prints to stdout the version of the kernel protocol that the library speaks, and fusermount3's own version. Since
/// libfuse 3.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_lowlevel_version() {
    log::install();
    if let Ok(line) = CString::new(format!("FUSE kernel protocol: {KERNEL_VERSION}.{}", EDITION.minor)) {
        print(&line);
    }
    // fusermount3 writes past C's buffer: what is in there comes first.
    // SAFETY: NULL is for all streams.
    unsafe { libc::fflush(core::ptr::null_mut()) };
    print_helper_version();
}
symver!(fuse_lowlevel_version, "FUSE_3.0");
