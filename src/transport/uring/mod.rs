//! FUSE over io_uring: messages that lie in memory which the kernel was shown, instead of being read and written.
//!
//! The kernel has a queue for each CPU, and each queue has entries, every one of which takes one request at a time: the
//! kernel puts a request there in the context of the thread that submitted the entry last, and has the reply when a
//! thread commits the entry. A [`Seat`] is one entry with an io_uring of its own. So a thread that waits on a seat is never
//! given a request while it is busy with another, and needs no lock. The system call that answers a request brings along
//! what waits for an entry of the queue; for what is still to come there is a second one.

mod area;
mod memory;
mod ring;
mod seat;

pub use memory::Memory;
pub use ring::Ring;
pub use seat::{After, Phase, Seat, holder};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Queues that the kernel has: one for each CPU that there can be.
pub fn queues() -> Result<usize, Errno> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible").map_err(|_| Errno::ENOENT)?;
    highest(text.trim()).and_then(|last| last.checked_add(1)).ok_or(Errno::EINVAL)
}

/// The highest number of a list such as `0-3,8`.
fn highest(list: &str) -> Option<usize> {
    list.rsplit([',', '-']).next()?.parse().ok()
}

/// Binds the calling thread to a CPU.
pub fn bind_to(cpu: usize) -> Result<(), Errno> {
    let mut one = CpuSet::new();
    one.set(cpu)?;
    sched_setaffinity(CALLER, &one)
}

/// The calling thread.
const CALLER: Pid = Pid::from_raw(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_cpu_of_a_list() {
        assert_eq!(highest("0"), Some(0));
        assert_eq!(highest("0-3"), Some(3));
        assert_eq!(highest("0-3,8"), Some(8));
        assert_eq!(highest("0,2-15"), Some(15));
        assert_eq!(highest(""), None);
    }
}
