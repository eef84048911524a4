//! How many descriptors this process may have open, and when instances have taken their share.
//!
//! Each instance takes one, and a second one for a pipe of standard error where there are enough. Some are left free whatever the number of instances, so that the master
//! still answers requests and writes its files.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Resource, getrlimit};

/// The most that is left free. Limits under eight times this leave an eighth.
const SPARE_MAX: u64 = 1024;

/// The limit; `None` if there is none.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// How many descriptors instances leave free under a limit.
pub(crate) const fn spare(limit: u64) -> u64 {
    let part = limit / 8;
    if part < SPARE_MAX { part } else { SPARE_MAX }
}

/// Whether instances have their share, given the descriptor that was opened last: the system gives
/// the lowest free number.
pub(crate) fn are_scarce(newest: impl AsFd) -> bool {
    let number = u64::try_from(newest.as_fd().as_raw_fd()).unwrap_or(0);
    limit().is_some_and(|limit| number >= limit - spare(limit))
}

/// Whether a descriptor may be opened that is of use and not needed, given the one that was opened
/// last. Three quarters of a limit are left for what is needed and comes later.
#[cfg(target_os = "linux")]
pub(crate) fn are_plenty(newest: impl AsFd) -> bool {
    let number = u64::try_from(newest.as_fd().as_raw_fd()).unwrap_or(0);
    limit().is_none_or(|limit| number < limit / 4)
}

/// Whether an instance may have a second pipe, given the descriptor that was opened last: as long as
/// instances have taken less than half, so that many more can still start with one.
pub(crate) fn are_enough_for_two(newest: impl AsFd) -> bool {
    let number = u64::try_from(newest.as_fd().as_raw_fd()).unwrap_or(0);
    limit().is_none_or(|limit| has_room_for_two(number, limit))
}

const fn has_room_for_two(newest: u64, limit: u64) -> bool {
    newest < limit / 2
}

/// The error of a start for which no descriptor is left.
pub(crate) fn too_many() -> io::Error {
    rustix::io::Errno::MFILE.into()
}

/// What is logged once standard error has no pipe of its own any more.
pub(crate) fn joined() -> String {
    let limit = limit().unwrap_or_default();
    format!(
        "Master.run: instances use half of the {limit} open files: stdout and stderr of new processes \
         share one pipe, and their lines are not told apart; raise the hard limit (LimitNOFILE=, \
         ulimit -Hn)"
    )
}

/// What a user can do about too many open files.
pub(crate) fn remedy() -> String {
    let raise = "raise the hard limit (LimitNOFILE=, ulimit -Hn)";
    match limit() {
        Some(limit) => format!(
            "the limit is {limit} open files, of which {} stay free for everything but instances; {raise}",
            spare(limit)
        ),
        None => format!("too many files are open; {raise}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_instances_fit_under_twenty_thousand_descriptors() {
        assert_eq!([20_000, 8_192, 1_024, 64, 0].map(spare), [1_024, 1_024, 128, 8, 0]);
        // After the loss of a keeper each may take a second one; those that find none do without.
        assert!(10_000 < 20_000 - spare(20_000));
        // The same if each asks for a pipe of standard error.
        let mut taken: u64 = 64;
        for _ in 0..10_000 {
            taken += if has_room_for_two(taken, 20_000) { 2 } else { 1 };
        }
        assert!(taken < 20_000 - spare(20_000), "{taken}");
        let file = std::fs::File::open("/dev/null").expect("it is there");
        assert!(!are_scarce(&file) && are_enough_for_two(&file));
        #[cfg(target_os = "linux")]
        assert!(are_plenty(&file));
        assert!(remedy().contains("LimitNOFILE="), "{}", remedy());
    }
}
