//! The beginning of a trace, with the digests that were recorded.

use openctrl_core::trace::{Digest, Encoder, End, EndReason, Ending, Reader, Record};

/// A segment up to the end of an input, counted from 1 as in its replay, and how many inputs it
/// had. Inputs of the machine of the control API count as well.
///
/// # Errors
/// Why the segment cannot be read.
pub(super) fn cut_after(segment: &[u8], number: u64) -> Result<(Vec<u8>, usize), String> {
    let mut reader = Reader::new(segment).map_err(|error| error.to_string())?;
    let mut header = reader.header().clone();
    header.has_text = false;
    let mut encoder = Encoder::begin_beside(&header, &reader.engine(), reader.control().as_ref());
    let (mut inputs, mut next) = (0, None);
    for record in &mut reader {
        if let Record::Input { effects, .. } | Record::Control { effects, .. } = &record {
            inputs += 1;
            if inputs == number + 1 {
                next = Some(whole(*effects));
            }
        }
        if inputs <= number {
            copy(&mut encoder, record);
        }
    }
    let end = match reader.ending() {
        Some(Ending::Marked(end)) if inputs <= number => *end,
        Some(Ending::Marked(_) | Ending::Torn(_) | Ending::Damaged(..)) | None => {
            End { why: EndReason::Continued, effects: next, state: None }
        }
    };
    Ok((encoder.end(&end), usize::try_from(inputs).unwrap_or(usize::MAX)))
}

fn copy(encoder: &mut Encoder, record: Record) {
    match record {
        Record::Input { now, effects, input } => encoder.input(now, whole(effects), &input),
        Record::Control { now, effects, input } => encoder.control(now, whole(effects), &input),
        Record::Followed { effects, pids } => encoder.followed(whole(effects), &pids),
        Record::State(fingerprint) => encoder.state(fingerprint),
        Record::ControlState(fingerprint) => encoder.control_state(fingerprint),
    }
}

/// A digest of which the upper half is known.
fn whole(short: u32) -> Digest {
    Digest(u64::from(short) << 32)
}
