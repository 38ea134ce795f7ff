//! The daemon's operations.

use super::call;
use super::request::to_c;
use crate::abi::c::common::fuse_bufvec;
use crate::abi::c::lowlevel::fuse_lowlevel_ops;
use crate::abi::wire::{InHeader, NotifyRetrieveIn};
use crate::decode::Operation;
use crate::session::{Handler, Provides, Session, Shown, Token};
use core::ffi::c_void;

/// `struct fuse_lowlevel_ops` and the pointer that goes with it.
pub struct CTable {
    ops: fuse_lowlevel_ops,
    userdata: *mut c_void,
}

// SAFETY: the callbacks and the userdata are the daemon's, which by the C interface's contract may be called from
// every thread of the session's loops.
unsafe impl Send for CTable {}
// SAFETY: as above.
unsafe impl Sync for CTable {}

impl CTable {
    /// Copies `op_size` bytes of the daemon's table: members that its headers did not know yet are absent, those
    /// that this library does not know are ignored, with a log line.
    ///
    /// # Safety
    /// `ops` points to `op_size` readable bytes, which are the beginning of a `struct fuse_lowlevel_ops`, or is null.
    pub unsafe fn new(ops: *const fuse_lowlevel_ops, op_size: usize, userdata: *mut c_void) -> Self {
        // SAFETY: the caller vouches for the table, whose members are all callbacks.
        Self { ops: unsafe { copy(ops, op_size) }, userdata }
    }
}

/// Copies `size` bytes of a table of callbacks: members behind them are absent, those that this library does not know
/// are ignored, with a log line.
///
/// # Safety
/// `table` is null or points to `size` readable bytes; all members of `T` are optional functions.
pub unsafe fn copy<T: Default>(table: *const T, size: usize) -> T {
    let mut copied = T::default();
    if size > size_of::<T>() {
        log::warn!("the program's operations are newer than the library ({size} bytes): the last do not work");
    }
    if !table.is_null() {
        // Whole members only: a part of an address cannot be called.
        let known = size.min(size_of::<T>()) / size_of::<usize>() * size_of::<usize>();
        // SAFETY: the caller vouches for the source; the target is as large as `known` at least, and every bit
        // pattern that C leaves in a function pointer member is one that it can be called through, or null.
        unsafe { core::ptr::copy_nonoverlapping(table.cast::<u8>(), (&raw mut copied).cast::<u8>(), known) };
    }
    copied
}

impl Handler for CTable {
    fn provides(&self) -> Provides {
        let ops = &self.ops;
        let mut provides = Provides::empty();
        provides.set(Provides::WRITE_BUF, ops.write_buf.is_some());
        provides.set(Provides::POSIX_LOCKS, ops.getlk.is_some() && ops.setlk.is_some());
        provides.set(Provides::FLOCK, ops.flock.is_some());
        provides.set(Provides::READDIR, ops.readdir.is_some());
        provides.set(Provides::READDIRPLUS, ops.readdirplus.is_some());
        provides
    }

    fn init(&self, conn: &Shown) {
        if let Some(init) = self.ops.init {
            // SAFETY: the daemon's callback, called as its contract says; conn lives as long as the session.
            unsafe { init(self.userdata, conn.as_ptr()) };
        }
    }

    fn destroy(&self) {
        if let Some(destroy) = self.ops.destroy {
            // SAFETY: the daemon's callback, called as its contract says.
            unsafe { destroy(self.userdata) };
        }
    }

    #[inline(always)] // where the operation is known one of the calls is left
    fn call(&self, session: &Session, token: Token, header: &InHeader, operation: &Operation<'_>) {
        call::dispatch(&self.ops, session, token, header, operation);
    }

    fn retrieved(
        &self,
        token: Token,
        header: &InHeader,
        arg: &NotifyRetrieveIn,
        cookie: usize,
        data: &mut fuse_bufvec,
    ) {
        let req = to_c(token);
        let cookie = core::ptr::with_exposed_provenance_mut(cookie);
        match self.ops.retrieve_reply {
            // SAFETY: the daemon's callback, called as its contract says; data outlives the call.
            Some(retrieve_reply) => unsafe { retrieve_reply(req, cookie, header.nodeid, arg.offset as i64, data) },
            None => super::request::finish(req),
        }
    }
}
