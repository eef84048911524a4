//! The figures of the host for `/info` (Contract §9). Owns when they are sampled and who reads
//! them. The module of a platform defines what a figure means there.
//!
//! A separate thread samples them, not a task: the kernel can be slow to answer a read of `/proc`,
//! which must not block an async worker. It wakes every two seconds and takes well under a
//! millisecond.

mod host;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

pub(crate) use host::{cpu_count, go_arch, go_os};
#[cfg(target_os = "linux")]
use linux::Probe;
use openctrl_core::doors::v2::SystemSample as Sample;
#[cfg(not(target_os = "linux"))]
use other::Probe;

/// Time between two samples, over which the CPU figure is averaged.
const INTERVAL: Duration = Duration::from_secs(2);

/// A CPU figure needs two samples; this is the time between the first two. It must span several of
/// the kernel's ticks of 10 ms, and a client that connects early needs a figure.
const WARM_UP: Duration = Duration::from_millis(150);

/// Takes samples in the background until it is dropped.
#[derive(Debug)]
pub(crate) struct Sampler {
    latest: Arc<Mutex<Sample>>,
    /// Dropping it stops the thread; there is none if nothing is ever sampled.
    _running: Option<Sender<()>>,
}

impl Sampler {
    /// Takes a first sample, without a CPU figure yet, and continues in the background; the CPU
    /// figure follows within 200 ms.
    pub(crate) fn start() -> Self {
        let Some(mut probe) = Probe::open() else {
            let nothing = Sample { cpu: -1, ..Sample::default() };
            return Self { latest: Arc::new(Mutex::new(nothing)), _running: None };
        };
        let latest = Arc::new(Mutex::new(probe.sample()));
        let (running, stopped) = mpsc::channel();
        let shared = Arc::clone(&latest);
        let started = thread::Builder::new()
            .name("sysinfo".to_owned())
            .spawn(move || keep_sampling(&stopped, &shared, || probe.sample()));
        if let Err(why) = started {
            tracing::warn!("no thread for system figures, they stay as they are: {why}");
        }
        Self { latest, _running: Some(running) }
    }

    /// The sample last taken. Never waits for one: the lock is held for a copy only.
    pub(crate) fn latest(&self) -> Sample {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep_sampling(
    stopped: &Receiver<()>,
    latest: &Mutex<Sample>,
    mut sample: impl FnMut() -> Sample,
) {
    let mut wait = WARM_UP;
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let taken = sample();
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = taken;
        wait = INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_is_there_at_once() {
        let first = Sampler::start().latest();
        if cfg!(target_os = "linux") {
            assert!(first.mem_total > 0 && (0..=100).contains(&first.cpu), "{first:?}");
            assert!(first.mem_used < first.mem_total && first.sysup > 0, "{first:?}");
        } else {
            assert_eq!(first, Sample { cpu: -1, ..Sample::default() });
        }
    }

    #[test]
    fn a_sample_replaces_the_one_before_and_dropping_the_sampler_ends_it() {
        let (running, stopped) = mpsc::channel();
        let latest = Mutex::new(Sample::default());
        let mut running = Some(running);
        // The drop comes from within, so that the loop runs exactly once, however slow the machine.
        keep_sampling(&stopped, &latest, || {
            running = None;
            Sample { sysup: 7, ..Sample::default() }
        });
        assert_eq!(latest.into_inner().expect("no panic").sysup, 7);
    }
}
