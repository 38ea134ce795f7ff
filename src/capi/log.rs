//! `fuse_log.h`.

use crate::abi::c::log::{FUSE_LOG_DEBUG, FUSE_LOG_ERR, FUSE_LOG_INFO, FUSE_LOG_WARNING, fuse_log_level};
use core::ffi::{c_char, c_int, c_void};
use std::ffi::CString;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

/// C's `va_list` as a parameter: on x86_64 an array type that decays to a pointer, on aarch64 a struct passed by
/// reference. It is only passed on, never looked into.
pub type va_list = *mut c_void;

/// Receives each log line: its severity and what printf(3) would get. The message may lack a newline or end in one.
pub type fuse_log_func_t = Option<unsafe extern "C" fn(level: fuse_log_level, fmt: *const c_char, ap: va_list)>;

unsafe extern "C" {
    fn vdprintf(fd: c_int, fmt: *const c_char, ap: va_list) -> c_int;
    /// Logs a message through the log function: severity, then what printf(3) takes (libfuse 3.7).
    fn fuse_log(level: fuse_log_level, fmt: *const c_char, ...);
}

/// The daemon's log function; null for the default, which writes to stderr.
static LOG_FUNC: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// Sets the function that receives every log line of the library and of fuse_log(), or with NULL goes back to the
/// default, which writes to stderr.
///
/// May be called at any time from any thread; a line that is being written meanwhile may still reach the old
/// function. Since libfuse 3.7.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_set_log_func(func: fuse_log_func_t) {
    let raw = func.map_or(core::ptr::null_mut(), |f| f as *mut c_void);
    LOG_FUNC.store(raw, Ordering::Release);
}
symver!(fuse_set_log_func, "FUSE_3.7");

/// Where the assembler half of fuse_log() arrives, with its variable arguments as a va_list.
unsafe extern "C" fn log_with_va_list(level: fuse_log_level, fmt: *const c_char, ap: va_list) {
    let raw = LOG_FUNC.load(Ordering::Acquire);
    if raw.is_null() {
        // SAFETY: fmt and ap are what the caller of fuse_log() passed for printf(3).
        unsafe { vdprintf(libc::STDERR_FILENO, fmt, ap) };
        return;
    }
    // SAFETY: LOG_FUNC holds nothing but null and functions of this type, from fuse_set_log_func().
    let func = unsafe {
        core::mem::transmute::<*mut c_void, unsafe extern "C" fn(fuse_log_level, *const c_char, va_list)>(raw)
    };
    // SAFETY: as above, and the function takes what vprintf(3) takes.
    unsafe { func(level, fmt, ap) };
}

// Stable Rust cannot define a variadic function: these build the va_list that the platform's ABI prescribes out of
// the argument registers and the stack, and pass it on.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl fuse_log",
    ".type fuse_log,%function",
    "fuse_log:",
    ".cfi_startproc",
    "endbr64",
    "sub rsp, 216",
    ".cfi_adjust_cfa_offset 216",
    // register save area at rsp: six integer registers, then eight vector registers
    "mov [rsp+16], rdx",
    "mov [rsp+24], rcx",
    "mov [rsp+32], r8",
    "mov [rsp+40], r9",
    "test al, al",
    "je 2f",
    "movaps [rsp+48], xmm0",
    "movaps [rsp+64], xmm1",
    "movaps [rsp+80], xmm2",
    "movaps [rsp+96], xmm3",
    "movaps [rsp+112], xmm4",
    "movaps [rsp+128], xmm5",
    "movaps [rsp+144], xmm6",
    "movaps [rsp+160], xmm7",
    "2:",
    // the va_list at rsp+176: gp_offset past two named arguments, fp_offset, overflow area, save area
    "mov dword ptr [rsp+176], 16",
    "mov dword ptr [rsp+180], 48",
    "lea rax, [rsp+224]",
    "mov [rsp+184], rax",
    "mov [rsp+192], rsp",
    "lea rdx, [rsp+176]",
    "call {log}",
    "add rsp, 216",
    ".cfi_adjust_cfa_offset -216",
    "ret",
    ".cfi_endproc",
    ".size fuse_log, . - fuse_log",
    log = sym log_with_va_list,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl fuse_log",
    ".type fuse_log,%function",
    "fuse_log:",
    ".cfi_startproc",
    "hint #34",
    "stp x29, x30, [sp, #-224]!",
    ".cfi_adjust_cfa_offset 224",
    ".cfi_offset x29, -224",
    ".cfi_offset x30, -216",
    "mov x29, sp",
    // sp+16: va_list; sp+48: x2 to x7; sp+96: q0 to q7
    "stp x2, x3, [sp, #48]",
    "stp x4, x5, [sp, #64]",
    "stp x6, x7, [sp, #80]",
    "stp q0, q1, [sp, #96]",
    "stp q2, q3, [sp, #128]",
    "stp q4, q5, [sp, #160]",
    "stp q6, q7, [sp, #192]",
    "add x9, sp, #224",
    "str x9, [sp, #16]", // stack arguments
    "add x9, sp, #96",
    "str x9, [sp, #24]", // end of the general registers
    "add x9, sp, #224",
    "str x9, [sp, #32]", // end of the vector registers
    "mov w9, #-48",
    "str w9, [sp, #40]",
    "mov w9, #-128",
    "str w9, [sp, #44]",
    "add x2, sp, #16",
    "bl {log}",
    "ldp x29, x30, [sp], #224",
    ".cfi_adjust_cfa_offset -224",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "ret",
    ".cfi_endproc",
    ".size fuse_log, . - fuse_log",
    log = sym log_with_va_list,
);
symver!(fuse_log, "FUSE_3.7");

/// Sends the records of the `log` crate, which the library writes, to the daemon's log function.
struct FuseLogger;

impl log::Log for FuseLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => FUSE_LOG_ERR,
            log::Level::Warn => FUSE_LOG_WARNING,
            log::Level::Info => FUSE_LOG_INFO,
            log::Level::Debug | log::Level::Trace => FUSE_LOG_DEBUG,
        };
        // A NUL inside cannot reach C whole: show it as the escape that Rust would print.
        let line = format!("fuse: {}\n", record.args()).replace('\0', "\\0");
        let Ok(line) = CString::new(line) else { return };
        // SAFETY: the format takes one string, which is NUL-terminated and lives until the call returns.
        unsafe { fuse_log(level, c"%s".as_ptr(), line.as_ptr()) };
    }

    fn flush(&self) {}
}

/// Routes the library's own log lines, and the message of a panic, to fuse_log(). Every entry point that may log
/// first calls it; only the first call does something.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if log::set_logger(&FuseLogger).is_ok() {
            log::set_max_level(log::LevelFilter::Debug);
        }
        // stderr is /dev/null once daemonized; the log function may be syslog.
        std::panic::set_hook(Box::new(|info| log::error!("internal error, aborting: {info}")));
    });
}
