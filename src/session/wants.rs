//! What the daemon wants, in the two words that its init callback may change: the 32-bit `want` that every program
//! knows, and the 64-bit `want_ext` since 3.17.

use crate::abi::c::common::fuse_conn_info;
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

/// A negotiation under way: the address of what the callback sees, and the baseline.
type Negotiation = Option<(usize, Baseline)>;

thread_local! {
    /// The callback runs on the thread that reads INIT, so what it calls finds the baseline here, and the struct that C
    /// knows needs no room for it.
    static NEGOTIATION: Cell<Negotiation> = const { Cell::new(None) };
}

fn address(conn: &fuse_conn_info) -> usize {
    core::ptr::from_ref(conn).addr()
}

/// The baseline of `conn`; nothing wanted where no callback is looking at it.
fn baseline(conn: &fuse_conn_info) -> Baseline {
    let found = NEGOTIATION.get().filter(|(at, _)| *at == address(conn));
    found.map_or_else(Baseline::default, |(_, baseline)| baseline)
}

/// Lets `callback` change what is wanted. A capability that either word turned counts as turned; both words agree
/// afterwards. Without `ext` the callback's program knows the shorter word only.
pub(super) fn negotiate(conn: &mut fuse_conn_info, ext: bool, callback: impl FnOnce(&mut fuse_conn_info)) {
    let default = conn.want_ext;
    conn.want = default as u32;
    conn.want_ext = if ext { default } else { 0 };
    let outer = NEGOTIATION.replace(Some((address(conn), Baseline::of(conn))));
    callback(conn);
    let before = baseline(conn);
    NEGOTIATION.set(outer);
    let turned = u64::from(conn.want ^ before.want);
    let turned_ext = if ext { conn.want_ext ^ before.want_ext } else { 0 };
    let before = if ext { before.want_ext } else { default & HIGH | u64::from(before.want) };
    conn.want_ext = before ^ (turned | turned_ext);
    conn.want = conn.want_ext as u32;
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
    if let Some((at, before)) = NEGOTIATION.get().filter(|(at, _)| *at == address(conn)) {
        NEGOTIATION.set(Some((at, f(before))));
    }
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

    fn agreed(ext: bool, callback: impl FnOnce(&mut fuse_conn_info)) -> u64 {
        let capable = DEFAULT | 0xf0 | CAP33;
        let mut conn = fuse_conn_info {
            capable: capable as u32,
            capable_ext: if ext { capable } else { 0 },
            want_ext: DEFAULT,
            ..fuse_conn_info::default()
        };
        negotiate(&mut conn, ext, callback);
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
}
