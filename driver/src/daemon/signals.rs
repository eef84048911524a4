//! The effect of every signal on the master: those that shut it down (Contract §12), HUP, which
//! reloads the certificate and reopens log files, USR1, which reopens log files, USR2, which replaces
//! the program, and those without effect. docs/operators/OPERATIONS.md has the table.

use std::ffi::c_int;
use std::io;
use std::sync::{Arc, OnceLock};

use openctrl_core::engine::Input;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::daemon::inbox::{Mailbox, Notice};
use crate::daemon::logs::Logs;
use crate::daemon::service::Notifier;
use crate::daemon::tls::Reloading;
use crate::promises::{Disposition, is_ignored, set_disposition, unblock_signals};

/// Ignored: their default would terminate or stop the master without its processes. SIGXFSZ becomes
/// an error of the write that exceeds the limit on file sizes, as on a full disk; SIGTTOU and
/// SIGTTIN would stop a master in the background of a terminal.
const IGNORED: [c_int; 8] = [
    libc::SIGXFSZ,
    // Until it is handled, and where it has no effect.
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// The numbers of all signals.
const ALL: std::ops::RangeInclusive<c_int> = 1..=64;

/// LXC stops containers with it, and power supplies use it to announce a power failure.
#[cfg(target_os = "linux")]
const POWER_FAILURE: c_int = libc::SIGPWR;

/// Only Linux has the signal; where it does not exist, the one that means the same.
#[cfg(not(target_os = "linux"))]
const POWER_FAILURE: c_int = libc::SIGTERM;

static HANG_UP_WAS_IGNORED: OnceLock<bool> = OnceLock::new();

/// Resets the signals that the parent of the master changed: unblocks all, and ignores only those
/// that the master ignores. Call it before other threads exist. With `stays_blocked` they are left
/// blocked: another program of this process did that, until they are handled.
pub(crate) fn start_clean(stays_blocked: bool) -> io::Result<()> {
    if !stays_blocked {
        unblock_signals()?;
    }
    HANG_UP_WAS_IGNORED.get_or_init(|| is_ignored(libc::SIGHUP));
    // The standard library has SIGPIPE ignored already: a broken pipe is an error of the write.
    for signal in ALL.filter(|signal| *signal != libc::SIGPIPE && is_ignored(*signal)) {
        set_disposition(signal, Disposition::Default);
    }
    for signal in IGNORED {
        set_disposition(signal, Disposition::Ignore);
    }
    #[cfg(target_os = "linux")]
    for signal in (libc::SIGRTMIN()..=libc::SIGRTMAX()).chain([libc::SIGSTKFLT]) {
        set_disposition(signal, Disposition::Ignore);
    }
    Ok(())
}

/// Whether the master was started with SIGHUP ignored, as by `nohup`: its children are then, too.
pub(crate) fn hang_up_was_ignored() -> bool {
    HANG_UP_WAS_IGNORED.get().is_some_and(|was_ignored| *was_ignored)
}

/// The signals, caught from the moment that this is made: one that comes before the master is up is
/// obeyed when it is.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    power_failure: Signal,
    cpu_limit: Signal,
    hang_up: Signal,
    user_1: Signal,
    user_2: Signal,
    /// TSTP, if it ends the master.
    stop: Option<Signal>,
}

/// Waits for a signal that may not be listened for.
async fn received(signal: &mut Option<Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

/// The receivers of signals.
pub(crate) struct Told {
    pub(crate) mailbox: Mailbox,
    pub(crate) notifier: Notifier,
    /// What HUP and USR1 reopen.
    pub(crate) logs: Arc<Logs>,
    /// What HUP reloads.
    pub(crate) certificate: Option<Arc<Reloading>>,
    /// Where the API is.
    pub(crate) address: String,
    /// What the server is called in the log: `Master` or `Patrol`.
    pub(crate) server: &'static str,
    /// What HUP does to the Patrol door.
    pub(crate) reload: Option<Box<dyn FnMut() + Send>>,
    /// What USR2 does.
    pub(crate) upgrade: Box<dyn FnMut() + Send>,
}

impl Signals {
    /// Begins to catch them. With `stop_ends`, TSTP is one of those that end the master.
    pub(crate) fn listen(stop_ends: bool) -> io::Result<Self> {
        let stop = stop_ends.then(|| signal(SignalKind::from_raw(libc::SIGTSTP))).transpose()?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            power_failure: signal(SignalKind::from_raw(POWER_FAILURE))?,
            cpu_limit: signal(SignalKind::from_raw(libc::SIGXCPU))?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
            stop,
        })
    }

    /// Passes every one of them on, indefinitely.
    pub(crate) async fn pass_on(mut self, mut told: Told) {
        let mut is_stopping = false;
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "TERM",
                _ = self.interrupt.recv() => "INT",
                _ = self.quit.recv() => "QUIT",
                _ = self.power_failure.recv() => "PWR",
                _ = self.cpu_limit.recv() => "XCPU",
                Some(()) = received(&mut self.stop) => "TSTP",
                _ = self.hang_up.recv() => {
                    told.reload(is_stopping);
                    continue;
                }
                _ = self.user_1.recv() => {
                    tracing::info!("{}.run: USR1 received, reopening log files", told.server);
                    told.logs.reopen();
                    continue;
                }
                _ = self.user_2.recv() => {
                    tracing::info!("{}.run: USR2 received, replacing the program", told.server);
                    (told.upgrade)();
                    continue;
                }
            };
            tracing::info!("{}.run: {name} received, shutting down", told.server);
            is_stopping = true;
            told.notifier.stopping();
            told.mailbox.fact(Notice::Fact(Input::ShutdownRequested));
        }
    }
}

impl Told {
    /// The service manager is notified in any case: it may wait for the reload that it requested.
    fn reload(&mut self, is_stopping: bool) {
        // A master that stops does not become ready again.
        if is_stopping {
            return;
        }
        self.notifier.reloading();
        self.logs.reopen();
        if let Some(reload) = &mut self.reload {
            reload();
        }
        match &self.certificate {
            Some(certificate) => {
                tracing::info!("Master.run: HUP received, reading the certificate again");
                certificate.reload();
            }
            None if self.reload.is_some() => {}
            None => tracing::info!("Master.run: HUP received, there is no certificate to reload"),
        }
        self.notifier.ready(&self.address);
    }
}
