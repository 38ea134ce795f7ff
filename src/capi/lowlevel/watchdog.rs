//! A thread that ends the process when the session does not end after its connection was lost. Only since 3.19, so not
//! in so.3.

use super::session::with_session;
use crate::abi::c::common::fuse_session;
use crate::abi::c::lowlevel::fuse_timeout_cb;
use crate::session::Session;
use core::ffi::{c_int, c_void};
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::Mutex;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The sessions that have a watchdog.
static WATCHED: Mutex<Vec<(usize, Arc<Leash>)>> = Mutex::new(Vec::new());

/// What the thread shares with those who call it.
struct Leash {
    state: Mutex<State>,
    /// Rung after each change of the state.
    bell: EventFd,
}

struct State {
    /// None once the session is destroyed.
    session: Option<Watched>,
    /// The connection is lost, or about to be closed.
    lost: bool,
    /// The thread is to leave.
    stopped: bool,
}

/// A session, as another thread knows it.
struct Watched(*const Session);

// SAFETY: a session may be used by every thread; that it exists is ensured by `forget`, which takes it out of the
// state under its lock.
unsafe impl Send for Watched {}

impl Leash {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        // The counter cannot be full: the thread empties it.
        let _ = self.bell.write(1);
    }
}

/// What to do when the time is up.
struct Alarm {
    callback: fuse_timeout_cb,
    data: *mut c_void,
}

// SAFETY: that the callback and its data may be used on the watchdog's thread is the interface's contract.
unsafe impl Send for Alarm {}

impl Alarm {
    fn go_off(&self) {
        match self.callback {
            // SAFETY: the daemon's callback, called as its contract says.
            Some(callback) => unsafe { callback(self.data) },
            None => {
                log::error!("the session has not ended after its connection was lost: ending the process");
                // SAFETY: ends the process, as the interface says.
                unsafe { libc::exit(1) }
            }
        }
    }
}

/// The thread, as C holds it.
struct Watchdog {
    session: usize,
    leash: Arc<Leash>,
    thread: JoinHandle<()>,
}

/// Why a wait ended.
enum Event {
    Rung,
    Lost,
    TimedOut,
}

/// Waits for the bell, for the loss of the connection behind `device`, and until `deadline`.
fn wait(bell: &EventFd, device: Option<RawFd>, deadline: Option<Instant>) -> Event {
    loop {
        // poll(2) skips negative numbers. The device may be closed meanwhile; then it says so, too.
        let mut fds = [
            libc::pollfd { fd: bell.as_raw_fd(), events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: device.unwrap_or(-1), events: 0, revents: 0 },
        ];
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // Rounded up, so that the time is really up.
        let left = left.map(|left| c_int::try_from(left.as_millis() + 1).unwrap_or(c_int::MAX));
        // SAFETY: two valid elements.
        let ready = unsafe { libc::poll(fds.as_mut_ptr(), 2, left.unwrap_or(-1)) };
        let [bell, device] = fds;
        match ready {
            0 if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return Event::TimedOut,
            1.. if bell.revents != 0 => return Event::Rung,
            1.. if device.revents != 0 => return Event::Lost,
            _ => {}
        }
    }
}

/// The thread's life.
fn watch(leash: &Leash, device: RawFd, timeout: Duration, alarm: &Alarm) {
    let mut device = Some(device);
    let mut deadline = None;
    loop {
        match wait(&leash.bell, device, deadline) {
            Event::TimedOut => return alarm.go_off(),
            Event::Rung => _ = leash.bell.read(),
            Event::Lost => leash.state.lock().lost = true,
        }
        let state = leash.state.lock();
        if state.stopped {
            return;
        }
        if state.lost && device.is_some() {
            if let Some(Watched(session)) = state.session {
                // SAFETY: `forget` waits for the lock before the session goes away.
                unsafe { &*session }.exit();
            }
            deadline = Some(Instant::now() + timeout);
        }
        if state.lost || state.session.is_none() {
            // Its number may soon be another file's.
            device = None;
        }
    }
}

fn start(se: &Session, timeout: Duration, alarm: Alarm) -> Result<Watchdog, Errno> {
    let refuse = |errno: Errno, why: &str| {
        log::error!("fuse_session_start_teardown_watchdog: {why}");
        Err(errno)
    };
    let Some(device) = se.raw_fd() else { return refuse(Errno::ENOTCONN, "the session is not mounted") };
    let session = core::ptr::from_ref(se).addr();
    let mut watched = WATCHED.lock();
    if watched.iter().any(|(other, _)| *other == session) {
        return refuse(Errno::EBUSY, "the session has one already");
    }
    let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
        .inspect_err(|errno| log::error!("fuse_session_start_teardown_watchdog: eventfd: {}", errno.desc()))?;
    let state = State { session: Some(Watched(se)), lost: false, stopped: false };
    let leash = Arc::new(Leash { state: Mutex::new(state), bell });
    let its = leash.clone();
    let thread = std::thread::Builder::new().name("fuse-watchdog".into());
    let thread = thread.spawn(move || watch(&its, device, timeout, &alarm)).map_err(|error| {
        log::error!("fuse_session_start_teardown_watchdog: no thread: {error}");
        error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw)
    })?;
    watched.push((session, leash.clone()));
    Ok(Watchdog { session, leash, thread })
}

fn on_leash_of(se: *const fuse_session, change: impl FnOnce(&mut State)) {
    let watched = WATCHED.lock();
    if let Some((_, leash)) = watched.iter().find(|(session, _)| *session == se.addr()) {
        leash.change(change);
    }
}

/// The session is about to close its device. The watchdog must not hold on to it: as long as the thread waits for the
/// device, the kernel does not regard it as closed.
pub fn unmounting(se: *const fuse_session) {
    on_leash_of(se, |state| state.lost = true);
}

/// The session is going away: the watchdog must not reach it any more.
pub fn forget(se: *const fuse_session) {
    on_leash_of(se, |state| state.session = None);
    // Another session may get its address.
    WATCHED.lock().retain(|(session, _)| *session != se.addr());
}

/// Starts a thread that watches the connection to the kernel. When it is lost, by a forced unmount or an abort from
/// outside, or by fuse_session_unmount(), the thread asks the session's loops to end as fuse_session_exit() does. From
/// then on the program has to end and to stop the watchdog in time.
///
/// - `se`: mounted or connected. It may be destroyed while the watchdog runs.
/// - `timeout_sec`: how long that may take, in seconds; above 0.
/// - `cb`, `cb_data`: called on the watchdog's thread when it took longer. Without `cb` the process ends, by exit(3)
///   with status 1.
///
/// Each session has one watchdog at most. Returns a handle, to be freed by fuse_session_stop_teardown_watchdog(), or
/// NULL with errno after a log line. Since libfuse 3.19.
///
/// # Safety
/// `se` is a session; `cb` can be called with `cb_data` until the watchdog is stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_start_teardown_watchdog(
    se: *mut fuse_session,
    timeout_sec: c_int,
    cb: fuse_timeout_cb,
    cb_data: *mut c_void,
) -> *mut c_void {
    let alarm = Alarm { callback: cb, data: cb_data };
    let started = match u64::try_from(timeout_sec) {
        Ok(seconds @ 1..) => {
            let timeout = Duration::from_secs(seconds);
            // SAFETY: the caller vouches for the session.
            unsafe { with_session(se, |se| start(se, timeout, alarm)) }.unwrap_or(Err(Errno::EINVAL))
        }
        _ => {
            log::error!("fuse_session_start_teardown_watchdog: {timeout_sec} seconds are no time to wait");
            Err(Errno::EINVAL)
        }
    };
    match started {
        Ok(watchdog) => Box::into_raw(Box::new(watchdog)).cast(),
        Err(errno) => {
            errno.set();
            core::ptr::null_mut()
        }
    }
}
symver!(fuse_session_start_teardown_watchdog, "FUSE_3.19");

/// Stops a watchdog, waits for its thread, and frees it. NULL does nothing. May be called in the watchdog's own
/// callback, and after the session was destroyed. Since libfuse 3.19.
///
/// # Safety
/// `data` is null or from fuse_session_start_teardown_watchdog(), and was not stopped yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fuse_session_stop_teardown_watchdog(data: *mut c_void) {
    if data.is_null() {
        return;
    }
    // SAFETY: the caller vouches for the pointer, which Box made.
    let watchdog = unsafe { Box::from_raw(data.cast::<Watchdog>()) };
    let Watchdog { session, leash, thread } = *watchdog;
    leash.change(|state| state.stopped = true);
    // Not one that a later session at the same address has.
    WATCHED.lock().retain(|(other, its)| *other != session || !Arc::ptr_eq(its, &leash));
    let own = thread.thread().id() == std::thread::current().id();
    if !own && thread.join().is_err() {
        log::error!("fuse_session_stop_teardown_watchdog: the thread did not end as it should");
    }
}
symver!(fuse_session_stop_teardown_watchdog, "FUSE_3.19");
