use super::*;
use crate::recovery::memory::Memory;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, Ordering};

const INO: u64 = 7;

fn opens(table: &Table) -> Vec<(u64, Inode)> {
    let all = |shard: &Shard| shard.0.lock().iter().map(|(ino, inode)| (*ino, *inode)).collect::<Vec<_>>();
    table.shards.iter().flat_map(all).collect()
}

/// The table that a process makes of what is in the memory.
fn taken_over(memory: &Memory) -> (Table, Vec<i32>) {
    let (opens, found) = Opens::new(memory.clone());
    Table::kept(false, opens, found)
}

fn never() -> Result<i32, Errno> {
    panic!("registered for nothing")
}

#[test]
fn one_id_for_all_opens_of_an_inode() {
    let table = Table::new(false);
    assert_eq!(table.attach(INO, || Ok(3)), Ok(3));
    assert_eq!(table.attach(INO, never), Ok(3));
    assert_eq!(table.attach(8, || Ok(4)), Ok(4));
    assert_eq!((table.id(INO), table.id(8), table.id(9)), (Some(3), Some(4), None));
    assert_eq!(table.close(INO), None);
    assert_eq!(table.close(INO), Some(3));
    assert_eq!(table.close(INO), None);
    assert_eq!(table.attach(INO, || Ok(5)), Ok(5));
}

#[test]
fn a_failed_registration_counts_nothing() {
    let table = Table::new(false);
    assert_eq!(table.attach(INO, || Err(Errno::EPERM)), Err(Errno::EPERM));
    assert_eq!(opens(&table), []);
}

#[test]
fn cached_opens_keep_passthrough_out_until_the_last_is_closed() {
    let table = Table::new(false);
    assert_eq!(table.open(INO, Mode::Cached), Mode::Cached);
    assert_eq!(table.open(INO, Mode::Direct), Mode::Direct);
    assert_eq!(table.attach(INO, never), Err(Errno::EBUSY));
    // Which of the two it is, a release does not say.
    assert_eq!(table.close(INO), None);
    assert_eq!(table.attach(INO, never), Err(Errno::EBUSY));
    assert_eq!(table.close(INO), None);
    assert_eq!(table.attach(INO, || Ok(1)), Ok(1));
}

#[test]
fn what_is_not_attached_joins_what_is() {
    let table = Table::new(false);
    assert_eq!(table.attach(INO, || Ok(3)), Ok(3));
    for wanted in [Mode::Cached, Mode::Direct, Mode::Passthrough(9)] {
        assert_eq!(table.open(INO, wanted), Mode::Passthrough(3));
    }
    assert_eq!([(); 4].map(|()| table.close(INO)), [None, None, None, Some(3)]);
}

#[test]
fn direct_opens_forbid_nothing_unless_they_may_be_mapped() {
    let table = Table::new(false);
    assert_eq!(table.open(INO, Mode::Direct), Mode::Direct);
    assert_eq!(table.attach(INO, || Ok(3)), Ok(3));
    // The direct one is taken to be closed first: the id lives until both are.
    assert_eq!((table.close(INO), table.close(INO)), (None, Some(3)));

    let mapped = Table::new(true);
    assert_eq!(mapped.open(INO, Mode::Direct), Mode::Cached);
    assert_eq!(mapped.attach(INO, never), Err(Errno::EBUSY));
}

#[test]
fn an_abandoned_open_leaves_the_others_alone() {
    let table = Table::new(false);
    assert_eq!(table.open(INO, Mode::Direct), Mode::Direct);
    assert_eq!(table.attach(INO, || Ok(3)), Ok(3));
    assert_eq!(table.abandon(INO, Mode::Passthrough(3)), Some(3));
    assert_eq!(opens(&table), [(INO, Inode { direct: 1, ..Inode::default() })]);
    assert_eq!(table.abandon(INO, Mode::Direct), None);
    assert_eq!(opens(&table), []);
}

#[test]
fn ids_of_the_daemon_are_the_daemons_to_close() {
    let table = Table::new(false);
    assert_eq!(table.open(INO, Mode::Passthrough(6)), Mode::Passthrough(6));
    assert_eq!(table.attach(INO, never), Ok(6));
    assert_eq!((table.close(INO), table.close(INO)), (None, None));
    assert_eq!(opens(&table), []);
}

#[test]
fn a_successor_goes_on_with_the_same_ids() {
    let memory = Memory::create(0).unwrap();
    let (table, _) = taken_over(&memory);
    assert_eq!(table.attach(INO, || Ok(3)), Ok(3));
    assert_eq!(table.attach(INO, never), Ok(3));
    assert_eq!(table.open(8, Mode::Cached), Mode::Cached);
    assert_eq!(table.attach(9, || Ok(4)), Ok(4));
    assert_eq!(table.close(9), Some(4));
    let (successor, unneeded) = taken_over(&memory);
    assert_eq!((unneeded.as_slice(), opens(&successor).len()), (&[][..], 2));
    assert_eq!(successor.attach(INO, never), Ok(3));
    assert_eq!(successor.attach(8, never), Err(Errno::EBUSY));
    assert_eq!([(); 3].map(|()| successor.close(INO)), [None, None, Some(3)]);
}

#[test]
fn an_id_whose_open_was_never_counted_is_closed_by_the_successor() {
    let memory = Memory::create(0).unwrap();
    let (kept, _) = Opens::new(memory.clone());
    let entry = |backing, ours| Open { backing, ours, ..Open::default() };
    for (ino, open) in [(7, entry(3, true)), (8, entry(4, false)), (9, Open { cached: 1, ..entry(5, true) })] {
        kept.write(kept.place().unwrap(), ino, &open);
    }
    let (successor, mut unneeded) = taken_over(&memory);
    unneeded.sort_unstable();
    assert_eq!(unneeded, [3, 5]);
    assert_eq!(opens(&successor).len(), 1);
    let (again, unneeded) = taken_over(&memory);
    assert_eq!((opens(&again).len(), unneeded.as_slice()), (1, &[][..]));
}

/// Threads open and close the same few inodes: an id is never handed out after it was closed, no inode has two at once,
/// and in the end all are closed.
#[test]
fn threads_agree_on_the_id() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 3000;
    let table = Table::new(false);
    let next = AtomicI32::new(1);
    // What the kernel would have.
    let registered = Mutex::new(HashSet::new());
    let work = |thread: usize| {
        for round in 0..ROUNDS {
            let ino = ((thread + round) % 3) as u64;
            let register = || {
                let id = next.fetch_add(1, Ordering::Relaxed);
                registered.lock().insert(id);
                Ok(id)
            };
            let id = table.attach(ino, register).unwrap();
            assert!(registered.lock().contains(&id));
            assert_eq!(table.open(ino, Mode::Cached), Mode::Passthrough(id));
            for unneeded in [table.close(ino), table.close(ino)].into_iter().flatten() {
                assert!(registered.lock().remove(&unneeded), "closed twice");
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || work(thread));
        }
    });
    assert_eq!(opens(&table), []);
    assert!(registered.lock().is_empty());
}
