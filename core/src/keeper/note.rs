//! The note about a run that a master stores with the keeper, so that the next one shows the same
//! facts.

use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode, decode, encode};
use crate::instance::{End, LastExit, Launch, ProcessFacts};
use crate::process::Exit;
use crate::time::Wall;

/// The version of the bytes.
const VERSION: u8 = 1;

/// The longest reason of a failed start that is stored, in bytes.
const REASON_MAX_BYTES: usize = 512;

/// The facts about the processes of an instance that the next master shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// What was known when its process was ordered; `None` without a process.
    pub ordered: Option<Ordered>,
    /// The start time of its process as it was shown; `None` before that.
    pub started: Option<Wall>,
    /// How many processes were started.
    pub starts: u64,
    /// How many starts failed.
    pub failures: u64,
    /// How often it was restarted after a failure.
    pub restarts: u64,
    /// How many processes exited.
    pub exits: u64,
    /// The last exit.
    pub last_exit: Option<LastExit>,
}

/// What was known of an instance when a process of it was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// [`Launch::mark`] of its command.
    pub launch: u64,
    /// How many processes had exited.
    pub exits: u64,
}

#[derive(Encode, Decode)]
struct NoteV1 {
    version: u8,
    ordered: Option<(u64, u64)>,
    started: Option<u64>,
    counts: [u64; 4],
    last_exit: Option<(u64, EndV1)>,
}

#[derive(Encode, Decode)]
enum EndV1 {
    Code(i32, bool),
    Signal(i32, bool),
    NotStarted(String),
}

impl Note {
    /// The note of these facts.
    pub fn of(facts: &ProcessFacts) -> Self {
        Self {
            ordered: None,
            started: facts.alive.map(|(_, since)| since.wall),
            starts: facts.starts,
            failures: facts.failures,
            restarts: facts.restarts,
            exits: facts.exits,
            last_exit: facts.last_exit.clone(),
        }
    }

    /// The note with which a process is ordered that runs `launch`.
    #[must_use]
    pub fn ordering(self, launch: &Launch) -> Self {
        let ordered = Ordered { launch: launch.mark(), exits: self.exits };
        Self { ordered: Some(ordered), ..self }
    }

    /// Whether the exit of its process is among the counts.
    pub fn has_exited(&self) -> bool {
        self.ordered.is_some_and(|ordered| self.exits > ordered.exits)
    }

    /// Restores these facts in a new master, except those about the process.
    pub fn recall(&self, facts: &mut ProcessFacts) {
        let Self { ordered: _, started: _, starts, failures, restarts, exits, last_exit } = self;
        facts.go_on((*starts, *failures, *restarts, *exits), last_exit.clone());
    }

    /// Its bytes, at most [`super::NOTE_MAX_BYTES`].
    pub fn encode(&self) -> Vec<u8> {
        let Self { ordered, started, starts, failures, restarts, exits, last_exit } = self;
        encode(NoteV1 {
            version: VERSION,
            ordered: ordered.map(|Ordered { launch, exits }| (launch, exits)),
            started: started.map(Wall::as_micros),
            counts: [*starts, *failures, *restarts, *exits],
            last_exit: last_exit.as_ref().map(|exit| (exit.time.as_micros(), (&exit.end).into())),
        })
    }

    /// Reads a note; one of an unknown version is empty.
    pub fn decode(bytes: &[u8]) -> Self {
        let Ok(NoteV1 { version: VERSION, ordered, started, counts, last_exit }) = decode(bytes)
        else {
            return Self::default();
        };
        let [starts, failures, restarts, exits] = counts;
        let last_exit = last_exit
            .map(|(time, end)| LastExit { time: Wall::from_micros(time), end: end.into() });
        let started = started.map(Wall::from_micros);
        let ordered = ordered.map(|(launch, exits)| Ordered { launch, exits });
        Self { ordered, started, starts, failures, restarts, exits, last_exit }
    }
}

impl From<&End> for EndV1 {
    fn from(end: &End) -> Self {
        let (exit, is_requested) = match end {
            End::Own(exit) => (*exit, false),
            End::Requested(exit) => (*exit, true),
            End::NotStarted(reason) => {
                let cut = reason.floor_char_boundary(REASON_MAX_BYTES);
                return Self::NotStarted(reason[..cut].into());
            }
        };
        match exit {
            Exit::Code(code) => Self::Code(code, is_requested),
            Exit::Signal(signal) => Self::Signal(signal, is_requested),
        }
    }
}

impl From<EndV1> for End {
    fn from(end: EndV1) -> Self {
        let (exit, is_requested) = match end {
            EndV1::Code(code, is_requested) => (Exit::Code(code), is_requested),
            EndV1::Signal(signal, is_requested) => (Exit::Signal(signal), is_requested),
            EndV1::NotStarted(reason) => return Self::NotStarted(reason),
        };
        if is_requested { Self::Requested(exit) } else { Self::Own(exit) }
    }
}
