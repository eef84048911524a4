//! Writes a segment: returns bytes to append to a file, in order.

use alloc::vec::Vec;

use super::block::{Kind, preamble, push_block};
use super::{Digest, End, EndReason, Header};
use crate::codec::{encode, encode_onto};
use crate::engine::{Engine, Input};
use crate::formats::Masks;
use crate::formats::v2::traced::{EndReasonV1, EndV1, HeaderV2, InputV2, RecordV2};
use crate::time::Now;

/// A block is closed when its records have this size: small compared with a segment, and large
/// compared with the head of a block.
const BLOCK_BYTES: usize = 64 * 1024;

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
        Self::with_masks(header, engine, Masks::default())
    }

    pub(super) fn with_masks(header: &Header, engine: &Engine, mut masks: Masks) -> Self {
        let Header { product, boot, sequence, started, has_text } = header;
        let body = encode(HeaderV2 {
            product: product.clone(),
            boot: boot.0,
            sequence: *sequence,
            started: (started.mono.as_micros(), started.wall.as_micros()),
            has_text: *has_text,
            engine: engine.freeze(&mut masks),
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
        let passed = |now: u64, last: u64| now.wrapping_sub(last).cast_signed();
        let record = RecordV2::Input {
            micros: passed(now.mono.as_micros(), self.last.mono.as_micros()),
            wall_micros: passed(now.wall.as_micros(), self.last.wall.as_micros()),
            effects: effects.short().to_le_bytes(),
            input: InputV2::new(input, self.has_text, &mut self.masks),
        };
        self.last = now;
        self.push(record);
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
