//! How many descriptors this process may have open, and when instances have taken their share.
//!
//! Each instance takes one. Some are left free whatever the number of instances, so that the master
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

/// The error of a start for which no descriptor is left.
pub(crate) fn too_many() -> io::Error {
    rustix::io::Errno::MFILE.into()
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
        let file = std::fs::File::open("/dev/null").expect("it is there");
        assert!(!are_scarce(&file));
        #[cfg(target_os = "linux")]
        assert!(are_plenty(&file));
        assert!(remedy().contains("LimitNOFILE="), "{}", remedy());
    }
}
