//! The master from its URL to its last save: puts the parts together, in the order in which a
//! failure leaves the least behind.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, io};

use openctrl_core::doors::patrol::config::HookName;
use openctrl_core::doors::v2::Dialect;
use openctrl_core::engine::{Engine, Found};
use openctrl_core::ids::{BootId, InstanceId, KeyEpoch};
use openctrl_core::master::{MasterFace, MasterIdentity};
use openctrl_core::store::Image;
use openctrl_core::url::{MasterUrl, MasterUrlError, Tls, TraceConfig};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::address_file::{Address, AddressFile};
use crate::counters::COUNTERS;
use crate::daemon::access::{Audit, Registry};
use crate::daemon::clock::Clock;
use crate::daemon::console::Console;
use crate::daemon::control::{
    BoundSocket, ControlHands, ListenError, MAIN_MODE, Parts, start_control,
};
use crate::daemon::http::{
    About, Observed, Page, Server, ServerConfig, Service, bind, description,
};
use crate::daemon::hub::{Hub, Publisher};
use crate::daemon::inbox::{Mailbox, inbox};
use crate::daemon::limits::raise_descriptor_limit;
use crate::daemon::log;
use crate::daemon::log_line::LogFormat;
use crate::daemon::logs::Logs;
use crate::daemon::patrol::{
    ConfigFile, Door, Extras, LogRules, Options, SetupError, bind_udp, reload, serve_udp,
};
use crate::daemon::process::{
    IdleSpawner, Keeping, Ledger, LinkError, Runtime, become_subreaper, dismiss_keeper,
    end_commands, find_leftovers,
};
use crate::daemon::reactor::{Finished, Hands, Reactor};
use crate::daemon::service::{Notifier, Watchdog, inherited_listener};
use crate::daemon::signals::{self, Signals, Told};
#[cfg(target_os = "linux")]
use crate::daemon::start_code;
use crate::daemon::store::StoreWriter;
use crate::daemon::sysinfo::Sampler;
use crate::daemon::threads::Threads;
use crate::daemon::tls::{self, Secured, TlsError, TlsSource};
use crate::daemon::trace::{Destination, Recorder};
use crate::daemon::usage::Processes;
use crate::promises::close_inherited_at_exec;
use crate::state::{Loaded, StateDirectory, StoreError};
use crate::version::VERSION;

/// How long answers may take to be written at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How often it is looked whether the file with the address is still there.
const ADDRESS_LOOK: Duration = Duration::from_secs(1);

/// How long the last lines of output may take to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why a master does not start, or does not end well.
#[derive(Debug)]
pub(crate) enum StartError {
    Url(MasterUrlError),
    Store(StoreError),
    Tls(TlsError),
    Bind(String, io::Error),
    Control(ListenError),
    Patrol(SetupError),
    /// A Patrol server has no working directory.
    NoDirectory(io::Error),
    Keeper(LinkError),
    Socket(ListenError),
    System(&'static str, io::Error),
    /// The processes that run on after the end.
    CannotEnd(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Keeper(error) => error.fmt(f),
            Self::Control(error @ ListenError::NoGroup(_)) => error.fmt(f),
            Self::Control(error) => write!(f, "control: {error}"),
            Self::Socket(error) => write!(f, "socket: {error}"),
            Self::Bind(address, error) if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: address in use; stop the other program or choose \
                 another port"
            ),
            Self::Bind(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Patrol(error) => error.fmt(f),
            Self::NoDirectory(error) => write!(f, "there is no working directory: {error}"),
            Self::System(attempt, error) => write!(f, "cannot {attempt}: {error}"),
            Self::CannotEnd(names) => {
                write!(
                    f,
                    "these processes cannot be killed and still run: {names}; kill them by hand"
                )
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Control(error) | Self::Socket(error) => Some(error),
            Self::Patrol(error) => Some(error),
            Self::Keeper(error) => Some(error),
            Self::Bind(_, error) | Self::System(_, error) | Self::NoDirectory(error) => Some(error),
            Self::CannotEnd(_) => None,
        }
    }
}

impl StartError {
    /// The exit status of a master that does not start.
    pub(crate) const fn exit_status(&self) -> u8 {
        match self {
            Self::Patrol(error) => error.exit_status(),
            Self::NoDirectory(_) => 250,
            Self::Url(_)
            | Self::Store(_)
            | Self::Tls(_)
            | Self::Socket(_)
            | Self::Control(_)
            | Self::Keeper(_)
            | Self::Bind(..)
            | Self::System(..)
            | Self::CannotEnd(_) => 1,
        }
    }
}

/// Runs a master until it is told to end.
pub(crate) fn run(url: &str) -> Result<(), StartError> {
    let url = MasterUrl::parse(url).map_err(StartError::Url)?;
    let patrol = url.patrol.as_ref().map(|path| Patrol {
        path: path.into(),
        is_alone: false,
        extras: Extras::default(),
    });
    run_master(url, patrol)
}

/// Runs a Patrol server until it is told to end.
pub(crate) fn run_patrol(options: &Options, extras: Extras) -> Result<(), StartError> {
    std::env::current_dir().map_err(StartError::NoDirectory)?;
    let state = options.state_directory();
    let state = utf8_percent_encode(&state.to_string_lossy(), NON_ALPHANUMERIC).to_string();
    // Where it listens is in the configuration, which is read when there is a log.
    let url = format!("master://127.0.0.1:0?page=off&state={state}");
    let url = MasterUrl::parse(&url).map_err(StartError::Url)?;
    run_master(url, Some(Patrol { path: options.config.clone(), is_alone: true, extras }))
}

/// Reads the configuration of a Patrol server and returns what is in it, with its warnings.
pub(crate) fn check_patrol(config: &Path) -> Result<String, StartError> {
    ConfigFile::check(config).map_err(StartError::Patrol)
}

/// The Patrol door of a master.
struct Patrol {
    path: PathBuf,
    /// Whether there is nothing else.
    is_alone: bool,
    extras: Extras,
}

fn run_master(url: MasterUrl, patrol: Option<Patrol>) -> Result<(), StartError> {
    let system = |attempt| move |error| StartError::System(attempt, error);
    signals::start_clean().map_err(system("unblock signals"))?;
    close_inherited_at_exec();
    // Before anything is opened: it has the number of whatever would be opened next.
    let inherited = inherited_listener().map_err(system("use the service manager's socket"))?;
    let format = if url.log_is_json { LogFormat::Json } else { LogFormat::Plain };
    let thread = system("start a thread");
    // Standard output is the lines of instances, whatever the form of the log (Contract §7).
    let lost = &COUNTERS.stdout_lines_missing;
    let stdout = Console::start_counted("stdout", io::stdout(), LogFormat::Plain, lost);
    let stdout = stdout.map_err(thread)?;
    let stderr = Console::start("stderr", io::stderr(), format).map_err(thread)?;
    log::start(&stderr, format);
    let result = prove_threads(workers())
        .and_then(|()| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(workers())
                .enable_all()
                .build()
        })
        .map_err(system("start the async runtime"))
        .and_then(|runtime| {
            let result = runtime.block_on(serve(url, patrol, inherited, &stdout));
            // A name look-up may hang for as long as the resolver likes; nobody needs it now.
            runtime.shutdown_background();
            result
        });
    stdout.flush(LAST_LINES);
    stderr.flush(LAST_LINES);
    result
}

/// As many threads of the async runtime as there are CPUs.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Shows that the system gives this many threads at a time. The async runtime hangs if it does not.
fn prove_threads(count: usize) -> io::Result<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let mut threads = Vec::with_capacity(count);
    let mut result = Ok(());
    for _ in 0..count {
        let held = Arc::clone(&held);
        let wait = move || drop(held.lock().map(|held| held.recv()));
        match std::thread::Builder::new().spawn(wait) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                let reason =
                    format!("cannot start a thread: {error}; raise the limit on processes");
                result = Err(io::Error::new(error.kind(), reason));
                break;
            }
        }
    }
    drop(release);
    for thread in threads {
        let _ = thread.join();
    }
    result
}

async fn serve(
    mut url: MasterUrl,
    patrol: Option<Patrol>,
    inherited: Option<std::net::TcpListener>,
    stdout: &Console,
) -> Result<(), StartError> {
    let system = |attempt| move |error| StartError::System(attempt, error);
    let clock = Clock::start();
    let is_alone = patrol.as_ref().is_some_and(|patrol| patrol.is_alone);
    let closures = patrol.as_ref().and_then(|patrol| patrol.extras.listener.clone());
    let mut config = patrol
        .map(|patrol| ConfigFile::read(&patrol.path, patrol.extras))
        .transpose()
        .map_err(StartError::Patrol)?;
    if let Some(config) = config.as_ref().filter(|_| is_alone) {
        (url.host, url.port) = config.http_address().map_err(StartError::Patrol)?;
    }
    // What a configuration starts outlives the master anyway, and is found by its pid files.
    url.survives &= config.is_none();
    raise_descriptor_limit();
    let spawner = IdleSpawner::start(url.survives).map_err(system("start a thread"))?;
    let executable = std::env::current_exe().map_err(system("find this program's own file"))?;
    let runtime = Runtime {
        path: url.bin.clone().map_or_else(|| executable.clone(), PathBuf::from),
        is_own: url.bin.is_none(),
    };
    warn_of_oddities(&url, &executable, &runtime.path);

    let notifier = Notifier::from_environment();
    let signals = Signals::listen(config.is_some()).map_err(system("listen for signals"))?;
    let child_ended = signal(SignalKind::child()).map_err(system("listen for signals"))?;
    become_subreaper();
    let mut directory = StateDirectory::open(&state_path(&url, &executable)?)?;
    let loaded = directory.load()?;
    let secured = secured(&url)?;
    let (listener, url) = listen(url, inherited).await?;
    let udp = match &mut config {
        Some(config) => Some(listen_udp(config, &listener, is_alone).await?),
        None => None,
    };
    let (mailbox, inbox) = inbox();
    let boot = BootId(u32::from_le_bytes(random()?));
    let recorder = recorder(&url, directory.path(), boot).map_err(system("start a thread"))?;
    let mut ledger = Ledger::open(directory.path());
    let state = directory.path().to_owned();
    let events_max = url.control.as_ref().map(|control| control.events as usize);
    let patrol = config.as_ref().map(|config| (config, is_alone));
    let (image, store) = adopt(directory, loaded, patrol, mailbox.clone(), events_max)?;
    let door = config.as_ref().map(|config| -> Result<_, StartError> {
        let (config, id) = (config.shared(), random()?);
        Ok(Arc::new(Door::new(config, is_alone, id, mailbox.clone(), clock.clone(), closures)))
    });
    let door = door.transpose()?;
    // A start that is refused leaves the directory as it was.
    let mut address_file = AddressFile::claim(&state);
    let is_known = |id| image.instances.contains_key(&id);
    let mut keeping = keeping(&url, &state, &runtime)?;
    keeping.iter_mut().for_each(|keeping| keeping.match_with(&ledger, is_known));
    let is_kept = |number| keeping.as_ref().is_some_and(|keeping| keeping.has(number));
    let leftovers = find_leftovers(&mut ledger, is_known, is_kept);
    let clock = clock.reaching_back(keeping.as_ref().map_or(Duration::ZERO, Keeping::oldest));
    let left_behind: Vec<InstanceId> = leftovers.keys().copied().collect();
    if !left_behind.is_empty() {
        let count = left_behind.len();
        tracing::warn!("Master.run: the last run left processes behind, ending them: {count}");
    }
    let tokens: Vec<_> = image.tokens.values().cloned().collect();
    let face = MasterFace { identity: image.master.clone(), key_epoch: KeyEpoch::default() };
    let hub = Hub::new(boot, face);
    let metrics = url.metrics;
    let known: Vec<InstanceId> = image.instances.keys().copied().collect();
    let logs = Logs::open(&url.logs, boot, &known).map_err(system("keep log files"))?;
    let api_base = url.api_base();
    let processes = Processes::start(clock.clone()).map_err(system("start a thread"))?;
    let reopened = Arc::clone(&logs);
    let log_rules = LogRules::from(&url.logs);
    let disk_fails = store.is_failing();
    let survivors = keeping.as_ref().map(|keeping| keeping.facts(clock.sample()));
    let survivors = survivors.unwrap_or_default();
    let notes = keeping.as_ref().map(|keeping| keeping.notes().to_vec()).unwrap_or_default();
    let (keeper, survivors_held) = keeping.map(Keeping::into_parts).unzip();
    let hands = Hands {
        publisher: Publisher::new(Arc::clone(&hub)),
        spawner: spawner
            .begin(
                runtime,
                ledger,
                mailbox.clone(),
                door.clone(),
                keeper.map(|keeper| (keeper, state.clone())),
            )
            .map_err(system("start the runtime"))?,
        store,
        stdout: stdout.clone(),
        logs: Arc::clone(&logs),
        processes: Arc::clone(&processes),
        mailbox: mailbox.clone(),
        door: door.clone(),
        leftovers,
        survivors: survivors_held.unwrap_or_default(),
    };
    let now = hands.publisher.advance(clock.sample());
    let control = match &url.control {
        None => None,
        Some(options) => {
            let parts = Parts {
                options,
                image: &image,
                state: &state,
                views: Arc::clone(&hub),
                processes: Arc::clone(&processes),
                mailbox: mailbox.clone(),
                clock: clock.clone(),
                now,
            };
            Some(start_control(parts)?)
        }
    };
    let shown = control.as_ref().map(ControlHands::hub);
    let found = Found { leftovers: &left_behind, survivors: &survivors, notes: &notes };
    let engine = Engine::with_found(image, found, random()?, now);
    let reactor = Reactor::new(engine, recorder, hands, control, clock.clone(), child_ended, now);
    let address = address(&url, secured.as_ref());
    let (tls, certificate) = match secured {
        Some(Secured { acceptor, certificate, fingerprint: _ }) => (Some(acceptor), certificate),
        None => (None, None),
    };
    let sampler = Sampler::start();
    let local = url.socket.as_ref().map(|path| BoundSocket::bind(Path::new(path), MAIN_MODE, None));
    let local = local.transpose().map_err(StartError::Socket)?;
    let audit = Audit::open(&state).map_err(system("start a thread"))?;
    let registry = Registry::new(tokens, Arc::clone(&hub), mailbox.clone(), clock.clone());
    tokio::spawn(Arc::clone(&registry).watch_expiry());
    let service = Service {
        registry,
        audit,
        guard: Mutex::default(),
        cors: url.cors.clone(),
        heartbeat: Duration::from_secs(u64::from(url.heartbeat_s)),
        page: url.page.then(|| Page::new(&url.api_base())),
        door: door.clone(),
        api_base: url.api_base(),
        runs_commands: url.bin.is_none(),
        about: about(url),
        hub: Arc::clone(&hub),
        mailbox: mailbox.clone(),
        sampler,
        clock: clock.clone(),
        observed: Observed {
            logs,
            processes,
            disk_fails,
            control: shown,
            hub,
            mailbox: mailbox.clone(),
            clock,
            metrics,
            metrics_turn: Arc::new(Semaphore::new(1)),
            metrics_threads: Threads::new("metrics", 1),
            description: description(api_base.clone(), Dialect::V3_1),
            description_3_0: description(api_base, Dialect::V3_0),
        },
        tickets: Mutex::default(),
    };
    let server = Server::start(ServerConfig { listener, local, tls, service: Arc::new(service) });
    if !is_alone && let Err(error) = address_file.publish(&address) {
        tracing::warn!(
            "Master.run: commands on this machine cannot find this master: {error}; use --api"
        );
    }
    let (withdraw, withdrawn) = oneshot::channel();
    let address_kept = tokio::spawn(keep_address(address_file, withdrawn));
    let address = address.url;
    if !is_alone {
        tracing::info!("Master.run: started: {address}");
    }
    let reloads = match (config, door, udp) {
        (Some(config), Some(door), Some(udp)) => {
            let [http, datagrams] = config.bound();
            tracing::info!("Patrol.run: started: http://{http} udp://{datagrams}");
            tokio::spawn(serve_udp(udp, Arc::clone(&door)));
            door.happened(HookName::Started);
            tokio::spawn(Arc::clone(&door).tick());
            tokio::spawn(Arc::clone(&door).keep_logs_small(log_rules));
            let reload = reload(config, door, mailbox.clone());
            Some(Box::new(reload) as Box<dyn FnMut() + Send>)
        }
        _ => None,
    };
    notifier.ready(&address);
    if let Some(watchdog) = Watchdog::from_environment() {
        tokio::spawn(watchdog.feed(mailbox.clone(), notifier.clone()));
    }
    if let Some(certificate) = &certificate {
        tokio::spawn(Arc::clone(certificate).watch_for_removal());
    }
    let told = Told { mailbox, notifier, logs: reopened, certificate, address, reload: reloads };
    tokio::spawn(signals.pass_on(told));
    #[cfg(target_os = "linux")]
    start_code::give_back();

    let Finished { hands, control, left } = reactor.run(inbox).await;
    if let Some(door) = &hands.door {
        door.happened(HookName::Stopped);
    }
    end_commands();
    // While the directory is held still: the next master has a file of its own.
    let _ = withdraw.send(());
    let _ = address_kept.await;
    hands.store.finish();
    if let Some(control) = control {
        control.finish(LAST_ANSWERS).await;
    }
    hands.logs.flush(LAST_LINES);
    server.finish(LAST_ANSWERS).await;
    left.map_or(Ok(()), |names| Err(StartError::CannotEnd(names)))
}

/// Keeps the address file in its place until the master ends, and removes it then.
async fn keep_address(mut file: AddressFile, mut withdrawn: oneshot::Receiver<()>) {
    while timeout(ADDRESS_LOOK, &mut withdrawn).await.is_err() {
        // If it cannot be written, its directory is probably missing, too: that is reported there.
        if file.restore().unwrap_or(false) {
            tracing::warn!(
                "Master.run: the file with the address of this master was written again"
            );
        }
    }
}

/// Warns of what an operator should correct although the master can start.
fn warn_of_oddities(url: &MasterUrl, executable: &Path, runtime: &Path) {
    if url.state.is_none() && is_in_build_directory(executable) {
        let name = executable.display();
        tracing::warn!(
            "Master.run: the state is beside {name}, where cargo clean deletes it; \
             use state=<dir> to keep it elsewhere"
        );
    }
    if !url.ignored.is_empty() {
        let names = url.ignored.join(", ");
        tracing::warn!("Master.run: unknown parameters of the master URL are ignored: {names}");
    }
    let is_for_all = matches!(&*url.host, "" | "0.0.0.0" | "::");
    if is_for_all && url.tls == Tls::Off {
        tracing::warn!(
            "Master.run: the API listens on all addresses without TLS: anyone on the network path \
             can read the key; add tls=1 or tls=2, or listen on 127.0.0.1"
        );
    }
    // A bare name is looked up in PATH at every start.
    if runtime.components().count() > 1 && !runtime.exists() {
        let runtime = runtime.display();
        tracing::warn!("Master.run: the runtime {runtime} does not exist; no instance will start");
    }
}

/// Whether cargo built the program and has not installed it.
fn is_in_build_directory(executable: &Path) -> bool {
    executable.ancestors().skip(1).any(|folder| folder.join(".rustc_info.json").exists())
}

fn state_path(url: &MasterUrl, executable: &Path) -> Result<PathBuf, StartError> {
    if let Some(state) = &url.state {
        return Ok(PathBuf::from(state));
    }
    let beside = executable.parent().ok_or_else(|| {
        let reason = io::Error::other("the path of this program has no directory; use state=<dir>");
        StartError::System("find the directory of this program", reason)
    })?;
    Ok(beside.join("gob"))
}

/// Records what the engine is told, beside the state unless the URL says where.
fn recorder(url: &MasterUrl, state: &Path, boot: BootId) -> io::Result<Recorder> {
    let Some(TraceConfig { directory, size_mib, has_text }) = &url.trace else {
        return Ok(Recorder::default());
    };
    Recorder::start(Destination {
        directory: directory.as_ref().map_or_else(|| state.join("trace"), PathBuf::from),
        total_bytes: u64::from(*size_mib) * 1024 * 1024,
        has_text: *has_text,
        boot,
        product: VERSION.to_owned(),
    })
}

/// The keeper of the children, unless they are to end with the master.
fn keeping(
    url: &MasterUrl,
    state: &Path,
    runtime: &Runtime,
) -> Result<Option<Keeping>, StartError> {
    if url.survives {
        return Keeping::begin(state, runtime).map(Some).map_err(StartError::Keeper);
    }
    dismiss_keeper(state);
    Ok(None)
}

/// What clients on this machine have to know.
fn address(url: &MasterUrl, secured: Option<&Secured>) -> Address {
    let crt = match &url.tls {
        Tls::Off | Tls::SelfSigned => None,
        // Clients run elsewhere.
        Tls::Files { crt, .. } => Some(std::path::absolute(crt).unwrap_or_else(|_| crt.into())),
    };
    let certificate = secured.map(|secured| secured.fingerprint.clone());
    Address { url: url.display_address(), certificate, crt }
}

fn secured(url: &MasterUrl) -> Result<Option<Secured>, StartError> {
    let source = match &url.tls {
        Tls::Off => return Ok(None),
        Tls::SelfSigned => TlsSource::SelfSigned,
        Tls::Files { crt, key } => {
            TlsSource::Files { crt: PathBuf::from(crt), key: PathBuf::from(key) }
        }
    };
    tls::acceptor(&source, &url.host, url.client_ca.as_deref().map(Path::new))
        .map(Some)
        .map_err(StartError::Tls)
}

/// Binds, unless a socket was inherited, and puts its port in the place of 0.
async fn listen(
    mut url: MasterUrl,
    inherited: Option<std::net::TcpListener>,
) -> Result<(TcpListener, MasterUrl), StartError> {
    let address = format!("{}:{}", url.host, url.port);
    let listener = match inherited {
        Some(inherited) => TcpListener::from_std(inherited),
        None => bind(&url.host, url.port).await,
    };
    let listener = listener.map_err(|error| StartError::Bind(address, error))?;
    // An address that clients see may be another than the one that is bound, but 0 is none.
    if url.port == 0
        && let Ok(bound) = listener.local_addr()
    {
        url.port = bound.port();
    }
    Ok((listener, url))
}

/// Binds the address for datagrams, and tells the configuration what is bound.
async fn listen_udp(
    config: &mut ConfigFile,
    listener: &TcpListener,
    is_alone: bool,
) -> Result<UdpSocket, StartError> {
    let address = config.config.udp.clone();
    let failed = |error| StartError::Bind(format!("udp {address}"), error);
    let socket = bind_udp(&address).await.map_err(failed)?;
    let bound = listener.local_addr().and_then(|http| Ok((http, socket.local_addr()?)));
    let (http, udp) = bound.map_err(failed)?;
    config.set_bound(http, udp, is_alone);
    Ok(socket)
}

/// The state to start from, durable before its key is told.
fn adopt(
    directory: StateDirectory,
    loaded: Loaded,
    patrol: Option<(&ConfigFile, bool)>,
    mailbox: Mailbox,
    events_max: Option<usize>,
) -> Result<(Image, StoreWriter), StartError> {
    let (mut image, word) = match loaded {
        Loaded::State(image, notes) => {
            for note in notes {
                tracing::warn!("Master.loadState: {note}");
            }
            (image, "loaded")
        }
        Loaded::Imported(mut image, path) => {
            let (path, count) = (path.display(), image.instances.len());
            tracing::info!("Master.loadState: {count} instances taken over from {path}");
            if image.master.mid.is_empty() {
                image.master.mid = MasterIdentity::from_random(random()?, [0; 16]).mid;
            }
            (image, "loaded")
        }
        Loaded::Nothing => {
            let identity = MasterIdentity::from_random(random()?, random()?);
            (Image::new(identity), "created")
        }
    };
    if let Some(events_max) = events_max {
        image.adopt_control(events_max);
    }
    if let Some((config, _)) = patrol {
        let mut seed = [0; 8];
        let mut failed = None;
        image.configure(config.instances(), || {
            match random() {
                Ok(bytes) => seed = bytes,
                Err(error) => failed = Some(error),
            }
            u64::from_le_bytes(seed)
        });
        if let Some(error) = failed {
            return Err(error);
        }
    }
    let store = StoreWriter::start(directory, image.clone(), mailbox)
        .map_err(|error| StartError::System("save the state", error))?;
    if patrol.is_none_or(|(_, is_alone)| !is_alone) {
        tracing::info!("Master.run: API key {word}: {}", image.master.key.reveal());
    }
    Ok((image, store))
}

fn about(url: MasterUrl) -> About {
    let tls = match url.tls {
        Tls::Off => "0",
        Tls::SelfSigned => "1",
        Tls::Files { .. } => "2",
    };
    About { version: VERSION, name: url.host, tls, crt: url.crt, key: url.key }
}

fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    let failed =
        |error| StartError::System("get randomness from the system", io::Error::other(error));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

impl From<ListenError> for StartError {
    fn from(error: ListenError) -> Self {
        Self::Control(error)
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cargo_built_is_told_from_an_installed_one() {
        let ours = std::env::current_exe().expect("a test is a program");
        assert!(is_in_build_directory(&ours), "{}", ours.display());
        assert!(!is_in_build_directory(Path::new("/usr/bin/openctrl")));
    }
}
