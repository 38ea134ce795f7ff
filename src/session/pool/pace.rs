//! When a pool is lean: what its thread makes of what it sees of the workers.
//!
//! The kernel wakes those who wait for a request in turn. So each further one that waits may cost: a request goes to the
//! thread that has slept longest, and often two are woken for it, as the one that has just replied comes back first. Or it
//! may pay: many threads that are woken share more of a crowded processor than one, and a processor that serves need not be
//! the one that asks. Which it is depends on the load, on where the scheduler has put the threads for the moment, and on the
//! machine, and nobody says. So it is tried: while there is something to do the pool's thread looks every three milliseconds
//! how many requests were served, and now and then lets the pool be what it is not. What served more stays, until it serves
//! less than the other did when that was seen last, and is what the pool begins with when there is something to do again.
//!
//! Callbacks that block are another matter: then somebody must wait, always. A callback that is under way from one look to
//! the next, or that went to sleep (after each look a worker sees to that for one of its own), makes the pool eager for a
//! while. When there is nothing to do nobody looks, and the pool is eager, too.

use std::time::Duration;

/// How often the pool's thread looks, a little late (`slack`): each look takes a processor from who works there.
pub(super) const TICK: Duration = Duration::from_millis(3);
/// So many looks a pool stays eager after a callback took its time.
const EAGER: u32 = 20;
/// After so many looks without a request nobody looks any more.
const QUIET: u32 = 5;
/// Looks before the other way is tried: after the start, when workers are still on their way, and after a change; so many
/// times more after each trial that failed, and at most.
const START: u32 = 2;
const PATIENCE: u32 = 5;
const LONGER: u32 = 4;
const MOST_PATIENCE: u32 = 640;
/// What is served by a lean pool counts that much: it has to serve clearly more. What differs less is mostly chance, and
/// an eager pool never keeps a request waiting.
const LEAN_COUNTS: f64 = 0.93;
/// Fewer requests a second than that are not worth it: what a thread more costs each of them, some 2 us, is little.
const FAST: f64 = 20_000.0;

/// What was seen at one look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Requests that were served since the last look.
    pub served: u32,
    /// The time since.
    pub time: Duration,
    /// A callback takes longer than from look to look, or went to sleep.
    pub slow: bool,
}

/// What is to be done after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Be eager.
    Eager,
    /// Be lean.
    Lean,
    /// Be eager, and look no more: there is nothing to do.
    Quiet,
}

/// What the pool's thread makes of its looks.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Looks for which the pool is eager whatever serves more.
    eager: u32,
    /// Looks without a request.
    quiet: u32,
    known: Known,
    /// What was known before the last look.
    before: Known,
}

/// What is known of the two, lean and eager.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// What the pool is: lean, or eager.
    lean: bool,
    /// How many requests a second each of the two served lately, when it was that last, as they count: eager, lean.
    rates: [f64; 2],
    /// It is that since the last look that counts.
    trial: bool,
    /// The last look saw less than half of what was before: that may have been a pause of the load.
    low: bool,
    /// The next look does not count: it sees a time without requests, or with slow callbacks, too.
    settling: bool,
    /// Looks until the next trial; and what that was at first when it is eager, and when it is lean.
    patience: u32,
    whole_patience: [u32; 2],
}

impl Default for Known {
    fn default() -> Self {
        let (patience, whole_patience) = (START, [PATIENCE; 2]);
        Self { lean: false, rates: [0.0; 2], trial: false, low: false, settling: true, patience, whole_patience }
    }
}

impl Pace {
    /// Judges what was seen.
    pub fn judge(&mut self, seen: Seen) -> Verdict {
        if seen.served == 0 {
            self.quiet += 1;
            // The last look saw the end of what there was to do, and less than a whole look's requests.
            self.known = Known { settling: true, ..self.before };
        } else {
            self.quiet = 0;
        }
        if self.quiet >= QUIET {
            self.quiet = 0;
            return Verdict::Quiet;
        }
        self.eager = if seen.slow { EAGER } else { self.eager.saturating_sub(1) };
        self.before = self.known;
        if self.eager > 0 {
            // Nothing that is seen now says what fast callbacks want.
            self.known.settling = true;
            return Verdict::Eager;
        }
        if seen.served > 0 {
            self.known.learn(f64::from(seen.served) / seen.time.as_secs_f64());
        }
        if self.known.lean { Verdict::Lean } else { Verdict::Eager }
    }
}

impl Known {
    /// Takes note of what was served a second, and changes to the other if that is to be tried, or better.
    fn learn(&mut self, rate: f64) {
        if self.settling {
            self.settling = false;
            return;
        }
        let [this, other] = [self.lean, !self.lean].map(usize::from);
        let rate = if self.lean { rate * LEAN_COUNTS } else { rate };
        let lately = self.rates[this];
        let low = !self.trial && rate < lately / 2.0;
        if low && !self.low {
            self.low = true;
            return;
        }
        // Looks differ, but what is not half of what it was twice is another load, or has been put elsewhere.
        self.low = false;
        let anew = low || self.trial || lately == 0.0;
        self.rates[this] = if anew { rate } else { (lately + rate) / 2.0 };
        self.patience = self.patience.saturating_sub(1);
        // What served more last time is better, be it that a trial failed, be it that this is not what it was: the
        // scheduler may have put the threads elsewhere.
        let worse = self.rates[this] < self.rates[other];
        let fast = self.rates[this] >= FAST;
        let change =
            if self.lean { !fast || worse || self.patience == 0 } else { fast && (worse || self.patience == 0) };
        if self.trial {
            let patience = self.whole_patience[other];
            self.whole_patience[other] =
                if change { (patience * LONGER).min(MOST_PATIENCE) } else { (patience / LONGER).max(PATIENCE) };
        }
        self.trial = change && !self.trial;
        if change {
            self.lean = !self.lean;
            self.patience = self.whole_patience[other];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many looks at a load of which `lean` and `eager` serve so many a look; how many of them found it lean.
    fn lean_looks(pace: &mut Pace, looks: usize, lean: u32, eager: u32) -> usize {
        let judged = (0..looks).map(|_| {
            let served = if pace.known.lean { lean } else { eager };
            pace.judge(Seen { served, time: TICK, slow: false })
        });
        judged.filter(|verdict| *verdict == Verdict::Lean).count()
    }

    #[test]
    fn what_serves_more_stays() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            lean_looks(&mut pace, 2000, 140, 110);
            assert!(lean_looks(&mut pace, 1000, 140, 110) > 950);
            lean_looks(&mut pace, 2000, 110, 140);
            assert!(lean_looks(&mut pace, 1000, 110, 140) < 50);
        }
    }

    #[test]
    fn lean_is_not_for_nothing() {
        let mut pace = Pace::default();
        for (lean, eager) in [(105, 100), (50, 30)] {
            lean_looks(&mut pace, 2000, lean, eager);
            assert!(lean_looks(&mut pace, 1000, lean, eager) < 50);
        }
    }

    #[test]
    fn the_first_look_counts_whole() {
        let mut pace = Pace::default();
        // One that settles, START that count, and the trial.
        lean_looks(&mut pace, 4, 105, 100);
        assert!(!pace.known.lean && pace.known.rates[0] > 100.0 / TICK.as_secs_f64() - 1.0);
    }

    #[test]
    fn what_is_no_longer_better_goes_at_once() {
        let mut pace = Pace::default();
        lean_looks(&mut pace, 2000, 140, 50);
        // As lean pools are while the scheduler keeps worker and client on one processor, and once it has parted them.
        assert!(lean_looks(&mut pace, 1000, 22, 50) < 20);
    }

    #[test]
    fn eager_while_callbacks_are_slow() {
        let mut pace = Pace::default();
        lean_looks(&mut pace, 1000, 140, 110);
        let seen = Seen { served: 140, time: TICK, slow: false };
        assert_eq!(pace.judge(seen), Verdict::Lean);
        assert_eq!(pace.judge(Seen { slow: true, ..seen }), Verdict::Eager);
        let eager = (0..200).map(|_| pace.judge(seen)).take_while(|verdict| *verdict == Verdict::Eager).count();
        assert_eq!(eager, EAGER as usize - 1);
    }

    #[test]
    fn one_look_changes_nothing() {
        // One that was short of something, and one that the load paused in.
        for served in [100, 20] {
            let mut pace = Pace::default();
            lean_looks(&mut pace, 2000, 140, 110);
            for _ in 0..20 {
                assert_eq!(pace.judge(Seen { served, time: TICK, slow: false }), Verdict::Lean);
                assert_eq!(lean_looks(&mut pace, 3, 140, 110), 3);
            }
        }
    }

    #[test]
    fn what_is_better_outlasts_a_quiet_time() {
        let mut pace = Pace::default();
        lean_looks(&mut pace, 2000, 140, 110);
        // A look that the load ended in, and those after that.
        pace.judge(Seen { served: 75, time: TICK, slow: false });
        while pace.judge(Seen { served: 0, time: TICK, slow: false }) != Verdict::Quiet {}
        assert_eq!(lean_looks(&mut pace, 5, 140, 110), 5);
    }

    #[test]
    fn nobody_looks_when_nothing_comes() {
        let mut pace = Pace::default();
        // Not even at a callback that never returns.
        let stuck = Seen { served: 0, time: TICK, slow: true };
        let looks = (0..200).map(|_| pace.judge(stuck)).take_while(|verdict| *verdict == Verdict::Eager).count();
        assert_eq!(looks, QUIET as usize - 1);
    }
}
