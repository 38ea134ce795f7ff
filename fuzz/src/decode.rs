//! A message is what the oracle says it is; its names and data lie within it.

use crate::lies_within;
use crate::message::{self, Sender, byte};
use crate::oracle::{self, Agreed, HEAD, Verdict};
use arbitrary::Unstructured;
use fusewire::abi::opcode::Opcode;
use fusewire::decode::{self, Dialect, Fault, Name, Operation, PIPED_HEAD, Payload, Piped};
use std::os::fd::AsFd;
use zerocopy::IntoBytes;

/// The first byte chooses: the rest as it is, or a request made of it.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let how = byte(&mut u);
    let agreed = Agreed { setxattr_ext: how & 1 != 0, dots: how & 4 != 0 };
    let made = match how & 2 {
        0 => Ok(u.take_rest().to_vec()),
        _ => message::request(&mut u, agreed.setxattr_ext, Sender { unique: 6, earlier: 4 }),
    };
    if let Ok(message) = made {
        let mut place = vec![0; message.len().div_ceil(8)];
        check(aligned(&mut place, &message), agreed);
    }
}

/// The message where its structs can be used in place.
fn aligned<'a>(place: &'a mut [u64], message: &[u8]) -> &'a [u8] {
    let place = &mut place.as_mut_bytes()[..message.len()];
    place.copy_from_slice(message);
    place
}

/// The shorter way finds the same, or leaves the message to the longer.
fn check_ordinary(message: &[u8], dialect: Dialect) {
    let found = decode::request(message, dialect);
    let Some((header, arguments)) = decode::ordinary(message) else {
        return assert!(found.is_err() || decode::header(message).is_some_and(|header| header.total_extlen > 0));
    };
    if let Some(opcode) = Opcode::from_wire(header.opcode) {
        let ordinary = decode::ordinary_request(header, arguments, opcode, || dialect);
        assert_eq!(format!("{ordinary:?}"), format!("{found:?}"));
    }
}

fn check(message: &[u8], agreed: Agreed) {
    assert_eq!(decode::header(message).is_some(), message.len() >= HEAD);
    let expected = oracle::judge(message, agreed);
    let dialect = Dialect { setxattr_ext: agreed.setxattr_ext, export_support: agreed.dots };
    let found = match decode::request(message, dialect) {
        Err(Fault::Unreadable) => Verdict::Unreadable,
        Err(Fault::Refused { errno, reply, .. }) => match errno as i32 {
            libc::ENOSYS => Verdict::Unknown,
            errno => {
                assert_eq!(errno, libc::EIO);
                Verdict::Malformed { reply }
            }
        },
        Ok(request) => {
            assert!(lies_within(request.extensions, message) && request.extensions.len() % 8 == 0);
            core::hint::black_box((request.flags(), request.operation.to_string()));
            let (names, data) = borrowed(&request.operation, message);
            for name in &names {
                assert!(lies_within(name.to_bytes_with_nul(), message));
            }
            Verdict::Request(names.into_iter().map(Name::to_bytes).collect(), data)
        }
    };
    assert_eq!(found, expected);
    check_ordinary(message, dialect);
    if message.len() >= PIPED_HEAD {
        check_piped(message, &expected);
    }
}

const WRITE: u32 = 16;
const NOTIFY_REPLY: u32 = 41;

/// The same message with its data in a pipe, which is not read here.
fn check_piped(message: &[u8], expected: &Verdict<'_>) {
    let stdin = std::io::stdin();
    let (head, rest) = message.split_at(PIPED_HEAD);
    let piped = decode::piped(head, Piped { pipe: stdin.as_fd(), size: rest.len() });
    let size = match piped.map(|request| request.operation) {
        Ok(Operation::Write { data: Payload::Piped(data), .. })
        | Ok(Operation::NotifyReply { data: Payload::Piped(data), .. }) => Some(data.size),
        Ok(operation) => panic!("{operation:?}"),
        Err(_) => None,
    };
    let stated = match (oracle::word(message, 4), expected) {
        (Some(WRITE | NOTIFY_REPLY), Verdict::Request(_, data)) => Some(data.len()),
        // No other request's data stays in a pipe.
        _ => None,
    };
    assert_eq!(size, stated);
}

/// The names of an operation, in their order, and its data.
fn borrowed<'a>(operation: &Operation<'a>, message: &'a [u8]) -> (Vec<Name<'a>>, &'a [u8]) {
    use Operation::*;
    match *operation {
        Lookup { name }
        | Mknod { name, .. }
        | Mkdir { name, .. }
        | Unlink { name }
        | Rmdir { name }
        | Getxattr { name, .. }
        | Removexattr { name }
        | Create { name, .. }
        | Link { newname: name, .. } => (vec![name], &[]),
        Symlink { name, target } => (vec![name, target], &[]),
        Rename { name, newname, .. } => (vec![name, newname], &[]),
        Setxattr { name, value, .. } => (vec![name], within(value, message)),
        Ioctl { data, .. }
        | Write { data: Payload::Memory(data), .. }
        | NotifyReply { data: Payload::Memory(data), .. } => (vec![], within(data, message)),
        Write { data: Payload::Piped(_), .. } | NotifyReply { data: Payload::Piped(_), .. } => {
            unreachable!("the message is in memory")
        }
        BatchForget { entries } => (vec![], forgets(entries.iter().count(), message)),
        _ => (vec![], &[]),
    }
}

fn within<'a>(data: &'a [u8], message: &[u8]) -> &'a [u8] {
    assert!(lies_within(data, message));
    data
}

/// The bytes of so many forgets, which follow the count.
fn forgets(count: usize, message: &[u8]) -> &[u8] {
    message.get(HEAD + 8..).and_then(|rest| rest.get(..count * 16)).expect("the entries lie within the message")
}
