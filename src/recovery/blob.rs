//! What is saved as bytes: two copies in turn, each with a number and a checksum, so that there is a whole one whenever
//! the process dies.

use super::layout::{BLOB, BLOBS, WORD};
use super::memory::{Memory, get_bytes, put_bytes};
use nix::errno::Errno;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a copy before its bytes: its number, its length with the checksum.
const HEAD: usize = 2;
/// Bytes that fit.
pub const MAX_BYTES: usize = (BLOB - HEAD) * WORD;

fn checksum(number: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_ne_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// One copy's head and the place of its bytes.
fn copy(memory: &Memory, which: usize) -> Option<(&AtomicU64, &AtomicU64, &[AtomicU64])> {
    match memory.words(*BLOBS.get(which)?, BLOB)? {
        [number, length, bytes @ ..] => Some((number, length, bytes)),
        _ => None,
    }
}

/// What the low bits of a whole copy's number say, so that no flipped bit makes it 0.
const WHOLE: u64 = 0xa5;
const WHOLE_BITS: u32 = 8;

/// The number and the bytes of a copy; none when there is none, or it was being written.
fn read(memory: &Memory, which: usize) -> Result<Option<(u64, Vec<u8>)>, Errno> {
    let (number, length, words) = copy(memory, which).ok_or(Errno::EBADMSG)?;
    let (number, length) = (number.load(Ordering::Acquire), length.load(Ordering::Relaxed));
    if number == 0 {
        return Ok(None);
    }
    let size = usize::try_from(length >> 32).ok().filter(|size| *size <= MAX_BYTES).ok_or(Errno::EBADMSG)?;
    let mut bytes = vec![0; size];
    get_bytes(words, &mut bytes);
    if checksum(number, &bytes) == length as u32 { Ok(Some((number, bytes))) } else { Err(Errno::EBADMSG) }
}

/// The copy that was saved last.
type Latest = Option<(u64, usize, Vec<u8>)>;

fn latest(memory: &Memory) -> Result<Latest, Errno> {
    let mut latest: Latest = None;
    for which in 0..BLOBS.len() {
        if let Some((number, bytes)) = read(memory, which)?
            && latest.as_ref().is_none_or(|(other, ..)| number > *other)
        {
            latest = Some((number, which, bytes));
        }
    }
    Ok(latest)
}

/// What was saved last. EBADMSG, after a log line, when there is nothing, or any of it is damaged: what else is then?
pub fn load(memory: &Memory) -> Result<Vec<u8>, Errno> {
    match latest(memory) {
        Ok(Some((.., bytes))) => Ok(bytes),
        _ => {
            log::error!("saved state: it is damaged, or was never completed");
            Err(Errno::EBADMSG)
        }
    }
}

/// Saves `bytes` in the place of the older copy. To be called by one thread at a time.
pub fn save(memory: &Memory, bytes: &[u8]) -> Result<(), Errno> {
    if bytes.len() > MAX_BYTES {
        log::error!("{} bytes of state cannot be saved, {MAX_BYTES} can", bytes.len());
        return Err(Errno::E2BIG);
    }
    let (last, which) = latest(memory)?.map_or((WHOLE, 1), |(number, which, _)| (number, which));
    let (number, length, words) = copy(memory, 1 - which.min(1)).ok_or(Errno::EINVAL)?;
    let next = last.wrapping_add(1 << WHOLE_BITS);
    // Not whole until the end.
    number.store(0, Ordering::Release);
    put_bytes(words, bytes);
    length.store((bytes.len() as u64) << 32 | u64::from(checksum(next, bytes)), Ordering::Relaxed);
    number.store(next, Ordering::Release);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_last_is_loaded() {
        let memory = Memory::create(0).unwrap();
        assert_eq!(load(&memory), Err(Errno::EBADMSG));
        for text in [&b"one"[..], b"another, longer", b""] {
            save(&memory, text).unwrap();
            assert_eq!(load(&memory).unwrap(), text);
        }
        assert_eq!(save(&memory, &vec![0; MAX_BYTES + 1]), Err(Errno::E2BIG));
        save(&memory, &vec![7; MAX_BYTES]).unwrap();
        assert_eq!(load(&memory).unwrap(), vec![7; MAX_BYTES]);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let memory = Memory::create(0).unwrap();
        save(&memory, b"older one, of 24 bytes..").unwrap();
        save(&memory, b"newer").unwrap();
        save(&memory, b"newest, of 24 bytes.....").unwrap();
        for word in memory.words(BLOBS[0], HEAD + 3).unwrap() {
            for bit in 0..u64::BITS {
                word.fetch_xor(1 << bit, Ordering::Relaxed);
                assert_eq!(load(&memory), Err(Errno::EBADMSG));
                word.fetch_xor(1 << bit, Ordering::Relaxed);
            }
        }
        assert_eq!(load(&memory).unwrap(), b"newest, of 24 bytes.....");
    }

    #[test]
    fn a_save_that_was_cut_off_leaves_the_older_copy() {
        let memory = Memory::create(0).unwrap();
        save(&memory, b"older").unwrap();
        let (number, ..) = copy(&memory, 1).unwrap();
        number.store(0, Ordering::Relaxed);
        put_bytes(copy(&memory, 1).unwrap().2, b"half");
        assert_eq!(load(&memory).unwrap(), b"older");
    }
}
