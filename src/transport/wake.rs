//! Wakes threads that block in a receive.
//!
//! A blocked read(2) of /dev/fuse ends for a request, an abort or a signal, so a signal it is: a real-time one that
//! nobody else uses, with a handler that does nothing, sent to the one thread that is meant. It is never sent to a
//! thread that is not in a receive.
//!
//! A callback may have blocked it, with all others. A thread that is to end is then sent the one signal that no mask of a
//! program's holds back, as the C library needs it.

use core::ffi::c_void;
use nix::errno::Errno;
use nix::unistd::{Pid, getpid, gettid};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

/// The signal in use, 0 before the first loop.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// A thread that can be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread(Pid);

impl Thread {
    /// Makes the calling thread one that can be woken.
    pub fn current() -> Result<Self, Errno> {
        let signal = signal()?;
        // SAFETY: a zeroed sigset_t is valid storage for sigemptyset, which initialises it.
        unsafe {
            let mut set = core::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, signal);
            Errno::result(libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, core::ptr::null_mut()))?;
        }
        Ok(Self(gettid()))
    }

    /// A thread by the number that [`Thread::number`] gave.
    pub fn from_number(number: i32) -> Self {
        Self(Pid::from_raw(number))
    }

    /// Its number in the system.
    pub fn number(self) -> i32 {
        self.0.as_raw()
    }

    /// Whether it is the calling thread.
    pub fn is_current(self) -> bool {
        self.0 == gettid()
    }

    /// Interrupts its receive. Async-signal-safe.
    pub fn wake(self) {
        self.send(SIGNAL.load(Ordering::Relaxed));
    }

    /// Interrupts the last receive of a thread that is to end and cannot be cancelled; `loudly` if it seems to hear nothing.
    pub fn wake_to_end(self, loudly: bool) {
        self.wake();
        if loudly && handle_unblockable().is_ok() {
            self.send(UNBLOCKABLE);
        }
    }

    fn send(self, signal: i32) {
        // SAFETY: tgkill takes numbers; a thread that is gone is an error that nobody needs.
        unsafe { libc::syscall(libc::SYS_tgkill, getpid().as_raw(), self.0.as_raw(), signal) };
    }
}

/// How often an alarm wakes, in nanoseconds.
const INTERVAL: libc::c_long = 2_000_000;

/// Wakes one thread again and again while it is on. A receive of the daemon's own needs that: a wake-up that comes just
/// before it, or in a signal handler that interrupted it, does not end it.
#[derive(Debug)]
pub struct Alarm {
    timer: AtomicPtr<c_void>,
}

/// Any number may be a timer's, but none is that large.
const NO_TIMER: *mut c_void = core::ptr::without_provenance_mut(usize::MAX);

impl Default for Alarm {
    fn default() -> Self {
        Self { timer: AtomicPtr::new(NO_TIMER) }
    }
}

impl Alarm {
    /// Makes it the calling thread's until the guard is dropped. It is off.
    pub fn set_up(&self) -> Result<AlarmSet<'_>, Errno> {
        let thread = Thread::current()?;
        let mut timer = NO_TIMER;
        // SAFETY: the event is fully initialised; the timer is filled.
        unsafe {
            let mut event: libc::sigevent = core::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = SIGNAL.load(Ordering::Relaxed);
            event.sigev_notify_thread_id = thread.number();
            Errno::result(libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer))?;
        }
        self.timer.store(timer, Ordering::SeqCst);
        Ok(AlarmSet { alarm: self })
    }

    /// Switches it on or off, if it is set up. Async-signal-safe.
    pub fn switch(&self, on: bool) {
        let timer = self.timer.load(Ordering::SeqCst);
        if timer == NO_TIMER {
            return;
        }
        let interval = libc::timespec { tv_sec: 0, tv_nsec: if on { INTERVAL } else { 0 } };
        let setting = libc::itimerspec { it_interval: interval, it_value: interval };
        // SAFETY: takes a number and a setting that outlives the call. A timer that is gone is an error that nobody
        // needs: the system counts on before it uses a number again.
        unsafe { libc::timer_settime(timer, 0, &setting, core::ptr::null_mut()) };
    }
}

/// An alarm has its thread.
pub struct AlarmSet<'a> {
    alarm: &'a Alarm,
}

impl Drop for AlarmSet<'_> {
    fn drop(&mut self) {
        let timer = self.alarm.timer.swap(NO_TIMER, Ordering::SeqCst);
        // SAFETY: the timer is the one that was made for the guard.
        unsafe { libc::timer_delete(timer) };
    }
}

extern "C" fn do_nothing(_: libc::c_int) {}

/// The signal, its handler installed.
fn signal() -> Result<i32, Errno> {
    static LOCK: Mutex<()> = Mutex::new(());
    let _guard = LOCK.lock();
    let known = SIGNAL.load(Ordering::Relaxed);
    if known != 0 && handler(known)? == do_nothing as *const () as usize {
        return Ok(known);
    }
    let free = choose()?;
    // SAFETY: the action is fully initialised; the handler does nothing and is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = do_nothing as *const () as usize;
        // No SA_RESTART: the receive must end.
        Errno::result(libc::sigaction(free, &action, core::ptr::null_mut()))?;
    }
    SIGNAL.store(free, Ordering::Relaxed);
    Ok(free)
}

/// A real-time signal that nobody uses. Runtimes that handle every signal there is (Go's does) leave none; then the
/// last one is taken from them, as a session that cannot be ended would be worse.
fn choose() -> Result<i32, Errno> {
    // From the top: programs that use real-time signals count from the bottom.
    let all = || (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev();
    let unused = |disposition| all().find(|signal| handler(*signal) == Ok(disposition));
    if let Some(signal) = unused(libc::SIG_DFL).or_else(|| unused(libc::SIG_IGN)) {
        return Ok(signal);
    }
    let last = all().next().ok_or(Errno::EBUSY)?;
    log::warn!("every real-time signal has a handler: that of {last} is replaced, to wake threads when a session ends");
    Ok(last)
}

/// The signal that glibc cancels threads with. It takes it out of every mask that a program sets, musl as well, and has a
/// handler for it from the first cancellation on; that one does nothing to a thread that cannot be cancelled.
const UNBLOCKABLE: i32 = 32;

/// Sees to it that it has a handler, the one of the signal in use if there is none yet. Without, it would end the process,
/// or be ignored: what glibc's posix_spawn(3) starts finds it so.
fn handle_unblockable() -> Result<(), Errno> {
    let mut action = KernelAction::default();
    change_action(UNBLOCKABLE, None, Some(&mut action))?;
    if ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.handler()) {
        return Ok(());
    }
    change_action(SIGNAL.load(Ordering::Relaxed), None, Some(&mut action))?;
    change_action(UNBLOCKABLE, Some(&action), None)
}

/// An action as the kernel has it, to be copied: sigaction(2) of the C library knows of no signal of its own.
#[derive(Default)]
struct KernelAction([usize; 8]);

impl KernelAction {
    fn handler(&self) -> usize {
        let [handler, ..] = self.0;
        handler
    }
}

/// Sets a signal's action, and tells the one before.
fn change_action(signal: i32, new: Option<&KernelAction>, old: Option<&mut KernelAction>) -> Result<(), Errno> {
    let new = new.map_or(core::ptr::null(), core::ptr::from_ref);
    let old = old.map_or(core::ptr::null_mut(), core::ptr::from_mut);
    // SAFETY: each is null or longer than what the kernel reads or writes, with a set of signals of the size that is said.
    // What is set is what another signal has.
    Errno::result(unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, size_of::<u64>()) }).map(drop)
}

/// The present disposition of a signal.
fn handler(signal: i32) -> Result<libc::sighandler_t, Errno> {
    // SAFETY: with a null new action sigaction only fills the old one, which is valid storage.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        Errno::result(libc::sigaction(signal, core::ptr::null(), &mut action))?;
        Ok(action.sa_sigaction)
    }
}
