//! Our own: nodeids that mean the same to a successor.
//!
//! What holds for all functions: they may be called on any thread; without a table of nodes (see
//! fuse_session_set_recoverable()) and in a child that a callback forked they fail with ENOTSUP, without a session with
//! EINVAL.

use crate::abi::c::common::fuse_session;
use crate::abi::c::lowlevel::fuse_ino_t;
use crate::capi::lowlevel::session::with_session;
use crate::capi::result::ToC;
use crate::recovery::nodes::Nodes;
use crate::session::Session;
use core::ffi::{c_int, c_void};
use nix::errno::Errno;

/// Lends a session's table to `f`. ENOTSUP when it has none: before the mount, too, and in a child that a callback forked.
///
/// # Safety
/// `se` is null or a session.
unsafe fn with<T>(se: *mut fuse_session, f: impl FnOnce(&Nodes) -> Result<T, Errno>) -> Result<T, Errno> {
    let lend = |se: &Session| {
        let nodes = se.state().and_then(|state| state.nodes.as_ref()).ok_or(Errno::ENOTSUP)?;
        se.check_home()?;
        f(nodes)
    };
    // SAFETY: the caller vouches for the session.
    unsafe { with_session(se, lend) }.unwrap_or(Err(Errno::EINVAL))
}

/// A name from C.
///
/// # Safety
/// `bytes` points to `len` bytes, for as long as `'a`.
unsafe fn name<'a>(bytes: *const c_void, len: usize) -> Result<&'a [u8], Errno> {
    match len {
        0 => Ok(&[]),
        _ if bytes.is_null() || isize::try_from(len).is_err() => Err(Errno::EINVAL),
        // SAFETY: the caller vouches for the bytes.
        _ => Ok(unsafe { core::slice::from_raw_parts(bytes.cast(), len) }),
    }
}

/// Finds the node that has this name, or makes it, and holds it until fuse_node_put().
///
/// A node is an inode as the kernel knows it: its nodeid, and how often the kernel has looked it up. The daemon names it by
/// bytes that mean the same to another process: a file handle, a path, a number. Nodes live in the session's state, so that
/// a successor finds all that the kernel still holds under the same nodeids. A node lives while somebody holds it or the
/// kernel has looked it up; the library counts lookups when fuse_reply_entry(), fuse_reply_create() or a readdirplus reply
/// names it, and takes them back when the kernel forgets, before the forget callback is called. To be held until that reply
/// was sent. No nodeid is ever used twice.
///
/// - `se`: a session whose table has names of so many bytes.
/// - `bytes`, `len`: the name, copied.
///
/// Returns the nodeid, or 0 with errno: EMSGSIZE when the name is too long, ENOSPC when the table is full (16 million),
/// ENOMEM, ENOTSUP without a table of nodes, before the mount, and, with one log line for all functions of nodes, in a
/// child that was forked while a loop of the library's runs. May be called on any thread. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session, `bytes` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_node_get(se: *mut fuse_session, bytes: *const c_void, len: usize) -> fuse_ino_t {
    // SAFETY: the caller vouches for session and bytes.
    let node = unsafe { name(bytes, len).and_then(|name| with(se, |nodes| nodes.get(name))) };
    node.unwrap_or_else(|errno| {
        errno.set();
        0
    })
}
symver!(fuse_node_get, "FUSEWIRE_1.0");

/// Gives back what fuse_node_get() holds.
///
/// Returns 1 when that was the end of the node; 0 when it lives on, as the kernel or somebody else needs it; -ESTALE when
/// there is no such node; -EINVAL when nobody holds it; -ENOTSUP without a table of nodes. May be called on any thread.
/// Since fusewire 1.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_node_put(se: *mut fuse_session, ino: fuse_ino_t) -> c_int {
    // SAFETY: the caller vouches for the session.
    let ended = unsafe { with(se, |nodes| nodes.put(ino)) };
    ended.map_or_else(|errno| -(errno as c_int), c_int::from)
}
symver!(fuse_node_put, "FUSEWIRE_1.0");

/// Copies a node's name.
///
/// - `ino`: its nodeid; FUSE_ROOT_ID is always there, with no bytes until fuse_node_update() gave it some.
/// - `bytes`: room for `size` bytes.
///
/// Returns the name's length in bytes; -ERANGE when that is more than `size`, and nothing is copied; -ESTALE when there is
/// no such node; -ENOTSUP without a table of nodes. May be called on any thread. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session, `bytes` has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_node_read(
    se: *mut fuse_session,
    ino: fuse_ino_t,
    bytes: *mut c_void,
    size: usize,
) -> c_int {
    let copy = |nodes: &Nodes| {
        let name = nodes.name(ino)?;
        if name.len() > size || bytes.is_null() {
            return Err(Errno::ERANGE);
        }
        // SAFETY: the caller vouches for the room.
        unsafe { core::ptr::copy_nonoverlapping(name.as_ptr(), bytes.cast::<u8>(), name.len()) };
        Ok(name.len())
    };
    // SAFETY: the caller vouches for the session.
    let length = unsafe { with(se, copy) };
    length.map_or_else(|errno| -(errno as c_int), |length| c_int::try_from(length).unwrap_or(c_int::MAX))
}
symver!(fuse_node_read, "FUSEWIRE_1.0");

/// Gives a node another name, for daemons whose names change: paths, when something is renamed. A successor finds the old
/// name or the new one, never a part.
///
/// - `ino`: the nodeid; FUSE_ROOT_ID: how the root is named from the start on.
/// - `bytes`, `len`: the name, copied.
///
/// Returns 0; -EEXIST when another node has the name; -ESTALE when there is no such node; -EMSGSIZE when the name is too
/// long; -ENOMEM; -ENOTSUP without a table of nodes. May be called on any thread. Since fusewire 1.0.
///
/// # Safety
/// `se` is a session, `bytes` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_node_update(
    se: *mut fuse_session,
    ino: fuse_ino_t,
    bytes: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the caller vouches for session and bytes.
    unsafe { name(bytes, len).and_then(|name| with(se, |nodes| nodes.rename(ino, name))) }.code()
}
symver!(fuse_node_update, "FUSEWIRE_1.0");

/// The generation of a node's place in the table, which its nodeid contains: what `generation` of struct
/// fuse_entry_param may say, 0 being as good, as no nodeid is used twice. `se` does not matter. May be called on any
/// thread. Since fusewire 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fuse_node_generation(se: *mut fuse_session, ino: fuse_ino_t) -> u64 {
    // It is in the nodeid, whatever the session.
    let _ = se;
    Nodes::generation(ino)
}
symver!(fuse_node_generation, "FUSEWIRE_1.0");

/// How often the kernel has looked a node up, less what it forgot.
///
/// After a crash that may be too much, never too little: lookups whose reply was about to be sent, and forgets that were
/// read and not taken into account yet, in the instant of the crash. Such a node stays until the unmount.
///
/// Returns -ESTALE when there is no such node, -ENOTSUP without a table of nodes. May be called on any thread. Since
/// fusewire 1.0.
///
/// # Safety
/// `se` is a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_node_nlookup(se: *mut fuse_session, ino: fuse_ino_t) -> i64 {
    // SAFETY: the caller vouches for the session.
    let lookups = unsafe { with(se, |nodes| nodes.lookups(ino)) };
    lookups.map_or_else(|errno| -(errno as i64), |lookups| i64::try_from(lookups).unwrap_or(i64::MAX))
}
symver!(fuse_node_nlookup, "FUSEWIRE_1.0");
