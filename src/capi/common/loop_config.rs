//! `struct fuse_loop_config`, which C sees as opaque.

use crate::abi::c::common::{fuse_loop_config, fuse_loop_config_v1};
use crate::capi::log;
use crate::opt::loop_config::LoopConfig;
use core::ffi::c_uint;

/// What is behind a `struct fuse_loop_config` pointer.
#[repr(C)]
struct Boxed {
    /// Tells it from the two members of a v1 struct, which programs pass by mistake.
    mark: u64,
    config: LoopConfig,
}

const MARK: u64 = 0x6675_7365_6c6f_6f70;

/// The configuration behind a pointer, if it is one: the line that says it is none has been logged.
///
/// # Safety
/// `config` is NULL or readable for as long as a `struct fuse_loop_config_v1`, which is one word; what
/// fuse_loop_cfg_create() made is not used by anybody else meanwhile.
unsafe fn find<'a>(config: *mut fuse_loop_config) -> Option<&'a mut LoopConfig> {
    // SAFETY: by contract; a v1 struct need not be aligned like ours.
    if config.is_null() || unsafe { config.cast::<u64>().read_unaligned() } != MARK {
        log::install();
        ::log::error!("the loop configuration is not from fuse_loop_cfg_create(), it is ignored");
        return None;
    }
    // SAFETY: the mark says that fuse_loop_cfg_create() made it.
    Some(unsafe { &mut (*config.cast::<Boxed>()).config })
}

/// The configuration behind a pointer; the default for NULL and, after a line, for what is none: programs have passed a
/// v1 struct, and do not run worse with the default.
///
/// # Safety
/// As [`find`].
pub unsafe fn get(config: *mut fuse_loop_config) -> LoopConfig {
    if config.is_null() {
        return LoopConfig::default();
    }
    // SAFETY: by contract.
    unsafe { find(config) }.map_or_else(LoopConfig::default, |config| *config)
}

/// The configuration that a v1 struct means; the default for NULL.
///
/// # Safety
/// `config` is NULL or points to such a struct.
pub unsafe fn get_v1(config: *const fuse_loop_config_v1) -> LoopConfig {
    // SAFETY: by contract.
    let v1 = unsafe { config.as_ref() };
    v1.map_or_else(LoopConfig::default, |v1| LoopConfig::from_v1(v1.clone_fd != 0, v1.max_idle_threads))
}

/// Changes a configuration, if it is one.
///
/// # Safety
/// As [`find`].
unsafe fn change(config: *mut fuse_loop_config, change: impl FnOnce(&mut LoopConfig)) {
    log::install();
    // SAFETY: by contract.
    if let Some(config) = unsafe { find(config) } {
        change(config);
    }
}

/// Makes a configuration for a multi-threaded loop: no clone_fd, 10 threads, no limit on idle ones.
///
/// The caller frees it with fuse_loop_cfg_destroy(). Returns NULL, after a log line, when memory ran out. Since
/// libfuse 3.12.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_loop_cfg_create() -> *mut fuse_loop_config {
    // From malloc(3): programs exist that free it themselves.
    // SAFETY: a plain allocation.
    let config: *mut Boxed = unsafe { libc::malloc(size_of::<Boxed>()) }.cast();
    if config.is_null() {
        log::install();
        ::log::error!("out of memory for a loop configuration");
        return core::ptr::null_mut();
    }
    // SAFETY: just allocated, large enough and aligned for everything.
    unsafe { config.write(Boxed { mark: MARK, config: LoopConfig::default() }) };
    config.cast()
}
symver!(fuse_loop_cfg_create, "FUSE_3.12");

/// Frees a configuration; NULL is allowed. The loop does not need it any more once it runs. Since libfuse 3.12.
///
/// # Safety
/// `config` is from fuse_loop_cfg_create() and not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_loop_cfg_destroy(config: *mut fuse_loop_config) {
    // SAFETY: by contract.
    unsafe { libc::free(config.cast()) };
}
symver!(fuse_loop_cfg_destroy, "FUSE_3.12");

/// Sets how many threads may idle before one of them ends. UINT_MAX leaves the limit as it is, as does a number over
/// 100000, after a log line. Since libfuse 3.12.
///
/// # Safety
/// `config` is from fuse_loop_cfg_create(), and nothing else uses it meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_loop_cfg_set_idle_threads(config: *mut fuse_loop_config, value: c_uint) {
    // SAFETY: by contract.
    unsafe { change(config, |c| c.set_idle_threads(value)) };
}
symver!(fuse_loop_cfg_set_idle_threads, "FUSE_3.12");

/// Sets how many threads the loop runs at most. Since libfuse 3.12.
///
/// # Safety
/// `config` is from fuse_loop_cfg_create(), and nothing else uses it meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_loop_cfg_set_max_threads(config: *mut fuse_loop_config, value: c_uint) {
    // SAFETY: by contract.
    unsafe { change(config, |c| c.max_threads = value) };
}
symver!(fuse_loop_cfg_set_max_threads, "FUSE_3.12");

/// Sets whether each thread gets a device fd of its own: not 0 for yes. Since libfuse 3.12.
///
/// # Safety
/// `config` is from fuse_loop_cfg_create(), and nothing else uses it meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_loop_cfg_set_clone_fd(config: *mut fuse_loop_config, value: c_uint) {
    // SAFETY: by contract.
    unsafe { change(config, |c| c.clone_fd = value != 0) };
}
symver!(fuse_loop_cfg_set_clone_fd, "FUSE_3.12");

/// Takes over what a struct of API 3.2 to 3.11 says: its idle limit (in so.4 it is the limit of all threads too) and
/// clone_fd. Since libfuse 3.12.
///
/// # Safety
/// `config` is from fuse_loop_cfg_create(), and nothing else uses it meanwhile; `v1_conf` points to such a struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_loop_cfg_convert(config: *mut fuse_loop_config, v1_conf: *const fuse_loop_config_v1) {
    // SAFETY: by contract.
    unsafe { change(config, |c| c.take_v1((*v1_conf).clone_fd != 0, (*v1_conf).max_idle_threads)) };
}
symver!(fuse_loop_cfg_convert, "FUSE_3.12");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_the_loop_gets() {
        let config = fuse_loop_cfg_create();
        let v1 = fuse_loop_config_v1 { clone_fd: 1, max_idle_threads: 4 };
        // SAFETY: the configuration lives until it is destroyed.
        unsafe {
            assert_eq!(get(config), LoopConfig::default());
            fuse_loop_cfg_set_max_threads(config, 3);
            fuse_loop_cfg_set_idle_threads(config, 2);
            fuse_loop_cfg_set_clone_fd(config, 7);
            assert_eq!(get(config), LoopConfig { clone_fd: true, max_threads: 3, max_idle_threads: 2 });
            fuse_loop_cfg_convert(config, &v1);
            assert_eq!(get(config).max_idle_threads, 4);
            fuse_loop_cfg_destroy(config);
        }
    }

    #[test]
    fn a_v1_struct_is_not_taken_for_ours() {
        let mut v1 = fuse_loop_config_v1 { clone_fd: 1, max_idle_threads: 4 };
        // SAFETY: one word is there.
        unsafe {
            let mistaken = (&raw mut v1).cast();
            fuse_loop_cfg_set_max_threads(mistaken, 77);
            assert_eq!(get(mistaken), LoopConfig::default());
            assert_eq!((v1.clone_fd, v1.max_idle_threads), (1, 4));
            assert!(get_v1(&v1).clone_fd);
            assert_eq!(get_v1(core::ptr::null()), LoopConfig::default());
        }
    }
}
