//! FUSE_CAP bits (the C interface's) against INIT flags (the kernel's): same meanings, other numbers.

use crate::abi::c::common::cap::*;
use crate::abi::flags::InitFlags;

/// Which flag each capability stands for. Those without a flag of their own (splicing, ioctl on directories) follow
/// from the protocol's minor version.
const TABLE: [(u64, InitFlags); 29] = [
    (FUSE_CAP_ASYNC_READ, InitFlags::ASYNC_READ),
    (FUSE_CAP_POSIX_LOCKS, InitFlags::POSIX_LOCKS),
    (FUSE_CAP_ATOMIC_O_TRUNC, InitFlags::ATOMIC_O_TRUNC),
    (FUSE_CAP_EXPORT_SUPPORT, InitFlags::EXPORT_SUPPORT),
    (FUSE_CAP_DONT_MASK, InitFlags::DONT_MASK),
    (FUSE_CAP_FLOCK_LOCKS, InitFlags::FLOCK_LOCKS),
    (FUSE_CAP_AUTO_INVAL_DATA, InitFlags::AUTO_INVAL_DATA),
    (FUSE_CAP_READDIRPLUS, InitFlags::DO_READDIRPLUS),
    (FUSE_CAP_READDIRPLUS_AUTO, InitFlags::READDIRPLUS_AUTO),
    (FUSE_CAP_ASYNC_DIO, InitFlags::ASYNC_DIO),
    (FUSE_CAP_WRITEBACK_CACHE, InitFlags::WRITEBACK_CACHE),
    (FUSE_CAP_NO_OPEN_SUPPORT, InitFlags::NO_OPEN_SUPPORT),
    (FUSE_CAP_PARALLEL_DIROPS, InitFlags::PARALLEL_DIROPS),
    (FUSE_CAP_POSIX_ACL, InitFlags::POSIX_ACL),
    (FUSE_CAP_HANDLE_KILLPRIV, InitFlags::HANDLE_KILLPRIV),
    (FUSE_CAP_HANDLE_KILLPRIV_V2, InitFlags::HANDLE_KILLPRIV_V2),
    (FUSE_CAP_CACHE_SYMLINKS, InitFlags::CACHE_SYMLINKS),
    (FUSE_CAP_NO_OPENDIR_SUPPORT, InitFlags::NO_OPENDIR_SUPPORT),
    (FUSE_CAP_EXPLICIT_INVAL_DATA, InitFlags::EXPLICIT_INVAL_DATA),
    (FUSE_CAP_EXPIRE_ONLY, InitFlags::HAS_EXPIRE_ONLY),
    (FUSE_CAP_SETXATTR_EXT, InitFlags::SETXATTR_EXT),
    (FUSE_CAP_DIRECT_IO_ALLOW_MMAP, InitFlags::DIRECT_IO_ALLOW_MMAP),
    (FUSE_CAP_PASSTHROUGH, InitFlags::PASSTHROUGH),
    (FUSE_CAP_NO_EXPORT_SUPPORT, InitFlags::NO_EXPORT_SUPPORT),
    (FUSE_CAP_OVER_IO_URING, InitFlags::OVER_IO_URING),
    (FUSE_CAP_ALLOW_IDMAP, InitFlags::ALLOW_IDMAP),
    (FUSE_CAP_SECURITY_CTX, InitFlags::SECURITY_CTX),
    // Not flags of INIT, listed so that every capability has a row.
    (FUSE_CAP_IOCTL_DIR, InitFlags::empty()),
    (FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE, InitFlags::empty()),
];

/// Capabilities that are only ever told to the daemon, never asked of the kernel in the reply to INIT.
const TOLD_ONLY: u64 = FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_EXPIRE_ONLY;

/// The capabilities that these flags of the kernel offer.
pub fn offered(flags: InitFlags) -> u64 {
    let matching = TABLE.iter().filter(|(_, flag)| !flag.is_empty() && flags.contains(*flag));
    matching.fold(0, |caps, (cap, _)| caps | cap)
}

/// The flags to answer INIT with for these capabilities.
pub fn wanted(caps: u64) -> InitFlags {
    let matching = TABLE.iter().filter(|(cap, _)| caps & cap & !TOLD_ONLY != 0);
    matching.fold(InitFlags::empty(), |flags, (_, flag)| flags | *flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offered_and_wanted_are_inverse() {
        for (cap, flag) in TABLE.iter().filter(|(cap, flag)| !flag.is_empty() && cap & TOLD_ONLY == 0) {
            assert_eq!(offered(*flag), *cap);
            assert_eq!(wanted(*cap), *flag);
        }
        assert_eq!(wanted(TOLD_ONLY), InitFlags::empty());
    }

    #[test]
    fn no_capability_has_two_rows() {
        let all = TABLE.iter().fold(0u64, |seen, (cap, _)| {
            assert_eq!(seen & cap, 0, "{cap:#x}");
            seen | cap
        });
        assert_eq!(all.count_ones(), 31);
    }
}
