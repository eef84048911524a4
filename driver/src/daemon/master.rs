//! The master from its URL to its last save: puts the parts together, in the order in which a
//! failure leaves the least behind.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openctrl_core::doors::patrol::config::HookName;
use openctrl_core::doors::v2::Dialect;
use openctrl_core::engine::{Engine, Found};
use openctrl_core::handover::{Descriptor, Role};
use openctrl_core::ids::{BootId, InstanceId, KeyEpoch};
use openctrl_core::master::{MasterFace, MasterIdentity};
use openctrl_core::store::Image;
use openctrl_core::url::{MasterUrl, Survival, Tls, TraceConfig};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::address_file::Address;
use crate::counted::counted;
use crate::counters::COUNTERS;
use crate::daemon::access::{Audit, Registry};
use crate::daemon::clock::Clock;
use crate::daemon::console::Console;
use crate::daemon::control::{ControlHands, MAIN_MODE, OpenSockets, Parts, start_control};
use crate::daemon::endpoint::{address, listen, listen_udp, secured, usable_listener};
use crate::daemon::file_watch::FileWatch;
use crate::daemon::first_thread;
use crate::daemon::gate::Gate;
use crate::daemon::http::{About, Observed, Page, Server, ServerConfig, Service, description};
use crate::daemon::hub::{Hub, Publisher};
use crate::daemon::inbox::{Mailbox, Notice, inbox};
use crate::daemon::limits::raise_descriptor_limit;
use crate::daemon::log;
use crate::daemon::log_line::LogFormat;
use crate::daemon::logs::Logs;
use crate::daemon::patrol::{ConfigFile, Door, Extras, LogRules, Options, reload, serve_udp};
use crate::daemon::process::{
    IdleSpawner, Keeping, Ledger, Runtime, become_subreaper, dismiss_keeper, end_commands,
    find_leftovers,
};
use crate::daemon::reactor::{Finished, Hands, Reactor};
use crate::daemon::service::{Notifier, Watchdog, inherited_listener};
use crate::daemon::signals::{self, Signals, Told};
use crate::daemon::start_error::StartError;
use crate::daemon::store::StoreWriter;
use crate::daemon::sysinfo::Sampler;
use crate::daemon::threads::Threads;
use crate::daemon::tls::Secured;
use crate::daemon::trace::{Destination, Recorder};
use crate::daemon::upgrade::{self, Arrival, Fixed, OwnProgram, Running};
use crate::daemon::usage::Processes;
use crate::daemon::webhook::Webhooks;
use crate::promises::{close_inherited_at_exec, unblock_signals};
use crate::published_file::PublishedFile;
use crate::state::{Loaded, PID_FILE, StateDirectory};
use crate::version::VERSION;

/// Whether this system has keepers.
const HAS_KEEPERS: bool = cfg!(target_os = "linux");

/// How long answers may take to be written at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long after its start a master is taken to be past it.
#[cfg(target_os = "linux")]
const START_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// How long hooks may run at least when the last app has ended.
const LAST_HOOKS: Duration = Duration::from_secs(1);

/// How often it is looked whether the files with the process id and the address are still there.
const SIGNPOST_LOOK: Duration = Duration::from_secs(1);

/// How long the last lines of output may take to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

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
    // Before anything is opened: they have the numbers of whatever would be opened next.
    let (arrival, cannot_go_on) = match Arrival::take() {
        Ok(arrival) => (arrival, None),
        Err(reason) => (None, Some(reason)),
    };
    signals::start_clean(arrival.is_some()).map_err(system("unblock signals"))?;
    let left_open = close_inherited_at_exec();
    let inherited = match arrival {
        Some(_) => None,
        None => inherited_listener().map_err(system("use the service manager's socket"))?,
    };
    let format = if url.log_is_json { LogFormat::Json } else { LogFormat::Plain };
    let thread = system("start a thread");
    // Standard output is the lines of instances, whatever the form of the log (Contract §7).
    let lost = &COUNTERS.stdout_lines_missing;
    let stdout = Console::start_counted("stdout", io::stdout(), LogFormat::Plain, lost);
    let stdout = stdout.map_err(thread)?;
    let stderr = Console::start("stderr", io::stderr(), format).map_err(thread)?;
    log::start(&stderr, format);
    if let Some(reason) = cannot_go_on {
        tracing::error!(
            "Master.upgrade: cannot read what was handed over, starting as after a crash: {reason}"
        );
    }
    let begun = Begun { arrival, left_open, inherited, consoles: [stdout.clone(), stderr.clone()] };
    let result = prove_threads(workers())
        .and_then(|()| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(workers())
                .enable_all()
                .build()
        })
        .map_err(system("start the async runtime"))
        .and_then(|runtime| {
            let result = first_thread::block_on(&runtime, serve(url, patrol, begun));
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

/// What a start begins with.
struct Begun {
    /// What another program of this process handed over.
    arrival: Option<Arrival>,
    /// The numbers of the descriptors that the process was started with.
    left_open: Vec<RawFd>,
    /// The socket of a service manager.
    inherited: Option<std::net::TcpListener>,
    /// Standard output and standard error.
    consoles: [Console; 2],
}

async fn serve(mut url: MasterUrl, patrol: Option<Patrol>, begun: Begun) -> Result<(), StartError> {
    let system = |attempt| move |error| StartError::System(attempt, error);
    let Begun { mut arrival, left_open, inherited, consoles } = begun;
    let clock = match &arrival {
        Some(Arrival { handover, .. }) => {
            Clock::resuming(handover.origin_micros, handover.started_micros)
        }
        None => Clock::start(),
    };
    let program = OwnProgram::remember().map_err(system("find this program's own file"))?;
    let is_alone = patrol.as_ref().is_some_and(|patrol| patrol.is_alone);
    let extras = patrol.as_ref().map(|patrol| patrol.extras.clone()).unwrap_or_default();
    let mut config = patrol
        .map(|patrol| ConfigFile::read(&patrol.path, patrol.extras))
        .transpose()
        .map_err(StartError::Patrol)?;
    if let Some(config) = config.as_ref().filter(|_| is_alone) {
        (url.host, url.port) = config.http_address().map_err(StartError::Patrol)?;
    }
    // What a configuration starts outlives the master anyway, and is found by its pid files.
    let survival = if config.is_none() { url.survival } else { Survival::Off };
    raise_descriptor_limit();
    let shares_table = survival != Survival::Off || !extras.sources.is_empty();
    let spawner = IdleSpawner::start(shares_table).map_err(system("start a thread"))?;
    let executable = std::env::current_exe().map_err(system("find this program's own file"))?;
    let runtime = Runtime {
        path: url.bin.clone().map_or_else(|| executable.clone(), PathBuf::from),
        is_own: url.bin.is_none(),
    };
    warn_of_oddities(&url, &executable, &runtime.path);

    let notifier = Notifier::from_environment();
    let signals = Signals::listen(config.is_some()).map_err(system("listen for signals"))?;
    let child_ended = signal(SignalKind::child()).map_err(system("listen for signals"))?;
    if arrival.is_some() {
        unblock_signals().map_err(system("unblock signals"))?;
    }
    become_subreaper();
    let state = state_path(&url, &executable)?;
    let mut directory = match arrival.as_mut().and_then(|arrival| arrival.state_lock.take()) {
        Some(lock) => StateDirectory::held(&state, lock.into())?,
        None => StateDirectory::open(&state)?,
    };
    let lock = directory.lock_number();
    let loaded = directory.load()?;
    let made = arrival.as_mut().and_then(|arrival| arrival.handover.certificate.take());
    let mut secured = secured(&url, made)?;
    let webhooks = url.webhooks.as_ref().map(Webhooks::new).transpose();
    let webhooks = webhooks.map_err(StartError::Webhook)?;
    let board = webhooks.as_ref().map(Webhooks::board).unwrap_or_default();
    let handed = arrival.as_mut().and_then(|arrival| arrival.tcp.take());
    let inherited =
        handed.map(usable_listener).transpose().map_err(system("listen"))?.or(inherited);
    let (listener, url) = listen(url, inherited).await?;
    let channel = arrival.as_mut().and_then(|arrival| arrival.channel.take());
    let sockets = arrival.as_mut().map(|arrival| std::mem::take(&mut arrival.sockets));
    let sockets = OpenSockets::with(sockets.unwrap_or_default());
    let udp = match &mut config {
        Some(config) => Some(listen_udp(config, &listener, is_alone).await?),
        None => None,
    };
    let (mailbox, inbox) = inbox();
    let boot = BootId(u32::from_le_bytes(random()?));
    // Segments of every program have a run of their own.
    let recorder = recorder(&url, directory.path(), boot).map_err(system("start a thread"))?;
    let mut ledger = Ledger::open(directory.path());
    let state = directory.path().to_owned();
    let events_max = url.control.as_ref().map(|control| control.events as usize);
    let patrol = config.as_ref().map(|config| (config, is_alone));
    // A keeper starts while the state is written.
    let (adopted, keeping) = std::thread::scope(|scope| {
        let keeping = scope.spawn(|| keeping(survival, &state, &runtime));
        let adopted = adopt(directory, loaded, patrol, mailbox.clone(), events_max);
        (adopted, keeping.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (image, store) = adopted?;
    let door = config.as_ref().map(|config| -> Result<_, StartError> {
        let (config, id) = (config.shared(), random()?);
        Ok(Arc::new(Door::new(config, is_alone, id, mailbox.clone(), clock.clone(), extras)))
    });
    let door = door.transpose()?;
    // A start that is refused leaves the directory as it was.
    let mut address_file = Address::file(&state);
    let mut pid_file = PublishedFile::at(state.join(PID_FILE));
    if arrival.is_none() {
        address_file.remove_earlier();
        pid_file.remove_earlier();
    }
    let is_known = |id| image.instances.contains_key(&id);
    let mut keeping = keeping?;
    keeping.iter_mut().for_each(|keeping| keeping.match_with(&ledger, is_known));
    let is_kept = |number| keeping.as_ref().is_some_and(|keeping| keeping.has(number));
    let leftovers = find_leftovers(&mut ledger, is_known, is_kept);
    let clock = match arrival {
        Some(_) => clock,
        None => clock.reaching_back(keeping.as_ref().map_or(Duration::ZERO, Keeping::oldest)),
    };
    let resumed = match &arrival {
        Some(Arrival { handover, .. }) => {
            let runs = keeping.as_ref().map(Keeping::runs).unwrap_or_default();
            match Engine::resume(&handover.engine, &runs, clock.sample()) {
                Ok(engine) => Some(engine),
                Err(error) => {
                    tracing::error!(
                        "Master.upgrade: cannot continue with what was handed over, starting as after \
                         a crash: {error}"
                    );
                    arrival = None;
                    None
                }
            }
        }
        None => None,
    };
    let generation = arrival.as_ref().map_or(0, |arrival| arrival.handover.generation);
    let last_request = arrival.as_ref().map_or(0, |arrival| arrival.handover.last_request);
    let from = arrival.as_ref().map(|arrival| arrival.handover.product.clone());
    let boot = arrival.as_ref().map_or(boot, |arrival| arrival.handover.boot);
    if let (Some(arrival), Some(keeping)) = (&mut arrival, &mut keeping) {
        let unfinished = std::mem::take(&mut arrival.handover.unfinished);
        keeping.go_on(unfinished, std::mem::take(&mut arrival.notify));
    }
    let left_behind: Vec<InstanceId> = leftovers.keys().copied().collect();
    if !left_behind.is_empty() {
        let count = left_behind.len();
        tracing::warn!("Master.run: the last run left processes behind, ending them: {count}");
    }
    let tokens: Vec<_> = image.tokens.values().cloned().collect();
    let face = MasterFace { identity: image.master.clone(), key_epoch: KeyEpoch::default() };
    let hub = match &mut arrival {
        Some(arrival) => Hub::resuming(&mut arrival.handover, face),
        None => Hub::new(boot, face),
    };
    let metrics = url.metrics;
    let known: Vec<InstanceId> = image.instances.keys().copied().collect();
    let handed = arrival.as_mut().map(|arrival| std::mem::take(&mut arrival.handover.logs));
    let logs = Logs::open(&url.logs, boot, &known, handed).map_err(system("keep log files"))?;
    drop(arrival);
    let api_base = url.api_base();
    let processes = Processes::start(clock.clone()).map_err(system("start a thread"))?;
    let (reopened, kept_logs) = (Arc::clone(&logs), Arc::clone(&logs));
    let gates = [Gate::new(), Gate::new()];
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
        stdout: consoles[0].clone(),
        logs: Arc::clone(&logs),
        processes: Arc::clone(&processes),
        mailbox: mailbox.clone(),
        files: FileWatch::new(mailbox.clone()),
        webhooks,
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
                open: sockets.clone(),
                gate: Arc::clone(&gates[1]),
            };
            Some(start_control(parts)?)
        }
    };
    let shown = control.as_ref().map(ControlHands::hub);
    let found = Found { leftovers: &left_behind, survivors: &survivors, notes: &notes };
    if let Some(door) = &door {
        door.happened(HookName::Start);
    }
    let engine = match resumed {
        Some(engine) => engine,
        None => Engine::with_found(image, found, random()?, now),
    };
    if let Some(webhooks) = &hands.webhooks {
        mailbox.fact(Notice::Fact(webhooks.configured()));
    }
    let obstacle = obstacle(hands.spawner.has_keeper(), door.is_some());
    let reactor = Reactor::new(engine, recorder, hands, control, clock.clone(), child_ended, now)
        .after_request(last_request);
    let address = address(&url, secured.as_ref());
    let made = secured.as_mut().and_then(|secured| secured.made.take());
    let (tls, certificate) = match secured {
        Some(Secured { acceptor, certificate, .. }) => (Some(acceptor), certificate),
        None => (None, None),
    };
    let sampler = Sampler::start();
    let local = url
        .socket
        .as_ref()
        .map(|path| sockets.bind(Path::new(path), MAIN_MODE, None)?.into_parts());
    let local = local.transpose().map_err(StartError::Socket)?;
    sockets.forget_handed();
    let listener_number = listener.as_raw_fd();
    let audit = Audit::open(&state).map_err(system("start a thread"))?;
    let kept_audit = audit.clone();
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
            hub: Arc::clone(&hub),
            mailbox: mailbox.clone(),
            clock: clock.clone(),
            metrics,
            webhooks: board,
            metrics_turn: Arc::new(Semaphore::new(1)),
            metrics_threads: Threads::new("metrics", 1),
            description: description(api_base.clone(), Dialect::V3_1),
            description_3_0: description(api_base, Dialect::V3_0),
        },
        tickets: Mutex::default(),
    };
    let server = Server::start(ServerConfig {
        listener,
        local,
        tls,
        service: Arc::new(service),
        gate: Arc::clone(&gates[0]),
    });
    if !is_alone && let Err(error) = address_file.publish(address.text()) {
        tracing::warn!(
            "Master.run: commands on this machine cannot find this master: {error}; use --api"
        );
    }
    if let Err(error) = pid_file.publish(format!("{}\n", std::process::id())) {
        let path = state.join(PID_FILE);
        tracing::warn!("Master.run: cannot write {}: {error}", path.display());
    }
    let (withdraw, withdrawn) = oneshot::channel();
    let signposts_kept = tokio::spawn(keep_signposts([pid_file, address_file], withdrawn));
    let address = address.url;
    let kept = left_open.into_iter().map(|number| (number, Role::Inherited));
    let kept = kept.chain([(listener_number, Role::Tcp)]);
    let fixed = Fixed {
        program,
        state: state.clone(),
        boot,
        generation,
        address: address.clone(),
        obstacle,
        lock,
        descriptors: kept.map(|(number, role)| Descriptor { number, role }).collect(),
        certificate: made,
    };
    let running = Running {
        gates,
        hub,
        logs: kept_logs,
        audit: kept_audit,
        notifier: notifier.clone(),
        consoles,
        mailbox: mailbox.clone(),
        clock,
        sockets,
    };
    let upgrade = upgrade::start(fixed, running, channel);
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
    if let Some(from) = &from {
        tracing::info!("Master.upgrade: {VERSION} continues in place of {from}");
    }
    notifier.ready(&address);
    if let Some(watchdog) = Watchdog::from_environment() {
        tokio::spawn(watchdog.feed(mailbox.clone(), notifier.clone()));
    }
    if let Some(certificate) = &certificate {
        tokio::spawn(Arc::clone(certificate).watch_for_removal());
    }
    let told = Told {
        mailbox,
        notifier,
        logs: reopened,
        certificate,
        address,
        server: if is_alone { "Patrol" } else { "Master" },
        reload: reloads,
        upgrade,
    };
    tokio::spawn(signals.pass_on(told));
    #[cfg(target_os = "linux")]
    tokio::spawn(async {
        // The first requests do not wait for it.
        tokio::time::sleep(START_ENDS_WITHIN).await;
        let _ = tokio::task::spawn_blocking(crate::start_code::give_back).await;
    });

    let Finished { hands, control, left, kill_at } = reactor.run(inbox).await;
    if let Some(door) = &hands.door {
        door.finish(kill_at.max(Instant::now() + LAST_HOOKS)).await;
    }
    end_commands();
    // While the directory is held still: the next master has a file of its own.
    let _ = withdraw.send(());
    let _ = signposts_kept.await;
    upgrade::remove(&state);
    hands.store.finish();
    if let Some(control) = control {
        control.finish(LAST_ANSWERS).await;
    }
    hands.logs.flush(LAST_LINES);
    server.finish(LAST_ANSWERS).await;
    left.map_or(Ok(()), |names| Err(StartError::CannotEnd(names)))
}

/// Keeps the files that say which master this is in their places until it ends, and removes them
/// then.
async fn keep_signposts(mut files: [PublishedFile; 2], mut withdrawn: oneshot::Receiver<()>) {
    while timeout(SIGNPOST_LOOK, &mut withdrawn).await.is_err() {
        for file in &mut files {
            // If it cannot be written, its directory is probably missing, too: that is reported
            // there.
            if file.restore().unwrap_or(false) {
                let path = file.path().display();
                tracing::warn!("Master.run: {path} was removed and was written again");
            }
        }
    }
}

/// Why a master is not upgraded in place, with the remedy.
fn obstacle(has_keeper: bool, has_configuration: bool) -> Option<&'static str> {
    if has_configuration {
        return Some(
            "a master with a Patrol configuration is not upgraded in place; stop it and start it \
             again",
        );
    }
    let ends_with_it = "it has no keeper, so its children would end with it; start it again without \
                        survive=off";
    (!has_keeper).then_some(ends_with_it)
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

/// The keeper of the children, unless the next master ends them.
fn keeping(
    survival: Survival,
    state: &Path,
    runtime: &Runtime,
) -> Result<Option<Keeping>, StartError> {
    if survival == Survival::Off || !(HAS_KEEPERS || survival == Survival::On) {
        dismiss_keeper(state);
        return Ok(None);
    }
    match Keeping::begin(state, runtime) {
        Ok(keeping) => Ok(Some(keeping)),
        Err(error) if survival == Survival::IfPossible && error.is_of_a_new_one() => {
            tracing::warn!("Master.run: instances do not outlive a master that is killed: {error}");
            Ok(None)
        }
        Err(error) => Err(StartError::Keeper(error)),
    }
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
            let instances = counted(image.instances.len() as u64, "instance");
            tracing::info!("Master.loadState: {instances} taken over from {}", path.display());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cargo_built_is_told_from_an_installed_one() {
        let ours = std::env::current_exe().expect("a test is a program");
        assert!(is_in_build_directory(&ours), "{}", ours.display());
        assert!(!is_in_build_directory(Path::new("/usr/bin/openctrl")));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_keeper_that_cannot_be_started_is_an_error_only_if_the_url_asks_for_it() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let missing = home.path().join("missing");
        let runtime = Runtime { path: "/bin/true".into(), is_own: false };
        let begin = |survival| keeping(survival, &missing, &runtime);
        let error = begin(Survival::On).expect_err("no socket can be made there");
        assert!(error.to_string().contains("survive=off goes without it"), "{error}");
        assert!(begin(Survival::IfPossible).expect("it is possible without").is_none());
        assert!(begin(Survival::Off).expect("none is asked for").is_none());
    }
}
