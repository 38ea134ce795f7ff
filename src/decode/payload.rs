//! The data of a request, where it is.

use std::os::fd::BorrowedFd;

/// Data that is still in the pipe that the request came through.
#[derive(Clone, Copy, Debug)]
pub struct Piped<'a> {
    /// The pipe. The data is what is read from it next.
    pub pipe: BorrowedFd<'a>,
    /// Bytes of it.
    pub size: usize,
}

/// The data of a request.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// It lies in the message.
    Memory(&'a [u8]),
    /// It is in a pipe.
    Piped(Piped<'a>),
}
