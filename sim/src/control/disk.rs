//! The store of the driver without files: pending and durable data, failures.

use std::collections::VecDeque;

use openctrl_core::event::StoredId;
use openctrl_core::ids::{RecordSeq, StoreEpoch};
use openctrl_core::store::{Image, Kept, Record};

/// The disk.
pub(super) struct Disk {
    /// The durable data.
    pub(super) image: Image,
    queue: VecDeque<Job>,
    failed: Option<StoreEpoch>,
    failed_keep: Option<u32>,
    /// Number of writes that will fail.
    fails: u32,
}

enum Job {
    Persist(StoreEpoch, RecordSeq, Record, Option<Kept>),
    Keep(Kept),
}

/// What became of a write.
pub(super) enum Wrote {
    Nothing,
    All { kept: Option<StoredId>, records: Option<RecordSeq> },
    Refused { kept: Option<u32>, records: Option<StoreEpoch> },
}

impl Disk {
    pub(super) fn new(image: Image) -> Self {
        Self { image, queue: VecDeque::new(), failed: None, failed_keep: None, fails: 0 }
    }

    pub(super) fn persist(
        &mut self,
        epoch: StoreEpoch,
        seq: RecordSeq,
        record: Record,
        caused: Option<Kept>,
    ) {
        self.queue.push_back(Job::Persist(epoch, seq, record, caused));
    }

    pub(super) fn keep(&mut self, kept: Kept) {
        self.queue.push_back(Job::Keep(kept));
    }

    pub(super) const fn fail_for(&mut self, writes: u32) {
        self.fails = writes;
    }

    /// Writes everything that is pending, or nothing of it.
    pub(super) fn write(&mut self) -> Wrote {
        let (failed, failed_keep) = (self.failed, self.failed_keep);
        let takes = |kept: &Kept| failed_keep.is_none_or(|failed| kept.epoch > failed);
        let mut jobs: Vec<Job> = Vec::new();
        for job in self.queue.drain(..) {
            match job {
                Job::Persist(epoch, ..) if failed.is_some_and(|failed| epoch <= failed) => {}
                Job::Persist(epoch, seq, record, caused) => {
                    jobs.push(Job::Persist(epoch, seq, record, caused.filter(takes)));
                }
                Job::Keep(kept) if takes(&kept) => jobs.push(Job::Keep(kept)),
                Job::Keep(_) => {}
            }
        }
        if jobs.is_empty() {
            return Wrote::Nothing;
        }
        let kept_of = |job: &Job| match job {
            Job::Persist(_, _, _, caused) => caused.as_ref().map(|kept| (kept.epoch, kept.upto)),
            Job::Keep(kept) => Some((kept.epoch, kept.upto)),
        };
        let record_of = |job: &Job| match job {
            Job::Persist(epoch, seq, ..) => Some((*epoch, *seq)),
            Job::Keep(_) => None,
        };
        let kept = jobs.iter().rev().find_map(kept_of);
        let record = jobs.iter().rev().find_map(record_of);
        if self.fails > 0 {
            self.fails -= 1;
            self.failed = record.map(|(epoch, _)| epoch).or(self.failed);
            self.failed_keep = kept.map(|(epoch, _)| epoch).or(self.failed_keep);
            return Wrote::Refused {
                kept: kept.map(|(epoch, _)| epoch),
                records: record.map(|(epoch, _)| epoch),
            };
        }
        jobs.iter().for_each(|job| apply(&mut self.image, job));
        Wrote::All { kept: kept.map(|(_, upto)| upto), records: record.map(|(_, seq)| seq) }
    }

    /// The master is killed: a prefix of the pending data may have reached the disk.
    pub(super) fn crash(&mut self, choice: u32) -> Image {
        let jobs: Vec<Job> = self.queue.drain(..).collect();
        let survives =
            if self.fails > 0 || jobs.is_empty() { 0 } else { choice as usize % (jobs.len() + 1) };
        let (failed, failed_keep) = (self.failed.take(), self.failed_keep.take());
        for job in jobs.iter().take(survives) {
            let is_dropped = match job {
                Job::Persist(epoch, ..) => failed.is_some_and(|failed| *epoch <= failed),
                Job::Keep(kept) => failed_keep.is_some_and(|failed| kept.epoch <= failed),
            };
            // Data that the store would have dropped ends the prefix.
            if is_dropped {
                break;
            }
            apply(&mut self.image, job);
        }
        self.fails = 0;
        self.image.clone()
    }
}

fn apply(image: &mut Image, job: &Job) {
    match job {
        Job::Persist(_, _, record, caused) => {
            if let Some(kept) = caused {
                image.control.apply(kept);
            }
            image.apply(record);
        }
        Job::Keep(kept) => drop(image.control.apply(kept)),
    }
}
