//! The only way to read a request's arguments.

use super::name::Name;
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

    /// The next fixed-size struct, where it lies: arguments begin at an address that suits every struct.
    #[inline]
    pub fn fixed<T: FromBytes + KnownLayout + Immutable>(&mut self) -> Result<&'a T, Malformed> {
        let (value, rest) = T::ref_from_prefix(self.rest).map_err(|_| Malformed)?;
        self.rest = rest;
        Ok(value)
    }

    /// The same for one that may lie at any address.
    #[inline]
    pub fn copied<T: FromBytes>(&mut self) -> Result<T, Malformed> {
        let (value, rest) = T::read_from_prefix(self.rest).map_err(|_| Malformed)?;
        self.rest = rest;
        Ok(value)
    }

    /// The next NUL-terminated name.
    #[inline]
    pub fn name(&mut self) -> Result<Name<'a>, Malformed> {
        let name = Name::at_start_of(self.rest).ok_or(Malformed)?;
        Ok(self.pass(name))
    }

    /// The next name, which is that of one entry in a directory. A daemon may append it to a path: one that leads
    /// elsewhere is not for it to see. `dots` says whether `.` and `..` may come, asked only when one does.
    #[inline(always)] // looked up all the time
    pub fn entry(&mut self, dots: impl FnOnce() -> bool) -> Result<Name<'a>, Malformed> {
        let name = Name::of_entry(self.rest).ok_or(Malformed)?;
        match name.to_bytes_with_nul() {
            // Most are longer, which is one look.
            short if short.len() <= 3 && !is_entry(short, dots) => Err(Malformed),
            _ => Ok(self.pass(name)),
        }
    }

    #[inline]
    fn pass(&mut self, name: Name<'a>) -> Name<'a> {
        self.rest = self.rest.get(name.to_bytes_with_nul().len()..).unwrap_or_default();
        name
    }

    /// The next `len` bytes.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }
}

/// Whether a name is that of an entry, as far as its length and its dots go.
fn is_entry(name: &[u8], dots: impl FnOnce() -> bool) -> bool {
    match name {
        b"\0" => false,
        b".\0" | b"..\0" => dots(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::aligned::Aligned;
    use super::*;

    #[test]
    fn names_need_their_nul() {
        let mut c = Cursor::new(b"a\0bc");
        assert_eq!(c.name().map(Name::to_bytes), Ok(&b"a"[..]));
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
            assert_eq!(Cursor::new(name).entry(|| false).is_ok(), alone, "{name:?}");
            assert_eq!(Cursor::new(name).entry(|| true).is_ok(), with_dots, "{name:?}");
        }
    }

    #[test]
    fn structs_are_read_whole_or_not_at_all() {
        let bytes = Aligned::new(&[1, 0, 0, 0, 2, 0, 0]);
        let mut c = Cursor::new(&bytes);
        assert_eq!(c.fixed::<u32>(), Ok(&1));
        assert_eq!(c.fixed::<u32>(), Err(Malformed));
        assert_eq!(c.copied::<u32>(), Err(Malformed));
        assert_eq!(c.bytes(3), Ok(&[2, 0, 0][..]));
    }
}
