//! The certificate of `tls=2`, reloaded while the master runs (Contract §10). Owns when the files
//! are checked and which certificate is served until then.
//!
//! The check happens during a handshake, on its async worker: reading two files of a few kilobytes
//! once an hour does not need a thread. Other handshakes never wait for it; they use the current
//! certificate. SIGHUP checks at once.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::sleep;

use super::error::TlsError;
use super::files::{Content, PemFiles};

const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How often it is looked whether the files are still there.
const LOOK_FOR_REMOVAL: Duration = Duration::from_secs(5);

/// Serves the certificate last found good.
pub(crate) struct Reloading {
    pub(super) files: PemFiles,
    /// Minimum time between two checks of the files.
    pub(super) interval: Duration,
    pub(super) clock: Box<dyn Fn() -> Instant + Send + Sync>,
    current: RwLock<Arc<CertifiedKey>>,
    pub(super) last: Mutex<Look>,
}

/// The result of one [`Reloading::refresh`].
#[derive(Debug)]
pub(super) enum Refresh {
    /// Too early, or another handshake is at it.
    NotDue,
    /// The files are as at the last look, be they good or bad.
    Unchanged,
    /// They have changed and are served from now on.
    Replaced,
    /// They have changed and are no good; the old certificate stays.
    Kept(TlsError),
}

pub(super) struct Look {
    at: Instant,
    seen: Seen,
}

/// The files at the last check. Their content shows a change: modification times do not change with
/// copies that preserve them or with coarse clocks, and change with permissions alone.
#[derive(PartialEq, Eq)]
enum Seen {
    Content(u64),
    Unreadable(String),
}

impl Seen {
    fn of(read: &Result<Content, TlsError>) -> Self {
        match read {
            Ok(content) => {
                let mut hasher = DefaultHasher::new();
                content.hash(&mut hasher);
                Self::Content(hasher.finish())
            }
            Err(why) => Self::Unreadable(why.to_string()),
        }
    }
}

impl Reloading {
    /// Reads the files for the first time; the next look is an hour away.
    pub(super) fn load(files: PemFiles) -> Result<Self, TlsError> {
        let read = files.read();
        let seen = Seen::of(&read);
        let certified = files.certified(&read?)?;
        Ok(Self {
            files,
            interval: INTERVAL,
            clock: Box::new(Instant::now),
            current: RwLock::new(Arc::new(certified)),
            last: Mutex::new(Look { at: Instant::now(), seen }),
        })
    }

    /// The certificate in use.
    pub(super) fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files if it is time to.
    pub(super) fn refresh(&self) -> Refresh {
        let mut last = match self.last.try_lock() {
            Ok(last) => last,
            Err(TryLockError::Poisoned(last)) => last.into_inner(),
            Err(TryLockError::WouldBlock) => return Refresh::NotDue,
        };
        if (self.clock)().saturating_duration_since(last.at) < self.interval {
            return Refresh::NotDue;
        }
        self.look(&mut last, false)
    }

    /// Checks the files now, on request, and logs the result.
    pub(crate) fn reload(&self) {
        let refresh =
            self.look(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner), true);
        if matches!(refresh, Refresh::Unchanged) {
            let crt = self.files.crt.display();
            tracing::info!("Master.reloadCertificate: the certificate in {crt} has not changed");
        }
        self.log(refresh);
    }

    /// Reports once when one of the files is missing, and once when they exist again, until the
    /// master stops. Does not read them.
    pub(crate) async fn watch_for_removal(self: Arc<Self>) {
        let mut was_missing = false;
        loop {
            sleep(LOOK_FOR_REMOVAL).await;
            let files = [&self.files.crt, &self.files.key];
            let is_missing = |path: &&&PathBuf| matches!(path.try_exists(), Ok(false));
            let missing = files.iter().find(is_missing);
            match missing {
                Some(path) if !was_missing => tracing::warn!(
                    "Master.reloadCertificate: {} was removed or renamed; the loaded \
                     certificate stays in use, but a start would fail: put the file back",
                    path.display()
                ),
                None if was_missing => tracing::info!(
                    "Master.reloadCertificate: the files of the certificate exist again; SIGHUP \
                     reloads them"
                ),
                Some(_) | None => {}
            }
            was_missing = missing.is_some();
        }
    }

    /// On request, a refusal of the same files is reported again.
    pub(super) fn look(&self, last: &mut Look, is_asked: bool) -> Refresh {
        let read = self.files.read();
        let seen = Seen::of(&read);
        last.at = (self.clock)();
        let is_same = seen == last.seen;
        if is_same && !is_asked {
            return Refresh::Unchanged;
        }
        last.seen = seen;
        match read.and_then(|content| self.files.certified(&content)) {
            Ok(_) if is_same => Refresh::Unchanged,
            Ok(certified) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(certified);
                Refresh::Replaced
            }
            Err(why) => Refresh::Kept(why),
        }
    }

    fn log(&self, refresh: Refresh) {
        match refresh {
            Refresh::NotDue | Refresh::Unchanged => {}
            Refresh::Replaced => {
                let crt = self.files.crt.display();
                tracing::info!("Master.reloadCertificate: the new certificate in {crt} is in use");
            }
            Refresh::Kept(why) => {
                tracing::warn!(
                    "Master.reloadCertificate: the new certificate is refused, the old one stays in use: {why}"
                );
            }
        }
    }
}

impl ResolvesServerCert for Reloading {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.log(self.refresh());
        Some(self.current())
    }
}

impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, interval, clock: _, current: _, last: _ } = self;
        f.debug_struct("Reloading")
            .field("files", files)
            .field("interval", interval)
            .finish_non_exhaustive()
    }
}
