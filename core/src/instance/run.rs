//! One run of an instance, as a value.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::decide::Why;
use crate::ids::{Generation, RunId};
use crate::process::Exit;
use crate::time::Now;

/// One run of an instance: one process, from its start to its exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its number in this run of the master.
    pub generation: Generation,
    /// Where its process came from.
    pub origin: RunOrigin,
    /// When it was started, or found.
    pub started: Now,
    /// When its process last reported.
    pub last_seen: Now,
}

/// Where the process of a run came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOrigin {
    /// The master started it.
    Spawned,
    /// It was there, and its output is lost.
    Found,
    /// It survived an earlier run of the master, and its output is still read.
    Survivor,
}

/// A past run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// The run.
    pub run: Run,
    /// When its process exited.
    pub ended: Now,
    /// How.
    pub exit: Exit,
    /// Why it was asked to exit; `None` if it exited without a request.
    pub requested: Option<Why>,
}

impl Run {
    /// The id of the run with this number. It derives from the seed of the engine, separately from
    /// its other random values, so that a replay gives the same id and the other values do not
    /// change.
    pub fn id_of(rng: &ChaCha8Rng, generation: Generation) -> RunId {
        // A copy of `rng` would compute a block of its own stream before that of the id.
        let mut ids = ChaCha8Rng::from_seed(rng.get_seed());
        ids.set_stream(ID_STREAM);
        ids.set_word_pos(u128::from(generation.0) * WORDS_PER_ID);
        let (high, low) = (ids.next_u64(), ids.next_u64());
        RunId(u128::from(high) << 64 | u128::from(low))
    }
}

/// The stream of the generator that ids come from; everything else comes from stream 0.
const ID_STREAM: u64 = 1;

/// An id is four words of 32 bits.
const WORDS_PER_ID: u128 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_the_seed_and_the_number_alone() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let first = Run::id_of(&rng, Generation(1));
        rng.next_u64();
        assert_eq!(Run::id_of(&rng, Generation(1)), first);
        assert_ne!(Run::id_of(&rng, Generation(2)), first);
        assert_ne!(Run::id_of(&ChaCha8Rng::seed_from_u64(2), Generation(1)), first);
    }
}
