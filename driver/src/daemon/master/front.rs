//! Opens the API over HTTP.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openctrl_core::access::Token;
use openctrl_core::doors::v2::Dialect;
use openctrl_core::url::{MasterUrl, Tls};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::shared::Shared;
use crate::daemon::access::{Audit, Registry};
use crate::daemon::control::{ControlHub, MAIN_MODE};
use crate::daemon::http::{About, Observed, Page, Server, ServerConfig, Service, description};
use crate::daemon::start_error::StartError;
use crate::daemon::sysinfo::Sampler;
use crate::daemon::threads::Threads;
use crate::daemon::webhook::Board;
use crate::version::VERSION;

/// What answers are made from, beside what all parts share.
pub(super) struct Backing {
    pub(super) tokens: Vec<Token>,
    /// Whether the state cannot be saved.
    pub(super) disk_fails: Arc<AtomicBool>,
    /// None without `control=`.
    pub(super) control: Option<Arc<ControlHub>>,
    pub(super) webhooks: Arc<Board>,
}

/// Serves the API on the listener, and on a Unix socket if the URL names one.
///
/// # Errors
/// When the socket cannot be bound, or a thread not started.
pub(super) fn open(
    url: MasterUrl,
    shared: &Shared,
    (listener, tls): (TcpListener, Option<TlsAcceptor>),
    backing: Backing,
) -> Result<(Server, Audit), StartError> {
    let bind = |path| shared.sockets.bind(Path::new(path), MAIN_MODE, None)?.into_parts();
    let local = url.socket.as_ref().map(bind).transpose().map_err(StartError::Socket)?;
    shared.sockets.forget_handed();
    let audit =
        Audit::open(&shared.state).map_err(|error| StartError::System("start a thread", error))?;
    let server = Server::start(ServerConfig {
        listener,
        local,
        tls,
        service: Arc::new(service(url, shared, audit.clone(), backing)),
        gate: Arc::clone(&shared.gates[0]),
    });
    Ok((server, audit))
}

fn service(url: MasterUrl, shared: &Shared, audit: Audit, backing: Backing) -> Service {
    let Shared { mailbox, clock, hub, logs, processes, door, .. } = shared;
    let Backing { tokens, disk_fails, control, webhooks } = backing;
    let registry = Registry::new(tokens, Arc::clone(hub), mailbox.clone(), clock.clone());
    tokio::spawn(Arc::clone(&registry).watch_expiry());
    let api_base = url.api_base();
    let observed = Observed {
        logs: Arc::clone(logs),
        processes: Arc::clone(processes),
        disk_fails,
        control,
        hub: Arc::clone(hub),
        mailbox: mailbox.clone(),
        clock: clock.clone(),
        metrics: url.metrics,
        webhooks,
        metrics_turn: Arc::new(Semaphore::new(1)),
        metrics_threads: Threads::new("metrics", 1),
        description: description(api_base.clone(), Dialect::V3_1),
        description_3_0: description(api_base.clone(), Dialect::V3_0),
    };
    Service {
        registry,
        audit,
        guard: Mutex::default(),
        cors: url.cors.clone(),
        heartbeat: Duration::from_secs(u64::from(url.heartbeat_s)),
        page: url.page.then(|| Page::new(&api_base)),
        door: door.clone(),
        api_base,
        runs_commands: url.bin.is_none(),
        about: about(url),
        hub: Arc::clone(hub),
        mailbox: mailbox.clone(),
        sampler: Sampler::start(),
        clock: clock.clone(),
        observed,
        tickets: Mutex::default(),
    }
}

fn about(url: MasterUrl) -> About {
    let tls = match url.tls {
        Tls::Off => "0",
        Tls::SelfSigned => "1",
        Tls::Files { .. } => "2",
    };
    About { version: VERSION, name: url.host, tls, crt: url.crt, key: url.key }
}
