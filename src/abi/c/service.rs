//! Types of `fuse_service.h`.

use core::ffi::c_uint;

/// The connection of a daemon to the helper that started it as a service. There is none where the library is built
/// without services, as this one is.
#[repr(C)]
pub struct fuse_service {
    opaque: [u8; 0],
}

/// For fuse_service_request_file(): a file that cannot be opened is not worth a line in the helper's log.
pub const FUSE_SERVICE_REQUEST_FILE_QUIET: c_uint = 1u32 << 0;
