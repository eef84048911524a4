//! Choices out of the bytes that a target is given.

/// The given bytes, then zeros: zero is always the dullest choice.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether only zeros are left.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub(crate) fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number below `limit`, which is at least 1 and below 2^16.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let low = self.byte();
        let high = if limit > 256 { self.byte() } else { 0 };
        usize::from(u16::from_le_bytes([low, high])) % limit
    }

    /// True once in `n` times, and never when the bytes have run out.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of `items`; the first when the bytes have run out.
    pub(crate) fn pick<'b, T>(&mut self, items: &'b [T]) -> &'b T {
        &items[self.below(items.len())]
    }
}
