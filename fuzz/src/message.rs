//! Requests made of arbitrary bytes: mostly well-formed, each part wrong now and then.

use crate::oracle::{HEAD, shape};
use arbitrary::{Result, Unstructured};

/// Larger than any opcode but CUSE_INIT's.
const OPCODES: u32 = 56;
const CUSE_INIT: u32 = 4096;

/// A byte, 0 when none is left: what is missing is not wrong.
pub fn byte(u: &mut Unstructured<'_>) -> u8 {
    u.arbitrary().unwrap_or(0)
}

/// Up to `most` of the bytes that are left, however many the input says.
pub fn some_bytes<'a>(u: &mut Unstructured<'a>, most: u8) -> &'a [u8] {
    let wanted = usize::from(byte(u) % most.saturating_add(1));
    u.bytes(wanted.min(u.len())).unwrap_or(&[])
}

/// A length or count: the right one, or nearly, or anything.
fn number(u: &mut Unstructured<'_>, right: usize) -> Result<u32> {
    let right = right as u32;
    Ok(match byte(u) % 16 {
        0 => right.wrapping_add(1),
        1 => right.wrapping_sub(1),
        2 => 0,
        3 => u32::MAX,
        4 => right.wrapping_add(u.arbitrary::<u8>()?.into()),
        5 => u.arbitrary()?,
        _ => right,
    })
}

/// Names, each with its NUL unless that is left out.
fn names(u: &mut Unstructured<'_>, right: usize, into: &mut Vec<u8>) {
    let how = byte(u);
    let count = if how & 7 == 0 { usize::from(how >> 6) } else { right };
    for _ in 0..count {
        let name = some_bytes(u, 40);
        into.extend(name.iter().map(|&byte| byte.max(1)));
        if name.is_empty() && how & 8 == 0 {
            into.push(b'n');
        }
        if byte(u) % 16 != 1 {
            into.push(0);
        }
    }
}

/// Extensions: heads with sizes that are right or not, security contexts, and anything.
pub fn extensions(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for _ in 0..byte(u) % 4 {
        let kind = match byte(u) % 8 {
            0 => 32,
            1 => u.arbitrary()?,
            few => u32::from(few - 1),
        };
        let mut body = Vec::new();
        match kind {
            32 => groups(u, &mut body)?,
            few => (0..few.min(3)).try_for_each(|_| context(u, &mut body))?,
        }
        let size = number(u, body.len() + 8)?;
        all.extend(size.to_ne_bytes());
        all.extend(kind.to_ne_bytes());
        all.extend(body);
        pad(&mut all);
    }
    Ok(all)
}

fn groups(u: &mut Unstructured<'_>, into: &mut Vec<u8>) -> Result<()> {
    let groups = some_bytes(u, 20);
    into.extend(number(u, groups.len() / 4)?.to_ne_bytes());
    into.extend(groups);
    Ok(())
}

fn context(u: &mut Unstructured<'_>, into: &mut Vec<u8>) -> Result<()> {
    let mut name = Vec::new();
    names(u, 1, &mut name);
    let value = some_bytes(u, 20);
    into.extend(number(u, value.len())?.to_ne_bytes());
    into.extend([0; 4]);
    into.extend(name);
    into.extend(value);
    pad(into);
    Ok(())
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// Who sends a request, and what it is numbered.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The number.
    pub unique: u64,
    /// The number of a request that an INTERRUPT may mean.
    pub earlier: u64,
}

/// A request.
pub fn request(u: &mut Unstructured<'_>, setxattr_ext: bool, sender: Sender) -> Result<Vec<u8>> {
    let opcode = match byte(u) {
        255 => u.arbitrary()?,
        254 => CUSE_INIT,
        other => u32::from(other) % OPCODES,
    };
    let shape = shape(opcode, setxattr_ext).unwrap_or_default();
    let mut fixed = vec![0; shape.fixed];
    let given = u.bytes(shape.fixed.min(u.len()))?;
    fixed.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
    if opcode == 36 && byte(u) > 64 {
        fixed = sender.earlier.to_ne_bytes().to_vec();
    }
    let mut rest = Vec::new();
    names(u, shape.names, &mut rest);
    let named = rest.len();
    if shape.counted.is_some() || byte(u) < 32 {
        rest.extend(some_bytes(u, 100));
    }
    if let Some((at, size)) = shape.counted {
        let right = number(u, (rest.len() - named) / size)?;
        fixed[at..at + 4].copy_from_slice(&right.to_ne_bytes());
    }
    let extensions = if byte(u) < 64 { extensions(u)? } else { Vec::new() };
    let units = number(u, extensions.len() / 8)? as u16;
    let body = [fixed, rest, extensions].concat();
    let mut message = head(u, opcode, sender.unique, HEAD + body.len(), units)?;
    message.extend(body);
    if byte(u) < 16 {
        message.truncate(usize::from(byte(u)));
    }
    Ok(message)
}

fn head(u: &mut Unstructured<'_>, opcode: u32, unique: u64, len: usize, units: u16) -> Result<Vec<u8>> {
    let len = number(u, len)?;
    let mut head = Vec::with_capacity(len.min(1 << 16) as usize);
    head.extend(len.to_ne_bytes());
    head.extend(opcode.to_ne_bytes());
    head.extend(unique.to_ne_bytes());
    head.extend(u64::from(byte(u)).to_ne_bytes());
    for _ in 0..3 {
        head.extend(u32::from(byte(u)).to_ne_bytes());
    }
    head.extend(units.to_ne_bytes());
    head.extend([0; 2]);
    Ok(head)
}
