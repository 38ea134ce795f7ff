//! Threads that may end in any way.
//!
//! A callback of the daemon may end its thread with pthread_exit(3). That drops nothing of what lies on the thread's
//! stack, and nobody who waits for a thread of the standard library would hear of it. So what a thread has for itself
//! is kept where it is dropped after the thread was joined, and a function that the C library calls however a thread
//! ends says that it did.

use core::ffi::{CStr, c_int, c_void};
use core::mem::MaybeUninit;
use nix::errno::Errno;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// How long to wait for a thread before it is called off again, in nanoseconds.
const PATIENCE: libc::c_long = 5_000_000;
/// How often that is done before it may well be that it hears nothing.
const CALLS: u32 = 20;
/// What the threads are called in the system.
const NAME: &CStr = c"fuse_worker";

/// What tells the calling thread from all others that run: an even number, and not 0.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
#[inline]
pub fn here() -> usize {
    let block: usize;
    // SAFETY: by the platform's ABI the address of the thread's own block is there. Nothing is written.
    unsafe { core::arch::asm!("mov {}, fs:0", out(reg) block, options(pure, readonly, nostack, preserves_flags)) };
    block
}

/// What tells the calling thread from all others that run: an even number, and not 0.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64", not(miri))))]
#[inline]
pub fn here() -> usize {
    // SAFETY: only says which thread this is: by the address of its block, in all C libraries of Linux.
    unsafe { libc::pthread_self() as usize }
}

/// What threads do together.
pub trait Crew: Sync {
    /// What one of them has for itself.
    type Member: Send + Sync;

    /// A thread's life. It may never return, see [the module](self).
    fn work(&self, threads: &Threads<'_, Self>, own: &Self::Member);

    /// The last that a thread does, however it ends.
    fn ended(&self, own: &Self::Member);

    /// Asks a thread to end. It is asked again until it did, `loudly` when it has not heard for long.
    fn call_off(&self, own: &Self::Member, loudly: bool);
}

/// The threads of a crew.
pub struct Threads<'c, C: Crew + ?Sized> {
    crew: &'c C,
    /// Those that were not joined yet.
    records: Mutex<Vec<Arc<Record<'c, C>>>>,
}

/// One thread, kept until it is joined.
#[repr(C)]
struct Record<'c, C: Crew + ?Sized> {
    /// Called with the record when the thread ends.
    note: Note,
    threads: *const Threads<'c, C>,
    own: C::Member,
    ended: AtomicBool,
    /// Set by whoever starts it.
    id: OnceLock<libc::pthread_t>,
}

/// Lets `f` start threads for `crew`, then calls all of them off, and returns when the last has ended.
pub fn scope<C: Crew, R>(crew: &C, f: impl FnOnce(&Threads<'_, C>) -> R) -> R {
    let threads = Threads { crew, records: Mutex::default() };
    let result = f(&threads);
    threads.dismiss();
    result
}

impl<C: Crew> Threads<'_, C> {
    /// Starts a thread with a stack of this many bytes, or of the usual size.
    pub fn start(&self, own: C::Member, stack: Option<usize>) -> Result<(), Errno> {
        let record = Arc::new(Record {
            note: note::<C>,
            threads: self,
            own,
            ended: AtomicBool::new(false),
            id: OnceLock::new(),
        });
        // Held until the number is there: whoever joins needs it.
        let mut records = self.records.lock();
        // SAFETY: the record outlives the thread, as it is kept until it was joined.
        let id = unsafe { create(stack, life::<C>, Arc::as_ptr(&record).cast()) }?;
        let _ = record.id.set(id);
        records.push(record);
        Ok(())
    }

    /// Lends what each thread has for itself to `f`.
    pub fn each(&self, f: impl Fn(&C::Member)) {
        self.records.lock().iter().for_each(|record| f(&record.own));
    }

    /// Joins those that have ended.
    pub fn reap(&self) {
        let gone: Vec<_> = self.records.lock().extract_if(.., |record| record.ended.load(Ordering::Acquire)).collect();
        for record in gone {
            record.join();
        }
    }

    /// Calls all off, and joins them.
    pub fn dismiss(&self) {
        loop {
            let records = self.records.lock().clone();
            if records.is_empty() {
                return;
            }
            records.iter().for_each(|record| self.crew.call_off(&record.own, false));
            for record in records {
                let mut calls = 0_u32;
                while !record.join_soon() {
                    calls = calls.saturating_add(1);
                    self.crew.call_off(&record.own, calls >= CALLS);
                }
                self.records.lock().retain(|other| !Arc::ptr_eq(other, &record));
            }
        }
    }
}

impl<C: Crew> Record<'_, C> {
    fn join(&self) {
        if let Some(id) = self.id.get() {
            // SAFETY: a thread of ours, joined once: the record was taken out of the list.
            unsafe { libc::pthread_join(*id, core::ptr::null_mut()) };
        }
    }

    /// Joins the thread if it ends in a moment, and says whether it did.
    fn join_soon(&self) -> bool {
        let Some(id) = self.id.get() else { return true };
        let mut until = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: clock_gettime fills the struct; the clock is one that always exists. The thread is ours and not
        // joined yet.
        let joined = unsafe {
            libc::clock_gettime(libc::CLOCK_REALTIME, until.as_mut_ptr());
            let mut until = until.assume_init();
            until.tv_nsec += PATIENCE;
            until.tv_sec += until.tv_nsec / 1_000_000_000;
            until.tv_nsec %= 1_000_000_000;
            libc::pthread_timedjoin_np(*id, core::ptr::null_mut(), &until)
        };
        joined != libc::ETIMEDOUT
    }
}

/// Calls a function with a value of each thread's own when that thread ends, however it does. A thread-local variable's
/// destructor would do so as well, but its registration ends the process when there is no memory for it.
pub struct AtEnd {
    key: OnceLock<libc::pthread_key_t>,
    call: unsafe extern "C" fn(*mut c_void),
}

impl AtEnd {
    const fn with_value(call: unsafe extern "C" fn(*mut c_void)) -> Self {
        Self { key: OnceLock::new(), call }
    }

    /// Calls what [`arm`](Self::arm) is given.
    pub const fn unarmed() -> Self {
        Self::with_value(call)
    }

    /// Has `function` called when the calling thread ends.
    pub fn arm(&self, function: fn()) -> Result<(), Errno> {
        // SAFETY: `call` takes such a function.
        unsafe { self.set(function as *const c_void) }
    }

    /// # Safety
    /// The value is what the function takes, when the thread ends.
    unsafe fn set(&self, value: *const c_void) -> Result<(), Errno> {
        let made = || {
            let mut key = 0;
            // SAFETY: fills the key; the function may be called as long as the library is loaded, which is for ever.
            check(unsafe { libc::pthread_key_create(&mut key, Some(self.call)) }).map(|()| key)
        };
        let key = match self.key.get() {
            Some(key) => *key,
            // Losing the race to another thread loses a key.
            None => made().map(|key| *self.key.get_or_init(|| key))?,
        };
        // SAFETY: the key exists; the caller vouches for the value.
        check(unsafe { libc::pthread_setspecific(key, value) })
    }
}

/// # Safety
/// `function` is a `fn()`.
unsafe extern "C" fn call(function: *mut c_void) {
    // SAFETY: the caller vouches for it.
    unsafe { core::mem::transmute::<*mut c_void, fn()>(function)() };
}

fn check(errno: c_int) -> Result<(), Errno> {
    if errno == 0 { Ok(()) } else { Err(Errno::from_raw(errno)) }
}

/// Says that a thread has ended.
static END: AtEnd = AtEnd::with_value(end);

/// # Safety
/// `record` is a [`Record`] that exists.
unsafe extern "C" fn end(record: *mut c_void) {
    // SAFETY: the caller vouches for it; a record begins with its function, which takes it.
    unsafe { (*record.cast::<Note>())(record) };
}

/// Takes the record that it is the beginning of.
type Note = unsafe fn(*const c_void);

/// # Safety
/// `record` is a `Record<C>` that exists.
unsafe fn note<C: Crew>(record: *const c_void) {
    // SAFETY: the caller vouches for it; the crew exists as long as its threads.
    unsafe {
        let record = &*record.cast::<Record<'_, C>>();
        // Before the crew hears of it, which may then have the thread joined.
        record.ended.store(true, Ordering::Release);
        (*record.threads).crew.ended(&record.own);
    }
}

/// A thread's life; only [`Threads::start`] has use for it.
extern "C" fn life<C: Crew>(record: *mut c_void) -> *mut c_void {
    // A cancellation would come in the midst of a request, or of a lock: who wants the threads to end calls them off.
    let _ = set_cancellable(false);
    // SAFETY: the record is kept until this thread was joined.
    let armed = unsafe { END.set(record) };
    // SAFETY: the name is a string; the record is one of this crew's and kept until the thread was joined; the crew exists
    // as long as its threads.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
        let record = &*record.cast::<Record<'_, C>>();
        match armed {
            Ok(()) => {
                (*record.threads).crew.work(&*record.threads, &record.own);
                // Noted at once, while the thread is whole: locks may need what it has of its own.
                let _ = END.set(core::ptr::null());
            }
            // Nobody else would say so.
            Err(errno) => log::error!("the end of a thread cannot be noted: {}", errno.desc()),
        }
        note::<C>(core::ptr::from_ref(record).cast());
    }
    core::ptr::null_mut()
}

/// # Safety
/// `argument` is what `life` needs.
unsafe fn create(
    stack: Option<usize>,
    life: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *const c_void,
) -> Result<libc::pthread_t, Errno> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: `attributes` is initialised by the first call and freed by the last; the caller vouches for the argument.
    unsafe {
        check(libc::pthread_attr_init(attributes))?;
        if let Some(size) = stack
            && libc::pthread_attr_setstacksize(attributes, size) != 0
        {
            log::error!("could not set a thread's stack size to {size} bytes");
        }
        let mut id = 0;
        let created = check(libc::pthread_create(&mut id, attributes, life, argument.cast_mut()));
        libc::pthread_attr_destroy(attributes);
        created.map(|()| id)
    }
}

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// Lets pthread_cancel(3) end the calling thread, or keeps such a request waiting. Returns what was before.
fn set_cancellable(on: bool) -> bool {
    // PTHREAD_CANCEL_ENABLE and PTHREAD_CANCEL_DISABLE, of all C libraries of Linux.
    let (mut before, state) = (0, if on { 0 } else { 1 });
    // SAFETY: takes a number and fills another.
    unsafe { pthread_setcancelstate(state, &mut before) };
    before == 0
}

/// Keeps a cancellation of the calling thread waiting until it is dropped.
pub struct Uncancellable {
    before: bool,
}

impl Uncancellable {
    /// From now on.
    pub fn from_now() -> Self {
        Self { before: set_cancellable(false) }
    }
}

impl Drop for Uncancellable {
    fn drop(&mut self) {
        set_cancellable(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::here;

    #[test]
    fn threads_that_run_differ() {
        let (mine, meeting) = (here(), std::sync::Barrier::new(2));
        let others: Vec<_> = std::thread::scope(|scope| {
            let other = || {
                meeting.wait();
                [here(), here()]
            };
            let threads = [scope.spawn(other), scope.spawn(other)];
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(others.iter().all(|[one, again]| one == again && *one != mine) && others[0] != others[1]);
        assert!(mine != 0 && mine.is_multiple_of(2));
    }
}
