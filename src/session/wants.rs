//! What the daemon wants, in the two words that its init callback may change: the 32-bit `want` that every program
//! knows, and the 64-bit `want_ext` since 3.17. Flags of INIT that no capability stands for are wanted by a function.

use crate::abi::c::common::cap::{FUSE_CAP_HANDLE_KILLPRIV_V2, FUSE_CAP_PASSTHROUGH, FUSE_CAP_WRITEBACK_CACHE};
use crate::abi::c::common::fuse_conn_info;
use crate::abi::flags::InitFlags;
use core::cell::Cell;
use nix::errno::Errno;

/// Both words as they were before anything was changed by hand.
#[derive(Clone, Copy, Debug, Default)]
struct Baseline {
    want: u32,
    want_ext: u64,
}

impl Baseline {
    fn of(conn: &fuse_conn_info) -> Self {
        Self { want: conn.want, want_ext: conn.want_ext }
    }
}

/// The bits that only the longer word has.
const HIGH: u64 = !(u32::MAX as u64);

/// What came of [`enable_passthrough`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The capability is wanted.
    Enabled,
    /// The kernel does not offer it.
    InVain,
}

/// What the callback wants that neither word says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    /// Flags of INIT.
    pub further: InitFlags,
    /// What came of enabling passthrough, if it tried.
    pub passthrough: Option<Asked>,
}

/// A negotiation under way.
#[derive(Clone, Copy)]
struct Negotiation {
    /// The address of what the callback sees.
    address: usize,
    baseline: Baseline,
    /// The flags of INIT that the kernel offers.
    offered: InitFlags,
    /// Those that are wanted besides what the capabilities stand for.
    wanted: InitFlags,
    passthrough: Option<Asked>,
}

thread_local! {
    /// The callback runs on the thread that reads INIT, so what it calls finds this here, and the struct that C knows
    /// needs no room for it.
    static NEGOTIATION: Cell<Option<Negotiation>> = const { Cell::new(None) };
}

fn address(conn: &fuse_conn_info) -> usize {
    core::ptr::from_ref(conn).addr()
}

/// The negotiation of `conn`; none where no callback is looking at it.
fn negotiation(conn: &fuse_conn_info) -> Option<Negotiation> {
    NEGOTIATION.get().filter(|negotiation| negotiation.address == address(conn))
}

/// The baseline of `conn`; nothing wanted where no callback is looking at it.
fn baseline(conn: &fuse_conn_info) -> Baseline {
    negotiation(conn).map_or_else(Baseline::default, |negotiation| negotiation.baseline)
}

/// Lets `callback` change what is wanted. A capability that either word turned counts as turned; both words agree
/// afterwards. The callback's program finds `conn` at `address`, and knows the shorter word only without `ext`. Returns
/// what was agreed on besides.
pub(super) fn negotiate(
    conn: &mut fuse_conn_info,
    address: usize,
    ext: bool,
    offered: InitFlags,
    callback: impl FnOnce(&mut fuse_conn_info),
) -> Agreed {
    let default = conn.want_ext;
    conn.want = default as u32;
    conn.want_ext = if ext { default } else { 0 };
    let begun =
        Negotiation { address, baseline: Baseline::of(conn), offered, wanted: InitFlags::empty(), passthrough: None };
    let outer = NEGOTIATION.replace(Some(begun));
    callback(conn);
    let Negotiation { baseline: before, wanted, passthrough, .. } = NEGOTIATION.replace(outer).unwrap_or(begun);
    let turned = u64::from(conn.want ^ before.want);
    let turned_ext = if ext { conn.want_ext ^ before.want_ext } else { 0 };
    let before = if ext { before.want_ext } else { default & HIGH | u64::from(before.want) };
    conn.want_ext = before ^ (turned | turned_ext);
    conn.want = conn.want_ext as u32;
    Agreed { further: wanted, passthrough }
}

/// Sets and clears the same bits in both words. What is changed here was not changed by hand.
fn change(conn: &mut fuse_conn_info, set: u64, clear: u64) {
    let turn = |word: u64| (word | set) & !clear;
    let turn_low = |word: u32| turn(word.into()) as u32;
    (conn.want, conn.want_ext) = (turn_low(conn.want), turn(conn.want_ext));
    move_baseline(conn, |b| Baseline { want: turn_low(b.want), want_ext: turn(b.want_ext) });
}

/// Makes what a function did part of the baseline of `conn`.
fn move_baseline(conn: &fuse_conn_info, f: impl FnOnce(Baseline) -> Baseline) {
    if let Some(negotiation) = negotiation(conn) {
        NEGOTIATION.set(Some(Negotiation { baseline: f(negotiation.baseline), ..negotiation }));
    }
}

/// Flags that no capability stands for and that need nothing but to be passed on.
const FURTHER: InitFlags = InitFlags::ABORT_ERROR
    .union(InitFlags::SUBMOUNTS)
    .union(InitFlags::HAS_INODE_DAX)
    .union(InitFlags::CREATE_SUPP_GROUP)
    .union(InitFlags::HAS_RESEND);

/// The flags of INIT that the kernel offers; none, and a log line, where no callback is looking at `conn`.
pub fn init_flags(conn: &fuse_conn_info, function: &str) -> Option<InitFlags> {
    let offered = negotiation(conn).map(|negotiation| negotiation.offered);
    if offered.is_none() {
        log::error!("{function}: only the init callback of a file system may call it, with what it was given");
    }
    offered
}

/// Wants flags of INIT besides what the capabilities stand for, all or none. ENOTSUP when the kernel does not offer one
/// of them; EINVAL, and a log line, for one that is wanted in another way or that the library could not live up to.
pub fn want_init_flags(conn: &fuse_conn_info, flags: InitFlags, function: &str) -> Result<(), Errno> {
    let offered = init_flags(conn, function).ok_or(Errno::EINVAL)?;
    let unknown = flags.difference(FURTHER);
    if !unknown.is_empty() {
        let how = match super::capabilities::offered(unknown) {
            0 => "the library does not carry them",
            _ => "capabilities stand for them (FUSE_CAP)",
        };
        log::error!("{function}: INIT flags {:#x} cannot be wanted: {how}", unknown.bits());
        return Err(Errno::EINVAL);
    }
    if !offered.contains(flags) {
        return Err(Errno::ENOTSUP);
    }
    if let Some(negotiation) = negotiation(conn) {
        NEGOTIATION.set(Some(Negotiation { wanted: negotiation.wanted | flags, ..negotiation }));
    }
    Ok(())
}

/// Whether the kernel offers any of `caps`.
pub fn offers(conn: &fuse_conn_info, caps: u64) -> bool {
    (u64::from(conn.capable) | conn.capable_ext) & caps != 0
}

/// Wants `caps`, if the kernel offers all of them; else nothing changes.
pub fn want(conn: &mut fuse_conn_info, caps: u64) -> bool {
    let lacking = caps & !(u64::from(conn.capable) | conn.capable_ext);
    if caps == 0 || lacking != 0 {
        return false;
    }
    change(conn, caps, 0);
    true
}

/// Wants `caps` no more.
pub fn unwant(conn: &mut fuse_conn_info, caps: u64) {
    change(conn, 0, caps);
}

/// Largest number of file systems that lie on each other, the kernel's limit.
const MAX_STACK_DEPTH: u32 = 2;

/// Wants passthrough, with `killpriv` also that the file system clears set-uid bits and file capabilities, and not what
/// keeps passthrough off. EOPNOTSUPP, and nothing changes, where the kernel does not offer it.
pub fn enable_passthrough(conn: &mut fuse_conn_info, stack_depth: u32, killpriv: bool) -> Result<(), Errno> {
    let Some(found) = negotiation(conn) else {
        log::error!("fuse_session_enable_passthrough: only for the init callback, with what that was passed");
        return Err(Errno::EINVAL);
    };
    if !(1..=MAX_STACK_DEPTH).contains(&stack_depth) {
        log::error!("fuse_session_enable_passthrough: the stack depth is {stack_depth} instead of 1 or 2");
        return Err(Errno::EINVAL);
    }
    let offered = offers(conn, FUSE_CAP_PASSTHROUGH);
    let passthrough = Some(if offered { Asked::Enabled } else { Asked::InVain });
    NEGOTIATION.set(Some(Negotiation { passthrough, ..found }));
    if !offered {
        return Err(Errno::EOPNOTSUPP);
    }
    want(conn, FUSE_CAP_PASSTHROUGH);
    unwant(conn, FUSE_CAP_WRITEBACK_CACHE);
    if killpriv {
        want(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
    }
    conn.max_backing_stack_depth = stack_depth - 1;
    Ok(())
}

/// Brings what was changed by hand in one word into the other. EINVAL, and a line, when both were changed and say
/// different things.
pub fn unite(conn: &mut fuse_conn_info) -> Result<(), Errno> {
    let baseline = baseline(conn);
    if conn.want != baseline.want && conn.want != conn.want_ext as u32 {
        if conn.want_ext != baseline.want_ext {
            log::error!("want ({:#x}) and want_ext ({:#x}) were both set, and differ", conn.want, conn.want_ext);
            return Err(Errno::EINVAL);
        }
        conn.want_ext = conn.want_ext & HIGH | u64::from(conn.want);
    }
    conn.want = conn.want_ext as u32;
    move_baseline(conn, |_| Baseline::of(conn));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: u64 = 0b11 | 1 << 40;
    const CAP33: u64 = 1 << 33;

    fn negotiate_in_place(
        conn: &mut fuse_conn_info,
        ext: bool,
        offered: InitFlags,
        callback: impl FnOnce(&mut fuse_conn_info),
    ) -> Agreed {
        let address = address(conn);
        negotiate(conn, address, ext, offered, callback)
    }

    fn agreed(ext: bool, callback: impl FnOnce(&mut fuse_conn_info)) -> u64 {
        let capable = DEFAULT | 0xf0 | CAP33;
        let mut conn = fuse_conn_info {
            capable: capable as u32,
            capable_ext: if ext { capable } else { 0 },
            want_ext: DEFAULT,
            ..fuse_conn_info::default()
        };
        let Agreed { further, .. } =
            negotiate_in_place(&mut conn, ext, InitFlags::ABORT_ERROR | InitFlags::PASSTHROUGH, callback);
        assert!(FURTHER.contains(further));
        assert_eq!(conn.want, conn.want_ext as u32);
        conn.want_ext
    }

    #[test]
    fn either_word_counts() {
        assert_eq!(agreed(true, |_| ()), DEFAULT);
        assert_eq!(agreed(true, |c| c.want |= 0x10), DEFAULT | 0x10);
        assert_eq!(agreed(true, |c| c.want_ext |= 0x20 | CAP33), DEFAULT | 0x20 | CAP33);
        assert_eq!(agreed(true, |c| (c.want, c.want_ext) = (0x11, c.want_ext & !1)), DEFAULT & !3 | 0x10);
        assert_eq!(agreed(false, |c| (c.want, c.want_ext) = (0x10, 0x20)), DEFAULT & !3 | 0x10);
    }

    #[test]
    fn functions_change_both_words() {
        let all_or_nothing = |c: &mut fuse_conn_info| {
            assert!(want(c, 0x10 | CAP33) && !want(c, 0x20 | 0x100) && !want(c, 0));
            unwant(c, 1 | 1 << 40);
        };
        assert_eq!(agreed(true, all_or_nothing), 2 | 0x10 | CAP33);
        assert_eq!(agreed(false, |c| assert!(want(c, 0x10))), DEFAULT | 0x10);
        // The last word is the function's, whatever was done by hand before.
        assert_eq!(agreed(true, |c| (c.want |= 0x10, unwant(c, 0x10)).1), DEFAULT);
        assert_eq!(agreed(true, |c| c.want = (want(c, 0x20), c.want | 0x10).1), DEFAULT | 0x30);
        assert_eq!(agreed(true, |c| c.want = (want(c, 0x20), c.want & !0x20).1), DEFAULT);
    }

    #[test]
    fn further_flags() {
        let mut conn = fuse_conn_info::default();
        let offered = InitFlags::ABORT_ERROR | InitFlags::HAS_RESEND | InitFlags::MAP_ALIGNMENT | InitFlags::POSIX_ACL;
        let want = |conn: &fuse_conn_info, flags| want_init_flags(conn, flags, "a test");
        let Agreed { further: wanted, .. } = negotiate_in_place(&mut conn, true, offered, |c| {
            assert_eq!(init_flags(c, "a test"), Some(offered));
            assert_eq!(want(c, InitFlags::ABORT_ERROR), Ok(()));
            assert_eq!(want(c, InitFlags::HAS_RESEND | InitFlags::CREATE_SUPP_GROUP), Err(Errno::ENOTSUP));
            for flag in [InitFlags::MAP_ALIGNMENT, InitFlags::POSIX_ACL, InitFlags::from_bits_retain(1 << 63)] {
                assert_eq!(want(c, InitFlags::HAS_RESEND | flag), Err(Errno::EINVAL));
            }
            assert_eq!(want(&fuse_conn_info::default(), InitFlags::HAS_RESEND), Err(Errno::EINVAL));
            // What else the callback does is no end of it.
            assert!(!super::want(c, 1));
            unwant(c, 1);
        });
        assert_eq!(wanted, InitFlags::ABORT_ERROR);
        assert_eq!(init_flags(&conn, "a test"), None);
    }

    #[test]
    fn one_word_is_brought_into_the_other() {
        let united = |hand: fn(&mut fuse_conn_info)| {
            let mut outcome = Ok(());
            let wants = agreed(true, |c| {
                hand(c);
                outcome = unite(c);
                assert!(outcome.is_err() || c.want == c.want_ext as u32);
            });
            outcome.map(|()| wants)
        };
        assert_eq!(united(|c| c.want |= 0x10), Ok(DEFAULT | 0x10));
        assert_eq!(united(|c| c.want_ext |= 0x20), Ok(DEFAULT | 0x20));
        assert_eq!(united(|c| c.want = (want(c, 0x20 | CAP33), c.want | 0x10).1), Ok(DEFAULT | 0x30 | CAP33));
        assert_eq!(united(|c| (c.want, c.want_ext) = (0x10, 0x20)), Err(Errno::EINVAL));
        assert_eq!(united(|c| (c.want, c.want_ext) = (0x10, CAP33 | 0x10)), Ok(CAP33 | 0x10));
        // Nobody negotiates: the baseline is empty.
        let mut own = fuse_conn_info { want: 5, ..fuse_conn_info::default() };
        assert_eq!((unite(&mut own), own.want_ext), (Ok(()), 5));
    }

    #[test]
    fn passthrough_is_asked_for_in_the_callback_and_excludes_the_write_back_cache() {
        let capable = FUSE_CAP_PASSTHROUGH | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_HANDLE_KILLPRIV_V2;
        let conn = |capable: u64| fuse_conn_info {
            capable: capable as u32,
            capable_ext: capable,
            want_ext: FUSE_CAP_WRITEBACK_CACHE,
            ..fuse_conn_info::default()
        };
        let enabled = |conn: &mut fuse_conn_info, depth, killpriv| {
            let mut result = Ok(());
            let enable = |c: &mut _| result = enable_passthrough(c, depth, killpriv);
            let agreed = negotiate_in_place(conn, true, InitFlags::empty(), enable);
            (result, agreed.passthrough, conn.want_ext)
        };
        let both = FUSE_CAP_PASSTHROUGH | FUSE_CAP_HANDLE_KILLPRIV_V2;
        assert_eq!(enabled(&mut conn(capable), 1, false), (Ok(()), Some(Asked::Enabled), FUSE_CAP_PASSTHROUGH));
        assert_eq!(enabled(&mut conn(capable), 2, true), (Ok(()), Some(Asked::Enabled), both));
        let unchanged = FUSE_CAP_WRITEBACK_CACHE;
        assert_eq!(enabled(&mut conn(capable), 0, true), (Err(Errno::EINVAL), None, unchanged));
        assert_eq!(enabled(&mut conn(0), 1, true), (Err(Errno::EOPNOTSUPP), Some(Asked::InVain), unchanged));
        assert_eq!(enable_passthrough(&mut conn(capable), 1, false), Err(Errno::EINVAL));
    }
}
