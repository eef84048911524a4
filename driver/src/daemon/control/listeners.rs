//! The listeners of all instances, as one: a descriptor each, and one place that waits for all of
//! them. A task for each would cost memory and a wake-up for every instance that is created.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openctrl_core::ids::InstanceId;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

use crate::promises::register;

/// Listeners that one look may find ready.
const READY_MAX: usize = 64;

/// All of them.
#[derive(Debug)]
pub(super) struct Listeners {
    epoll: AsyncFd<Arc<OwnedFd>>,
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    next_key: u64,
    listening: HashMap<u64, (InstanceId, UnixListener)>,
    /// Found ready, and not accepted on since.
    ready: Vec<u64>,
}

/// One of them. Dropped, it no longer listens.
#[derive(Debug)]
pub(super) struct Listening {
    listeners: Arc<Listeners>,
    key: u64,
}

impl Listeners {
    /// None yet. The runtime must be entered.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let epoll = register(epoll::create(CreateFlags::CLOEXEC)?)?;
        Ok(Arc::new(Self { epoll, rows: Mutex::default() }))
    }

    /// Begins to accept connections to an instance. The listener does not block.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn add(
        self: &Arc<Self>,
        instance: InstanceId,
        listener: UnixListener,
    ) -> io::Result<Listening> {
        let mut rows = self.lock();
        let key = rows.next_key;
        epoll::add(&**self.epoll.get_ref(), &listener, EventData::new_u64(key), EventFlags::IN)?;
        rows.next_key += 1;
        rows.listening.insert(key, (instance, listener));
        Ok(Listening { listeners: Arc::clone(self), key })
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn accept(&self) -> io::Result<(InstanceId, UnixStream)> {
        loop {
            if let Some((instance, stream)) = self.accept_ready()? {
                stream.set_nonblocking(true)?;
                return Ok((instance, UnixStream::from_std(stream)?));
            }
            let mut guard = self.epoll.readable().await?;
            let mut events = Vec::with_capacity(READY_MAX);
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            epoll::wait(&**self.epoll.get_ref(), spare_capacity(&mut events), Some(&at_once))?;
            if events.is_empty() {
                guard.clear_ready();
            }
            self.lock().ready = events.iter().map(|event| event.data.u64()).collect();
        }
    }

    /// A connection of a listener that was found ready. One that has more is found again.
    fn accept_ready(&self) -> io::Result<Option<(InstanceId, std::os::unix::net::UnixStream)>> {
        let mut rows = self.lock();
        while let Some(key) = rows.ready.pop() {
            // Its instance may have been deleted meanwhile.
            let Some((instance, listener)) = rows.listening.get(&key) else { continue };
            match listener.accept() {
                Ok((stream, _)) => return Ok(Some((*instance, stream))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let removed = self.listeners.lock().listening.remove(&self.key);
        if let Some((_, listener)) = removed {
            // Closed, it leaves the epoll by itself, unless the descriptor has a copy.
            let _ = epoll::delete(&**self.listeners.epoll.get_ref(), listener);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(path: &std::path::Path) -> UnixListener {
        let listener = UnixListener::bind(path).expect("it is free");
        listener.set_nonblocking(true).expect("it can be set");
        listener
    }

    #[tokio::test]
    async fn every_listener_gets_its_connections_until_it_is_dropped() {
        let dir = tempfile::tempdir().expect("a directory");
        let (one, two) = (dir.path().join("1"), dir.path().join("2"));
        let listeners = Listeners::new().expect("a descriptor");
        let first = listeners.add(InstanceId(1), listener(&one)).expect("it can be added");
        let _second = listeners.add(InstanceId(2), listener(&two)).expect("it can be added");
        let connect = |path| std::os::unix::net::UnixStream::connect(path);
        let clients = [&one, &two, &one].map(|path| connect(path).expect("it listens"));
        let mut found = Vec::new();
        for _ in &clients {
            found.push(listeners.accept().await.expect("a connection").0);
        }
        found.sort();
        assert_eq!(found, [1, 1, 2].map(InstanceId));
        drop(first);
        assert!(connect(&one).is_err());
        // Who waits is woken by a listener that is added later as well.
        let waiting = tokio::spawn({
            let listeners = Arc::clone(&listeners);
            async move { listeners.accept().await.expect("a connection").0 }
        });
        tokio::task::yield_now().await;
        let three = dir.path().join("3");
        let _third = listeners.add(InstanceId(3), listener(&three)).expect("it can be added");
        let _client = connect(&three).expect("it listens");
        assert_eq!(waiting.await.expect("no panic"), InstanceId(3));
    }
}
