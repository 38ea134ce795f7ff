//! The only way to read a request's arguments.

use core::ffi::CStr;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// The arguments are not what the opcode says: cut short, a name without its NUL, or one that no entry can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Walks over the argument bytes of one message.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte after the request's head.
    #[inline]
    pub fn new(arguments: &'a [u8]) -> Self {
        Self { rest: arguments }
    }

    /// The next fixed-size struct. It is copied out, so the message may lie at any address.
    #[inline]
    pub fn fixed<T: FromBytes + KnownLayout + Immutable>(&mut self) -> Result<T, Malformed> {
        let (value, rest) = T::read_from_prefix(self.rest).map_err(|_| Malformed)?;
        self.rest = rest;
        Ok(value)
    }

    /// The next NUL-terminated name, the NUL included in what is borrowed.
    #[inline]
    pub fn name(&mut self) -> Result<&'a CStr, Malformed> {
        let name = CStr::from_bytes_until_nul(self.rest).map_err(|_| Malformed)?;
        self.rest = self.rest.get(name.count_bytes() + 1..).unwrap_or_default();
        Ok(name)
    }

    /// The next name, which is that of one entry in a directory. A daemon may append it to a path: one that leads
    /// elsewhere is not for it to see. `dots` says whether `.` and `..` may come.
    #[inline]
    pub fn entry(&mut self, dots: bool) -> Result<&'a CStr, Malformed> {
        let name = self.name()?;
        match name.to_bytes() {
            b"" => Err(Malformed),
            b"." | b".." if !dots => Err(Malformed),
            bytes if bytes.contains(&b'/') => Err(Malformed),
            _ => Ok(name),
        }
    }

    /// The next `len` bytes.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_their_nul() {
        let mut c = Cursor::new(b"a\0bc");
        assert_eq!(c.name(), Ok(c"a"));
        assert_eq!(c.name(), Err(Malformed));
        assert_eq!(c.bytes(2), Ok(&b"bc"[..]));
        assert_eq!(c.bytes(1), Err(Malformed));
    }

    #[test]
    fn entries_have_names_of_one_entry() {
        for (name, alone, with_dots) in [
            (&b"a\0"[..], true, true),
            (b"...\0", true, true),
            (b".a\0", true, true),
            (b".\0", false, true),
            (b"..\0", false, true),
            (b"\0", false, false),
            (b"a/b\0", false, false),
            (b"/\0", false, false),
            (b"../a\0", false, false),
        ] {
            assert_eq!(Cursor::new(name).entry(false).is_ok(), alone, "{name:?}");
            assert_eq!(Cursor::new(name).entry(true).is_ok(), with_dots, "{name:?}");
        }
    }

    #[test]
    fn structs_are_read_whole_or_not_at_all() {
        let mut c = Cursor::new(&[1, 0, 0, 0, 2, 0, 0]);
        assert_eq!(c.fixed::<u32>(), Ok(1));
        assert_eq!(c.fixed::<u32>(), Err(Malformed));
        assert_eq!(c.bytes(3), Ok(&[2, 0, 0][..]));
    }
}
