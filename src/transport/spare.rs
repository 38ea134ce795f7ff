//! What threads that ended no longer need, for those that come after them: a daemon may start one for each request.

use parking_lot::Mutex;

/// So many are kept: what they take is little, and more threads than that seldom end before the next one begins.
const KEPT: usize = 16;

/// Things that wait for a thread with use for them. Nobody waits for another here: whoever finds it locked does without, as
/// does the child of a process that forked while it was.
pub struct Spares<T>(Mutex<[Option<T>; KEPT]>);

impl<T> Spares<T> {
    /// There are none yet.
    pub const fn none() -> Self {
        Self(Mutex::new([const { None }; KEPT]))
    }

    /// One of them.
    pub fn take(&self) -> Option<T> {
        self.0.try_lock()?.iter_mut().find_map(Option::take)
    }

    /// One more; it is dropped where there are enough.
    pub fn put(&self, spare: T) {
        let Some(mut places) = self.0.try_lock() else { return };
        if let Some(place) = places.iter_mut().find(|place| place.is_none()) {
            *place = Some(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_one_thread_leaves_another_takes() {
        static SPARES: Spares<u32> = Spares::none();
        std::thread::spawn(|| SPARES.put(7)).join().unwrap();
        let taken = std::thread::spawn(|| [SPARES.take(), SPARES.take()]).join().unwrap();
        assert_eq!(taken, [Some(7), None]);
    }

    #[test]
    fn there_are_never_many() {
        let (spares, thing) = (Spares::none(), Arc::new(()));
        (0..3 * KEPT).for_each(|_| spares.put(thing.clone()));
        assert_eq!(Arc::strong_count(&thing), KEPT + 1);
    }

    /// As in a child, where whoever locked it is not.
    #[test]
    fn nobody_waits_for_the_lock() {
        let spares = Spares::none();
        spares.put(7);
        let _locked = spares.0.lock();
        spares.put(8);
        assert_eq!(spares.take(), None);
    }
}
