//! Capabilities of the calling thread (capabilities(7)), and whether the process got its rights from its program.

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid, getgid, getuid};
use std::ffi::OsString;

/// Keeps set-user-ID and set-group-ID bits when a file is written.
const CAP_FSETID: u32 = 1 << 4;
/// Sets of 64 bits.
const VERSION_3: u32 = 0x2008_0522;

/// Whether the environment comes from someone with fewer rights than we have: the program is set-user-id or
/// set-group-id, has file capabilities, or a security module says so.
pub fn environment_is_foreign() -> bool {
    // SAFETY: it takes a number, and reads what the kernel left on the stack of the program.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    secure || getuid() != geteuid() || getgid() != getegid()
}

/// A variable of the environment; none where that is [foreign](environment_is_foreign).
pub fn variable(name: &str) -> Option<OsString> {
    if environment_is_foreign() { None } else { std::env::var_os(name) }
}

#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    pid: i32,
}

/// One half of the sets.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

type Sets = [Half; 2];

fn get() -> Result<Sets, Errno> {
    let (mut header, mut sets) = (Header { version: VERSION_3, pid: 0 }, Sets::default());
    // SAFETY: the kernel reads the header and fills two halves; both outlive the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    Ok(sets)
}

fn set(sets: &Sets) -> Result<(), Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    // The system call and not libc's wrapper: only this thread is to change.
    // SAFETY: the kernel reads the header and two halves; both outlive the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) }).map(drop)
}

/// Calls `f` while this thread, and no other, goes without CAP_FSETID in its effective set.
pub fn without_fsetid<T>(f: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let before = get()?;
    let mut without = before;
    without[0].effective &= !CAP_FSETID;
    if without[0].effective == before[0].effective {
        return f();
    }
    set(&without)?;
    let result = f();
    // What is permitted can always be made effective again.
    if let Err(errno) = set(&before) {
        log::error!("CAP_FSETID cannot be taken up again: {}", errno.desc());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_thread_and_only_meanwhile() {
        let before = get().unwrap()[0].effective;
        let elsewhere = || std::thread::spawn(|| get().unwrap()[0].effective).join().unwrap();
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            receive.recv().unwrap();
            get().unwrap()[0].effective
        });
        let inside = without_fsetid(|| {
            send.send(()).unwrap();
            // A thread that is made meanwhile inherits what this one has.
            assert_eq!(elsewhere() & CAP_FSETID, 0);
            Ok(get()?[0].effective)
        });
        assert_eq!(inside, Ok(before & !CAP_FSETID));
        assert_eq!(get().unwrap()[0].effective, before);
        assert_eq!(other.join().unwrap(), before);
        assert_eq!(without_fsetid(|| Err::<(), _>(Errno::ELOOP)), Err(Errno::ELOOP));
    }
}
