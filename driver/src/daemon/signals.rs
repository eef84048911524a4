//! The signals that the master itself obeys: TERM and INT end it (Contract §12), HUP reloads the
//! certificate and reopens log files, USR1 reopens log files.

use std::io;
use std::sync::Arc;

use openctrl_core::engine::Input;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::daemon::inbox::{Mailbox, Notice};
use crate::daemon::logs::Logs;
use crate::daemon::service::Notifier;
use crate::daemon::tls::Reloading;

/// The signals, caught from the moment that this is made: one that comes before the master is up is
/// obeyed when it is.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_1: Signal,
}

/// Who is told of them.
pub(crate) struct Told {
    pub(crate) mailbox: Mailbox,
    pub(crate) notifier: Notifier,
    /// What HUP and USR1 reopen.
    pub(crate) logs: Arc<Logs>,
    /// What HUP reloads.
    pub(crate) certificate: Option<Arc<Reloading>>,
    /// Where the API is.
    pub(crate) address: String,
}

impl Signals {
    /// Begins to catch them.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
        })
    }

    /// Passes every one of them on, for ever.
    pub(crate) async fn pass_on(mut self, told: Told) {
        let mut is_stopping = false;
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "TERM",
                _ = self.interrupt.recv() => "INT",
                _ = self.hang_up.recv() => {
                    told.reload(is_stopping);
                    continue;
                }
                _ = self.user_1.recv() => {
                    tracing::info!("Master.run: USR1 received, reopening log files");
                    told.logs.reopen();
                    continue;
                }
            };
            tracing::info!("Master.run: {name} received, shutting down");
            is_stopping = true;
            told.notifier.stopping();
            told.mailbox.fact(Notice::Fact(Input::ShutdownRequested));
        }
    }
}

impl Told {
    /// The service manager is told in any case: it may wait for the end of what it asked for.
    fn reload(&self, is_stopping: bool) {
        // A master that stops does not become ready again.
        if is_stopping {
            return;
        }
        self.notifier.reloading();
        self.logs.reopen();
        match &self.certificate {
            Some(certificate) => {
                tracing::info!("Master.run: HUP received, reading the certificate again");
                certificate.reload();
            }
            None => tracing::info!("Master.run: HUP received, there is no certificate to reload"),
        }
        self.notifier.ready(&self.address);
    }
}
