//! What differs between the two sonames because programs can see it.

use crate::abi::c::common::cap::*;

/// The libfuse release whose behaviour a program expects.
#[derive(Clone, Copy, Debug)]
pub struct Edition {
    /// Highest protocol minor version that INIT is answered with.
    pub minor: u32,
    /// Capabilities that the release knows; others are not shown to the daemon, which could not know what it asks
    /// for by wanting all that is there.
    pub known: u64,
    /// Capabilities that are wanted unless the daemon says otherwise.
    pub wanted: u64,
    /// Capabilities that the kernel is never asked for, wanted or not.
    pub unsent: u64,
    /// Whether a loop that has ended takes the exit back, and another one may follow without fuse_session_reset().
    pub loops_reset: bool,
    /// Whether writes may be larger than 256 pages, where the kernel's limit is higher.
    pub large_writes: bool,
    /// Whether ENOSYS answers an open that the daemon has no callback for, where it wants the capability to do without:
    /// the kernel then keeps a file's pages from one open to the next, and does not ask again.
    pub declines_opens: bool,
}

/// Wanted by default in every release.
const ALWAYS_WANTED: u64 =
    FUSE_CAP_ASYNC_READ | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ASYNC_DIO | FUSE_CAP_IOCTL_DIR | FUSE_CAP_ATOMIC_O_TRUNC;

/// 3.14.0. It lets daemons want PARALLEL_DIROPS and HANDLE_KILLPRIV, by default even, but never asks the kernel for
/// them: its daemons never had two lookups in one directory at once, and rely on the kernel to clear set-uid bits.
#[cfg(soname = "3")]
pub const EDITION: Edition = Edition {
    minor: 31,
    known: ((FUSE_CAP_EXPIRE_ONLY << 1) - 1) & !FUSE_CAP_HANDLE_KILLPRIV_V2,
    wanted: ALWAYS_WANTED | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_HANDLE_KILLPRIV,
    unsent: FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_HANDLE_KILLPRIV,
    loops_reset: true,
    large_writes: false,
    declines_opens: false,
};

/// 3.19.
#[cfg(not(soname = "3"))]
pub const EDITION: Edition = Edition {
    minor: crate::abi::wire::KERNEL_MINOR_VERSION,
    known: (FUSE_CAP_SECURITY_CTX << 1) - 1,
    wanted: ALWAYS_WANTED | FUSE_CAP_OVER_IO_URING,
    unsent: 0,
    loops_reset: false,
    large_writes: true,
    declines_opens: true,
};
