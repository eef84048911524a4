//! The sockets of the control API: two of the master, and one for each instance as long as it
//! exists.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use openctrl_core::doors::control::Socket;
use openctrl_core::ids::InstanceId;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::answer::{Door, Target};
use super::connection::serve;
use super::listen::{BoundSocket, ListenError, MAIN_MODE, STATUS_MODE, SocketFile, make_directory};

/// Connections to all sockets at a time; more wait to be accepted.
const CONNECTIONS_MAX: u32 = 4_096;

/// How long to wait before accepting again when the system refuses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the sockets are, and which there are.
#[derive(Clone, Debug)]
pub(crate) struct SocketsConfig {
    pub(crate) dir: PathBuf,
    pub(crate) group: Option<u32>,
    pub(crate) tagged_only: bool,
}

/// Where an instance has its socket.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) id: InstanceId,
    pub(crate) scheme: String,
    pub(crate) name: String,
    /// Whether it has the tag `control`.
    pub(crate) is_tagged: bool,
}

/// Sockets that are bound, and not served yet.
#[derive(Debug)]
pub(crate) struct Sockets {
    config: SocketsConfig,
    main: [(Socket, BoundSocket); 2],
    instances: Vec<(InstanceId, PathBuf, BoundSocket)>,
}

/// Sockets that are served: made and taken away as instances come and go.
#[derive(Debug)]
pub(crate) struct Serving {
    config: SocketsConfig,
    acceptor: Acceptor,
    rows: HashMap<InstanceId, (PathBuf, Accepting)>,
    main: [Accepting; 2],
    closing: watch::Sender<bool>,
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
            BoundSocket::bind(&config.dir.join(name), mode, group)
        };
        let main = [
            (Socket::Control, main("openctrl.sock", MAIN_MODE)?),
            (Socket::Status, main("openctrl-status.sock", STATUS_MODE)?),
        ];
        let mut instances = Vec::new();
        for followed in known.iter().filter(|followed| config.has_socket(followed)) {
            let path = config.path(followed);
            let bound = config.bind(&path)?;
            instances.push((followed.id, path, bound));
        }
        Ok(Self { config, main, instances })
    }

    /// Begins to accept.
    pub(crate) fn serve(self, door: Arc<Door>) -> Serving {
        let Self { config, main, instances } = self;
        let (closing, closes) = watch::channel(false);
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
        let acceptor = Acceptor { door, connections: Arc::clone(&connections), closes };
        let main = main.map(|(socket, bound)| acceptor.spawn(Target::Main(socket), bound));
        let mut rows = HashMap::new();
        for (id, path, bound) in instances {
            rows.insert(id, (path, acceptor.spawn(Target::Instance(id), bound)));
        }
        Serving { config, acceptor, rows, main, closing }
    }
}

impl Serving {
    /// The instance exists, or has another name: it has its socket from here on.
    pub(crate) fn put(&mut self, followed: &Followed) {
        let path = self.config.path(followed);
        if !self.config.has_socket(followed) {
            self.rows.remove(&followed.id);
            return;
        }
        if self.rows.get(&followed.id).is_some_and(|(known, _)| *known == path) {
            return;
        }
        match self.config.bind(&path) {
            Ok(bound) => {
                let accepting = self.acceptor.spawn(Target::Instance(followed.id), bound);
                self.rows.insert(followed.id, (path, accepting));
            }
            Err(error) => {
                self.rows.remove(&followed.id);
                let id = followed.id;
                tracing::warn!("Control.listen: instance {id} has no control socket: {error}");
            }
        }
    }

    /// The instance was deleted.
    pub(crate) fn remove(&mut self, id: InstanceId) {
        self.rows.remove(&id);
    }

    /// Removes every socket, and lets connections finish the answers that they are writing.
    pub(crate) async fn finish(self, limit: Duration) {
        let Self { acceptor, rows, main, closing, .. } = self;
        let _ = closing.send(true);
        drop((rows, main));
        let _ = timeout(limit, acceptor.connections.acquire_many(CONNECTIONS_MAX)).await;
    }
}

impl SocketsConfig {
    fn has_socket(&self, followed: &Followed) -> bool {
        followed.is_tagged || !self.tagged_only
    }

    fn path(&self, followed: &Followed) -> PathBuf {
        self.dir.join(&followed.scheme).join(format!("{}.sock", followed.name))
    }

    fn bind(&self, path: &Path) -> Result<BoundSocket, ListenError> {
        if let Some(dir) = path.parent() {
            make_directory(dir)?;
        }
        BoundSocket::bind(path, MAIN_MODE, self.group)
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
    closes: watch::Receiver<bool>,
}

impl Acceptor {
    fn spawn(&self, target: Target, bound: BoundSocket) -> Accepting {
        let BoundSocket { listener, file } = bound;
        let task = tokio::spawn(self.clone().accept(target, listener));
        Accepting { task, _file: file }
    }

    async fn accept(mut self, target: Target, listener: UnixListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.closes.wait_for(|closing| *closing) => return,
            };
            let Ok((stream, _)) = accepted else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else { return };
            let (door, closes) = (Arc::clone(&self.door), self.closes.clone());
            tokio::spawn(async move {
                serve(stream, target, door, closes).await;
                drop(permit);
            });
        }
    }
}
