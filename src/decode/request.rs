//! A whole message: head, arguments, extensions.

use super::cursor::Cursor;
use super::operation::{Operation, Security};
use crate::abi::opcode::{Opcode, Reply};
use crate::abi::wire::InHeader;
use nix::errno::Errno;
use zerocopy::FromBytes;

/// What was negotiated that changes how arguments are laid out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialect {
    /// SETXATTR has its longer form.
    pub setxattr_ext: bool,
    /// LOOKUP may ask for `.` and `..`, as file handles need it.
    pub export_support: bool,
}

/// A request, borrowed from the message.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its head.
    pub header: &'a InHeader,
    /// Its opcode.
    pub opcode: Opcode,
    /// Its operation and arguments.
    pub operation: Operation<'a>,
    /// Extensions behind the arguments, not yet parsed.
    pub extensions: Security<'a>,
}

/// Why a message is no request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Shorter than a head, or not aligned: nobody can be answered.
    Unreadable,
    /// The head is whole, the rest is not. `reply` says whether the sender waits for the errno.
    Refused {
        /// The message's head.
        header: InHeader,
        /// What to answer.
        errno: Errno,
        /// Whether a reply is owed.
        reply: bool,
    },
}

/// The head of a message, if there are enough bytes for one.
#[inline]
pub fn header(message: &[u8]) -> Option<InHeader> {
    InHeader::read_from_prefix(message).ok().map(|(header, _)| header)
}

/// Whether a message lies at an address where its structs can be used in place. [`request`] and [`piped`](super::piped)
/// find others unreadable.
#[inline]
pub fn is_aligned(message: &[u8]) -> bool {
    message.as_ptr().addr().is_multiple_of(align_of::<u64>())
}

/// Reads a message, which [is aligned](is_aligned).
///
/// The message is what lies within both `message` and the length that its head states; a head that states more than
/// there is, is refused. An unknown opcode is refused with ENOSYS, malformed arguments with EIO.
#[inline]
pub fn request(message: &[u8], dialect: Dialect) -> Result<Request<'_>, Fault> {
    let (header, opcode) = begin(message)?;
    let (mut arguments, extensions) = split(message, header).ok_or_else(|| malformed(header, opcode))?;
    let operation = Operation::parse(opcode, &mut arguments, || dialect).map_err(|_| malformed(header, opcode))?;
    Ok(Request { header, opcode, operation, extensions })
}

/// The head of an ordinary message and its arguments: it is as long as it says, [is aligned](is_aligned), and has no
/// extensions. None of another, which [`request`] looks at.
#[inline(always)] // its result is not worth a place in memory
pub fn ordinary(message: &[u8]) -> Option<(&InHeader, &[u8])> {
    let (header, behind) = InHeader::ref_from_prefix(message).ok()?;
    // A length that has no room for the head is larger than what is behind it.
    let arguments = behind.get(..(header.len as usize).wrapping_sub(size_of::<InHeader>()))?;
    (header.total_extlen == 0).then_some((header, arguments))
}

/// Reads the arguments of an ordinary message that is known to have that opcode.
#[inline(always)] // where that is a constant, little is left of it
pub fn ordinary_request<'a>(
    header: &'a InHeader,
    arguments: &'a [u8],
    opcode: Opcode,
    dialect: impl FnOnce() -> Dialect,
) -> Result<Request<'a>, Fault> {
    match Operation::parse(opcode, &mut Cursor::new(arguments), dialect) {
        Ok(operation) => Ok(Request { header, opcode, operation, extensions: &[] }),
        Err(_) => Err(malformed(header, opcode)),
    }
}

/// The head, and the opcode in it.
#[inline(always)] // its result is not worth a place in memory
pub(super) fn begin(message: &[u8]) -> Result<(&InHeader, Opcode), Fault> {
    let (header, _) = InHeader::ref_from_prefix(message).map_err(|_| Fault::Unreadable)?;
    match Opcode::from_wire(header.opcode) {
        Some(opcode) => Ok((header, opcode)),
        None => Err(Fault::Refused { header: *header, errno: Errno::ENOSYS, reply: true }),
    }
}

/// The head is whole, the rest is not what it must be.
#[cold]
pub(super) fn malformed(header: &InHeader, opcode: Opcode) -> Fault {
    Fault::Refused { header: *header, errno: Errno::EIO, reply: opcode.reply() == Reply::Needed }
}

/// The arguments and the extensions, which stand at the end of the message and are counted in 8-byte units.
#[inline]
fn split<'a>(message: &'a [u8], header: &InHeader) -> Option<(Cursor<'a>, Security<'a>)> {
    let body = message.get(..header.len as usize)?.get(size_of::<InHeader>()..)?;
    let extensions = usize::from(header.total_extlen) * 8;
    let (arguments, extensions) = body.split_at_checked(body.len().checked_sub(extensions)?)?;
    Some((Cursor::new(arguments), extensions))
}

#[cfg(test)]
mod tests {
    use super::super::aligned::Aligned;
    use super::*;
    use zerocopy::IntoBytes;

    fn message(opcode: u32, body: &[u8], len: Option<u32>) -> Vec<u8> {
        let len = len.unwrap_or((size_of::<InHeader>() + body.len()) as u32);
        let header = InHeader { len, opcode, unique: 6, nodeid: 1, ..InHeader::default() };
        [header.as_bytes(), body].concat()
    }

    fn errno(message: &[u8]) -> Option<(Errno, bool)> {
        match request(&Aligned::new(message), Dialect::default()) {
            Err(Fault::Refused { errno, reply, .. }) => Some((errno, reply)),
            _ => None,
        }
    }

    #[test]
    fn every_prefix_of_every_request_is_total() {
        let body: Vec<u8> = (0..200u8).collect();
        for opcode in (0..64).chain([4096, u32::MAX]) {
            let whole = message(opcode, &body, None);
            // The interpreter is too slow for all of them.
            for end in (0..whole.len()).step_by(if cfg!(miri) { 17 } else { 1 }) {
                let mut cut = Aligned::new(&whole[..end]);
                assert!(request(&cut, Dialect::default()).is_err(), "{opcode} cut at {end}");
                if let Some(len) = cut.get_mut(..4) {
                    len.copy_from_slice(&(end as u32).to_ne_bytes());
                }
                let _ = request(&cut, Dialect { setxattr_ext: true, export_support: true });
            }
        }
    }

    #[test]
    fn a_message_that_is_not_aligned_is_refused() {
        let mut bytes = Aligned::new(&[0; 100]);
        bytes[4..56].copy_from_slice(&message(3, &[0; 12], None));
        assert!(!is_aligned(&bytes[4..56]) && is_aligned(&bytes));
        assert!(request(&bytes[4..56], Dialect::default()).is_err());
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for len in [0, 39, 47, u32::MAX] {
            assert_eq!(errno(&message(1, b"name\0", Some(len))), Some((Errno::EIO, true)), "{len}");
        }
        assert_eq!(errno(&message(2, b"", None)), Some((Errno::EIO, false)));
        assert_eq!(errno(&message(77, b"", None)), Some((Errno::ENOSYS, true)));
    }

    #[test]
    fn bytes_behind_the_stated_length_are_not_parsed() {
        let mut two = message(12, &[&[0u8; 8][..], b"one\0"].concat(), None);
        two.extend_from_slice(b"stale\0");
        assert_eq!(errno(&two), Some((Errno::EIO, true)));
    }

    #[test]
    fn sizes_inside_arguments_are_bounded_by_the_message() {
        let mut write = [0u8; 40];
        write[16..20].copy_from_slice(&9u32.to_ne_bytes());
        assert_eq!(errno(&message(16, &[&write[..], b"12345678"].concat(), None)), Some((Errno::EIO, true)));
        assert_eq!(errno(&message(16, &[&write[..], b"123456789"].concat(), None)), None);
        let forgets = [&u32::MAX.to_ne_bytes()[..], &[0; 20]].concat();
        assert_eq!(errno(&message(42, &forgets, None)), Some((Errno::EIO, false)));
    }

    #[test]
    fn extensions_are_cut_off_the_arguments() {
        let mut m = message(9, &[&[0u8; 8][..], b"d\0\0\0\0\0\0\0", &[7; 8]].concat(), None);
        m[36..38].copy_from_slice(&1u16.to_ne_bytes());
        let aligned = Aligned::new(&m);
        let request = request(&aligned, Dialect::default()).unwrap();
        assert_eq!(request.extensions, [7; 8]);
        assert!(matches!(request.operation, Operation::Mkdir { name, .. } if name.to_bytes() == b"d"));
        m[36..38].copy_from_slice(&4u16.to_ne_bytes());
        assert_eq!(errno(&m), Some((Errno::EIO, true)));
    }
}
