//! Reads a segment: all whole blocks, also if the end is torn.

use alloc::vec::Vec;

use super::block::{Kind, Next, after_preamble, next_block};
use super::error::TraceError;
use super::{Digest, End, EndReason, Header};
use crate::codec::decode;
use crate::control::{Control, ControlInput};
use crate::engine::{Engine, Input};
use crate::formats::v2::machine::MachineV2;
use crate::formats::v2::traced::{EndReasonV1, EndV1, HeaderV2, RecordV2};
use crate::formats::{FormatError, Version};
use crate::ids::{BootId, ProcessRef};
use crate::time::{Now, Time, Wall};

/// Later than any clock of a master: thousands of years after its start.
const LAST_MICROS: u64 = 1 << 60;

/// One item of a segment.
#[derive(Clone, Debug)]
pub enum Record {
    /// An input of the engine.
    Input {
        /// When.
        now: Now,
        /// The digest of all effects since the segment began, up to here.
        effects: u32,
        /// What.
        input: Input,
    },
    /// The fingerprint of the engine at this point.
    State(u64),
    /// An input of the machine of the control API.
    Control {
        /// When.
        now: Now,
        /// The digest of all effects of the engine up to here.
        effects: u32,
        /// What.
        input: ControlInput,
    },
    /// What followed from the input before it in the machine of the control API.
    Followed {
        /// The digest of all of its effects since the segment began.
        effects: u32,
        /// The ids of processes that it was given.
        pids: Vec<(ProcessRef, i32)>,
    },
    /// The fingerprint of the machine of the control API at this point.
    ControlState(u64),
}

/// Where reading a segment ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At its end.
    Marked(End),
    /// Within a block, this many bytes from the start: the recorder was killed, or still writes.
    Torn(usize),
    /// At a damaged block, this many bytes from the start.
    Damaged(usize, FormatError),
}

/// A segment that is being read.
#[derive(Debug)]
pub struct Reader<'a> {
    version: Version,
    header: Header,
    engine: Engine,
    control: Option<Control>,
    file: &'a [u8],
    /// The bytes after the current block.
    rest: &'a [u8],
    /// The rest of the current block.
    records: &'a [u8],
    now: Now,
    ending: Option<Ending>,
}

impl<'a> Reader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is no header that this version can read.
    pub fn new(file: &'a [u8]) -> Result<Self, TraceError> {
        let bad = TraceError::BadHeader;
        let (version, rest) = after_preamble(file)?;
        let (body, rest) = match next_block(rest) {
            Next::Block(Kind::Header, body, rest) => (body, rest),
            Next::Nothing | Next::Torn => return Err(TraceError::NoHeader),
            Next::Block(Kind::Records | Kind::End, ..) | Next::Damaged => {
                return Err(bad(FormatError::Checksum));
            }
        };
        let HeaderV2 { product, boot, sequence, started: (mono, wall), has_text, engine, control } =
            version.header(body).map_err(bad)?;
        let engine = Engine::thaw(engine).map_err(bad)?;
        let thaw = |machine: Vec<u8>| Control::thaw(decode::<MachineV2>(&machine)?, &engine);
        let control = control.map(thaw).transpose().map_err(bad)?;
        let started = now(mono, wall).map_err(bad)?;
        let header = Header { product, boot: BootId(boot), sequence, started, has_text };
        let (records, now, ending) = (&[][..], started, None);
        Ok(Self { version, header, engine, control, file, rest, records, now, ending })
    }

    /// The version of its format.
    pub const fn version(&self) -> u16 {
        self.version.number()
    }

    /// Whether its digests are those of this program: an older version is read and shown, but not
    /// compared.
    pub fn is_comparable(&self) -> bool {
        self.version == Version::NEWEST
    }

    /// Its header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The engine as it stood when the segment began.
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// The machine of the control API as it stood when the segment began, if it was recorded.
    pub fn control(&self) -> Option<Control> {
        self.control.clone()
    }

    /// Where reading ended; `None` while there is more.
    pub const fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    fn read(&mut self) -> Result<Option<Record>, Ending> {
        let here = self.file.len() - self.rest.len();
        let damaged = |reason| Ending::Damaged(here, reason);
        while self.records.is_empty() {
            match next_block(self.rest) {
                Next::Block(Kind::Records, body, rest) => {
                    (self.records, self.rest) = (body, rest);
                }
                Next::Block(Kind::End, body, rest) => {
                    let end = decode::<EndV1>(body).map_err(|error| damaged(error.into()))?;
                    self.rest = rest;
                    return Err(Ending::Marked(end.into()));
                }
                Next::Block(Kind::Header, ..) => {
                    return Err(damaged(FormatError::Contradiction("a second header follows")));
                }
                Next::Nothing | Next::Torn => return Err(Ending::Torn(here)),
                Next::Damaged => return Err(damaged(FormatError::Checksum)),
            }
        }
        let (record, records) = self.version.record(self.records).map_err(damaged)?;
        self.records = records;
        Ok(Some(match record {
            RecordV2::State(fingerprint) => Record::State(u64::from_le_bytes(fingerprint)),
            RecordV2::Input { micros, wall_micros, effects, input } => {
                self.advance(micros, wall_micros).map_err(damaged)?;
                let input = input.into_input().map_err(damaged)?;
                Record::Input { now: self.now, effects: u32::from_le_bytes(effects), input }
            }
            RecordV2::Control { micros, wall_micros, effects, input } => {
                self.advance(micros, wall_micros).map_err(damaged)?;
                let input = input.into_input().map_err(damaged)?;
                Record::Control { now: self.now, effects: u32::from_le_bytes(effects), input }
            }
            RecordV2::Followed { effects, pids } => {
                let pids = pids.into_iter().map(|(process, pid)| (process.into(), pid)).collect();
                Record::Followed { effects: u32::from_le_bytes(effects), pids }
            }
            RecordV2::ControlState(fingerprint) => {
                Record::ControlState(u64::from_le_bytes(fingerprint))
            }
        }))
    }

    fn advance(&mut self, micros: i64, wall_micros: i64) -> Result<(), FormatError> {
        let later = |time: u64, by: i64| time.wrapping_add(by.cast_unsigned());
        let mono = later(self.now.mono.as_micros(), micros);
        self.now = now(mono, later(self.now.wall.as_micros(), wall_micros))?;
        Ok(())
    }
}

impl Iterator for Reader<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.ending.is_some() {
            return None;
        }
        match self.read() {
            Ok(record) => record,
            Err(ending) => {
                self.ending = Some(ending);
                None
            }
        }
    }
}

fn now(mono: u64, wall: u64) -> Result<Now, FormatError> {
    if mono > LAST_MICROS {
        return Err(FormatError::TooLarge("a time"));
    }
    Ok(Now { mono: Time::from_micros(mono), wall: Wall::from_micros(wall) })
}

impl From<EndV1> for End {
    fn from(end: EndV1) -> Self {
        let why = match end.why {
            EndReasonV1::Continued => EndReason::Continued,
            EndReasonV1::Lost(inputs) => EndReason::Lost(inputs),
            EndReasonV1::Finished => EndReason::Finished,
            EndReasonV1::Panicked => EndReason::Panicked,
        };
        Self { why, effects: end.effects.map(Digest), state: end.state }
    }
}
