//! What became of processes as plain data, and back: a part of the frozen engine.

use alloc::boxed::Box;
use alloc::string::String;

use super::numbers::{count, nth, number_of};
use crate::formats::v2::engine::{FactsV2, LastEndV1, ReasonV2};
use crate::formats::{FormatError, Masks};
use crate::ids::{Generation, ProcessRef, SlotId};
use crate::instance::{
    End, LastExit, NextRun, ProcessFacts, Quote, Reason, RestartLimit, Status, Why,
};
use crate::process::Exit;
use crate::time::{Now, Time, Wall};

pub(super) const WHYS: [Why; 4] = [Why::Shutdown, Why::Operation, Why::Stop, Why::Restart];

impl FactsV2 {
    pub(super) fn new(facts: &ProcessFacts, masks: &mut Masks) -> Self {
        let ProcessFacts { starts, failures, restarts, exits, .. } = facts;
        let alive = facts.alive.map(|(process, since)| {
            let since = [since.mono.as_micros(), since.wall.as_micros()];
            (process.slot.0, process.generation.0, since)
        });
        let last_exit = facts.last_exit.as_ref();
        Self {
            status: number_of(&Status::ALL, facts.status),
            alive,
            counts: [*starts, *failures, *restarts, *exits],
            last_exit: last_exit
                .map(|exit| (exit.time.as_micros(), LastEndV1::new(&exit.end, masks))),
            next_restart: facts.next_restart.map(|(at, delay_ms)| (at.as_micros(), delay_ms)),
            reason: ReasonV2::new(&facts.reason, masks),
            limit_reached: facts.limit_reached.map(|limit| (limit.max, limit.window_ms)),
            ready: facts.ready,
            waits_for: facts.waits_for.as_deref().map(|name| masks.alias(name)),
            next_run: facts
                .next_run
                .as_ref()
                .map(|next| (next.at.map(Wall::as_micros), String::from(&*next.text))),
        }
    }

    /// # Errors
    /// What no engine can have been.
    pub(super) fn thaw(self) -> Result<ProcessFacts, FormatError> {
        let [starts, failures, restarts, exits] = self.counts;
        let alive = self.alive.map(|(slot, generation, [mono, wall])| {
            let since = Now { mono: Time::from_micros(mono), wall: Wall::from_micros(wall) };
            (ProcessRef { slot: SlotId(slot), generation: Generation(generation) }, since)
        });
        let last_exit = self.last_exit.map(|(time, end)| {
            let time = Wall::from_micros(time);
            LastExit { time, end: end.thaw() }
        });
        Ok(ProcessFacts {
            status: *nth(&Status::ALL, self.status)?,
            alive,
            starts: count(starts)?,
            failures: count(failures)?,
            restarts: count(restarts)?,
            exits: count(exits)?,
            last_exit,
            next_restart: self.next_restart.map(|(at, ms)| (Wall::from_micros(at), ms)),
            reason: self.reason.thaw()?,
            limit_reached: self
                .limit_reached
                .map(|(max, window_ms)| RestartLimit { max, window_ms }),
            ready: self.ready,
            waits_for: self.waits_for.map(Into::into),
            next_run: self.next_run.map(|(at, text)| {
                Box::new(NextRun { at: at.map(Wall::from_micros), text: text.into() })
            }),
            // An engine is frozen between two inputs: they were shown.
            changed: false,
        })
    }
}

impl ReasonV2 {
    fn new(reason: &Reason, masks: &mut Masks) -> Self {
        match reason {
            Reason::None => Self::None,
            Reason::Stopping(why) => Self::Stopping(number_of(&WHYS, *why)),
            Reason::CannotEnd { why, held } => {
                let held = held.as_deref().map(|held| masks.prose(held));
                Self::CannotEnd(number_of(&WHYS, *why), held)
            }
            Reason::Stopped(why) => Self::Stopped(number_of(&WHYS, *why)),
            Reason::Exited(Exit::Code(code)) => Self::Code(*code),
            Reason::Exited(Exit::Signal(signal)) => Self::Signal(*signal),
            Reason::NotStarted(reason) => Self::NotStarted(masks.prose(reason)),
            Reason::Complained(line) => Self::Complained(masks.text(line.as_str())),
            Reason::Silent { ms } => Self::Silent(*ms),
            Reason::NotReady { ms } => Self::NotReady(*ms),
            Reason::FileChanged(path) => Self::FileChanged(masks.prose(path)),
            Reason::NotLive(failure) => Self::NotLive(masks.prose(failure)),
            Reason::LeaseExpired => Self::LeaseExpired,
        }
    }

    fn thaw(self) -> Result<Reason, FormatError> {
        Ok(match self {
            Self::None => Reason::None,
            Self::Stopping(why) => Reason::Stopping(*nth(&WHYS, why)?),
            Self::CannotEnd(why, held) => {
                Reason::CannotEnd { why: *nth(&WHYS, why)?, held: held.map(Into::into) }
            }
            Self::Stopped(why) => Reason::Stopped(*nth(&WHYS, why)?),
            Self::Code(code) => Reason::Exited(Exit::Code(code)),
            Self::Signal(signal) => Reason::Exited(Exit::Signal(signal)),
            Self::NotStarted(reason) => Reason::NotStarted(reason.into()),
            Self::Complained(line) => Reason::Complained(Quote::new(line.as_bytes())),
            Self::Silent(ms) => Reason::Silent { ms },
            Self::NotReady(ms) => Reason::NotReady { ms },
            Self::FileChanged(path) => Reason::FileChanged(path.into()),
            Self::NotLive(failure) => Reason::NotLive(failure.into()),
            Self::LeaseExpired => Reason::LeaseExpired,
        })
    }
}

impl LastEndV1 {
    fn new(end: &End, masks: &mut Masks) -> Self {
        let ended = |exit, is_requested| match exit {
            Exit::Code(code) => Self::Code(code, is_requested),
            Exit::Signal(signal) => Self::Signal(signal, is_requested),
        };
        match end {
            End::Own(exit) => ended(*exit, false),
            End::Requested(exit) => ended(*exit, true),
            End::NotStarted(reason) => Self::NotStarted(masks.prose(reason)),
        }
    }

    fn thaw(self) -> End {
        let ended = |exit, is_requested: bool| {
            if is_requested { End::Requested(exit) } else { End::Own(exit) }
        };
        match self {
            Self::Code(code, is_requested) => ended(Exit::Code(code), is_requested),
            Self::Signal(signal, is_requested) => ended(Exit::Signal(signal), is_requested),
            Self::NotStarted(reason) => End::NotStarted(reason),
        }
    }
}
