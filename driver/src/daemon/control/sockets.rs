//! The sockets of the control API: two of the master, and one for each instance as long as it
//! exists.
//!
//! A thread makes and removes the sockets of instances: on a disk each can take long, which would
//! hold the loop up. In memory a socket takes less than waking the thread, so the loop makes it,
//! while the store syncs the creation. `orders` has what is to be done. One task accepts on all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use openctrl_core::command::Outcome;
use openctrl_core::doors::control::{ProcessEntry, Socket};
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::Definition;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::answer::{Door, Target};
use super::connection::serve;
use super::listen::{
    BoundSocket, ListenError, MAIN_MODE, OpenSockets, STATUS_MODE, SocketFile, make_directory,
};
use super::listeners::{Listeners, Listening};
use super::orders::{Batch, Followed, OrderNumber, Orders};
use crate::daemon::gate::{Gate, Passage};

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
    /// The control socket, and the status socket.
    main: [(UnixListener, SocketFile); 2],
    instances: Vec<(InstanceId, PathBuf, BoundSocket)>,
}

/// Sockets that are served: made and removed as instances come and go.
#[derive(Debug)]
pub(crate) struct Serving {
    orders: Arc<Orders>,
    /// What was ordered last of each instance, and as which order.
    ordered: HashMap<InstanceId, (Followed, OrderNumber)>,
    /// The order that answers wait for.
    needed: OrderNumber,
    tagged_only: bool,
    attendant: Arc<Mutex<Attendant>>,
    thread: thread::JoinHandle<()>,
    /// Whether the sockets are in memory.
    is_quick: bool,
    acceptor: Acceptor,
    /// The main sockets, and all others.
    accepting: [Accepting; 3],
    _main: [SocketFile; 2],
}

/// Makes and removes the sockets of instances. Whoever holds it takes orders and carries them out,
/// so that they are carried out in order.
#[derive(Debug)]
struct Attendant {
    config: SocketsConfig,
    listeners: Arc<Listeners>,
    rows: HashMap<InstanceId, Row>,
    /// Directories that were made, and have their mode.
    made: HashSet<PathBuf>,
    /// What could not be made, and is tried again.
    missing: HashMap<InstanceId, Followed>,
}

/// The socket of an instance.
#[derive(Debug)]
struct Row {
    path: PathBuf,
    _listening: Listening,
    _file: SocketFile,
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
            config.open.bind(&config.dir.join(name), mode, group)?.into_parts()
        };
        let main = [main("openctrl.sock", MAIN_MODE)?, main("openctrl-status.sock", STATUS_MODE)?];
        let (mut instances, mut made) = (Vec::new(), HashSet::new());
        for followed in known.iter().filter(|known| known.has_socket(config.tagged_only)) {
            let path = config.path(followed);
            let bound = config.bind(&path, &mut made)?;
            instances.push((followed.id, path, bound));
        }
        Ok(Self { config, main, instances })
    }

    /// Begins to accept. The runtime must be entered.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn serve(self, door: Arc<Door>, gate: Arc<Gate>) -> io::Result<Serving> {
        let Self { config, main, instances } = self;
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let acceptor = Acceptor { door, connections, gate };
        let [(control, control_file), (status, status_file)] = main;
        let few = Arc::new(Semaphore::new(STATUS_CONNECTIONS_MAX));
        let of_status = Acceptor { connections: few, ..acceptor.clone() };
        let listeners = Listeners::new()?;
        let accepting = [
            acceptor.on(Source::Main(Socket::Control, control)),
            of_status.on(Source::Main(Socket::Status, status)),
            acceptor.on(Source::Instances(Arc::clone(&listeners))),
        ];
        let mut rows = HashMap::new();
        for (id, path, bound) in instances {
            rows.insert(id, Row::new(&listeners, id, path, bound)?);
        }
        let (orders, tagged_only) = (Arc::new(Orders::default()), config.tagged_only);
        let (made, missing) = (HashSet::new(), HashMap::new());
        let is_quick = is_in_memory(&config.dir);
        let attendant = Attendant { config, listeners, rows, made, missing };
        let attendant = Arc::new(Mutex::new(attendant));
        let thread = thread::Builder::new().name("sockets".to_owned()).spawn({
            let (orders, attendant) = (Arc::clone(&orders), Arc::clone(&attendant));
            move || Attendant::run(&attendant, &orders)
        })?;
        let (ordered, needed) = (HashMap::new(), OrderNumber::default());
        let main = [control_file, status_file];
        Ok(Serving {
            orders,
            ordered,
            needed,
            tagged_only,
            attendant,
            thread,
            is_quick,
            acceptor,
            accepting,
            _main: main,
        })
    }
}

impl Serving {
    /// The instance is being created: its socket can be made meanwhile. No answer waits for it.
    pub(crate) fn expect(&mut self, followed: Followed) {
        self.order(followed);
    }

    /// Orders the socket of an instance, or that it has none. One that never had one needs no
    /// order.
    fn order(&mut self, followed: Followed) -> OrderNumber {
        let tagged_only = self.tagged_only;
        let known = self.ordered.get(&followed.id);
        let had_one = known.is_some_and(|(known, _)| known.has_socket(tagged_only));
        let number = match followed.has_socket(tagged_only) || had_one {
            true => self.orders.put(followed.clone()),
            false => OrderNumber::default(),
        };
        self.ordered.insert(followed.id, (followed, number));
        number
    }

    /// The instance exists, or has another name: it has its socket before a later answer.
    pub(crate) fn put(&mut self, entry: &ProcessEntry) {
        let number = match self.ordered.get(&entry.id) {
            Some((known, number)) if known.is_of(entry) => *number,
            _ => self.order(Followed::of(entry)),
        };
        self.needed = self.needed.max(number);
    }

    /// The instance was deleted, or is not created.
    pub(crate) fn remove(&mut self, id: InstanceId) {
        let known = self.ordered.remove(&id);
        if known.is_none_or(|(known, _)| known.has_socket(self.tagged_only)) {
            self.needed = self.orders.remove(id);
        }
    }

    /// Gives an answer once the sockets that it may be about are there, or gone.
    pub(crate) fn answer(&self, to: oneshot::Sender<Outcome>, outcome: Outcome) {
        self.orders.answer(self.needed, to, outcome);
    }

    /// Carries out what a step ordered, or lets the thread do it.
    pub(crate) fn end_step(&self) {
        if !self.orders.are_waiting() {
            return;
        }
        let is_done = self.is_quick
            && self.attendant.try_lock().is_ok_and(|mut attendant| {
                let had_missing = !attendant.missing.is_empty();
                attendant.carry_out_all(&self.orders);
                // The thread tries again what could not be made.
                had_missing || attendant.missing.is_empty()
            });
        if !is_done {
            self.orders.call();
        }
    }

    /// Removes every socket, and lets connections finish the answers that they are writing.
    pub(crate) async fn finish(self, limit: Duration) {
        let Self { orders, attendant, thread, acceptor, accepting, _main: main, .. } = self;
        acceptor.gate.close();
        drop((accepting, main));
        orders.close();
        if thread.join().is_err() {
            tracing::error!("Control.listen: the thread of the sockets stopped after a panic");
        }
        drop(attendant);
        let _ = timeout(limit, acceptor.gate.is_clear()).await;
    }
}

impl Attendant {
    /// The thread: what the loop leaves to it, and what could not be made.
    fn run(attendant: &Mutex<Self>, orders: &Orders) {
        let mut pause = None;
        loop {
            let is_closed = orders.wait(pause);
            let mut attendant = attendant.lock().unwrap_or_else(PoisonError::into_inner);
            if !attendant.carry_out_all(orders) {
                attendant.try_missing();
            }
            if is_closed {
                return;
            }
            pause = (!attendant.missing.is_empty()).then_some(RETRY);
        }
    }

    fn try_missing(&mut self) {
        for followed in self.missing.values().cloned().collect::<Vec<_>>() {
            self.bind(followed);
        }
    }

    /// Whether there was anything to carry out.
    fn carry_out_all(&mut self, orders: &Orders) -> bool {
        let Batch { rows, upto } = orders.take();
        let is_any = !rows.is_empty();
        self.carry_out(rows);
        orders.carried_out(upto);
        is_any
    }

    /// Sockets that go make room for those of the same name.
    fn carry_out(&mut self, rows: HashMap<InstanceId, Option<Followed>>) {
        let mut new = Vec::new();
        for (id, followed) in rows {
            self.missing.remove(&id);
            let followed = followed.filter(|it| it.has_socket(self.config.tagged_only));
            let path = followed.as_ref().map(|followed| self.config.path(followed));
            let known = self.rows.get(&id).map(|row| &row.path);
            if known.is_some() && known == path.as_ref() {
                continue;
            }
            self.rows.remove(&id);
            new.extend(followed);
        }
        new.into_iter().for_each(|followed| self.bind(followed));
    }

    fn bind(&mut self, followed: Followed) {
        let (id, path) = (followed.id, self.config.path(&followed));
        let bound = self.config.bind(&path, &mut self.made);
        let row = bound.and_then(|bound| {
            let failed = |error| ListenError::Io("listen on", path.clone(), error);
            Row::new(&self.listeners, id, path.clone(), bound).map_err(failed)
        });
        match row {
            Ok(row) => {
                self.rows.insert(id, row);
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

impl Row {
    fn new(
        listeners: &Arc<Listeners>,
        id: InstanceId,
        path: PathBuf,
        bound: BoundSocket,
    ) -> io::Result<Self> {
        let BoundSocket { listener, file } = bound;
        let listening = listeners.add(id, listener)?;
        Ok(Self { path, _listening: listening, _file: file })
    }
}

impl Followed {
    /// An instance with this name and definition.
    pub(super) fn expected(id: InstanceId, name: &str, definition: &Definition) -> Self {
        Self {
            id,
            scheme: definition.url().scheme().to_owned(),
            name: name.to_owned(),
            is_tagged: is_tagged(&definition.meta.tags),
        }
    }

    fn of(entry: &ProcessEntry) -> Self {
        let is_tagged = is_tagged(&entry.tags);
        let (scheme, name) = (entry.scheme.clone(), entry.name.to_string());
        Self { id: entry.id, scheme, name, is_tagged }
    }

    fn is_of(&self, entry: &ProcessEntry) -> bool {
        self.name == *entry.name
            && self.scheme == entry.scheme
            && self.is_tagged == is_tagged(&entry.tags)
    }

    /// Whether it has a socket, with `control_sockets=tagged` or without.
    pub(super) const fn has_socket(&self, tagged_only: bool) -> bool {
        self.is_tagged || !tagged_only
    }
}

/// Whether files of a directory are in memory.
#[cfg(target_os = "linux")]
fn is_in_memory(dir: &Path) -> bool {
    // TMPFS_MAGIC; its type differs between systems.
    rustix::fs::statfs(dir).is_ok_and(|found| found.f_type == 0x0102_1994)
}

#[cfg(not(target_os = "linux"))]
const fn is_in_memory(_: &Path) -> bool {
    false
}

fn is_tagged(tags: &BTreeMap<String, String>) -> bool {
    tags.contains_key("control")
}

impl SocketsConfig {
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

/// A task that accepts. Dropped, it accepts no more.
#[derive(Debug)]
struct Accepting(JoinHandle<()>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone, Debug)]
struct Acceptor {
    door: Arc<Door>,
    connections: Arc<Semaphore>,
    gate: Arc<Gate>,
}

/// Where connections come from.
enum Source {
    Main(Socket, UnixListener),
    Instances(Arc<Listeners>),
}

impl Source {
    async fn accept(&self) -> io::Result<(Target, UnixStream)> {
        match self {
            Self::Main(socket, listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Target::Main(*socket), stream))
            }
            Self::Instances(listeners) => {
                let (id, stream) = listeners.accept().await?;
                Ok((Target::Instance(id), stream))
            }
        }
    }
}

impl Acceptor {
    fn on(&self, source: Source) -> Accepting {
        Accepting(tokio::spawn(self.clone().run(source)))
    }

    /// Until the task is dropped.
    async fn run(self, source: Source) {
        loop {
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else { return };
            let mut passage = self.gate.pass().await;
            let accepted = tokio::select! {
                accepted = source.accept() => accepted,
                () = passage.closed() => continue,
            };
            match accepted {
                Ok((target, stream)) => self.serve(target, stream, passage, permit),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn serve(
        &self,
        target: Target,
        stream: UnixStream,
        passage: Passage,
        permit: OwnedSemaphorePermit,
    ) {
        let door = Arc::clone(&self.door);
        tokio::spawn(async move {
            serve(stream, target, door, passage).await;
            drop(permit);
        });
    }
}
