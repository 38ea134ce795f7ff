use super::*;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn nodes() -> (Memory, Nodes) {
    let memory = Memory::create(32).unwrap();
    (memory.clone(), Nodes::create(memory).unwrap())
}

#[test]
fn the_same_name_is_the_same_node_while_it_lives() {
    let (_, nodes) = nodes();
    let node = nodes.get(b"file").unwrap();
    assert_eq!(nodes.get(b"file"), Ok(node));
    assert_ne!(nodes.get(b"other"), Ok(node));
    assert_eq!((nodes.put(node), nodes.put(node)), (Ok(false), Ok(true)));
    assert_eq!((nodes.put(node), nodes.name(node)), (Err(Errno::ESTALE), Err(Errno::ESTALE)));
    // Its place is used again, its nodeid is not.
    let again = nodes.get(b"file").unwrap();
    assert_eq!((again as u32, again == node), (node as u32, false));
}

#[test]
fn lookups_keep_a_node() {
    let (_, nodes) = nodes();
    let node = nodes.get(b"file").unwrap();
    nodes.look_up(node).unwrap();
    nodes.look_up(node).unwrap();
    assert_eq!((nodes.put(node), nodes.lookups(node)), (Ok(false), Ok(2)));
    assert_eq!((nodes.forget(node, 1), nodes.forget(node, 1)), (Ok(false), Ok(true)));
    assert_eq!(nodes.look_up(node), Err(Errno::ESTALE));
    // A kernel that forgets more than it looked up ends the node, no more.
    let node = nodes.get(b"file").unwrap();
    assert_eq!((nodes.forget(node, 9), nodes.put(node)), (Ok(false), Ok(true)));
}

#[test]
fn the_root_is_always_there() {
    let (_, nodes) = nodes();
    nodes.rename(1, b"root").unwrap();
    assert_eq!((nodes.get(b"root"), nodes.put(1), nodes.forget(1, 5)), (Ok(1), Ok(false), Ok(false)));
    assert_eq!(nodes.name(1).unwrap(), b"root");
}

#[test]
fn renamed_nodes_are_found_by_their_new_name() {
    let (_, nodes) = nodes();
    let all: Vec<u64> = (0..200_u32).map(|i| nodes.get(&i.to_ne_bytes()).unwrap()).collect();
    for (i, node) in all.iter().enumerate() {
        nodes.rename(*node, &(i as u32 + 1000).to_ne_bytes()).unwrap();
    }
    assert_eq!(nodes.rename(all[0], &1001_u32.to_ne_bytes()), Err(Errno::EEXIST));
    assert_eq!(nodes.rename(all[0], &1000_u32.to_ne_bytes()), Ok(()));
    for (i, node) in all.iter().enumerate() {
        assert_eq!(nodes.get(&(i as u32 + 1000).to_ne_bytes()), Ok(*node));
    }
    assert!(!all.contains(&nodes.get(&5_u32.to_ne_bytes()).unwrap()));
    assert_eq!(nodes.get(&[0; 33]), Err(Errno::EMSGSIZE));
}

#[test]
fn a_successor_knows_what_the_kernel_holds() {
    let (memory, first) = nodes();
    first.rename(1, b"root").unwrap();
    let looked_up = first.get(b"looked up").unwrap();
    first.look_up(looked_up).unwrap();
    let held = first.get(b"held only").unwrap();
    first.rename(looked_up, b"renamed").unwrap();
    drop(first);
    let second = Nodes::restore(memory).unwrap();
    assert_eq!((second.get(b"renamed"), second.lookups(looked_up)), (Ok(looked_up), Ok(1)));
    assert_eq!((second.name(held), second.name(1).unwrap().as_slice()), (Err(Errno::ESTALE), &b"root"[..]));
    assert_eq!((second.put(looked_up), second.forget(looked_up, 1)), (Ok(false), Ok(true)));
}

#[test]
fn a_damaged_name_is_refused() {
    let (memory, first) = nodes();
    let node = first.get(b"a name of 16 byt").unwrap();
    first.look_up(node).unwrap();
    let words = first.node(node as u32 as usize).unwrap();
    for word in words.names.iter().take(2).chain(&words.head[NAMES..=NAMES]) {
        word.fetch_xor(1 << 20, Ordering::Relaxed);
        assert_eq!(Nodes::restore(memory.clone()).unwrap_err(), Errno::EBADMSG);
        word.fetch_xor(1 << 20, Ordering::Relaxed);
    }
    Nodes::restore(memory.clone()).unwrap();
}

#[test]
fn threads_that_get_and_put_the_same_names_leave_none() {
    let (_, nodes) = nodes();
    let nodes = Arc::new(nodes);
    let run = |seed: u32| {
        let nodes = nodes.clone();
        std::thread::spawn(move || {
            for i in 0..20_000_u32 {
                let node = nodes.get(&(i.wrapping_mul(seed) % 7).to_ne_bytes()).unwrap();
                nodes.look_up(node).unwrap();
                nodes.put(node).unwrap();
                nodes.forget(node, 1).unwrap();
            }
        })
    };
    for thread in [run(3), run(5), run(11)] {
        thread.join().unwrap();
    }
    let free: HashSet<usize> = nodes.free.lock().iter().copied().collect();
    // All but place 0, which is none, and the root.
    assert_eq!(free.len(), nodes.area.used(&nodes.memory) - 2);
    assert!(nodes.shards.iter().all(|shard| shard.0.lock().is_empty()));
}

/// Long enough for others to come while one is copied.
fn long_name(number: usize) -> Vec<u8> {
    number.to_ne_bytes().repeat(32)
}

fn nodes_with_long_names() -> Nodes {
    Nodes::create(Memory::create(256).unwrap()).unwrap()
}

#[test]
fn a_name_that_is_read_while_it_changes_is_whole() {
    let nodes = nodes_with_long_names();
    let node = nodes.get(&long_name(0)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let name = nodes.name(node).unwrap();
                assert!(name.chunks(8).all(|chunk| chunk == &name[..8]));
            }
        });
        let renames = (1..5_000).try_for_each(|number| nodes.rename(node, &long_name(number)));
        done.store(true, Ordering::Relaxed);
        renames.unwrap();
    });
}

#[test]
fn threads_that_rename_the_same_node_all_succeed() {
    let nodes = nodes_with_long_names();
    let node = nodes.get(&long_name(0)).unwrap();
    let rename = |thread: usize| (0..4_000).try_for_each(|i| nodes.rename(node, &long_name(2 * i + thread)));
    std::thread::scope(|threads| {
        for thread in [threads.spawn(|| rename(0)), threads.spawn(|| rename(1))] {
            thread.join().unwrap().unwrap();
        }
    });
    assert_eq!(nodes.get(&nodes.name(node).unwrap()), Ok(node));
    assert_eq!(nodes.shards.iter().map(|shard| shard.0.lock().len()).sum::<usize>(), 1);
}

#[test]
fn a_node_ends_while_it_gets_another_name() {
    let nodes = nodes_with_long_names();
    let (current, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for number in (1..).take_while(|_| !done.load(Ordering::Relaxed)) {
                let renamed = nodes.rename(current.load(Ordering::Relaxed), &long_name(number));
                assert!(matches!(renamed, Ok(()) | Err(Errno::ESTALE)));
            }
        });
        let ended = (0..4_000).all(|_| {
            let node = nodes.get(&long_name(0)).unwrap();
            current.store(node, Ordering::Relaxed);
            nodes.put(node) == Ok(true)
        });
        done.store(true, Ordering::Relaxed);
        assert!(ended);
    });
}
