//! The processes that another keeper started: no children of this one, so that the system tells of
//! their end by a descriptor each, as long as there are plenty: their outputs are needed more.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use openctrl_core::ids::RunId;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::descriptors::are_plenty;

/// How many ends are taken at a time.
const ENDS_PER_TURN: usize = 64;

/// The processes, and their handles as far as they have any.
pub(super) struct Held {
    watched: OwnedFd,
    runs: HashMap<RunId, Option<(u64, OwnedFd)>>,
    /// The runs of handles, by the numbers that the system knows them by.
    numbers: HashMap<u64, RunId>,
    last: u64,
}

impl Held {
    pub(super) fn new() -> io::Result<Self> {
        let watched = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { watched, runs: HashMap::new(), numbers: HashMap::new(), last: 0 })
    }

    /// Watches a process by its handle; without one it is kept among the others.
    pub(super) fn insert(&mut self, run: RunId, handle: Option<OwnedFd>) {
        self.remove(run);
        self.last += 1;
        let (number, event) = (self.last, EventData::new_u64(self.last));
        let handle = handle.filter(|handle| {
            let is_watched = epoll::add(&self.watched, handle, event, EventFlags::IN).is_ok();
            are_plenty(handle) && is_watched
        });
        if handle.is_some() {
            self.numbers.insert(number, run);
        }
        self.runs.insert(run, handle.map(|handle| (number, handle)));
    }

    /// Closing a handle ends its watch.
    pub(super) fn remove(&mut self, run: RunId) {
        if let Some(Some((number, _))) = self.runs.remove(&run) {
            self.numbers.remove(&number);
        }
    }

    pub(super) fn handle(&self, run: RunId) -> Option<&OwnedFd> {
        self.runs.get(&run)?.as_ref().map(|(_, handle)| handle)
    }

    /// Can be read when one has ended.
    pub(super) const fn ended(&self) -> &OwnedFd {
        &self.watched
    }

    /// Those without a handle.
    pub(super) fn unwatched(&self) -> Vec<RunId> {
        let unwatched = self.runs.iter().filter(|(_, handle)| handle.is_none());
        unwatched.map(|(run, _)| *run).collect()
    }

    /// Some that have ended; they are no longer watched.
    pub(super) fn take_ended(&mut self) -> Vec<RunId> {
        let mut events = Vec::with_capacity(ENDS_PER_TURN);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let space = rustix::buffer::spare_capacity(&mut events);
        if epoll::wait(&self.watched, space, Some(&now)).is_err() {
            return Vec::new();
        }
        let numbers = events.iter().map(|event: &Event| event.data.u64());
        let ended: Vec<RunId> =
            numbers.filter_map(|number| self.numbers.get(&number).copied()).collect();
        ended.iter().for_each(|run| self.remove(*run));
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use std::process::{Child, Command};

    fn child() -> (Child, OwnedFd) {
        let child = Command::new("sleep").arg("1000").spawn().expect("there is a sleep");
        let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::NONBLOCK);
        (child, handle.expect("it runs"))
    }

    #[test]
    fn each_end_is_taken_once() {
        let mut held = Held::new().expect("a descriptor");
        let mut children: Vec<Child> = Vec::new();
        for run in 0..3 {
            let (child, handle) = child();
            children.push(child);
            held.insert(RunId(run), Some(handle));
        }
        held.insert(RunId(3), None);
        assert_eq!((held.take_ended(), held.unwatched()), (vec![], vec![RunId(3)]));
        held.remove(RunId(0));
        for child in &mut children {
            child.kill().expect("it is a child");
            child.wait().expect("it is a child");
        }
        let mut ended = held.take_ended();
        ended.sort();
        assert_eq!(ended, [RunId(1), RunId(2)]);
        assert_eq!(held.take_ended(), []);
        assert!(held.handle(RunId(1)).is_none());
    }
}
