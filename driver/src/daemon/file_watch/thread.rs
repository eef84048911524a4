//! The thread that watches files.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use openctrl_core::engine::Input;
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::Watch;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, init};
use rustix::io::{Errno, read, write};

use super::folders::{Folders, News};
use crate::daemon::inbox::{Mailbox, Notice};

/// How long changes are collected before they are reported: of a flood of them one is enough.
const ROUND: Duration = Duration::from_millis(50);

/// Room for the events that are read at a time, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// The most events of a round: orders are not held up by a flood.
const ROUND_EVENTS_MAX: usize = 16_384;

/// What to watch for an instance, or nothing.
type Order = (InstanceId, Option<Watch>);

/// The thread, as seen from the loop.
#[derive(Debug)]
pub(super) struct Handle {
    orders: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Handle {
    /// Starts it. It ends when the handle is dropped.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn start(mailbox: Mailbox) -> io::Result<Self> {
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| {
            let remedy = "cannot watch files; raise fs.inotify.max_user_instances";
            io::Error::other(format!("{remedy}: {error}"))
        })?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (orders, received) = channel();
        let watcher = Watcher {
            inotify,
            wake: Arc::clone(&wake),
            orders: received,
            folders: Folders::default(),
            mailbox,
        };
        thread::Builder::new().name("files".to_owned()).spawn(move || watcher.run())?;
        Ok(Self { orders, wake })
    }

    pub(super) fn order(&self, instance: InstanceId, watch: Option<Watch>) {
        // A thread that has ended has reported why.
        let _ = self.orders.send((instance, watch));
        let _ = write(&self.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.orders = channel().0;
        let _ = write(&self.wake, &1u64.to_ne_bytes());
    }
}

struct Watcher {
    inotify: OwnedFd,
    wake: Arc<OwnedFd>,
    orders: Receiver<Order>,
    folders: Folders,
    mailbox: Mailbox,
}

impl Watcher {
    fn run(mut self) {
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
        loop {
            let mut both = [
                PollFd::new(&self.inotify, PollFlags::IN),
                PollFd::new(&*self.wake, PollFlags::IN),
            ];
            match poll(&mut both, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!("Master.run: cannot watch files any more: {error}");
                    return;
                }
            }
            let _ = read(&*self.wake, &mut [0; 8]);
            loop {
                match self.orders.try_recv() {
                    Ok((instance, Some(watch))) => self.watch(instance, watch),
                    Ok((instance, None)) => self.folders.unwatch(&self.inotify, instance),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if self.report(&mut buffer) {
                thread::sleep(ROUND);
            }
        }
    }

    fn watch(&mut self, instance: InstanceId, watch: Watch) {
        if let Err(reason) = self.folders.watch(&self.inotify, instance, watch) {
            failed(&self.mailbox, instance, reason);
        }
    }

    /// Reports pending events; returns whether there were any.
    fn report(&mut self, buffer: &mut [MaybeUninit<u8>]) -> bool {
        let (mut news, mut events) = (News::default(), 0);
        let mut reader = Reader::new(&self.inotify, buffer);
        while events < ROUND_EVENTS_MAX
            && let Ok(event) = reader.next()
        {
            events += 1;
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                // Events were lost: any file may have changed.
                for instance in self.folders.instances().collect::<Vec<_>>() {
                    news.moved.insert(instance);
                    let path = Path::new("many files").to_owned();
                    news.changed.entry(instance).or_insert(path);
                }
                continue;
            }
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            self.folders.take(event.wd(), flags, name, &mut news);
        }
        for instance in std::mem::take(&mut news.moved) {
            let (changed, result) = self.folders.watch_again(&self.inotify, instance);
            if let Some(path) = changed {
                news.changed.entry(instance).or_insert(path);
            }
            if let Err(reason) = result {
                failed(&self.mailbox, instance, reason);
            }
        }
        for (instance, path) in news.changed {
            let path = path.to_string_lossy().into_owned();
            self.mailbox.fact(Notice::Fact(Input::FilesChanged { instance, path }));
        }
        events > 0
    }
}

/// Reports that files of an instance cannot be watched.
pub(super) fn failed(mailbox: &Mailbox, instance: InstanceId, reason: String) {
    mailbox.fact(Notice::Fact(Input::WatchFailed { instance, reason }));
}
