//! One file that is being written, and its bound.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use openctrl_core::control::{Control, ControlInput};
use openctrl_core::engine::{Engine, Input};
use openctrl_core::ids::{BootId, ProcessRef};
use openctrl_core::time::Now;
use openctrl_core::trace::{Digest, Encoder, End, EndReason, Header};

use super::files;
use crate::file_identity::{FileIdentity, Place};

/// An upper bound on the end of a segment, with the head of the block before it.
const END_BYTES: u64 = 128;

/// Where a trace goes.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// Made if need be.
    pub(crate) directory: PathBuf,
    /// What all files together may take.
    pub(crate) total_bytes: u64,
    /// Whether the text of log lines is recorded.
    pub(crate) has_text: bool,
    /// This run of the master.
    pub(crate) boot: BootId,
    /// The version of this program.
    pub(crate) product: String,
}

/// A segment under way.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    file: File,
    identity: FileIdentity,
    encoder: Encoder,
    /// How many bytes of it are in the file, all of them whole blocks.
    written: u64,
    limit: u64,
    /// Inputs that came when it was at its limit.
    lost: u64,
}

/// Why there is no segment.
#[derive(Debug)]
pub(super) enum Refused {
    /// The header alone would have this many bytes, too many for the size of the trace.
    TooLarge(u64),
    Io(io::Error),
}

impl Segment {
    /// Begins a file. A segment is an eighth of all of them, so that the oldest go a little at a
    /// time, but longer where the state it begins with is large.
    pub(super) fn begin(
        to: &Destination,
        header: &Header,
        engine: &Engine,
        control: Option<&Control>,
    ) -> Result<Self, Refused> {
        let mut encoder = Encoder::begin_beside(header, engine, control);
        let head = encoder.take();
        let (total, head_bytes) = (to.total_bytes, head.len() as u64);
        if head_bytes > total / 4 {
            return Err(Refused::TooLarge(head_bytes));
        }
        let limit = (total / 8).max(head_bytes * 4).min(total / 2);
        let created = files::create(&to.directory, header, limit, total);
        let (path, file) = created.map_err(Refused::Io)?;
        let identity = FileIdentity::of(&file).map_err(Refused::Io)?;
        let mut segment = Self { path, file, identity, encoder, written: 0, limit, lost: 0 };
        if let Err(error) = segment.append(&head) {
            // An empty one takes no room, so that nothing would ever remove it.
            let _ = fs::remove_file(&segment.path);
            return Err(Refused::Io(error));
        }
        Ok(segment)
    }

    pub(super) fn input(&mut self, now: Now, effects: Digest, input: &Input) {
        self.record(|encoder| encoder.input(now, effects, input));
    }

    pub(super) fn control(&mut self, now: Now, effects: Digest, input: &ControlInput) {
        self.record(|encoder| encoder.control(now, effects, input));
    }

    /// Records an input, or counts it as lost if there is no room for it.
    fn record(&mut self, record: impl FnOnce(&mut Encoder)) {
        if self.lost == 0 {
            record(&mut self.encoder);
        }
        if self.lost > 0 || self.bytes() + END_BYTES > self.limit {
            if self.lost == 0 {
                self.encoder.undo();
            }
            self.lost += 1;
        }
    }

    pub(super) fn state(&mut self, fingerprint: u64) {
        if self.lost == 0 {
            self.encoder.state(fingerprint);
        }
    }

    pub(super) fn followed(&mut self, effects: Digest, pids: &[(ProcessRef, i32)]) {
        if self.lost == 0 {
            self.encoder.followed(effects, pids);
        }
    }

    pub(super) fn control_state(&mut self, fingerprint: u64) {
        if self.lost == 0 {
            self.encoder.control_state(fingerprint);
        }
    }

    /// Whether another one is needed: pending messages must fit in this one.
    pub(super) fn is_nearly_full(&self) -> bool {
        self.lost > 0 || self.bytes() >= self.limit / 4 * 3
    }

    /// Whether the file was removed, renamed or replaced: further writes would be lost.
    pub(super) fn is_displaced(&self) -> bool {
        self.identity.place(&self.path).is_ok_and(|place| place != Place::Same)
    }

    /// Brings the file up to date.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let bytes = self.encoder.take();
        self.append(&bytes)
    }

    /// Ends the file.
    pub(super) fn end(mut self, end: End) -> io::Result<()> {
        self.write()?;
        let end = match (self.lost, end.why) {
            (0, _) => end,
            (lost, EndReason::Lost(more)) => lost_end(lost + more),
            (lost, EndReason::Continued | EndReason::Finished | EndReason::Panicked) => {
                lost_end(lost)
            }
        };
        let Self { mut file, encoder, .. } = self;
        file.write_all(&encoder.end(&end))
    }

    fn bytes(&self) -> u64 {
        self.written + self.encoder.waiting_bytes() as u64
    }

    /// Appends whole blocks, or nothing: a part of a block would only take room.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.file.write_all(bytes);
        match result {
            Ok(()) => self.written += bytes.len() as u64,
            Err(_) => drop(self.file.set_len(self.written)),
        }
        result
    }
}

fn lost_end(inputs: u64) -> End {
    End { why: EndReason::Lost(inputs), effects: None, state: None }
}
