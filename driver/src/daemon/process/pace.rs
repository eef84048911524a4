//! When to read a stream: at once, or after a short rest in which more comes.
//!
//! A process that prints line after line, each with a write of its own, would wake its reader for
//! each. While lines come that fast, the reader rests between reads and takes many at a time. Does
//! not read, and does not own the timer.

use std::time::Duration;

use tokio::time::Instant;

/// How long a reader rests. A line waits no longer than this, and what the timer adds.
const REST: Duration = Duration::from_millis(1);

/// Reads in a row, each soon after the last and of little, until the reader rests.
const STREAK: u8 = 16;

/// How soon after the last a read counts as one of a row.
const SOON: Duration = Duration::from_micros(200);

/// What is little: a read of more is worth its cost. Less than this in a rest ends the rests.
const LITTLE_BYTES: usize = 4 * 1024;

/// How fast one stream comes.
#[derive(Debug)]
pub(super) enum Pace {
    /// It is read at once: when it was read last, and how many reads of a row there were.
    AtOnce { read_at: Instant, streak: u8 },
    /// It is read after rests: bytes since the last.
    Rests { since_bytes: usize },
    /// It is always read at once: its pipe cannot hold what comes in a rest.
    Narrow,
}

impl Pace {
    /// Of a stream of which nothing was read yet.
    pub(super) fn new() -> Self {
        Self::AtOnce { read_at: Instant::now(), streak: 0 }
    }

    /// Something was read: all that was there, or as much as is read at a time. Returns until when
    /// the reader rests. Before the first rest, `widen` lets the pipe hold what comes meanwhile; it
    /// returns whether it does.
    pub(super) fn took(
        &mut self,
        bytes: usize,
        was_all: bool,
        now: Instant,
        widen: impl FnOnce() -> bool,
    ) -> Option<Instant> {
        match self {
            Self::AtOnce { read_at, streak } => {
                let is_fast = now.duration_since(*read_at) < SOON && bytes < LITTLE_BYTES;
                (*read_at, *streak) = (now, if is_fast { *streak + 1 } else { 0 });
                if *streak < STREAK {
                    return None;
                }
                *self = if widen() { Self::Rests { since_bytes: 0 } } else { Self::Narrow };
                matches!(self, Self::Rests { .. }).then(|| now + REST)
            }
            Self::Rests { since_bytes } => {
                *since_bytes += bytes;
                if !was_all {
                    return None;
                }
                if *since_bytes < LITTLE_BYTES {
                    *self = Self::AtOnce { read_at: now, streak: 0 };
                    return None;
                }
                *since_bytes = 0;
                Some(now + REST)
            }
            Self::Narrow => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: usize = 200;

    fn fast(pace: &mut Pace, mut now: Instant) -> (u32, Option<Instant>) {
        for reads in 1..100 {
            now += SOON / 2;
            if let Some(until) = pace.took(LINE, true, now, || true) {
                return (reads, Some(until));
            }
        }
        (100, None)
    }

    #[test]
    fn a_stream_that_comes_line_by_line_is_read_after_rests_while_it_comes_fast() {
        let begun = Instant::now();
        let mut pace = Pace::new();
        let (reads, until) = fast(&mut pace, begun);
        assert_eq!(reads, u32::from(STREAK) + u32::from(until.is_none()));
        let now = until.expect("it comes fast");
        // More than is read at a time; then the rest of it.
        assert_eq!(pace.took(32 * 1024, false, now, || false), None);
        assert_eq!(pace.took(LINE, true, now, || false), Some(now + REST));
        let later = now + REST;
        assert_eq!(pace.took(LINE, true, later, || false), None, "it comes slowly");
        assert_eq!(pace.took(LINE, true, later + SOON, || false), None);
        assert!(fast(&mut pace, later + SOON).1.is_some(), "and fast again");
    }

    #[test]
    fn single_lines_blocks_and_narrow_pipes_are_read_at_once() {
        let mut now = Instant::now();
        let mut pace = Pace::new();
        for (bytes, pause) in [(LINE, SOON), (LITTLE_BYTES, Duration::ZERO)] {
            for _ in 0..100 {
                now += pause;
                assert_eq!(pace.took(bytes, true, now, || true), None);
            }
        }
        for _ in 0..100 {
            assert_eq!(pace.took(LINE, true, now, || false), None);
        }
        assert!(matches!(pace, Pace::Narrow));
    }
}
