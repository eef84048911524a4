//! Reads the primitives of gob: numbers, byte strings and counts.
//!
//! Nothing is allocated here, and no count is passed on that the bytes left cannot hold.

use super::error::GobError;

/// The unread part of a file, or of one message of it.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// Where `rest` begins in the file.
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(file: &'a [u8]) -> Self {
        Self { rest: file, offset: 0 }
    }

    /// Where the next byte is in the file.
    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    /// An error at the current position.
    pub(super) const fn error(&self, what: &'static str) -> GobError {
        GobError::format(self.offset, what)
    }

    /// Returns a reader for the next message, which is a byte count and that many bytes.
    pub(super) fn message(&mut self) -> Result<Self, GobError> {
        let length = self.length()?;
        let offset = self.offset;
        Ok(Self { rest: self.take(length)?, offset })
    }

    /// An unsigned number: one byte below 128, or a negated byte count and the bytes of the
    /// number, the highest first.
    pub(super) fn uint(&mut self) -> Result<u64, GobError> {
        let offset = self.offset;
        let first = self.take(1)?[0];
        if first < 0x80 {
            return Ok(first.into());
        }
        let width = usize::from(first.wrapping_neg());
        if width > size_of::<u64>() {
            return Err(GobError::format(offset, "a number has more than 64 bits"));
        }
        Ok(self.take(width)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A signed number: bit 0 of an unsigned one says whether the other bits are complemented.
    pub(super) fn int(&mut self) -> Result<i64, GobError> {
        let bits = self.uint()?;
        let number = (bits >> 1).cast_signed();
        Ok(if bits & 1 == 0 { number } else { !number })
    }

    /// A byte string: a count and that many bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], GobError> {
        let length = self.length()?;
        self.take(length)
    }

    /// A byte string that is UTF-8. The Go master writes no other: its texts come from JSON.
    pub(super) fn text(&mut self) -> Result<&'a str, GobError> {
        let bytes = self.bytes()?;
        let text = core::str::from_utf8(bytes);
        text.map_err(|_| GobError::format(self.offset - bytes.len(), "a text is not UTF-8"))
    }

    /// How many things follow, of which each has at least `each_min_bytes` bytes.
    pub(super) fn count(&mut self, each_min_bytes: usize) -> Result<usize, GobError> {
        let offset = self.offset;
        let count = self.uint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() / each_min_bytes => Ok(count),
            Ok(_) | Err(_) => {
                Err(GobError::format(offset, "a count is larger than the rest of the file allows"))
            }
        }
    }

    /// Checks that no byte is left; `what` is the error if one is.
    pub(super) const fn expect_end(&self, what: &'static str) -> Result<(), GobError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(what)) }
    }

    fn length(&mut self) -> Result<usize, GobError> {
        self.count(1)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], GobError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(GobError::format(self.offset + self.rest.len(), "it ends within a value"));
        };
        self.rest = rest;
        self.offset += count;
        Ok(taken)
    }
}

/// Which fields of a struct are present: each is announced by its distance to the one before.
#[derive(Debug, Default)]
pub(super) struct FieldNumbers {
    next: u64,
}

impl FieldNumbers {
    /// The number of the next field, from 0 and increasing; `None` at the end of the struct.
    pub(super) fn next(&mut self, reader: &mut Reader<'_>) -> Result<Option<u64>, GobError> {
        let offset = reader.offset();
        let delta = reader.uint()?;
        if delta == 0 {
            return Ok(None);
        }
        let next = self.next.checked_add(delta);
        self.next = next.ok_or(GobError::format(offset, "a struct has too many fields"))?;
        Ok(Some(self.next - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Writes a number as the format demands, in the fewest bytes.
    fn uint(number: u64) -> Vec<u8> {
        if number < 0x80 {
            return Vec::from([number as u8]);
        }
        let bytes = number.to_be_bytes();
        let digits = &bytes[number.leading_zeros() as usize / 8..];
        [&[(digits.len() as u8).wrapping_neg()], digits].concat()
    }

    #[test]
    fn numbers_are_those_of_the_format() {
        for (bytes, number) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0xff, 0x80], 128),
            (&[0xfe, 0x01, 0x00], 256),
            (&[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], u64::MAX),
        ] {
            assert_eq!(Reader::new(bytes).uint(), Ok(number));
            assert_eq!(uint(number), bytes);
        }
        for (bytes, number) in [
            (&[0x00][..], 0),
            (&[0x01], -1),
            (&[0x7f], -64),
            (&[0xff, 0x81], -65),
            (&[0xfe, 0x01, 0x01], -129),
            (&[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], i64::MIN),
        ] {
            assert_eq!(Reader::new(bytes).int(), Ok(number));
        }
    }

    #[test]
    fn numbers_that_are_none_are_refused_where_they_are() {
        let refused = |bytes: &[u8]| Reader::new(bytes).uint().expect_err("it is no number");
        assert_eq!(refused(&[]), GobError::format(0, "it ends within a value"));
        assert_eq!(refused(&[0xfe, 0x01]), GobError::format(2, "it ends within a value"));
        let long = GobError::format(0, "a number has more than 64 bits");
        assert_eq!(refused(&[0xf7; 20]), long);
        assert_eq!(refused(&[0x80; 200]), long);
    }

    #[test]
    fn a_count_is_believed_as_far_as_bytes_are_left() {
        let error = GobError::format(0, "a count is larger than the rest of the file allows");
        assert_eq!(Reader::new(&[3, 1, 2, 3]).count(1), Ok(3));
        assert_eq!(Reader::new(&[3, 1, 2, 3]).count(2), Err(error.clone()));
        let huge = [0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
        assert_eq!(Reader::new(&huge).count(1), Err(error.clone()));
        assert_eq!(Reader::new(&huge).bytes(), Err(error.clone()));
        assert_eq!(Reader::new(&huge).message().expect_err("nothing follows"), error);
    }

    #[test]
    fn field_numbers_rise_and_do_not_overflow() {
        let mut reader = Reader::new(&[1, 1, 3, 0]);
        let mut numbers = FieldNumbers::default();
        for number in [Some(0), Some(1), Some(4), None] {
            assert_eq!(numbers.next(&mut reader), Ok(number));
        }
        let max = uint(u64::MAX);
        let bytes = [&max[..], &max[..]].concat();
        let mut reader = Reader::new(&bytes);
        let mut numbers = FieldNumbers::default();
        assert_eq!(numbers.next(&mut reader), Ok(Some(u64::MAX - 1)));
        let error = GobError::format(9, "a struct has too many fields");
        assert_eq!(numbers.next(&mut reader), Err(error));
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_written(number: u64, shift in 0u32..64) {
            let number = number >> shift;
            prop_assert_eq!(Reader::new(&uint(number)).uint(), Ok(number));
        }
    }
}
