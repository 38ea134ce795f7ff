//! The data of a request, where it is: in the message, or still in the pipe that the request came through.

use super::cursor::Cursor;
use super::operation::Operation;
use super::request::{Fault, Request, begin, malformed};
use crate::abi::opcode::Opcode;
use crate::abi::wire::{InHeader, NotifyRetrieveIn, WriteIn};
use std::os::fd::BorrowedFd;

/// Bytes before the data of a request whose data may stay in a pipe: WRITE, and NOTIFY_REPLY.
pub const PIPED_HEAD: usize = size_of::<InHeader>() + size_of::<WriteIn>();
const _: () = assert!(size_of::<WriteIn>() == size_of::<NotifyRetrieveIn>());

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

/// Reads a WRITE or NOTIFY_REPLY of which the first [`PIPED_HEAD`] bytes were read from a pipe and `rest` was not.
/// Any other request is malformed here.
///
/// Its extensions stay in the pipe: they say nothing about a request that carries data.
pub fn piped<'a>(head: &'a [u8], rest: Piped<'a>) -> Result<Request<'a>, Fault> {
    let (header, opcode) = begin(head)?;
    match operation(header, opcode, head, rest) {
        Some(operation) => Ok(Request { header, opcode, operation, extensions: &[] }),
        None => Err(malformed(header, opcode)),
    }
}

fn operation<'a>(header: &InHeader, opcode: Opcode, head: &'a [u8], rest: Piped<'a>) -> Option<Operation<'a>> {
    let behind = (header.len as usize).checked_sub(head.len()).filter(|behind| *behind <= rest.size)?;
    let there = behind.checked_sub(usize::from(header.total_extlen) * 8)?;
    let mut arguments = Cursor::new(head.get(size_of::<InHeader>()..)?);
    let data = |size: u32| {
        let size = size as usize;
        (size <= there).then_some(Payload::Piped(Piped { size, ..rest }))
    };
    match opcode {
        Opcode::Write => {
            let arg: &WriteIn = arguments.fixed().ok()?;
            Some(Operation::Write { arg, data: data(arg.size)? })
        }
        Opcode::NotifyReply => {
            let arg: &NotifyRetrieveIn = arguments.fixed().ok()?;
            Some(Operation::NotifyReply { arg, data: data(arg.size)? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::aligned::Aligned;
    use super::*;
    use nix::errno::Errno;
    use std::os::fd::AsFd;
    use zerocopy::IntoBytes;

    #[test]
    fn sizes_in_a_pipe_are_bounded_by_the_message() {
        let stdin = std::io::stdin();
        // Data as stated by the request, the message's head and the pipe; extensions.
        let outcome = |size: u32, len: u32, there: usize, extensions: u16| {
            let mut write = [0u8; 40];
            write[16..20].copy_from_slice(&size.to_ne_bytes());
            let len = (PIPED_HEAD as u32).wrapping_add(len);
            let header = InHeader { len, opcode: 16, unique: 6, total_extlen: extensions, ..InHeader::default() };
            let head = Aligned::new(&[header.as_bytes(), &write].concat());
            match piped(&head, Piped { pipe: stdin.as_fd(), size: there }) {
                Ok(Request { operation: Operation::Write { data: Payload::Piped(data), .. }, .. }) => Ok(data.size),
                Err(Fault::Refused { errno, reply: true, .. }) => Err(errno),
                _ => panic!("{size} {len} {there} {extensions}"),
            }
        };
        assert_eq!(outcome(8, 8, 8, 0), Ok(8));
        assert_eq!(outcome(0, 0, 0, 0), Ok(0));
        assert_eq!(outcome(7, 8, 8, 0), Ok(7));
        assert_eq!(outcome(8, 8, 9, 0), Ok(8));
        assert_eq!(outcome(8, 16, 16, 1), Ok(8));
        for (size, len, there, extensions) in [(9, 8, 8, 0), (8, 8, 7, 0), (9, 8, 9, 0), (9, 16, 16, 1), (0, 8, 8, 2)] {
            assert_eq!(outcome(size, len, there, extensions), Err(Errno::EIO), "{size} {len} {there} {extensions}");
        }
        assert_eq!(outcome(8, u32::MAX - 80, 8, 0), Err(Errno::EIO));
        assert_eq!(outcome(0, u32::MAX, 8, 0), Err(Errno::EIO));
    }

    #[test]
    fn only_what_carries_data_may_be_in_a_pipe() {
        let stdin = std::io::stdin();
        for (opcode, reply) in [(15, true), (2, false)] {
            let header = InHeader { len: PIPED_HEAD as u32, opcode, ..InHeader::default() };
            let head = Aligned::new(&[header.as_bytes(), &[0; 40]].concat());
            let fault = piped(&head, Piped { pipe: stdin.as_fd(), size: 0 }).map(|_| ());
            assert!(matches!(fault, Err(Fault::Refused { errno: Errno::EIO, reply: owed, .. }) if owed == reply));
        }
    }
}
