//! The lines of all instances, within their limits.
//!
//! Each instance keeps its last lines. If all together exceed the memory, the instance that uses
//! the most loses its oldest. An instance that uses less than an equal share loses none to the
//! others.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::block::{Block, KeptLine, LineId};
use crate::ids::InstanceId;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Lines of each instance; 0 keeps nothing.
    pub lines: usize,
    /// Bytes of all instances together, including the overhead.
    pub bytes: usize,
}

/// The retained lines of every instance.
#[derive(Debug)]
pub struct LogBook {
    limits: HistoryLimits,
    kept: BTreeMap<InstanceId, Kept>,
    /// Instances by the memory they use, to find the largest.
    by_size: BTreeSet<(usize, InstanceId)>,
    bytes: usize,
    lines: usize,
}

#[derive(Debug, Default)]
struct Kept {
    blocks: VecDeque<Arc<Block>>,
    lines: usize,
    bytes: usize,
    /// Lines of this run that are no longer kept, and the last of them.
    gone: u64,
    last_gone: Option<LineId>,
}

/// The retained lines of one instance at one time; the text is shared, not copied.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    blocks: Vec<Arc<Block>>,
    /// Lines at the front that are beyond the bound and only there because their block is.
    hidden: usize,
    gone: u64,
    last_gone: Option<LineId>,
}

/// The retained lines of one instance, for a book that goes on in the place of another.
#[derive(Clone, Debug)]
pub struct KeptLog {
    /// Whose lines.
    pub instance: InstanceId,
    /// The lines, oldest first.
    pub blocks: Vec<Arc<Block>>,
    /// Lines of this run that are no longer kept.
    pub gone: u64,
    /// The last of them.
    pub last_gone: Option<LineId>,
}

impl LogBook {
    /// An empty book.
    pub fn new(limits: HistoryLimits) -> Self {
        let (kept, by_size) = (BTreeMap::new(), BTreeSet::new());
        Self { limits, kept, by_size, bytes: 0, lines: 0 }
    }

    /// Keeps lines of an instance, newer than all of it that are kept. `skipped` lines came between
    /// and were too many to begin with; the blocks have as many lines as are kept, then.
    pub fn append(&mut self, id: InstanceId, blocks: &[Arc<Block>], skipped: u64) {
        if self.limits.lines == 0 || blocks.is_empty() {
            return;
        }
        let kept = self.kept.entry(id).or_default();
        let before = (kept.bytes, kept.lines);
        if skipped > 0 {
            kept.skip(skipped, &blocks[0]);
        }
        for block in blocks {
            kept.push(Arc::clone(block));
        }
        while kept
            .blocks
            .front()
            .is_some_and(|oldest| kept.lines - oldest.len() >= self.limits.lines)
        {
            kept.drop_oldest();
        }
        let after = (kept.bytes, kept.lines);
        self.settle(id, before, after);
        while self.bytes > self.limits.bytes && self.drop_of_largest() {}
    }

    /// Every line that is kept.
    pub fn hand_over(&self) -> Vec<KeptLog> {
        let log = |(instance, kept): (&InstanceId, &Kept)| KeptLog {
            instance: *instance,
            blocks: kept.blocks.iter().cloned().collect(),
            gone: kept.gone,
            last_gone: kept.last_gone,
        };
        self.kept.iter().map(log).collect()
    }

    /// Takes over the lines of an instance that has none here.
    pub fn take_over(&mut self, log: KeptLog) {
        let KeptLog { instance, blocks, gone, last_gone } = log;
        self.append(instance, &blocks, 0);
        if let Some(kept) = self.kept.get_mut(&instance) {
            kept.gone += gone;
            kept.last_gone = kept.last_gone.or(last_gone);
        }
    }

    /// The bounds.
    pub const fn limits(&self) -> HistoryLimits {
        self.limits
    }

    /// Forgets an instance.
    pub fn forget(&mut self, id: InstanceId) {
        if let Some(kept) = self.kept.remove(&id) {
            self.settle(id, (kept.bytes, kept.lines), (0, 0));
        }
    }

    /// The retained lines of an instance.
    pub fn shelf(&self, id: InstanceId) -> Shelf {
        let Some(kept) = self.kept.get(&id) else { return Shelf::default() };
        Shelf {
            blocks: kept.blocks.iter().cloned().collect(),
            hidden: kept.lines.saturating_sub(self.limits.lines),
            gone: kept.gone,
            last_gone: kept.last_gone,
        }
    }

    /// How many lines are kept, of all instances.
    pub const fn lines(&self) -> usize {
        self.lines
    }

    /// What they take of the memory.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn drop_of_largest(&mut self) -> bool {
        let Some((_, id)) = self.by_size.last().copied() else { return false };
        let Some(kept) = self.kept.get_mut(&id) else { return false };
        let before = (kept.bytes, kept.lines);
        kept.drop_oldest();
        let after = (kept.bytes, kept.lines);
        self.settle(id, before, after);
        before != after
    }

    /// Updates the sums for the current size of an instance.
    fn settle(&mut self, id: InstanceId, before: (usize, usize), after: (usize, usize)) {
        if before.0 > 0 {
            self.by_size.remove(&(before.0, id));
        }
        if after.0 > 0 {
            self.by_size.insert((after.0, id));
        }
        self.bytes = self.bytes - before.0 + after.0;
        self.lines = self.lines - before.1 + after.1;
    }
}

impl Kept {
    fn push(&mut self, block: Arc<Block>) {
        self.lines += block.len();
        self.bytes += block.cost_bytes();
        self.blocks.push_back(block);
    }

    /// There were lines between the retained ones and `next` that are too many to retain.
    fn skip(&mut self, count: u64, next: &Block) {
        while !self.blocks.is_empty() {
            self.drop_oldest();
        }
        self.gone += count;
        self.last_gone = next.line(0).map(|line| line.id.before());
    }

    fn drop_oldest(&mut self) {
        let Some(block) = self.blocks.pop_front() else { return };
        self.lines -= block.len();
        self.bytes -= block.cost_bytes();
        self.gone += block.len() as u64;
        self.last_gone = block.lines().next_back().map(|line| line.id);
    }
}

impl Shelf {
    /// The lines, oldest first, each with its number among all lines of the instance in this run,
    /// from 1.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = (u64, KeptLine<'_>)> {
        let counted = self.blocks.iter().scan(self.gone, |before, block| {
            let first = *before + 1;
            *before += block.len() as u64;
            Some((first, block))
        });
        let counted: Vec<(u64, &Arc<Block>)> = counted.collect();
        let hidden_to = self.gone + self.hidden as u64;
        counted
            .into_iter()
            .flat_map(|(first, block)| {
                (0..block.len())
                    .filter_map(move |index| Some((first + index as u64, block.line(index)?)))
            })
            .filter(move |(number, _)| *number > hidden_to)
    }

    /// How many lines of the instance there were that are no longer shown, and the last of them.
    pub fn gone(&self) -> (u64, Option<LineId>) {
        let hidden = self.blocks.iter().flat_map(|block| block.lines()).take(self.hidden).last();
        let last = hidden.map(|line| line.id).or(self.last_gone);
        (self.gone + self.hidden as u64, last)
    }
}
