//! Numbers of the frozen form, checked when they are read.

use crate::formats::FormatError;

/// No counter of an engine reaches this value, and none that starts here overflows.
const COUNT_MAX: u64 = 1 << 62;

pub(super) fn number_of<T: PartialEq>(all: &[T], one: T) -> u8 {
    let place = all.iter().position(|known| *known == one).expect("the list has all of them");
    u8::try_from(place).expect("the list is short")
}

pub(super) fn nth<T>(all: &[T], place: impl TryInto<usize>) -> Result<&T, FormatError> {
    let found = place.try_into().ok().and_then(|place| all.get(place));
    found.ok_or(FormatError::Missing("something that is named"))
}

pub(super) fn small(number: u32) -> Result<u32, FormatError> {
    if number <= u32::MAX / 2 { Ok(number) } else { Err(FormatError::TooLarge("a number")) }
}

pub(super) fn count(number: u64) -> Result<u64, FormatError> {
    if number < COUNT_MAX { Ok(number) } else { Err(FormatError::TooLarge("a number")) }
}
