//! Constants of `libfuse_config.h`: the versions, in one place. The headers, fuse3.pc and the version functions all
//! take them from here.

use core::ffi::c_int;

/// Major version of the API that these headers declare.
pub const FUSE_MAJOR_VERSION: c_int = 3;
/// Minor version of the API that these headers declare.
pub const FUSE_MINOR_VERSION: c_int = 19;
/// Patch level of the API that these headers declare.
pub const FUSE_HOTFIX_VERSION: c_int = 0;

/// Present when the library is fusewire, absent with libfuse: a portable program writes `#ifdef FUSEWIRE_VERSION` around
/// each use of what says "since fusewire". The number is that of FUSE_MAKE_VERSION(1, 0) and so on, for the last release
/// that brought something; the functions have the symbol version FUSEWIRE_1.0 and so on.
pub const FUSEWIRE_VERSION: c_int = 100;

#[cfg(test)]
mod tests {
    #[test]
    fn fusewire_version_is_that_of_the_last_node() {
        let nodes = include_str!("../../capi/nodes.map");
        let version = |line: &'static str| line.strip_prefix("FUSEWIRE_")?.split_whitespace().next()?.split_once('.');
        let (major, minor) = nodes.lines().rev().find_map(version).expect("a node of our own");
        let number = |text: &str| text.parse::<i32>().expect("a number");
        assert_eq!(super::FUSEWIRE_VERSION, number(major) * 100 + number(minor));
    }
}
