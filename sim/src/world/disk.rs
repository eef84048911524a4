//! A disk that makes records durable in their order, late, or not at all.
//!
//! Nothing is lost here that was reported durable: torn files are the store's tests.

use std::collections::VecDeque;

use openctrl_core::ids::{InstanceId, RecordSeq, StoreEpoch};
use openctrl_core::store::{Image, Record, SavedTotals};

/// What is on the disk, and what is on its way there.
#[derive(Debug)]
pub struct Disk {
    /// What a master would find that starts now.
    pub image: Image,
    epoch: StoreEpoch,
    queue: VecDeque<Write>,
}

/// Something on its way.
#[derive(Debug)]
enum Write {
    Record(RecordSeq, Record),
    Totals(Vec<(InstanceId, SavedTotals)>),
}

impl Disk {
    /// A disk that holds `image`.
    pub fn new(image: Image) -> Self {
        Self { image, epoch: StoreEpoch::default(), queue: VecDeque::new() }
    }

    /// How many records are on their way.
    pub fn waiting(&self) -> usize {
        self.queue.iter().filter(|write| matches!(write, Write::Record(..))).count()
    }

    /// Takes a record; one of a failed epoch is dropped.
    pub fn accept(&mut self, epoch: StoreEpoch, seq: RecordSeq, record: &Record) {
        if epoch == self.epoch {
            self.queue.push_back(Write::Record(seq, record.clone()));
        }
    }

    /// Takes totals; they are written after the records before them.
    pub fn save_totals(&mut self, totals: &[(InstanceId, SavedTotals)]) {
        self.queue.push_back(Write::Totals(totals.to_vec()));
        self.persist(0);
    }

    /// Makes the oldest `count` records durable, and totals up to the next one; returns the last
    /// of the records.
    pub fn persist(&mut self, count: usize) -> Option<RecordSeq> {
        let (mut left, mut last) = (count, None);
        while let Some(write) =
            self.queue.pop_front_if(|write| left > 0 || matches!(write, Write::Totals(_)))
        {
            match write {
                Write::Totals(totals) => self.write_totals(totals),
                Write::Record(seq, record) => {
                    self.image.apply(&record);
                    last = Some(seq);
                    left -= 1;
                }
            }
        }
        last
    }

    /// Drops all records on their way; returns the epoch that ends with it.
    pub fn fail(&mut self) -> StoreEpoch {
        for write in std::mem::take(&mut self.queue) {
            if let Write::Totals(totals) = write {
                self.write_totals(totals);
            }
        }
        let failed = self.epoch;
        self.epoch = StoreEpoch(failed.0 + 1);
        failed
    }

    fn write_totals(&mut self, totals: Vec<(InstanceId, SavedTotals)>) {
        for (id, totals) in totals {
            self.image.set_totals(id, totals);
        }
    }
}
