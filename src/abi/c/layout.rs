//! The structs against the layouts that were measured from libfuse's own headers, for the library that is built.

use super::common::{CONN_IO_URING_SINGLE_ISSUER, CONN_NO_INTERRUPT};
use super::common::{fi, fuse_buf, fuse_bufvec, fuse_conn_info, fuse_file_info, fuse_loop_config_v1};
use super::cuse::{cuse_info, cuse_lowlevel_ops};
use super::lowlevel::{
    fuse_cmdline_opts, fuse_ctx, fuse_custom_io, fuse_entry_param, fuse_forget_data, fuse_lowlevel_ops,
};
use super::opt::{fuse_args, fuse_opt};
use core::mem::{offset_of, size_of};
use std::collections::{BTreeMap, BTreeSet};

#[cfg(soname = "3")]
const TABLE: &str = include_str!("../../../capi-tests/abi/layout-so3-3.14.0.csv");
#[cfg(not(soname = "3"))]
const TABLE: &str = include_str!("../../../capi-tests/abi/layout-so4-3.19.csv");

/// Structs of the table that no header of ours declares yet. One that is declared must leave this list.
const NOT_DECLARED: [&str; 3] = ["fuse_context", "fuse_config", "fuse_operations"];

/// Structs of so.3 that are shorter there than here: the library never touches what lies behind.
#[cfg(soname = "3")]
const LONGER_HERE: [&str; 3] = ["fuse_file_info", "fuse_lowlevel_ops", "fuse_custom_io"];
#[cfg(not(soname = "3"))]
const LONGER_HERE: [&str; 0] = [];

/// Size and field offsets of a Rust struct.
struct Layout {
    size: usize,
    fields: Vec<(&'static str, usize)>,
}

macro_rules! layouts {
    ($($name:ident { $($field:ident),* $(,)? })*) => {
        BTreeMap::from([$((
            stringify!($name),
            Layout { size: size_of::<$name>(), fields: vec![$((stringify!($field), offset_of!($name, $field))),*] },
        )),*])
    };
}

fn layouts() -> BTreeMap<&'static str, Layout> {
    let mut layouts = layouts! {
        fuse_opt { templ, offset, value }
        fuse_args { argc, argv, allocated }
        fuse_file_info { flags, padding2, padding3, fh, lock_owner, poll_events, backing_id, compat_flags, reserved }
        fuse_loop_config_v1 { clone_fd, max_idle_threads }
        fuse_conn_info {
            proto_major, proto_minor, max_write, max_read, max_readahead, capable, want, max_background,
            congestion_threshold, time_gran, max_backing_stack_depth, capable_ext, want_ext, request_timeout, reserved,
        }
        fuse_buf { size, flags, mem, fd, pos }
        fuse_bufvec { count, idx, off, buf }
        fuse_entry_param { ino, generation, attr, attr_timeout, entry_timeout }
        fuse_ctx { uid, gid, pid, umask }
        fuse_forget_data { ino, nlookup }
        fuse_custom_io { writev, read, splice_receive, splice_send, clone_fd }
        fuse_cmdline_opts {
            singlethread, foreground, debug, nodefault_subtype, mountpoint, show_version, show_help, clone_fd,
            max_idle_threads, max_threads,
        }
        cuse_info { dev_major, dev_minor, dev_info_argc, dev_info_argv, flags }
        cuse_lowlevel_ops { init, init_done, destroy, open, read, write, flush, release, fsync, ioctl, poll }
        fuse_lowlevel_ops {
            init, destroy, lookup, forget, getattr, setattr, readlink, mknod, mkdir, unlink, rmdir, symlink, rename,
            link, open, read, write, flush, release, fsync, opendir, readdir, releasedir, fsyncdir, statfs, setxattr,
            getxattr, listxattr, removexattr, access, create, getlk, setlk, bmap, ioctl, poll, write_buf,
            retrieve_reply, forget_multi, flock, fallocate, readdirplus, copy_file_range, lseek, tmpfile, statx, syncfs,
        }
    };
    #[cfg(not(soname = "3"))]
    if let Some(buf) = layouts.get_mut("fuse_buf") {
        buf.fields.push(("mem_size", offset_of!(fuse_buf, mem_size)));
    }
    // so.3 has room there that later versions used.
    if cfg!(soname = "3") {
        if let Some(conn) = layouts.get_mut("fuse_conn_info") {
            conn.fields.retain(|(_, offset)| *offset < offset_of!(fuse_conn_info, max_backing_stack_depth));
            conn.fields.push(("reserved", offset_of!(fuse_conn_info, max_backing_stack_depth)));
        }
        if let Some(info) = layouts.get_mut("fuse_file_info") {
            // What was padding then.
            info.fields.retain(|(name, _)| !["padding3", "backing_id"].contains(name));
        }
    }
    layouts
}

/// Where the bit-fields are: the word's offset and the mask.
fn bits() -> BTreeMap<(&'static str, &'static str), (usize, u32)> {
    let info = |name, mask| (("fuse_file_info", name), (offset_of!(fuse_file_info, bits), mask));
    let conn = |name, mask| (("fuse_conn_info", name), (offset_of!(fuse_conn_info, bits), mask));
    BTreeMap::from([
        info("writepage", fi::WRITEPAGE),
        info("direct_io", fi::DIRECT_IO),
        info("keep_cache", fi::KEEP_CACHE),
        info("flush", fi::FLUSH),
        info("nonseekable", fi::NONSEEKABLE),
        info("flock_release", fi::FLOCK_RELEASE),
        info("cache_readdir", fi::CACHE_READDIR),
        info("noflush", fi::NOFLUSH),
        info("parallel_direct_writes", fi::PARALLEL_DIRECT_WRITES),
        conn("no_interrupt", CONN_NO_INTERRUPT),
        conn("io_uring_single_issuer", CONN_IO_URING_SINGLE_ISSUER),
    ])
}

/// A line of the table.
struct Line {
    name: &'static str,
    size: usize,
    field: &'static str,
    offset: usize,
    /// First bit and number of bits.
    bits: Option<(u32, u32)>,
}

fn table() -> Vec<Line> {
    let parse = |line: &'static str| {
        let columns: Vec<&str> = line.split(',').collect();
        let [name, size, field, offset, bit, width] = columns[..] else { panic!("malformed: {line}") };
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("malformed: {line}"));
        let bits = (!bit.is_empty()).then(|| (number(bit) as u32, number(width) as u32));
        // The tables are of x86_64. Of all the structs in them only `struct stat` is otherwise elsewhere.
        let here = |bytes: usize| match name {
            "fuse_entry_param" if bytes > offset_of!(fuse_entry_param, attr) => bytes + size_of::<libc::stat>() - 144,
            _ => bytes,
        };
        Line { name, size: here(number(size)), field, offset: here(number(offset)), bits }
    };
    TABLE.lines().filter(|line| !line.starts_with('#')).map(parse).collect()
}

#[test]
fn sizes_and_offsets() {
    let layouts = layouts();
    let mut seen = BTreeSet::new();
    for line in table() {
        let Some(layout) = layouts.get(line.name) else {
            assert!(NOT_DECLARED.contains(&line.name), "{} is neither declared nor on the list", line.name);
            continue;
        };
        if LONGER_HERE.contains(&line.name) {
            assert!(layout.size > line.size, "{} is no longer than in the table", line.name);
        } else {
            assert_eq!(layout.size, line.size, "size of {}", line.name);
        }
        let here = layout.fields.iter().find(|(name, _)| *name == line.field).map(|(_, offset)| *offset);
        if line.bits.is_none_or(|(_, width)| width == 32) {
            assert_eq!(here, Some(line.offset), "{}.{}", line.name, line.field);
        }
        seen.insert((line.name, line.field));
    }
    for (name, layout) in &layouts {
        let of_table = table().iter().find(|line| line.name == *name).map_or(0, |line| line.size);
        for (field, offset) in &layout.fields {
            assert!(*offset >= of_table || seen.contains(&(*name, *field)), "{name}.{field} is not in the table");
        }
    }
}

#[test]
fn bit_fields() {
    let mut left = bits();
    for line in table() {
        let Some((first, width @ 1)) = line.bits else {
            continue;
        };
        let here = left.remove(&(line.name, line.field));
        assert_eq!(here, Some((line.offset, width << first)), "{}.{}", line.name, line.field);
    }
    if cfg!(not(soname = "3")) {
        assert!(left.is_empty(), "not in the table: {left:?}");
    }
}

#[test]
fn what_is_declared_is_not_on_the_list() {
    assert!(NOT_DECLARED.iter().all(|name| !layouts().contains_key(name)));
}
