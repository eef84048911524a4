//! Shrinks a failing list: the choices of a run, or the steps of a trace.
//!
//! It removes items, longest stretches first (delta debugging), and simplifies the remaining ones,
//! repeatedly until nothing helps or the limits are reached. The caller defines items, simpler
//! items, and failures.

use std::time::{Duration, Instant};

use crate::choice::{HEADER_BYTES, STEP_BYTES};

/// When to be content with what there is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many lists are tried.
    pub tries: u32,
    /// How long.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tries: 40_000, time: Duration::from_secs(30) }
    }
}

/// The result of shrinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk<T> {
    /// The smallest list found that fails.
    pub items: Vec<T>,
    /// How many lists were tried.
    pub tries: u32,
    /// Whether nothing smaller was left to try; else the limits were reached.
    pub is_done: bool,
}

/// Shrinks `items`, which fail. `simpler` returns replacements for an item, simplest first; they
/// must be simpler in a well-founded order. `fails` says whether a list fails in the same way.
pub fn shrink<T: Clone>(
    items: Vec<T>,
    limits: Limits,
    simpler: impl Fn(&T) -> Vec<T>,
    fails: impl FnMut(&[T]) -> bool,
) -> Shrunk<T> {
    let mut search = Search { items, fails, tries: 0, limits, begun: Instant::now() };
    loop {
        let removed = search.remove_some();
        let simplified = search.simplify_some(&simpler);
        if search.is_over() || !(removed || simplified) {
            let is_done = !search.is_over();
            return Shrunk { items: search.items, tries: search.tries, is_done };
        }
    }
}

struct Search<T, F> {
    items: Vec<T>,
    fails: F,
    tries: u32,
    limits: Limits,
    begun: Instant,
}

impl<T: Clone, F: FnMut(&[T]) -> bool> Search<T, F> {
    /// Removes stretches from the end on, the longest first: later items depend on earlier ones,
    /// and rarely the reverse.
    fn remove_some(&mut self) -> bool {
        let before = self.items.len();
        let mut length = before;
        while length > 0 && !self.is_over() {
            let mut end = self.items.len();
            while end > 0 && !self.is_over() {
                let start = end.saturating_sub(length);
                let mut fewer = self.items.clone();
                fewer.drain(start..end);
                self.accept_if_failing(fewer);
                end = start;
            }
            length /= 2;
        }
        self.items.len() < before
    }

    fn simplify_some(&mut self, simpler: impl Fn(&T) -> Vec<T>) -> bool {
        let mut any = false;
        for index in 0..self.items.len() {
            while self.simplify_one(index, simpler(&self.items[index])) {
                any = true;
            }
        }
        any
    }

    fn simplify_one(&mut self, index: usize, candidates: Vec<T>) -> bool {
        for candidate in candidates {
            if self.is_over() {
                return false;
            }
            let mut changed = self.items.clone();
            changed[index] = candidate;
            if self.accept_if_failing(changed) {
                return true;
            }
        }
        false
    }

    fn accept_if_failing(&mut self, items: Vec<T>) -> bool {
        self.tries += 1;
        let fails = (self.fails)(&items);
        if fails {
            self.items = items;
        }
        fails
    }

    fn is_over(&self) -> bool {
        self.tries >= self.limits.tries || self.begun.elapsed() >= self.limits.time
    }
}

/// Shrinks the choices of a run that fails: steps are taken out and made simpler, then the
/// scenario, then the steps again, for a simpler scenario has a use for fewer.
pub fn shrink_choices(
    bytes: &[u8],
    limits: Limits,
    mut fails: impl FnMut(&[u8]) -> bool,
) -> Vec<u8> {
    let (header, steps) = bytes.split_at(HEADER_BYTES.min(bytes.len()));
    let simpler = |bytes: &Vec<u8>| simpler_bytes(bytes);
    let mut fails = |header: &[u8], steps: &[Vec<u8>]| fails(&[header, &steps.concat()].concat());
    let steps = steps.chunks(STEP_BYTES).map(<[u8]>::to_vec).collect();
    let steps = shrink(steps, limits, simpler, |steps| fails(header, steps)).items;
    let headers = shrink(vec![header.to_vec()], limits, simpler, |headers| {
        headers.first().is_some_and(|header| fails(header, &steps))
    });
    let header = &headers.items[0];
    let steps = shrink(steps, limits, simpler, |steps| fails(header, steps)).items;
    [&header[..], &steps.concat()].concat()
}

/// What may take the place of some bytes: zeros from ever later on, each byte 0, half of it, and
/// one less.
fn simpler_bytes(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut simpler = Vec::new();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for keep in [0, 2, 3, 4, 6, 8, 12, 16, 32].into_iter().filter(|keep| *keep < used) {
        let mut changed = bytes.to_vec();
        changed[keep..].fill(0);
        simpler.push(changed);
    }
    for index in 0..used {
        let byte = bytes[index];
        let mut smaller = vec![0, byte / 2, byte.saturating_sub(1)];
        smaller.dedup();
        for smaller in smaller.into_iter().filter(|smaller| *smaller < byte) {
            let mut changed = bytes.to_vec();
            changed[index] = smaller;
            simpler.push(changed);
        }
    }
    simpler
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(item: &u32) -> Vec<u32> {
        [0, item / 2, item.saturating_sub(1)].into_iter().filter(|less| less < item).collect()
    }

    #[test]
    fn what_does_not_matter_goes_and_the_rest_becomes_simple() {
        let items: Vec<u32> = (0..200).collect();
        let fails = |items: &[u32]| {
            let big = items.iter().position(|item| *item >= 50);
            big.is_some_and(|big| items[big..].iter().any(|item| *item % 7 == 3))
        };
        let Shrunk { items, tries, is_done } = shrink(items, Limits::default(), halves, fails);
        // Which is both big and of the kind that is looked for.
        assert_eq!((items, is_done), (vec![52], true));
        assert!(tries < 200, "{tries}");
    }

    #[test]
    fn limits_are_kept_to() {
        let limits = Limits { tries: 3, time: Duration::MAX };
        let shrunk = shrink(vec![9; 100], limits, halves, |items| items.len() > 60);
        assert_eq!((shrunk.tries, shrunk.is_done), (3, false));
        let limits = Limits { tries: u32::MAX, time: Duration::ZERO };
        let shrunk = shrink(vec![9; 100], limits, halves, |_| true);
        assert_eq!((shrunk.items.len(), shrunk.tries), (100, 0));
    }

    #[test]
    fn bytes_become_small() {
        let fails = |items: &[Vec<u8>]| items.iter().any(|bytes| bytes[1] > 6);
        let items = vec![vec![200, 200, 9, 9], vec![1, 77, 3, 3]];
        let shrunk = shrink(items, Limits::default(), |bytes| simpler_bytes(bytes), fails);
        assert_eq!(shrunk.items, [[0, 7, 0, 0]]);
        assert_eq!(simpler_bytes(&[0, 0]), Vec::<Vec<u8>>::new());
    }
}
