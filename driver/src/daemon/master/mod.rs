//! The master from its URL to its last save: puts the parts together, in the order in which a
//! failure leaves the least behind.

mod assembly;
mod front;
mod ground;
mod past;
mod random;
mod shared;
mod signposts;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openctrl_core::cgroup::Grouping;
use openctrl_core::doors::patrol::config::HookName;
use openctrl_core::handover::{Descriptor, Role};
use openctrl_core::ids::{BootId, InstanceId, KeyEpoch};
use openctrl_core::master::MasterFace;
use openctrl_core::url::{MasterUrl, TraceConfig};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use self::assembly::{Tools, assemble};
use self::front::Backing;
use self::ground::{Ground, Patrol};
use self::past::{Additions, Past};
use self::random::random;
use self::shared::Shared;
use self::signposts::{Published, Signposts};
use crate::cgroups::Groups;
use crate::counters::COUNTERS;
use crate::daemon::console::Console;
use crate::daemon::endpoint::address;
use crate::daemon::first_thread;
use crate::daemon::gate::Gate;
use crate::daemon::http::Server;
use crate::daemon::hub::Hub;
use crate::daemon::inbox::inbox;
use crate::daemon::log;
use crate::daemon::log_line::LogFormat;
use crate::daemon::logs::Logs;
use crate::daemon::patrol::{ConfigFile, Door, Extras, LogRules, Options, reload, serve_udp};
use crate::daemon::process::end_commands;
use crate::daemon::reactor::Finished;
use crate::daemon::service::{Watchdog, inherited_listener};
use crate::daemon::signals::{self, Told};
use crate::daemon::start_error::StartError;
use crate::daemon::tls::Secured;
use crate::daemon::trace::{Destination, Recorder};
use crate::daemon::upgrade::{self, Arrival, Fixed, Running};
use crate::daemon::usage::Processes;
use crate::daemon::webhook::Webhooks;
use crate::promises::close_inherited_at_exec;
use crate::version::VERSION;

/// How long answers may take to be written at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long after its start a master is taken to be past it.
#[cfg(target_os = "linux")]
const START_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// How long hooks may run at least when the last app has ended.
const LAST_HOOKS: Duration = Duration::from_secs(1);

/// How long the last lines of output may take to be written, and those of the audit log.
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

async fn serve(url: MasterUrl, patrol: Option<Patrol>, begun: Begun) -> Result<(), StartError> {
    let system = |attempt| move |error| StartError::System(attempt, error);
    let Begun { mut arrival, left_open, inherited, consoles } = begun;
    let ground = Ground::prepare(url, patrol, inherited, &mut arrival).await?;
    let Ground { clock, program, url, config, is_alone, extras, notifier, signals, .. } = ground;
    let Ground { directory, mut secured, webhooks, listener, sockets, udp, .. } = ground;
    let state = directory.path().to_owned();
    let lock = directory.lock_number();
    let channel = arrival.as_mut().and_then(|arrival| arrival.channel.take());
    let (mailbox, inbox) = inbox();
    let boot = BootId(u32::from_le_bytes(random()?));
    // Segments of every program have a run of their own.
    let recorder = recorder(&url, &state, boot).map_err(system("start a thread"))?;
    let events_max = url.control.as_ref().map(|control| control.events as usize);
    let additions = Additions { config: config.as_ref(), is_alone, events_max };
    let keeper = (ground.survival, &ground.runtime);
    let mut past = Past::take_over(directory, ground.loaded, &additions, mailbox.clone(), keeper)?;
    let door = config.as_ref().map(|config| -> Result<_, StartError> {
        let (config, id) = (config.shared(), random()?);
        Ok(Arc::new(Door::new(config, is_alone, id, mailbox.clone(), clock.clone(), extras)))
    });
    let door = door.transpose()?;
    // A start that is refused leaves the directory as it was.
    let mut signposts = Signposts::in_directory(&state);
    if arrival.is_none() {
        signposts.remove_earlier();
    }
    let clock = match arrival {
        Some(_) => clock,
        None => clock.reaching_back(past.oldest()),
    };
    let resumed = past.resume(&mut arrival, clock.sample());
    let handover = arrival.as_ref().map(|arrival| &arrival.handover);
    let generation = handover.map_or(0, |handover| handover.generation);
    let last_request = handover.map_or(0, |handover| handover.last_request);
    let from = handover.map(|handover| handover.product.clone());
    let boot = handover.map_or(boot, |handover| handover.boot);
    let face = MasterFace { identity: past.image.master.clone(), key_epoch: KeyEpoch::default() };
    let hub = match &mut arrival {
        Some(arrival) => Hub::resuming(&mut arrival.handover, face),
        None => Hub::new(boot, face),
    };
    let known: Vec<InstanceId> = past.image.instances.keys().copied().collect();
    let handed = arrival.map(|arrival| arrival.handover.logs);
    let logs = Logs::open(&url.logs, boot, &known, handed, mailbox.log_room())
        .map_err(system("keep log files"))?;
    let groups = open_groups(ground.groups_in, &url, &past.image.master.mid)?;
    let shared = Shared {
        state,
        mailbox,
        hub,
        logs,
        processes: Processes::start(clock.clone(), groups.clone())
            .map_err(system("start a thread"))?,
        clock,
        gates: [Gate::new(), Gate::new()],
        sockets,
        door,
        groups,
    };
    let tokens: Vec<_> = past.image.tokens.values().cloned().collect();
    let disk_fails = past.store.is_failing();
    let board = webhooks.as_ref().map(Webhooks::board).unwrap_or_default();
    let obstacle = obstacle(past.keeping.is_some(), shared.door.is_some());
    let tools = Tools {
        url: &url,
        runtime: ground.runtime,
        spawner: ground.spawner,
        stdout: url.console.then(|| consoles[0].clone()),
        webhooks,
        recorder,
        child_ended: ground.child_ended,
    };
    let (reactor, control) = assemble(past, resumed, &shared, tools)?;
    let reactor = reactor.after_request(last_request);

    let log_rules = LogRules::from(&url.logs);
    let address = address(&url, secured.as_ref());
    let made = secured.as_mut().and_then(|secured| secured.made.take());
    let (tls, certificate) = match secured {
        Some(Secured { acceptor, certificate, .. }) => (Some(acceptor), certificate),
        None => (None, None),
    };
    let listener_number = listener.as_raw_fd();
    let backing = Backing { tokens, disk_fails, control, webhooks: board };
    let (server, audit) = front::open(url, &shared, (listener, tls), backing)?;

    let published = signposts.publish((!is_alone).then_some(&address));
    let kept = left_open.into_iter().map(|number| (number, Role::Inherited));
    let kept = kept.chain([(listener_number, Role::Tcp)]);
    let fixed = Fixed {
        program,
        state: shared.state.clone(),
        boot,
        generation,
        address: address.url.clone(),
        obstacle,
        lock,
        descriptors: kept.map(|(number, role)| Descriptor { number, role }).collect(),
        certificate: made,
    };
    let Shared { gates, hub, logs, mailbox, clock, sockets, .. } = shared.clone();
    let running = Running {
        gates,
        hub,
        logs,
        audit: audit.clone(),
        notifier: notifier.clone(),
        consoles,
        mailbox,
        clock,
        sockets,
    };
    let upgrade = upgrade::start(fixed, running, channel);
    if !is_alone {
        tracing::info!("Master.run: started: {}", address.url);
    }
    let reload = match (config, udp) {
        (Some(config), Some(udp)) => begin_patrol(config, udp, &shared, log_rules),
        _ => None,
    };
    if let Some(from) = &from {
        tracing::info!("Master.upgrade: {VERSION} continues in place of {from}");
    }
    notifier.ready(&address.url);
    if let Some(watchdog) = Watchdog::from_environment() {
        tokio::spawn(watchdog.feed(shared.mailbox.clone(), notifier.clone()));
    }
    if let Some(certificate) = &certificate {
        tokio::spawn(Arc::clone(certificate).watch_for_removal());
    }
    let told = Told {
        mailbox: shared.mailbox.clone(),
        notifier,
        logs: Arc::clone(&shared.logs),
        certificate,
        address: address.url,
        server: if is_alone { "Patrol" } else { "Master" },
        reload,
        upgrade,
    };
    tokio::spawn(signals.pass_on(told));
    #[cfg(target_os = "linux")]
    tokio::spawn(give_back_later());
    let finished = reactor.run(inbox).await;
    let ended = finish(finished, &shared.state, published, server).await;
    // After the last answer. A disk that hangs does not hold up the end.
    let _ = tokio::time::timeout(LAST_LINES, audit.settle()).await;
    ended
}

/// The control groups of processes, if they have some, below `groups_in`.
fn open_groups(
    groups_in: Option<PathBuf>,
    url: &MasterUrl,
    mid: &str,
) -> Result<Option<Groups>, StartError> {
    let Some(groups_in) = groups_in else { return Ok(None) };
    match Groups::open(&groups_in, mid) {
        Ok(groups) => {
            let folder = groups.folder().display();
            tracing::info!("Master.run: each process has a control group in {folder}");
            Ok(Some(groups))
        }
        Err(error) if url.grouping == Grouping::On => {
            Err(StartError::System("use control groups", error))
        }
        Err(error) => {
            tracing::warn!("Master.run: cannot use control groups: {error}");
            Ok(None)
        }
    }
}

/// Opens the Patrol door; returns what reads its configuration again.
fn begin_patrol(
    config: ConfigFile,
    udp: tokio::net::UdpSocket,
    shared: &Shared,
    log_rules: LogRules,
) -> Option<Box<dyn FnMut() + Send>> {
    let door = Arc::clone(shared.door.as_ref()?);
    let [http, datagrams] = config.bound();
    tracing::info!("Patrol.run: started: http://{http} udp://{datagrams}");
    tokio::spawn(serve_udp(udp, Arc::clone(&door)));
    door.happened(HookName::Started);
    tokio::spawn(Arc::clone(&door).tick());
    tokio::spawn(Arc::clone(&door).keep_logs_small(log_rules));
    Some(Box::new(reload(config, door, shared.mailbox.clone())))
}

/// Gives back what only the start needed. The first requests do not wait for it.
#[cfg(target_os = "linux")]
async fn give_back_later() {
    tokio::time::sleep(START_ENDS_WITHIN).await;
    let _ = tokio::task::spawn_blocking(crate::start_code::give_back).await;
}

/// Ends what is left when the loop is done, and saves for the last time.
async fn finish(
    finished: Finished,
    state: &Path,
    published: Published,
    server: Server,
) -> Result<(), StartError> {
    let Finished { hands, control, left, kill_at } = finished;
    if let Some(door) = &hands.door {
        door.finish(kill_at.max(Instant::now() + LAST_HOOKS)).await;
    }
    end_commands();
    published.withdraw().await;
    upgrade::remove(state);
    hands.store.finish();
    if let Some(control) = control {
        control.finish(LAST_ANSWERS).await;
    }
    hands.logs.flush(LAST_LINES);
    server.finish(LAST_ANSWERS).await;
    left.map_or(Ok(()), |names| Err(StartError::CannotEnd(names)))
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
