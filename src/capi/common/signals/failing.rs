//! Signals that say that the daemon is broken.
//!
//! The handler runs on whatever stack and in whatever state the thread has left, so it allocates nothing: glibc writes
//! the backtrace into an anonymous file, from which it goes line by line to the log.

use super::{HANDLING, Handled, SESSION, replace};
use crate::abi::c::log::FUSE_LOG_ERR;
use crate::capi::log;
use core::ffi::{CStr, c_int, c_void};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::read;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;

const FAILING: [c_int; 6] = [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV];

/// Most frames that a backtrace shows.
const FRAMES: usize = 128;
/// Bytes of a line at most; a longer one is broken.
const LINE: usize = 512;

/// The signals of fuse_set_fail_signal_handlers().
pub(super) fn handlers() -> impl Iterator<Item = Handled> {
    FAILING.into_iter().map(|signal| (signal, fail as extern "C" fn(c_int)))
}

/// Loads what backtrace(3) loads on its first call, which would allocate in the handler.
pub(super) fn prepare() {
    let mut frames = [core::ptr::null_mut::<c_void>(); 1];
    // SAFETY: there is room for one frame.
    unsafe { libc::backtrace(frames.as_mut_ptr(), 1) };
}

extern "C" fn fail(signal: c_int) {
    // First: a failure from here on, on any thread, must end the process at once.
    for (signal, handler) in handlers() {
        let _ = replace(signal, handler as *const () as usize, libc::SIG_DFL);
    }
    end_session();
    announce(signal);
    let _ = show_backtrace();
    // SAFETY: ends the process; SIGABRT has its default disposition, or one that the program chose.
    unsafe { libc::abort() };
}

fn end_session() {
    let _handling = HANDLING.enter();
    // SAFETY: the pointer is null or a session's: fuse_session_destroy() takes it out before it frees the session, and waits.
    if let Some(session) = unsafe { SESSION.load(Ordering::SeqCst).as_ref() } {
        session.exit();
    }
}

fn announce(signal: c_int) {
    let mut line = Line::new();
    line.push_text(b"fuse: got signal ");
    // Two digits suffice for every signal.
    for divisor in [10, 1] {
        let digit = signal / divisor % 10;
        if digit != 0 || divisor == 1 {
            line.push(b'0' + u8::try_from(digit).unwrap_or(0));
        }
    }
    line.push_text(b", aborting\n");
    line.write();
}

fn show_backtrace() -> Result<(), Errno> {
    let mut frames = [core::ptr::null_mut::<c_void>(); FRAMES];
    // SAFETY: there is room for as many frames as stated.
    let count = unsafe { libc::backtrace(frames.as_mut_ptr(), FRAMES as c_int) };
    let text = memfd_create(c"backtrace", MFdFlags::MFD_CLOEXEC)?;
    // SAFETY: as many frames are there as backtrace() said.
    unsafe { libc::backtrace_symbols_fd(frames.as_ptr(), count, text.as_raw_fd()) };
    nix::unistd::lseek(text.as_fd(), 0, nix::unistd::Whence::SeekSet)?;
    let mut line = Line::new();
    let mut some = [0; 256];
    loop {
        let n = read(text.as_fd(), &mut some)?;
        if n == 0 {
            return Ok(());
        }
        for byte in some.iter().take(n) {
            line.push(*byte);
            if *byte == b'\n' {
                line.write();
            }
        }
    }
}

/// A line in the making, NUL-terminated.
struct Line {
    bytes: [u8; LINE],
    len: usize,
}

impl Line {
    fn new() -> Self {
        Self { bytes: [0; LINE], len: 0 }
    }

    /// Appends a byte; a full line is written first, with a newline of its own.
    fn push(&mut self, byte: u8) {
        if self.len + 2 == LINE && byte != b'\n' {
            self.append(b'\n');
            self.write();
        }
        self.append(byte);
    }

    fn append(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn push_text(&mut self, text: &[u8]) {
        text.iter().for_each(|byte| self.push(*byte));
    }

    /// Hands the line to the log, and begins the next.
    fn write(&mut self) {
        if let Some(end) = self.bytes.get_mut(self.len) {
            *end = 0;
        }
        if let Ok(text) = CStr::from_bytes_until_nul(&self.bytes) {
            log::write(FUSE_LOG_ERR, text);
        }
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_and_stays_terminated() {
        let mut line = Line::new();
        for _ in 0..3 * LINE {
            line.push(b'x');
            assert!(line.len + 1 < LINE);
        }
        line.push(b'\n');
        line.write();
        assert_eq!(line.len, 0);
    }
}
