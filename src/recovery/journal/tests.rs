use super::*;

fn journal() -> (Memory, Journal) {
    let memory = Memory::create(0).unwrap();
    (memory.clone(), Journal::new(memory))
}

fn entry(memory: &Memory, unique: u64) -> Option<Entry> {
    Inheritance::take(memory).unwrap().entries().into_iter().find(|entry| entry.unique == unique)
}

const MKDIR: u32 = Opcode::Mkdir as u32;
const READ: u32 = Opcode::Read as u32;

#[test]
fn a_request_is_known_until_its_reply_was_sent() {
    let (memory, journal) = journal();
    journal.take(3, 10, MKDIR, 1);
    journal.take(4, 12, READ, 2);
    journal.execute(4, READ, 0, &[IoSlice::new(b"data")]);
    journal.take(5, 14, MKDIR, 1);
    journal.free(5);
    assert_eq!(entry(&memory, 14), None);
    let Entry { opcode, nodeid, reply, .. } = entry(&memory, 10).unwrap();
    assert_eq!((opcode, nodeid, reply), (MKDIR, 1, None));
    // What can be read again is not kept.
    assert_eq!(entry(&memory, 12).unwrap().reply, None);
}

#[test]
fn cookie_and_reply_are_kept() {
    let (memory, journal) = journal();
    journal.take(0, 10, MKDIR, 1);
    assert!(journal.set_cookie(0, b"absent before"));
    assert!(!journal.set_cookie(0, &[0; COOKIE_BYTES + 1]));
    journal.set_opened(0, 77, 5);
    journal.execute(0, MKDIR, -17, &[IoSlice::new(b"a struct"), IoSlice::new(&[7; REPLY_BYTES - 9])]);
    let Entry { reply, cookie, opened, .. } = entry(&memory, 10).unwrap();
    let Recorded { error, payload } = reply.unwrap();
    assert_eq!((error, payload.len(), payload[0], payload[134]), (-17, REPLY_BYTES - 1, b'a', 7));
    assert_eq!((cookie.as_slice(), opened), (&b"absent before"[..], Some((77, 5))));
    // Another request in the same slot has none of it.
    let (memory, journal) = super::tests::journal();
    journal.take(0, 10, MKDIR, 1);
    journal.set_cookie(0, b"x");
    journal.free(0);
    journal.take(0, 12, MKDIR, 1);
    assert_eq!(entry(&memory, 12).unwrap().cookie, b"");
}

#[test]
fn what_is_too_long_is_not_kept() {
    let (memory, journal) = journal();
    journal.take(0, 10, MKDIR, 1);
    journal.execute(0, MKDIR, 0, &[IoSlice::new(&[7; REPLY_BYTES + 1])]);
    assert_eq!(entry(&memory, 10).unwrap().reply, None);
}

#[test]
fn inherited_records_survive_further_deaths() {
    let (memory, first) = journal();
    first.take(0, 10, MKDIR, 1);
    first.execute(0, MKDIR, 0, &[IoSlice::new(b"made")]);
    first.take(1, 12, READ, 2);
    let inherited = Inheritance::take(&memory).unwrap();
    // The successor gets the first of them again, and dies before it answers.
    let second = Journal::new(memory.clone());
    second.take(0, 10, MKDIR, 1);
    drop((inherited, second));
    let inherited = Inheritance::take(&memory).unwrap();
    assert_eq!(inherited.entries().len(), 2);
    assert_eq!(entry(&memory, 10).unwrap().reply.unwrap().payload, b"made");
    inherited.settle(10);
    inherited.settle(12);
    assert_eq!(Inheritance::take(&memory).unwrap().entries(), []);
}

/// A request that two processes noted something of: the first a cookie and an open, the second what `serve` does.
fn noted_by_two(opcode: u32, serve: impl FnOnce(&Inheritance, &Journal)) -> Entry {
    let (memory, first) = journal();
    first.take(0, 10, opcode, 5);
    first.set_cookie(0, b"absent before");
    first.set_opened(0, 5, 3);
    let (inherited, second) = (Inheritance::take(&memory).unwrap(), Journal::new(memory.clone()));
    // In the place of another, as it may be.
    second.take(1, 12, READ, 1);
    second.set_cookie(1, b"another's");
    second.free(1);
    assert!(inherited.pass_on(10, opcode, &second, 1));
    serve(&inherited, &second);
    entry(&memory, 10).unwrap()
}

#[test]
fn what_was_noted_goes_along_with_a_resent_request() {
    for opcode in [MKDIR, Opcode::Release as u32] {
        let Entry { nodeid, reply, cookie, opened, .. } = noted_by_two(opcode, |_, _| ());
        assert_eq!((nodeid, reply, cookie.as_slice(), opened), (5, None, &b"absent before"[..], Some((5, 3))));
    }
    let Entry { cookie, opened, .. } = noted_by_two(MKDIR, |_, second| {
        second.set_cookie(1, b"there");
        second.set_opened(1, 0, 0);
    });
    assert_eq!((cookie.as_slice(), opened), (&b"there"[..], None));
}

#[test]
fn what_is_passed_on_is_as_damaged_as_it_was() {
    let (memory, first) = journal();
    first.take(0, 10, MKDIR, 1);
    first.set_cookie(0, b"absent before");
    words(&memory)[COOKIES[1] + 1].fetch_xor(1, Ordering::Relaxed);
    let (inherited, second) = (Inheritance::take(&memory).unwrap(), Journal::new(memory.clone()));
    assert!(inherited.pass_on(10, MKDIR, &second, 0));
    assert_eq!(entry(&memory, 10).unwrap().reply.unwrap().error, -(Errno::EIO as i32));
}

#[test]
fn what_is_not_known_is_not_passed_on() {
    let (memory, first) = journal();
    first.take(0, 10, MKDIR, 1);
    let (inherited, second) = (Inheritance::take(&memory).unwrap(), Journal::new(memory));
    assert!(!inherited.pass_on(12, MKDIR, &second, 0));
    assert!(!inherited.pass_on(10, READ, &second, 0), "another request by the same number");
}

#[test]
fn a_reply_that_is_retracted_is_not_sent_by_another() {
    let (memory, first) = journal();
    first.take(0, 10, MKDIR, 1);
    first.set_cookie(0, b"absent before");
    first.execute(0, MKDIR, 0, &[IoSlice::new(b"made")]);
    let (inherited, second) = (Inheritance::take(&memory).unwrap(), Journal::new(memory.clone()));
    assert!(inherited.pass_on(10, MKDIR, &second, 0));
    assert_eq!(entry(&memory, 10).unwrap().reply.unwrap().payload, b"made");
    // As if that had not died.
    assert!(inherited.pass_on(10, MKDIR, &second, 0));
    inherited.retract(10);
    let Entry { reply, cookie, .. } = entry(&memory, 10).unwrap();
    assert_eq!((reply, cookie.as_slice()), (None, &b"absent before"[..]));
}

#[test]
fn a_thousand_requests_in_flight_are_inherited() {
    let (memory, journal) = journal();
    for index in 0..1000 {
        journal.take(index, 2 * index as u64 + 2, READ, 1);
    }
    assert_eq!(Inheritance::take(&memory).unwrap().entries().len(), 1000);
    assert_eq!(Inheritance::take(&memory).unwrap().entries().len(), 1000);
}

/// The words of record 0.
fn words(memory: &Memory) -> &Record {
    memory.array(JOURNAL).unwrap()
}

#[test]
fn a_cookie_takes_the_place_of_another_at_once() {
    let (memory, journal) = journal();
    journal.take(0, 10, MKDIR, 1);
    for cookie in [&b"first"[..], b"second, longer", b"", b"third"] {
        assert!(journal.set_cookie(0, cookie));
        let copy: Vec<u64> = words(&memory).iter().map(|word| word.load(Ordering::Relaxed)).collect();
        assert_eq!(read(words(&memory)).unwrap().cookie, cookie);
        // Whatever a death leaves in the other place says nothing.
        let which = words(&memory)[HEAD].load(Ordering::Relaxed) & SECOND_COOKIE;
        let other = cookie_place(words(&memory), which ^ SECOND_COOKIE).unwrap();
        other.iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
        assert_eq!(read(words(&memory)).unwrap().cookie, cookie);
        words(&memory).iter().zip(copy).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
    }
}

#[test]
fn a_request_whose_record_is_damaged_fails() {
    let (memory, journal) = journal();
    journal.take(0, 10, MKDIR, 1);
    journal.set_cookie(0, b"absent before...");
    journal.execute(0, MKDIR, 0, &[IoSlice::new(&[7; REPLY_BYTES])]);
    let damaged = Some(Recorded { error: -(Errno::EIO as i32), payload: Vec::new() });
    let second = COOKIES[1];
    let written = [UNIQUE, REPLY, REPLY_SUM, second, second + 1, second + 2].into_iter().chain(BODY..BODY + 18);
    for at in written {
        for bit in 0..u64::BITS {
            words(&memory)[at].fetch_xor(1 << bit, Ordering::Relaxed);
            let Entry { reply, cookie, .. } = read(words(&memory)).unwrap();
            assert_eq!((reply, cookie.len()), (damaged.clone(), 0), "word {at}, bit {bit}");
            words(&memory)[at].fetch_xor(1 << bit, Ordering::Relaxed);
        }
    }
    let Entry { reply, cookie, .. } = read(words(&memory)).unwrap();
    assert_eq!((reply.unwrap().error, cookie.as_slice()), (0, &b"absent before..."[..]));
}

#[test]
fn who_watches_sees_what_moves() {
    let memory = Memory::create(0).unwrap();
    let journal = Journal::new(memory.clone());
    let watched = Memory::inspect(memory.fd().try_clone_to_owned().unwrap()).unwrap();
    let first = look(&watched);
    assert!(!first.waits() && !first.has_taken_since(&first));
    journal.take(3, 10, Opcode::Setlkw as u32, 1);
    let lock = look(&watched);
    assert!(!lock.waits() && lock.has_taken_since(&first));
    journal.take(4, 12, Opcode::Read as u32, 1);
    let read = look(&watched);
    assert!(read.waits() && read != lock);
    journal.free(4);
    let freed = look(&watched);
    assert!(!freed.waits() && freed != read && !freed.has_taken_since(&read));
    journal.take(4, 14, Opcode::Read as u32, 1);
    journal.free(4);
    // It came and went between two looks.
    assert!(look(&watched) != freed && look(&watched).has_taken_since(&freed));
    // What a predecessor left waits until it is settled.
    journal.take(4, 16, Opcode::Mkdir as u32, 1);
    let inheritance = Inheritance::take(&memory).unwrap();
    assert!(look(&watched).waits() && !look(&watched).has_taken_since(&look(&watched)));
    inheritance.settle(16);
    inheritance.settle(10);
    assert!(!look(&watched).waits());
}

#[test]
fn what_is_no_state_is_not_watched() {
    let null = std::fs::File::open("/dev/null").unwrap();
    assert!(Memory::inspect(null.into()).is_err());
    let other = crate::transport::Shared::create(c"test", super::super::layout::size(0)).unwrap();
    assert_eq!(Memory::inspect(other.fd().try_clone_to_owned().unwrap()).unwrap_err(), Errno::EPROTO);
}
