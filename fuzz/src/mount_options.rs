//! Mount options: what is accepted reaches the kernel and fusermount3 as what it is, and as nothing else.

use crate::message::{byte, some_bytes};
use arbitrary::Unstructured;
use fusewire::mount::Options;
use std::ffi::CString;

/// Ways that options begin, and whole ones.
const ITEMS: [&[u8]; 24] = [
    b"rw",
    b"ro",
    b"suid",
    b"dev",
    b"noexec",
    b"sync",
    b"allow_other",
    b"allow_root",
    b"default_permissions",
    b"auto_unmount",
    b"blkdev",
    b"-r",
    b"fsname=",
    b"subtype=",
    b"max_read=",
    b"blksize=",
    b"context=",
    b"fscontext=",
    b"user=",
    b"x-",
    b"defcontext=",
    b"fd=",
    b"rootmode=",
    b"user_id=",
];
/// What the library itself tells the kernel. No value may look like it.
const PRIVATE: [&[u8]; 4] = [b"fd=", b"rootmode=", b"user_id=", b"group_id="];

fn item(u: &mut Unstructured<'_>) -> CString {
    let start = ITEMS.get(usize::from(byte(u)) % 28).copied().unwrap_or_default();
    let value = match byte(u) % 4 {
        0 => b"".to_vec(),
        1 => u.arbitrary::<u32>().unwrap_or(0).to_string().into_bytes(),
        _ => some_bytes(u, 30).iter().map(|&byte| byte.max(1)).collect(),
    };
    CString::new([start, &value].concat()).expect("without NULs")
}

/// Accepts options and renders them.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut options = Options::new();
    let mut accepted: Vec<CString> = Vec::new();
    for _ in 0..byte(&mut u) % 12 {
        let item = item(&mut u);
        if options.accept(&item) == Ok(true) {
            accepted.push(item);
        }
    }
    if options.check().is_err() {
        return; // nothing is mounted
    }
    check_kernel(&options.kernel_items(), &accepted);
    for third_party in [false, true] {
        let list = options.for_helper(third_party).expect("no NUL can be inside");
        check_helper(list.as_bytes(), &accepted, third_party);
    }
    if let Some(list) = options.for_utab() {
        list.as_bytes().split(|&byte| byte == b',').for_each(check_public);
    }
    let (fstype, source) = options.names(c"/dev/fuse").expect("no NUL can be inside");
    assert!(fstype.as_bytes().starts_with(b"fuse") && !source.is_empty());
}

fn check_public(item: &[u8]) {
    assert!(!PRIVATE.iter().any(|private| item.starts_with(private)), "{}", String::from_utf8_lossy(item));
}

fn is_label(item: &[u8]) -> bool {
    [&b"context="[..], b"fscontext=", b"defcontext=", b"rootcontext="].iter().any(|label| item.starts_with(label))
}

/// Parameters of the kernel. Those with a comma are quoted where they become one text, so they must have no quotes of
/// their own but a pair around them.
fn check_kernel(items: &[Vec<u8>], accepted: &[CString]) {
    let (labels, others): (Vec<&[u8]>, Vec<&[u8]>) = items.iter().map(Vec::as_slice).partition(|item| is_label(item));
    let given: Vec<&[u8]> = accepted.iter().map(|item| item.as_bytes()).filter(|item| is_label(item)).collect();
    assert_eq!(labels, given);
    for label in labels {
        let value = label.splitn(2, |&byte| byte == b'=').nth(1).unwrap_or_default();
        let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        assert!(!inner.contains(&b'"'), "{}", String::from_utf8_lossy(label));
    }
    for item in &others {
        let plain = matches!(*item, b"allow_other" | b"default_permissions");
        let number = [&b"max_read="[..], b"blksize="].iter().find_map(|key| item.strip_prefix(*key));
        let number = number.is_some_and(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit));
        assert!(plain || number, "{}", String::from_utf8_lossy(item));
    }
    let asked = |name: &[u8]| accepted.iter().any(|item| item.as_bytes() == name);
    assert_eq!(others.contains(&&b"allow_other"[..]), asked(b"allow_other") || asked(b"allow_root"));
}

/// fusermount3's list, taken apart as it does: a backslash counts in names only.
fn check_helper(list: &[u8], accepted: &[CString], third_party: bool) {
    if accepted.iter().any(|item| is_label(item.as_bytes())) {
        return; // refused by fusermount3, whatever it is
    }
    let (mut rest, mut items) = (list, Vec::new());
    while !rest.is_empty() {
        let (item, after) = first(rest);
        items.push(item);
        rest = after;
    }
    items.iter().for_each(|item| check_public(item));
    for key in [&b"fsname="[..], b"subtype="] {
        let last = accepted.iter().rev().find(|item| item.as_bytes().starts_with(key)).map(|item| item.as_bytes());
        let told: Vec<_> = items.iter().filter(|item| item.starts_with(key)).map(Vec::as_slice).collect();
        assert_eq!(told, Vec::from_iter(last));
    }
    let others = accepted.iter().filter(|item| third_party && item.as_bytes().starts_with(b"x-")).count();
    assert_eq!(items.iter().filter(|item| item.starts_with(b"x-")).count(), others);
}

fn first(list: &[u8]) -> (Vec<u8>, &[u8]) {
    let escapes = list.starts_with(b"fsname=") || list.starts_with(b"subtype=");
    let (mut item, mut at) = (Vec::new(), 0);
    while let Some(&byte) = list.get(at) {
        match byte {
            b'\\' if escapes && list.get(at + 1).is_some() => at += 1,
            b',' => break,
            _ => {}
        }
        item.push(list[at]);
        at += 1;
    }
    (item, list.get(at + 1..).unwrap_or_default())
}
