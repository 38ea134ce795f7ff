//! Extensions behind the arguments of requests that make an inode: security contexts, supplementary groups.
//!
//! The area is a row of extensions, each with a head that says its size, the next at a multiple of 8 bytes. The head's
//! second word is a type from 32 on; below that, it is the number of security contexts that follow, each a head with
//! the value's size, a name with its NUL, and the value; the next again at a multiple of 8.

use super::cursor::{Cursor, Malformed};
use super::name::Name;
use crate::abi::wire::{EXT_GROUPS, ExtHeader, MAX_NR_SECCTX, Secctx, SecctxHeader};
use zerocopy::FromBytes;

/// A security context: the name of an extended attribute, and its value.
pub type SecurityContext<'a> = (Name<'a>, &'a [u8]);

/// Security contexts, not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityContexts<'a> {
    /// How many there are to be.
    pub count: u32,
    /// Where they are. It begins at a multiple of 8.
    pub area: &'a [u8],
}

/// The extensions of a request that mean something, the first of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions<'a> {
    /// Security contexts.
    pub contexts: Option<SecurityContexts<'a>>,
    /// Supplementary groups, not read yet.
    pub groups: Option<&'a [u8]>,
}

/// Finds them in the area behind the arguments. What cannot be an extension ends the search, with a log line.
pub fn extensions(mut area: &[u8]) -> Extensions<'_> {
    let mut found = Extensions::default();
    while let Ok((head, _)) = ExtHeader::read_from_prefix(area) {
        let size = head.size as usize;
        let Some(body) = area.get(size_of::<ExtHeader>()..size) else {
            log::error!("an extension of {size} bytes is not within the {} bytes of the request", area.len());
            break;
        };
        match head.typ {
            count @ 1..=MAX_NR_SECCTX => {
                found.contexts.get_or_insert(SecurityContexts { count, area: body });
            }
            EXT_GROUPS => _ = found.groups.get_or_insert(body),
            _ => {}
        }
        area = size.checked_next_multiple_of(8).and_then(|next| area.get(next..)).unwrap_or_default();
    }
    found
}

/// Reads supplementary groups: how many, then each.
pub fn supplementary_groups(body: &[u8]) -> Result<impl Iterator<Item = u32> + '_, Malformed> {
    let mut cursor = Cursor::new(body);
    let count = cursor.copied::<u32>()? as usize;
    let groups = cursor.bytes(count.checked_mul(size_of::<u32>()).ok_or(Malformed)?)?;
    Ok(groups.chunks_exact(size_of::<u32>()).filter_map(|group| u32::read_from_bytes(group).ok()))
}

const _: () = assert!(size_of::<SecctxHeader>() == size_of::<ExtHeader>() && size_of::<Secctx>() == 8);

/// Reads the security context at a position in their area, and says where the next one is.
pub fn security_context(area: &[u8], at: usize) -> Result<(SecurityContext<'_>, usize), Malformed> {
    let context = area.get(at..).ok_or(Malformed)?;
    let mut cursor = Cursor::new(context);
    let head: Secctx = cursor.copied()?;
    let name = cursor.name()?;
    let value = cursor.bytes(head.size as usize)?;
    if value.is_empty() {
        return Err(Malformed);
    }
    let size = size_of::<Secctx>() + name.to_bytes_with_nul().len() + value.len();
    let next = size.checked_next_multiple_of(8).and_then(|size| at.checked_add(size)).ok_or(Malformed)?;
    Ok(((name, value), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn security_contexts(area: &[u8]) -> Option<SecurityContexts<'_>> {
        extensions(area).contexts
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.resize(bytes.len().next_multiple_of(8), 0xee);
        bytes
    }

    fn context(size: u32, rest: &[u8]) -> Vec<u8> {
        padded([&words(&[size, 0]), rest].concat())
    }

    fn extension(typ: u32, body: &[u8]) -> Vec<u8> {
        padded([&words(&[8 + body.len() as u32, typ]), body].concat())
    }

    #[test]
    fn contexts_are_found_behind_other_extensions() {
        let one = context(3, b"security.a\0abc");
        let two = context(1, b"b\0v");
        let groups = extension(EXT_GROUPS, &words(&[1, 1000, 0]));
        let empty = extension(0, b"");
        let all = [groups.clone(), empty, extension(2, &[one.clone(), two].concat()), extension(1, b"")].concat();
        let found = security_contexts(&all).unwrap();
        assert_eq!(found.count, 2);
        let (first, next) = security_context(found.area, 0).unwrap();
        assert_eq!((first.0.to_bytes(), first.1), (&b"security.a"[..], &b"abc"[..]));
        assert_eq!(next, one.len());
        let (second, next) = security_context(found.area, next).unwrap();
        assert_eq!((second.0.to_bytes(), second.1), (&b"b"[..], &b"v"[..]));
        assert_eq!(next, found.area.len());
        assert_eq!(security_context(found.area, next), Err(Malformed));
        assert_eq!(security_contexts(&groups), None);
        assert_eq!(security_contexts(b""), None);
    }

    #[test]
    fn extensions_that_lie_about_their_size_end_the_search() {
        let good = extension(1, &context(1, b"n\0v"));
        for size in [0, 1, 7, 9, 40, u32::MAX - 7, u32::MAX] {
            // Behind a lie nothing is believed.
            let lie = [words(&[size, EXT_GROUPS]), good.clone()].concat();
            let found = security_contexts(&lie);
            assert!(size == 9 || found.is_none(), "{size}");
        }
        assert_eq!(security_contexts(&words(&[8 + 1, 1])), None);
        assert!(security_contexts(&words(&[8, MAX_NR_SECCTX])).is_some());
        assert_eq!(security_contexts(&words(&[8, MAX_NR_SECCTX + 1])), None);
        assert_eq!(security_contexts(&good[..7]), None);
        // The last one's padding may be missing.
        assert!(security_contexts(&[extension(40, b""), words(&[9, 1]), b"x".to_vec()].concat()).is_some());
    }

    #[test]
    fn groups() {
        let read = |body: &[u8]| supplementary_groups(body).map(|groups| groups.collect::<Vec<_>>());
        let list = words(&[2, 1000, 7]);
        let area = [extension(1, b""), extension(EXT_GROUPS, &list), extension(EXT_GROUPS, b"")].concat();
        let found = extensions(&area);
        assert_eq!(found.groups, Some(&list[..]));
        assert!(found.contexts.is_some());
        assert_eq!(read(&list), Ok(vec![1000, 7]));
        assert_eq!(read(&words(&[0])), Ok(vec![]));
        for malformed in [&list[..11], &list[..3], b"", &words(&[u32::MAX, 1])] {
            assert_eq!(read(malformed), Err(Malformed), "{malformed:?}");
        }
    }

    #[test]
    fn malformed_contexts() {
        let shapes: [(&str, Vec<u8>); 7] = [
            ("no head", b"1234567".to_vec()),
            ("no name", words(&[1, 0])),
            ("no NUL", [words(&[1, 0]), b"name".to_vec()].concat()),
            ("no value", [words(&[1, 0]), b"name\0".to_vec()].concat()),
            ("short value", [words(&[4, 0]), b"name\0abc".to_vec()].concat()),
            ("empty value", context(0, b"name\0")),
            ("huge value", context(u32::MAX, b"name\0abc")),
        ];
        for (shape, bytes) in &shapes {
            assert_eq!(security_context(bytes, 0), Err(Malformed), "{shape}");
        }
        let good = context(3, b"name\0abc");
        assert!(security_context(&good, 0).is_ok());
        for at in [good.len(), good.len() + 1, usize::MAX] {
            assert_eq!(security_context(&good, at), Err(Malformed), "at {at}");
        }
        // Only the padding may be missing.
        for end in 0..8 + 8 {
            assert!(security_context(&good[..end], 0).is_err(), "cut at {end}");
        }
    }
}
