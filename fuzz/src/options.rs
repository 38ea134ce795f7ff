//! `fuse_opt.h` through its C functions: argument lists, tables, values, escapes.

use crate::log;
use crate::message::{byte, some_bytes};
use arbitrary::Unstructured;
use core::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use core::ptr;
use fusewire::abi::c::lowlevel::fuse_cmdline_opts;
use fusewire::abi::c::opt::{fuse_args, fuse_opt, fuse_opt_proc_t};
use std::ffi::CString;

// SAFETY: the declarations are those of the library's headers.
unsafe extern "C" {
    fn fuse_opt_parse(args: *mut fuse_args, data: *mut c_void, opts: *const fuse_opt, proc: fuse_opt_proc_t) -> c_int;
    fn fuse_opt_add_opt(opts: *mut *mut c_char, opt: *const c_char) -> c_int;
    fn fuse_opt_add_opt_escaped(opts: *mut *mut c_char, opt: *const c_char) -> c_int;
    fn fuse_opt_add_arg(args: *mut fuse_args, arg: *const c_char) -> c_int;
    fn fuse_opt_insert_arg(args: *mut fuse_args, pos: c_int, arg: *const c_char) -> c_int;
    fn fuse_opt_free_args(args: *mut fuse_args);
    fn fuse_opt_match(opts: *const fuse_opt, opt: *const c_char) -> c_int;
    fn fuse_parse_cmdline_312(args: *mut fuse_args, opts: *mut fuse_cmdline_opts) -> c_int;
}

/// Templates; what stores does so in the slot with its index.
const TEMPLATES: [&CStr; 16] = [
    c"-x",
    c"-x=%u",
    c"--long=%s",
    c"name=%s",
    c"name=%i",
    c"-p %s",
    c"-q ",
    c"flag",
    c"mode=fast",
    c"n=%lu",
    c"o=%o",
    c"c=%c",
    c"%s",
    c"=%s",
    c"h=%x",
    c"",
];
/// Numbers are stored in the first slots, strings in the last.
const SLOT: usize = 16;

/// Where options are stored, and whether anything was written beside.
#[repr(C)]
struct Slots {
    numbers: [[u64; SLOT / 8]; TEMPLATES.len()],
    strings: [*mut c_char; TEMPLATES.len()],
    calls: Vec<u8>,
}

fn is_string(template: &CStr) -> bool {
    template.to_bytes().ends_with(b"%s")
}

fn table(u: &mut Unstructured<'_>) -> Vec<fuse_opt> {
    let mut rules = Vec::new();
    for _ in 0..byte(u) % 6 {
        let which = usize::from(byte(u)) % TEMPLATES.len();
        let base =
            if is_string(TEMPLATES[which]) { core::mem::offset_of!(Slots, strings) + 8 * which } else { SLOT * which };
        let offset = match byte(u) % 3 {
            0 => c_ulong::from(u32::MAX),
            _ => base as c_ulong,
        };
        // The slots of strings take strings only.
        let offset = if is_string(TEMPLATES[which]) && plain_store(TEMPLATES[which]) { c_ulong::MAX } else { offset };
        let value = c_int::from(byte(u)) - 4;
        rules.push(fuse_opt { templ: TEMPLATES[which].as_ptr(), offset, value });
    }
    rules.push(fuse_opt { templ: ptr::null(), offset: 0, value: 0 });
    rules
}

/// A template without a name takes no value: it would store an int.
fn plain_store(template: &CStr) -> bool {
    matches!(template.to_bytes().first(), Some(b'%' | b'='))
}

fn text(u: &mut Unstructured<'_>) -> CString {
    const STARTS: [&[u8]; 12] =
        [b"-o", b"-x", b"--long=", b"name=", b"-p", b"-q", b"--", b"flag", b"-x=", b"n=", b"mode=fast", b"-"];
    let how = byte(u);
    let start = STARTS.get(usize::from(how) % 16).copied().unwrap_or_default();
    let rest = some_bytes(u, 30).iter().map(|&byte| byte.max(1)).collect::<Vec<_>>();
    CString::new([start, &rest].concat()).expect("without NULs")
}

unsafe extern "C" fn process(data: *mut c_void, arg: *const c_char, key: c_int, out: *mut fuse_args) -> c_int {
    // SAFETY: the data is ours, the argument a string.
    let (slots, arg) = unsafe { (&mut *data.cast::<Slots>(), CStr::from_ptr(arg)) };
    let how = slots.calls.pop().unwrap_or(1);
    assert!(key != -3 && key != -4, "KEEP and DISCARD are not told");
    if how & 0x10 != 0 {
        // SAFETY: the callback may add to the list.
        unsafe { fuse_opt_add_arg(out, arg.as_ptr()) };
    }
    if how & 0x20 != 0 {
        // SAFETY: as above.
        unsafe { fuse_opt_insert_arg(out, c_int::from(how & 3) - 1, arg.as_ptr()) };
    }
    c_int::from(how % 8).min(2) - c_int::from(how % 8 == 7) * 3
}

/// Parses lists against tables, and takes a command line apart.
pub fn run(data: &[u8]) {
    log::quiet();
    let mut u = Unstructured::new(data);
    let how = byte(&mut u);
    let rules = table(&mut u);
    let list: Vec<CString> = (0..byte(&mut u) % 8).map(|_| text(&mut u)).collect();
    match how % 4 {
        0 => groups(&list),
        1 => command_line(&list),
        _ => parse(&mut u, how, &rules, &list),
    }
    for option in &list {
        // SAFETY: a table and a string.
        assert!(matches!(unsafe { fuse_opt_match(rules.as_ptr(), option.as_ptr()) }, 0 | 1));
    }
}

fn borrowed(list: &[CString]) -> Vec<*mut c_char> {
    list.iter().map(|arg| arg.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

fn parse(u: &mut Unstructured<'_>, how: u8, rules: &[fuse_opt], list: &[CString]) {
    let calls = some_bytes(u, 20).to_vec();
    let mut slots = Slots { numbers: Default::default(), strings: [ptr::null_mut(); TEMPLATES.len()], calls };
    let mut argv = borrowed(list);
    let mut args = fuse_args { argc: list.len() as c_int, argv: argv.as_mut_ptr(), allocated: 0 };
    let proc = (how & 4 == 0).then_some(process as _);
    // SAFETY: the table's offsets lie in the slots and have the types of their templates.
    let result = unsafe { fuse_opt_parse(&mut args, (&raw mut slots).cast(), rules.as_ptr(), proc) };
    assert!(matches!(result, 0 | -1));
    if result != 0 || list.is_empty() {
        assert_eq!((args.argv, args.allocated), (argv.as_mut_ptr(), 0), "an error leaves the list as it was");
        assert_eq!(args.argc, list.len() as c_int);
    } else {
        check_list(&args);
    }
    // SAFETY: the list is allocated or not, as it says; strings are from malloc(3) or null.
    unsafe {
        fuse_opt_free_args(&mut args);
        slots.strings.iter().for_each(|string| libc::free(string.cast()));
    }
    assert_eq!((args.argc, args.allocated), (0, 0));
    for number in slots.numbers {
        assert_eq!(number[1], 0, "a value was written beside its place");
    }
}

/// A list that was parsed: as many strings as it says, then a NULL.
fn check_list(args: &fuse_args) {
    assert!(args.allocated != 0 && args.argc >= 1);
    // SAFETY: what is to be checked, under a checker of addresses.
    let argv = unsafe { core::slice::from_raw_parts(args.argv, args.argc as usize + 1) };
    let (end, strings) = argv.split_last().expect("one at least");
    assert!(end.is_null() && strings.iter().all(|string| !string.is_null()));
    // SAFETY: as above.
    strings.iter().for_each(|&string| _ = core::hint::black_box(unsafe { libc::strlen(string) }));
}

unsafe extern "C" fn collect(data: *mut c_void, arg: *const c_char, _: c_int, _: *mut fuse_args) -> c_int {
    // SAFETY: the data is ours, the argument a string.
    unsafe { (*data.cast::<Vec<CString>>()).push(CStr::from_ptr(arg).to_owned()) };
    0
}

/// What was escaped into a group comes out of it as it was.
fn groups(list: &[CString]) {
    let (mut escaped, mut plain) = (ptr::null_mut(), ptr::null_mut());
    for option in list {
        // SAFETY: groups from malloc(3), and a string.
        unsafe {
            assert_eq!(fuse_opt_add_opt_escaped(&mut escaped, option.as_ptr()), 0);
            assert_eq!(fuse_opt_add_opt(&mut plain, option.as_ptr()), 0);
        }
    }
    if escaped.is_null() {
        return;
    }
    let mut argv = [c"p".as_ptr().cast_mut(), c"-o".as_ptr().cast_mut(), escaped, ptr::null_mut()];
    let mut args = fuse_args { argc: 3, argv: argv.as_mut_ptr(), allocated: 0 };
    let mut found: Vec<CString> = Vec::new();
    // SAFETY: no table; the data is what the callback takes. The groups are from malloc(3).
    unsafe {
        assert_eq!(fuse_opt_parse(&mut args, (&raw mut found).cast(), ptr::null(), Some(collect)), 0);
        fuse_opt_free_args(&mut args);
        libc::free(escaped.cast());
        libc::free(plain.cast());
    }
    // The first of a group has no comma before it, so empty ones there leave nothing.
    let first = list.iter().position(|option| !option.is_empty()).unwrap_or(list.len() - 1);
    assert_eq!(found, list[first..]);
}

fn command_line(list: &[CString]) {
    let mut argv = borrowed(list);
    let mut args = fuse_args { argc: list.len() as c_int, argv: argv.as_mut_ptr(), allocated: 0 };
    // SAFETY: plain numbers and a null pointer, for which zeros are valid; then a list and a place for the options.
    unsafe {
        let mut opts: fuse_cmdline_opts = core::mem::zeroed();
        match fuse_parse_cmdline_312(&mut args, &mut opts) {
            0 => check_list(&args),
            _ => assert_eq!(args.argv, argv.as_mut_ptr()),
        }
        libc::free(opts.mountpoint.cast());
        fuse_opt_free_args(&mut args);
    }
}
