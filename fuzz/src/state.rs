//! A successor takes over memory in which anything may stand: what it reads is an error, or within bounds, and what it
//! goes on with is whole.

use crate::log;
use crate::message::{byte, some_bytes};
use arbitrary::{Result, Unstructured};
use fusewire::recovery::blob;
use fusewire::recovery::journal::{COOKIE_BYTES, Inheritance, Journal, REPLY_BYTES};
use fusewire::recovery::layout::{BLOBS, INHERITED, JOURNAL, NODE_HEAD, NODES, OPEN, OPENS, RECORD, node_words};
use fusewire::recovery::memory::Memory;
use fusewire::recovery::nodes::Nodes;
use fusewire::recovery::opens::{Open, Opens};
use std::collections::HashSet;
use std::io::IoSlice;
use std::sync::atomic::Ordering::Relaxed;

const NODE_BYTES: [usize; 4] = [0, 8, 40, 128];
const ROOT: u64 = 1;

/// The first byte says how large nodes are, the rest what a predecessor did, and what became of its memory.
pub fn run(data: &[u8]) {
    log::quiet();
    let mut u = Unstructured::new(data);
    let node_bytes = NODE_BYTES[usize::from(byte(&mut u)) % NODE_BYTES.len()];
    let Ok(memory) = Memory::create(node_bytes) else { return };
    live(&mut u, &memory, node_bytes);
    while !u.is_empty() {
        let _ = damage(&mut u, &memory, node_bytes);
    }
    let fd = memory.fd().try_clone_to_owned().expect("a descriptor");
    drop(memory);
    if let Ok(memory) = Memory::open(fd, node_bytes) {
        succeed(&memory, node_bytes);
    }
}

/// A predecessor's life, as whole as it leaves its memory.
fn live(u: &mut Unstructured<'_>, memory: &Memory, node_bytes: usize) {
    let how = byte(u);
    if how & 1 != 0 {
        blob::save(memory, some_bytes(u, 50)).expect("there is room");
    }
    let journal = Journal::new(memory.clone());
    for index in 0..usize::from(how >> 5) {
        let opcode = u32::from(byte(u));
        journal.take(index, 2 + index as u64 * 2, opcode, 1);
        journal.set_cookie(index, some_bytes(u, 48));
        journal.execute(index, opcode, 0, &[IoSlice::new(some_bytes(u, 150))]);
    }
    if how & 2 != 0 && node_bytes > 0 {
        let nodes = Nodes::create(memory.clone()).expect("there is room");
        for _ in 0..usize::from(how >> 5) {
            if let Ok(node) = nodes.get(some_bytes(u, 30)) {
                nodes.look_up(node).expect("it lives");
            }
        }
    }
    if how & 4 != 0 {
        let (opens, _) = Opens::new(memory.clone());
        let open = Open { cached: 1, ..Open::default() };
        (0..how >> 5).filter_map(|_| opens.place()).for_each(|place| opens.write(place, place as u64 + 2, &open));
    }
}

/// Something else stands in a word.
fn damage(u: &mut Unstructured<'_>, memory: &Memory, node_bytes: usize) -> Result<()> {
    let (area, element, at) = (byte(u), usize::from(byte(u)), usize::from(byte(u)));
    let nth = |start: usize, words: usize| start + element % 80 * words + at % words;
    let place = match area % 8 {
        0 => at % 10,
        1 => BLOBS[element & 1] + at % 12,
        2 => nth(OPENS, OPEN),
        3 => nth(INHERITED, RECORD),
        4 => nth(JOURNAL, RECORD),
        5 => NODES + element % 80 * node_words(node_bytes) + at % NODE_HEAD,
        6 => nth(NODES, node_words(node_bytes)),
        _ => u.arbitrary::<u32>()? as usize,
    };
    let Some([word]) = memory.words(place, 1) else { return Ok(()) };
    let value = match area >> 3 {
        0 => u.arbitrary()?,
        1 => u64::from(byte(u)),
        2 => u64::from(byte(u)) << 32,
        3 => u64::MAX,
        4 => word.load(Relaxed).wrapping_add(1),
        bit => word.load(Relaxed) ^ 1 << (bit * 3 % 64),
    };
    word.store(value, Relaxed);
    Ok(())
}

fn succeed(memory: &Memory, node_bytes: usize) {
    if let Ok(bytes) = blob::load(memory) {
        assert!(bytes.len() <= blob::MAX_BYTES);
        blob::save(memory, b"saved by the successor").expect("there is room");
        assert_eq!(blob::load(memory).as_deref(), Ok(b"saved by the successor".as_slice()));
    }
    if let Ok(inheritance) = Inheritance::take(memory) {
        let entries = inheritance.entries();
        let uniques: HashSet<u64> = entries.iter().map(|entry| entry.unique).collect();
        assert_eq!(uniques.len(), entries.len(), "one request twice");
        for entry in entries {
            assert!(entry.cookie.len() <= COOKIE_BYTES);
            assert!(entry.reply.is_none_or(|reply| reply.payload.len() <= REPLY_BYTES));
            inheritance.settle(entry.unique);
        }
        assert_eq!(inheritance.entries(), []);
        // What was in flight is nobody's any more, and was freed for the next.
        assert_eq!(Inheritance::take(memory).map(|next| next.entries().len()), Ok(0));
    }
    let (opens, found) = Opens::new(memory.clone());
    let places: HashSet<usize> = found.iter().map(|(place, ..)| *place).collect();
    assert_eq!(places.len(), found.len());
    if let Some(place) = opens.place() {
        assert!(!places.contains(&place), "a place in use is given away");
        opens.write(place, 7, &Open::default());
        opens.clear(place);
    }
    if let Ok(nodes) = Nodes::restore(memory.clone()) {
        go_on(&nodes, node_bytes);
    }
}

/// The table of nodes is whole.
fn go_on(nodes: &Nodes, node_bytes: usize) {
    let root = nodes.name(ROOT).expect("the root is always there");
    assert!(root.len() <= node_bytes.next_multiple_of(8));
    assert_eq!((nodes.forget(ROOT, u64::MAX), nodes.lookups(ROOT).is_ok()), (Ok(false), true));
    let names: Vec<&[u8]> = [b"one".as_slice(), b"other"].into_iter().filter(|name| name.len() <= node_bytes).collect();
    for name in names {
        let Ok(node) = nodes.get(name) else { continue };
        assert_eq!((nodes.get(name), nodes.name(node).as_deref()), (Ok(node), Ok(name)));
        let _ = nodes.rename(node, b"another");
        assert_eq!(nodes.put(node), Ok(false));
        if node != ROOT {
            let lookups = nodes.lookups(node).expect("it is held");
            let _ = nodes.forget(node, lookups).expect("it is held");
            assert_eq!((nodes.put(node), nodes.name(node).is_err()), (Ok(true), true));
        }
    }
}
