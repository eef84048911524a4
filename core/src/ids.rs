//! Ids: one newtype for each kind, so that they cannot be confused.
//!
//! This module only parses and prints them. Each type says who assigns its ids.

use core::fmt;

/// The id of the key instance (Contract §4): it holds the API key and is no process.
pub const KEY_INSTANCE_ID: &str = "********";

/// An instance, shown as 8 lower-case hex digits. Drawn by the engine at creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u32);

impl InstanceId {
    /// Reads exactly 8 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 8 || !text.bytes().all(hex) {
            return None;
        }
        u32::from_str_radix(text, 16).ok().map(Self)
    }

    /// Whether a person would take this for an id: 8 hex digits, in lower or upper case.
    pub fn is_like(text: &str) -> bool {
        text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A slot in the instance table; reused after its instance was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

/// One attempt to run a process. An engine never uses a number twice, for any instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Identifies the process of an input. The generation distinguishes late input of an earlier
/// process from that of the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessRef {
    /// The slot of its instance in the table.
    pub slot: SlotId,
    /// Which of the slot's processes it is.
    pub generation: Generation,
}

/// One run of an instance, from its start to its exit, unique over all runs of the master. Shown
/// as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u128);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A version of a definition; rises with every change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// That of a new instance.
    pub const FIRST: Self = Self(1);

    /// That of the next change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A request in flight. Handed out by the driver, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl RequestId {
    /// Of a record that no request waits for.
    pub const NONE: Self = Self(u64::MAX);

    /// The bit of the parts of a request, which the engine numbers.
    const PART: u64 = 1 << 63;

    /// A part of a request.
    pub(crate) const fn part(number: u64) -> Self {
        Self(Self::PART | number)
    }

    /// Whether it is a part of a request.
    pub(crate) const fn is_part(self) -> bool {
        self.0 & Self::PART != 0 && self.0 != Self::NONE.0
    }
}

/// A pending record. The engine assigns the numbers in increasing order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordSeq(pub u64);

/// Counts the failures of the store: a record of an earlier epoch than the current one was built
/// on a change that was refused and must not be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreEpoch(pub u32);

/// Counts the API keys of this run: a stream of an earlier epoch was opened with an earlier key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyEpoch(pub u32);

/// One run of the master, shown as 8 hex digits; distinguishes event ids of this run from older
/// ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(pub u32);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The number of an event. The first is 1 and each is one more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

impl EventId {
    /// The id of the event `count` events later.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn only_eight_lower_case_hex_digits_are_an_instance_id() {
        for bad in ["", "d34db33", "d34db33f0", "D34DB33F", "d34db33g", "********", "+34db33f"] {
            assert_eq!(InstanceId::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_instance_id_reads_back_as_shown(raw: u32) {
            let id = InstanceId(raw);
            prop_assert_eq!(InstanceId::parse(&id.to_string()), Some(id));
        }
    }
}
