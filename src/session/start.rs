//! Whether the daemon has started: once a session is connected and has answered INIT. A parent process may wait to hear
//! of that.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells the parent how it went: 0, or the status that it is to end with.
pub type Report = Box<dyn FnOnce(i32) + Send>;

static REPORT: Mutex<Option<Report>> = Mutex::new(None);
/// Whether a parent waits, or did.
static USED: AtomicBool = AtomicBool::new(false);
static CONNECTED: AtomicBool = AtomicBool::new(false);
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// A parent waits from now on. What was before does not count.
pub fn expect(report: Report) {
    CONNECTED.store(false, Ordering::SeqCst);
    ANSWERED.store(false, Ordering::SeqCst);
    *REPORT.lock() = Some(report);
    USED.store(true, Ordering::SeqCst);
}

/// Whether a parent still waits.
pub fn is_expected() -> bool {
    REPORT.lock().is_some()
}

/// Whether a parent waits, or did.
pub fn was_expected() -> bool {
    USED.load(Ordering::SeqCst)
}

/// A session has its connection.
pub(super) fn connected() {
    CONNECTED.store(true, Ordering::SeqCst);
    report();
}

/// A session has answered INIT.
pub(super) fn answered() {
    ANSWERED.store(true, Ordering::SeqCst);
    report();
}

/// Tells the parent that the daemon has started, if it has.
pub fn report() {
    if CONNECTED.load(Ordering::SeqCst) && ANSWERED.load(Ordering::SeqCst) {
        let _ = finish(0);
    }
}

/// Tells the parent how it went. False when none waits.
pub fn finish(status: i32) -> bool {
    let report = REPORT.lock().take();
    report.map(|report| report(status)).is_some()
}
