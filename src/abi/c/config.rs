//! Constants of `libfuse_config.h`: the versions, in one place. The headers, fuse3.pc and the version functions all
//! take them from here.

use core::ffi::c_int;

/// Major version of the API that these headers declare.
pub const FUSE_MAJOR_VERSION: c_int = 3;
/// Minor version of the API that these headers declare.
pub const FUSE_MINOR_VERSION: c_int = 19;
/// Patch level of the API that these headers declare.
pub const FUSE_HOTFIX_VERSION: c_int = 0;

/// Present when the library is fusewire, absent with libfuse: test it before using an extension. The number is
/// fusewire's own version, `major << 16 | minor << 8 | patch`.
///
/// Extensions carry the symbol version FUSEWIRE_1.0. A portable program writes
/// `#if defined(FUSEWIRE_VERSION) && FUSEWIRE_VERSION >= 0x000100` around each use of one.
pub const FUSEWIRE_VERSION: c_int = 1 << 8;

#[cfg(test)]
mod tests {
    #[test]
    fn fusewire_version_is_the_packages() {
        let part = |text: &str| text.parse::<i32>().expect("cargo gives numbers");
        let version = part(env!("CARGO_PKG_VERSION_MAJOR")) << 16
            | part(env!("CARGO_PKG_VERSION_MINOR")) << 8
            | part(env!("CARGO_PKG_VERSION_PATCH"));
        assert_eq!(super::FUSEWIRE_VERSION, version);
    }
}
