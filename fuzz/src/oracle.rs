//! What a request looks like, written down a second time and in another way than the decoder has it: fixed bytes,
//! names, and the size field of what follows. The two are compared.

/// The shape of one operation's arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of the fixed part.
    pub fixed: usize,
    /// How many names follow it.
    pub names: usize,
    /// Where in the fixed part stands how much follows the names, and the size of one such thing.
    pub counted: Option<(usize, usize)>,
    /// No reply is owed.
    pub silent: bool,
}

/// Every opcode there is, with its shape. SETXATTR is that of a session with `setxattr_ext`.
pub fn shape(opcode: u32, setxattr_ext: bool) -> Option<Shape> {
    let (fixed, names) = match opcode {
        1 | 10 | 11 | 22 | 24 => (if opcode == 22 { 8 } else { 0 }, 1), // LOOKUP UNLINK RMDIR GETXATTR REMOVEXATTR
        2 | 36 => (8, 0),                                               // FORGET INTERRUPT
        3 | 20 | 30 | 37 => (16, 0),                                    // GETATTR FSYNC FSYNCDIR BMAP
        4 => (88, 0),                                                   // SETATTR
        5 | 17 | 38 | 48 | 49 => (0, 0), // READLINK STATFS DESTROY SETUPMAPPING REMOVEMAPPING
        6 => (0, 2),                     // SYMLINK
        8 | 35 => (16, 1),               // MKNOD CREATE
        9 | 13 => (8, 1),                // MKDIR LINK
        12 => (8, 2),                    // RENAME
        14 | 23 | 27 | 34 | 42 | 50 => (8, 0), // OPEN LISTXATTR OPENDIR ACCESS BATCH_FORGET SYNCFS
        15 | 16 | 28 | 41 | 44 => (40, 0), // READ WRITE READDIR NOTIFY_REPLY READDIRPLUS
        18 | 25 | 29 | 40 | 46 | 52 => (24, 0), // RELEASE FLUSH RELEASEDIR POLL LSEEK STATX
        21 => (if setxattr_ext { 16 } else { 8 }, 1), // SETXATTR
        26 | 51 | 4096 => (16, 0),       // INIT TMPFILE CUSE_INIT
        31..=33 => (48, 0),              // GETLK SETLK SETLKW
        39 | 43 => (32, 0),              // IOCTL FALLOCATE
        45 => (16, 2),                   // RENAME2
        47 | 53 => (56, 0),              // COPY_FILE_RANGE, its wide form
        _ => return None,
    };
    let counted = match opcode {
        16 | 41 => Some((16, 1)),
        21 => Some((0, 1)),
        39 => Some((24, 1)),
        42 => Some((0, 16)),
        _ => None,
    };
    Some(Shape { fixed, names, counted, silent: matches!(opcode, 2 | 36 | 41 | 42) })
}

/// A number of the message, which lies in the sender's byte order.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Bytes of a request's head.
pub const HEAD: usize = 40;

/// What a message must be taken for.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// There is no head.
    Unreadable,
    /// The opcode is none.
    Unknown,
    /// Something does not fit.
    Malformed {
        /// A reply is owed.
        reply: bool,
    },
    /// A request: its names, without their NULs, and what is counted.
    Request(Vec<&'a [u8]>, &'a [u8]),
}

/// What was negotiated.
#[derive(Clone, Copy, Debug)]
pub struct Agreed {
    /// SETXATTR is longer.
    pub setxattr_ext: bool,
    /// LOOKUP of `.` and `..` may come.
    pub dots: bool,
}

/// Judges a message.
pub fn judge(message: &[u8], agreed: Agreed) -> Verdict<'_> {
    let (Some(len), Some(opcode)) = (word(message, 0), word(message, 4)) else { return Verdict::Unreadable };
    if message.len() < HEAD {
        return Verdict::Unreadable;
    }
    let Some(shape) = shape(opcode, agreed.setxattr_ext) else { return Verdict::Unknown };
    match parts(message, len as usize, shape) {
        Some((names, data))
            if entries(opcode, &names).iter().all(|name| is_entry(name, opcode == 1 && agreed.dots)) =>
        {
            Verdict::Request(names, data)
        }
        _ => Verdict::Malformed { reply: !shape.silent },
    }
}

/// Those names of an operation that are the names of directory entries; the others are any string.
fn entries<'n, 'a>(opcode: u32, names: &'n [&'a [u8]]) -> &'n [&'a [u8]] {
    match opcode {
        21 | 22 | 24 => &[],
        6 => &names[..1],
        _ => names,
    }
}

fn is_entry(name: &[u8], dots: bool) -> bool {
    !name.is_empty() && !name.contains(&b'/') && (dots || (name != b"." && name != b".."))
}

fn parts(message: &[u8], len: usize, shape: Shape) -> Option<(Vec<&[u8]>, &[u8])> {
    let extensions = usize::from(u16::from_ne_bytes(message.get(36..38)?.try_into().ok()?)) * 8;
    let end = len.checked_sub(extensions)?;
    let arguments = message.get(..len)?.get(HEAD..end)?;
    let (fixed, mut rest) = arguments.split_at_checked(shape.fixed)?;
    let mut names = Vec::new();
    for _ in 0..shape.names {
        let end = rest.iter().position(|&byte| byte == 0)?;
        names.push(rest.get(..end)?);
        rest = rest.get(end + 1..)?;
    }
    let Some((at, size)) = shape.counted else { return Some((names, &[])) };
    let data = rest.get(..(word(fixed, at)? as usize).checked_mul(size)?)?;
    Some((names, data))
}
