//! Tests that mostly wait, run side by side.
//!
//! The test runner uses as many threads as there are cores; tests that watch a clock for ten
//! seconds would queue behind each other. A [`Group`] starts all of them when the first is asked
//! for; each test then reports its own member.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::thread::{self, JoinHandle};

type Member = (&'static str, fn());

/// Functions that run at the same time, each reported as a test of its own.
pub struct Group {
    members: &'static [Member],
    running: OnceLock<Mutex<BTreeMap<&'static str, JoinHandle<()>>>>,
}

impl Group {
    /// A group that is not started yet. Used by [`crate::together!`].
    pub const fn new(members: &'static [Member]) -> Self {
        Self { members, running: OnceLock::new() }
    }

    /// Starts the group unless it runs, waits for `name` and fails as it failed.
    pub fn join(&self, name: &str) {
        let running = self.running.get_or_init(|| {
            let start = |(name, run): &Member| (*name, thread::spawn(*run));
            Mutex::new(self.members.iter().map(start).collect())
        });
        let handle = running.lock().expect("no holder panics").remove(name);
        let result = handle.expect("each member is reported once").join();
        if let Err(panic) = result {
            panic!("{name}: {}", message(panic.as_ref()));
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked")
}

/// Makes a test of each named function and lets all of them run side by side.
#[macro_export]
macro_rules! together {
    ($($name:ident),+ $(,)?) => {
        mod together {
            static GROUP: $crate::group::Group =
                $crate::group::Group::new(&[$((stringify!($name), super::$name as fn())),+]);
            $(
                #[test]
                fn $name() {
                    GROUP.join(stringify!($name));
                }
            )+
        }
    };
}
