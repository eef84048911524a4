//! The sockets of the control API: two of the master, and one for each instance as long as it
//! exists.
//!
//! A task makes and removes the sockets of instances: each takes several system calls, which would
//! hold the loop up. `orders` carries to it what the loop orders.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use openctrl_core::command::Outcome;
use openctrl_core::doors::control::{ProcessEntry, Socket};
use openctrl_core::ids::InstanceId;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::answer::{Door, Target};
use super::connection::serve;
use super::listen::{
    BoundSocket, ListenError, MAIN_MODE, OpenSockets, STATUS_MODE, SocketFile, make_directory,
};
use super::orders::{Batch, Followed, Orders};
use crate::daemon::gate::Gate;

/// Connections to all sockets at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;

/// The same for the status socket alone. Everyone may connect to it, and must not take the place of
/// those who may use the others. An answer can have some megabytes.
const STATUS_CONNECTIONS_MAX: usize = 64;

/// How long to wait before accepting again when the system refuses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How soon a socket that could not be made is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Where the sockets are, and which there are.
#[derive(Clone, Debug)]
pub(crate) struct SocketsConfig {
    pub(crate) dir: PathBuf,
    pub(crate) group: Option<u32>,
    pub(crate) tagged_only: bool,
    /// All that are open.
    pub(crate) open: OpenSockets,
}

/// Sockets that are bound, and not served yet.
#[derive(Debug)]
pub(crate) struct Sockets {
    config: SocketsConfig,
    main: [(Socket, BoundSocket); 2],
    instances: Vec<(InstanceId, PathBuf, BoundSocket)>,
}

/// Sockets that are served: made and removed as instances come and go.
#[derive(Debug)]
pub(crate) struct Serving {
    orders: Arc<Orders>,
    /// What was ordered last of each instance.
    ordered: HashMap<InstanceId, Followed>,
    attendant: JoinHandle<()>,
    acceptor: Acceptor,
    main: [Accepting; 2],
}

/// The task that makes and removes the sockets of instances.
struct Attendant {
    config: SocketsConfig,
    acceptor: Acceptor,
    rows: HashMap<InstanceId, (PathBuf, Accepting)>,
    /// Directories that were made, and have their mode.
    made: HashSet<PathBuf>,
    /// What could not be made, and is tried again.
    missing: HashMap<InstanceId, Followed>,
}

impl Sockets {
    /// Binds all sockets, or none that stays.
    ///
    /// # Errors
    /// For the first that cannot be bound.
    pub(crate) fn bind(config: SocketsConfig, known: &[Followed]) -> Result<Self, ListenError> {
        make_directory(&config.dir)?;
        let main = |name: &str, mode| {
            let group = config.group.filter(|_| mode == MAIN_MODE);
            config.open.bind(&config.dir.join(name), mode, group)
        };
        let main = [
            (Socket::Control, main("openctrl.sock", MAIN_MODE)?),
            (Socket::Status, main("openctrl-status.sock", STATUS_MODE)?),
        ];
        let (mut instances, mut made) = (Vec::new(), HashSet::new());
        for followed in known.iter().filter(|followed| config.has_socket(followed)) {
            let path = config.path(followed);
            let bound = config.bind(&path, &mut made)?;
            instances.push((followed.id, path, bound));
        }
        Ok(Self { config, main, instances })
    }

    /// Begins to accept.
    pub(crate) fn serve(self, door: Arc<Door>, gate: Arc<Gate>) -> Serving {
        let Self { config, main, instances } = self;
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let acceptor = Acceptor { door, connections, gate };
        let status = Arc::new(Semaphore::new(STATUS_CONNECTIONS_MAX));
        let main = main.map(|(socket, bound)| {
            let connections = match socket {
                Socket::Control => Arc::clone(&acceptor.connections),
                Socket::Status => Arc::clone(&status),
            };
            let acceptor = Acceptor { connections, ..acceptor.clone() };
            acceptor.spawn(Target::Main(socket), bound)
        });
        let mut rows = HashMap::new();
        for (id, path, bound) in instances {
            rows.insert(id, (path, acceptor.spawn(Target::Instance(id), bound)));
        }
        let orders = Arc::new(Orders::default());
        let (made, missing) = (HashSet::new(), HashMap::new());
        let attendant = Attendant { config, acceptor: acceptor.clone(), rows, made, missing };
        let attendant = tokio::spawn(attendant.run(Arc::clone(&orders)));
        Serving { orders, ordered: HashMap::new(), attendant, acceptor, main }
    }
}

impl Serving {
    /// The instance exists, or has another name: it has its socket before a later answer.
    pub(crate) fn put(&mut self, entry: &ProcessEntry) {
        if self.ordered.get(&entry.id).is_some_and(|known| known.is_of(entry)) {
            return;
        }
        let followed = Followed::of(entry);
        self.ordered.insert(entry.id, followed.clone());
        self.orders.put(followed);
    }

    /// The instance was deleted.
    pub(crate) fn remove(&mut self, id: InstanceId) {
        self.ordered.remove(&id);
        self.orders.remove(id);
    }

    /// Gives an answer once all orders before it are carried out.
    pub(crate) fn answer(&self, to: oneshot::Sender<Outcome>, outcome: Outcome) {
        self.orders.answer(to, outcome);
    }

    /// Removes every socket, and lets connections finish the answers that they are writing.
    pub(crate) async fn finish(self, limit: Duration) {
        let Self { orders, attendant, acceptor, main, .. } = self;
        acceptor.gate.close();
        drop(main);
        orders.close();
        if attendant.await.is_err() {
            tracing::error!("Control.listen: the task of the sockets stopped after a panic");
        }
        let _ = timeout(limit, acceptor.gate.is_clear()).await;
    }
}

impl Attendant {
    async fn run(mut self, orders: Arc<Orders>) {
        loop {
            tokio::select! {
                batch = orders.take() => {
                    let Some(batch) = batch else { return };
                    self.carry_out(batch);
                }
                () = sleep(RETRY), if !self.missing.is_empty() => {
                    for followed in self.missing.values().cloned().collect::<Vec<_>>() {
                        self.bind(followed);
                    }
                }
            }
        }
    }

    /// Sockets that go make room for those of the same name.
    fn carry_out(&mut self, Batch { rows, answers }: Batch) {
        let mut new = Vec::new();
        for (id, followed) in rows {
            self.missing.remove(&id);
            let followed = followed.filter(|followed| self.config.has_socket(followed));
            let path = followed.as_ref().map(|followed| self.config.path(followed));
            let known = self.rows.get(&id).map(|(known, _)| known);
            if known.is_some() && known == path.as_ref() {
                continue;
            }
            self.rows.remove(&id);
            new.extend(followed);
        }
        new.into_iter().for_each(|followed| self.bind(followed));
        // A client that did not wait is told nothing.
        answers.into_iter().for_each(|(to, outcome)| drop(to.send(outcome)));
    }

    fn bind(&mut self, followed: Followed) {
        let (id, path) = (followed.id, self.config.path(&followed));
        match self.config.bind(&path, &mut self.made) {
            Ok(bound) => {
                let accepting = self.acceptor.spawn(Target::Instance(id), bound);
                self.rows.insert(id, (path, accepting));
                self.missing.remove(&id);
            }
            Err(error) => {
                if self.missing.insert(id, followed).is_none() {
                    tracing::warn!("Control.listen: instance {id} has no control socket: {error}");
                }
            }
        }
    }
}

impl Followed {
    fn of(entry: &ProcessEntry) -> Self {
        let is_tagged = entry.tags.contains_key("control");
        let (scheme, name) = (entry.scheme.clone(), entry.name.to_string());
        Self { id: entry.id, scheme, name, is_tagged }
    }

    fn is_of(&self, entry: &ProcessEntry) -> bool {
        self.name == *entry.name
            && self.scheme == entry.scheme
            && self.is_tagged == entry.tags.contains_key("control")
    }
}

impl SocketsConfig {
    fn has_socket(&self, followed: &Followed) -> bool {
        followed.is_tagged || !self.tagged_only
    }

    fn path(&self, followed: &Followed) -> PathBuf {
        self.dir.join(&followed.scheme).join(format!("{}.sock", followed.name))
    }

    /// Binds the socket of an instance; `made` are directories that need not be made.
    fn bind(&self, path: &Path, made: &mut HashSet<PathBuf>) -> Result<BoundSocket, ListenError> {
        let Some(dir) = path.parent() else {
            return self.open.bind(path, MAIN_MODE, self.group);
        };
        if made.contains(dir) {
            match self.open.bind(path, MAIN_MODE, self.group) {
                // The directory was removed.
                Err(ListenError::Io(_, _, error)) if error.kind() == ErrorKind::NotFound => {}
                bound => return bound,
            }
        }
        make_directory(dir)?;
        made.insert(dir.to_owned());
        self.open.bind(path, MAIN_MODE, self.group)
    }
}

/// A task that accepts on a socket. Dropped, it removes the socket.
#[derive(Debug)]
struct Accepting {
    task: JoinHandle<()>,
    _file: SocketFile,
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
struct Acceptor {
    door: Arc<Door>,
    connections: Arc<Semaphore>,
    gate: Arc<Gate>,
}

impl Acceptor {
    fn spawn(&self, target: Target, bound: BoundSocket) -> Accepting {
        let BoundSocket { listener, file } = bound;
        let task = tokio::spawn(self.clone().accept(target, listener));
        Accepting { task, _file: file }
    }

    /// Until the task is dropped.
    async fn accept(self, target: Target, listener: UnixListener) {
        loop {
            let mut passage = self.gate.pass().await;
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = passage.closed() => continue,
            };
            let Ok((stream, _)) = accepted else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else { return };
            let door = Arc::clone(&self.door);
            tokio::spawn(async move {
                serve(stream, target, door, passage).await;
                drop(permit);
            });
        }
    }
}
