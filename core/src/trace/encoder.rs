//! Writes a segment: returns bytes to append to a file, in order.

use alloc::vec::Vec;

use super::block::{Kind, preamble, push_block};
use super::{Digest, End, EndReason, Header};
use crate::codec::{encode, encode_onto};
use crate::control::{Control, ControlInput};
use crate::engine::{Engine, Input};
use crate::formats::Masks;
use crate::formats::v2::machine::ControlInputV2;
use crate::formats::v2::traced::{EndReasonV1, EndV1, HeaderV2, InputV2, RecordV2};
use crate::ids::ProcessRef;
use crate::time::Now;

/// A block is closed when its records have this size: small compared with a segment, and large
/// compared with the head of a block.
const BLOCK_BYTES: usize = 64 * 1024;

/// A machine of the control API that takes more than this is left out: with many keys of many rules
/// it would fill the trace.
const MACHINE_MAX_BYTES: usize = 2 * 1024 * 1024;

/// The segment being written. Texts that may be secret are masked.
#[derive(Debug)]
pub struct Encoder {
    masks: Masks,
    has_text: bool,
    last: Now,
    records: Vec<u8>,
    /// Where the last record begins.
    last_record: usize,
    out: Vec<u8>,
}

impl Encoder {
    /// Starts a segment with the current engine, which has no pending effects.
    pub fn begin(header: &Header, engine: &Engine) -> Self {
        Self::with_masks(header, engine, None, Masks::default())
    }

    /// The same with the machine of the control API beside the engine, which has none either.
    pub fn begin_beside(header: &Header, engine: &Engine, control: Option<&Control>) -> Self {
        Self::with_masks(header, engine, control, Masks::default())
    }

    pub(super) fn with_masks(
        header: &Header,
        engine: &Engine,
        control: Option<&Control>,
        mut masks: Masks,
    ) -> Self {
        let Header { product, boot, sequence, started, has_text } = header;
        let body = encode(HeaderV2 {
            product: product.clone(),
            boot: boot.0,
            sequence: *sequence,
            started: (started.mono.as_micros(), started.wall.as_micros()),
            has_text: *has_text,
            engine: engine.freeze(&mut masks),
            control: control.and_then(|control| machine(control, engine, &mut masks)),
        });
        let mut out = preamble();
        push_block(&mut out, Kind::Header, &body);
        Self {
            masks,
            has_text: *has_text,
            last: *started,
            records: Vec::new(),
            last_record: 0,
            out,
        }
    }

    /// Records an input before the engine handles it; `effects` is the digest of all effects since
    /// the start of the segment.
    pub fn input(&mut self, now: Now, effects: Digest, input: &Input) {
        let (micros, wall_micros) = self.passed(now);
        let effects = effects.short().to_le_bytes();
        let input = InputV2::new(input, self.has_text, &mut self.masks);
        self.push(RecordV2::Input { micros, wall_micros, effects, input });
    }

    /// Records an input of the machine of the control API before it handles it.
    pub fn control(&mut self, now: Now, effects: Digest, input: &ControlInput) {
        let Some(input) = ControlInputV2::new(input, &mut self.masks) else { return };
        let (micros, wall_micros) = self.passed(now);
        let effects = effects.short().to_le_bytes();
        self.push(RecordV2::Control { micros, wall_micros, effects, input });
    }

    /// Records what followed from the last input in the machine of the control API: the digest of
    /// all of its effects since the start of the segment, and the ids of processes that it was
    /// given.
    pub fn followed(&mut self, effects: Digest, pids: &[(ProcessRef, i32)]) {
        let pids = pids.iter().map(|(process, pid)| ((*process).into(), *pid)).collect();
        self.push(RecordV2::Followed { effects: effects.short().to_le_bytes(), pids });
    }

    /// Records the fingerprint of the machine of the control API after the last input.
    pub fn control_state(&mut self, fingerprint: u64) {
        self.push(RecordV2::ControlState(fingerprint.to_le_bytes()));
    }

    /// Records the fingerprint of the engine after the last input.
    pub fn state(&mut self, fingerprint: u64) {
        self.push(RecordV2::State(fingerprint.to_le_bytes()));
    }

    /// Leaves the last record out, if it was not taken yet. Nothing may be recorded after that.
    pub fn undo(&mut self) {
        self.records.truncate(self.last_record);
    }

    /// How many bytes [`Encoder::take`] would give, but for the head of a block.
    pub fn waiting_bytes(&self) -> usize {
        self.out.len() + self.records.len()
    }

    /// The bytes to append to the file now: only whole blocks.
    pub fn take(&mut self) -> Vec<u8> {
        self.close_block();
        core::mem::take(&mut self.out)
    }

    /// Ends the segment: the last bytes of the file.
    pub fn end(mut self, end: &End) -> Vec<u8> {
        self.close_block();
        let why = match end.why {
            EndReason::Continued => EndReasonV1::Continued,
            EndReason::Lost(inputs) => EndReasonV1::Lost(inputs),
            EndReason::Finished => EndReasonV1::Finished,
            EndReason::Panicked => EndReasonV1::Panicked,
        };
        let effects = end.effects.map(|Digest(digest)| digest);
        push_block(&mut self.out, Kind::End, &encode(EndV1 { why, effects, state: end.state }));
        self.out
    }

    /// The time that passed on both clocks since the last input.
    fn passed(&mut self, now: Now) -> (i64, i64) {
        let passed = |now: u64, last: u64| now.wrapping_sub(last).cast_signed();
        let micros = passed(now.mono.as_micros(), self.last.mono.as_micros());
        let wall_micros = passed(now.wall.as_micros(), self.last.wall.as_micros());
        self.last = now;
        (micros, wall_micros)
    }

    fn push(&mut self, record: RecordV2) {
        if self.records.len() >= BLOCK_BYTES {
            self.close_block();
        }
        self.last_record = self.records.len();
        encode_onto(&mut self.records, record);
    }

    fn close_block(&mut self) {
        if !self.records.is_empty() {
            push_block(&mut self.out, Kind::Records, &self.records);
            self.records.clear();
            self.last_record = 0;
        }
    }
}

/// The machine as bytes, if it is not too large.
fn machine(control: &Control, engine: &Engine, masks: &mut Masks) -> Option<Vec<u8>> {
    let bytes = encode(control.freeze(engine, masks));
    (bytes.len() <= MACHINE_MAX_BYTES).then_some(bytes)
}
