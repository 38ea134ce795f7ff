//! The operations of a character device.

use super::arguments as args;
use super::call;
use super::poll::PollHandle;
use super::request::{finish, to_c};
use super::table;
use crate::abi::c::common::fuse_bufvec;
use crate::abi::c::cuse::cuse_lowlevel_ops;
use crate::abi::c::lowlevel::fuse_lowlevel_ops;
use crate::abi::flags::{FSYNC_FDATASYNC, IOCTL_DIR};
use crate::abi::wire::{InHeader, NotifyRetrieveIn};
use crate::decode::{Operation, Payload};
use crate::session::{Handler, Provides, Session, Shown, Token};
use crate::transport::Channel;
use core::ffi::{c_int, c_void};

/// `struct cuse_lowlevel_ops` and the pointer that goes with it.
pub struct CuseTable {
    ops: cuse_lowlevel_ops,
    userdata: *mut c_void,
}

// SAFETY: the callbacks and the userdata are the program's, which by the C interface's contract may be called from
// every thread of the session's loops.
unsafe impl Send for CuseTable {}
// SAFETY: as above.
unsafe impl Sync for CuseTable {}

impl CuseTable {
    /// Copies `size` bytes of the program's table: members behind them are absent, those that this library does not
    /// know are ignored, with a log line.
    ///
    /// # Safety
    /// `ops` points to `size` readable bytes, which are the beginning of a `struct cuse_lowlevel_ops`.
    pub unsafe fn new(ops: *const cuse_lowlevel_ops, size: usize, userdata: *mut c_void) -> Self {
        // SAFETY: the caller vouches for the table, whose members are all callbacks.
        Self { ops: unsafe { table::copy(ops, size) }, userdata }
    }

    /// Calls the callback for `operation`; false when the program has none, or the operation is not one of a device.
    fn callback(&self, token: Token, operation: &Operation<'_>) -> bool {
        let req = to_c(token);
        /// Calls an operation with the request and what is given, and says whether there is one.
        macro_rules! call {
            ($operation:ident $(, $argument:expr)*) => {
                match self.ops.$operation {
                    Some(callback) => {
                        callback(req $(, $argument)*);
                        true
                    }
                    None => false,
                }
            };
        }
        // SAFETY: the functions are the program's callbacks, called with the arguments that their contract names:
        // buffers hold as many bytes as stated, structs are initialised, and all of them outlive the call.
        unsafe {
            match *operation {
                Operation::Open(arg) => call!(open, &mut args::file_with_flags(0, arg.flags)),
                Operation::Read(arg) => {
                    call!(read, arg.size as usize, arg.offset as i64, &mut args::file_of_read(arg))
                }
                Operation::Write { arg, data: Payload::Memory(data) } => {
                    call!(write, data.as_ptr().cast(), data.len(), arg.offset as i64, &mut args::file_of_write(arg))
                }
                Operation::Flush(arg) => call!(flush, &mut args::file_of_flush(arg)),
                Operation::Release(arg) => call!(release, &mut args::file_of_release(arg)),
                Operation::Fsync(arg) => {
                    call!(fsync, (arg.fsync_flags & FSYNC_FDATASYNC) as c_int, &mut args::file(arg.fh))
                }
                // Those of directories are answered as by a file system without the capability.
                Operation::Ioctl { arg, data } if arg.flags & IOCTL_DIR == 0 => {
                    let (user, input) = args::ioctl(arg, data);
                    let (mut fi, out_size) = (args::file(arg.fh), arg.out_size as usize);
                    call!(ioctl, arg.cmd, user, &mut fi, arg.flags, input, data.len(), out_size)
                }
                Operation::Poll(arg) => {
                    call!(poll, &mut args::file_of_poll(arg), PollHandle::for_request(token, arg))
                }
                _ => false,
            }
        }
    }
}

impl Handler for CuseTable {
    fn provides(&self) -> Provides {
        Provides::empty()
    }

    fn init(&self, conn: &Shown) {
        if let Some(init) = self.ops.init {
            // SAFETY: the program's callback, called as its contract says; conn lives as long as the session.
            unsafe { init(self.userdata, conn.as_ptr()) };
        }
    }

    fn init_done(&self) {
        if let Some(init_done) = self.ops.init_done {
            // SAFETY: the program's callback, called as its contract says.
            unsafe { init_done(self.userdata) };
        }
    }

    fn destroy(&self) {
        if let Some(destroy) = self.ops.destroy {
            // SAFETY: the program's callback, called as its contract says.
            unsafe { destroy(self.userdata) };
        }
    }

    fn process(&self, session: &Session, channel: &Channel, message: &[u8]) {
        // Of what comes to a device, too little would go another way.
        session.process_any(channel, message);
    }

    fn call(&self, session: &Session, token: Token, header: &InHeader, operation: &Operation<'_>) {
        if !self.callback(token, operation) {
            // Whatever a device has no callback for is answered as by a file system that has none at all.
            call::dispatch(&fuse_lowlevel_ops::default(), session, token, header, operation);
        }
    }

    fn retrieved(&self, token: Token, _: &InHeader, _: &NotifyRetrieveIn, _: usize, _: &mut fuse_bufvec) {
        finish(to_c(token));
    }
}
