//! Encodes the items of a read of output. They are nearly all of the trace of a busy process, so
//! the encoding is hand-written, with each checkpoint as the difference to the previous one.
//!
//! A number takes seven bits of each byte, the lowest first; the highest bit means that more
//! follow.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::checkpoint::Checkpoint;
use crate::formats::FormatError;
use crate::output::{LogLine, OutputItem};
use crate::stream::Stream;

/// A whole line without a mark: its length follows.
const LOG: u8 = 0;
/// Any other line: its length, the number of bytes cut, and its marks: 1 for an error, 2 for ready.
const OTHER_LOG: u8 = 1;
/// A checkpoint with all fields: their differences.
const CHECKPOINT: u8 = 2;
/// The same without some fields: first which, one bit each.
const PARTIAL_CHECKPOINT: u8 = 3;

/// First of all: the items are of standard error.
const STDERR: u8 = 4;

/// How many fields a checkpoint has.
const FIELDS: usize = 9;

/// The items of a stream as bytes.
pub(super) fn encode_items(stream: Stream, items: &[OutputItem]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.len() * 16);
    if stream == Stream::Stderr {
        out.push(STDERR);
    }
    let mut last = [0; FIELDS];
    for item in items {
        match item {
            OutputItem::Log(line) if line.cut_bytes == 0 && !line.is_error && !line.is_ready => {
                out.push(LOG);
                put(&mut out, line.kept_bytes().into());
            }
            OutputItem::Log(line) => {
                out.push(OTHER_LOG);
                put(&mut out, line.kept_bytes().into());
                put(&mut out, line.cut_bytes);
                out.push(u8::from(line.is_error) | u8::from(line.is_ready) << 1);
            }
            OutputItem::Checkpoint(point) => put_checkpoint(&mut out, point, &mut last),
        }
    }
    out
}

/// Decodes the items, and their stream. Lines follow one another in their text.
///
/// # Errors
/// A description of the invalid bytes.
pub(super) fn decode_items(bytes: &[u8]) -> Result<(Stream, Vec<OutputItem>), FormatError> {
    let mut items = Vec::new();
    let (stream, bytes) = match bytes.split_first() {
        Some((&STDERR, rest)) => (Stream::Stderr, rest),
        Some(_) | None => (Stream::Stdout, bytes),
    };
    let (mut rest, mut last, mut start) = (bytes, [0; FIELDS], 0u32);
    let mut log = |bytes: u64, cut_bytes, marks: u64| {
        let end = u32::try_from(bytes).ok().and_then(|bytes| start.checked_add(bytes));
        let end = end.ok_or(FormatError::TooLarge("the text of a batch"))?;
        let (is_error, is_ready) = (marks & 1 != 0, marks & 2 != 0);
        let line = LogLine { start, end, cut_bytes, is_error, is_ready };
        start = end;
        Ok::<_, FormatError>(OutputItem::Log(line))
    };
    while let Some((tag, after)) = rest.split_first() {
        rest = after;
        items.push(match *tag {
            LOG => log(number(&mut rest)?, 0, 0)?,
            OTHER_LOG => {
                let (bytes, cut_bytes) = (number(&mut rest)?, number(&mut rest)?);
                log(bytes, cut_bytes, number(&mut rest)?)?
            }
            CHECKPOINT => checkpoint(&mut rest, 0, &mut last)?,
            PARTIAL_CHECKPOINT => {
                let missing = number(&mut rest)?;
                checkpoint(&mut rest, missing, &mut last)?
            }
            _ => return Err(FormatError::Unknown("a kind of output")),
        });
    }
    Ok((stream, items))
}

fn put_checkpoint(out: &mut Vec<u8>, point: &Checkpoint, last: &mut [u64; FIELDS]) {
    let Checkpoint { mode, ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx } = *point;
    let [mode, ping, pool, tcps, udps] =
        [mode, ping, pool, tcps, udps].map(|gauge| gauge.map(|gauge| i64::from(gauge) as u64));
    let fields = [mode, ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx];
    let missing = (0..)
        .zip(fields)
        .fold(0, |bits, (index, field)| bits | u64::from(field.is_none()) << index);
    if missing == 0 {
        out.push(CHECKPOINT);
    } else {
        out.push(PARTIAL_CHECKPOINT);
        put(out, missing);
    }
    for (field, last) in fields.into_iter().zip(last) {
        if let Some(value) = field {
            let difference = value.wrapping_sub(*last).cast_signed();
            // Small ones of either sign become small numbers.
            put(out, ((difference << 1) ^ (difference >> 63)).cast_unsigned());
            *last = value;
        }
    }
}

fn checkpoint(
    rest: &mut &[u8],
    missing: u64,
    last: &mut [u64; FIELDS],
) -> Result<OutputItem, FormatError> {
    let mut fields = [None; FIELDS];
    for (index, (field, last)) in fields.iter_mut().zip(last).enumerate() {
        if missing >> index & 1 == 0 {
            let folded = number(rest)?;
            let difference = (folded >> 1) ^ (folded & 1).wrapping_neg();
            *last = last.wrapping_add(difference);
            *field = Some(*last);
        }
    }
    let [mode, ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx] = fields;
    let gauge = |field: Option<u64>| match field.map(|value| i32::try_from(value.cast_signed())) {
        Some(Err(_)) => Err(FormatError::TooLarge("a gauge")),
        Some(Ok(gauge)) => Ok(Some(gauge)),
        None => Ok(None),
    };
    Ok(OutputItem::Checkpoint(Box::new(Checkpoint {
        mode: gauge(mode)?,
        ping: gauge(ping)?,
        pool: gauge(pool)?,
        tcps: gauge(tcps)?,
        udps: gauge(udps)?,
        tcprx,
        tcptx,
        udprx,
        udptx,
    })))
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number(rest: &mut &[u8]) -> Result<u64, FormatError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) =
            rest.split_first().ok_or(FormatError::Missing("the end of the output"))?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(FormatError::TooLarge("a number in the output"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn item() -> impl Strategy<Value = OutputItem> {
        let gauge = || proptest::option::weighted(0.9, any::<i32>());
        let total = || proptest::option::weighted(0.9, prop_oneof![any::<u64>(), 0..300u64]);
        let gauges = [gauge(), gauge(), gauge(), gauge(), gauge()];
        let totals = [total(), total(), total(), total()];
        let point = (gauges, totals).prop_map(|(gauges, totals)| {
            let ([mode, ping, pool, tcps, udps], [tcprx, tcptx, udprx, udptx]) = (gauges, totals);
            let point = Checkpoint { mode, ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx };
            OutputItem::Checkpoint(Box::new(point))
        });
        let marks = (any::<bool>(), any::<bool>());
        let line = (0..100_000u32, prop_oneof![Just(0), any::<u64>()], marks).prop_map(
            |(end, cut_bytes, (is_error, is_ready))| {
                OutputItem::Log(LogLine { start: 0, end, cut_bytes, is_error, is_ready })
            },
        );
        prop_oneof![point, line]
    }

    proptest! {
        #[test]
        fn items_come_back(
            stream in proptest::sample::select(&Stream::ALL[..]),
            mut items in proptest::collection::vec(item(), 0..20),
        ) {
            let mut end_of_last = 0;
            for item in &mut items {
                if let OutputItem::Log(line) = item {
                    (line.start, line.end) = (end_of_last, end_of_last + line.end);
                    end_of_last = line.end;
                }
            }
            prop_assert_eq!(decode_items(&encode_items(stream, &items)), Ok((stream, items)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok((stream, items)) = decode_items(&bytes) {
                let again = decode_items(&encode_items(stream, &items));
                prop_assert_eq!(again, Ok((stream, items)));
            }
        }
    }

    #[test]
    fn what_breaks_off_or_is_too_large_is_refused() {
        for bytes in
            [vec![LOG], vec![9], vec![LOG, 1, STDERR], vec![LOG, 0xff], vec![CHECKPOINT, 0, 0]]
        {
            assert!(decode_items(&bytes).is_err(), "{bytes:?}");
        }
        let mut large = vec![LOG];
        put(&mut large, u64::MAX);
        assert!(decode_items(&large).is_err());
        assert!(decode_items(&[&[LOG][..], &[0xff; 9], &[2]].concat()).is_err());
    }
}
