//! A Patrol server in a program of one's own: closures in the place of Patrol's triggers.
//!
//! ```no_run
//! use openctrl::patrol::{Builder, HookName};
//!
//! let server = Builder::new("config.json")
//!     .on(HookName::Closed, |event| println!("{:?} ended: {:?}", event.subject, event.facts))
//!     .extra_env(|id| vec![format!("LOG_NAME={id}")]);
//! if let Err(error) = server.run() {
//!     eprintln!("{error}");
//! }
//! ```
//!
//! Closures run one after the other beside supervision, which never waits for them. Work that must
//! be done before apps start belongs before [`Builder::run`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use openctrl_core::doors::patrol::access::Group;
pub use openctrl_core::doors::patrol::config::HookName;

pub use crate::daemon::Event;
use crate::daemon::{Extras, PatrolOptions, StartError, run_patrol};

type Closure = Arc<dyn Fn(&Event) + Send + Sync>;

/// A Patrol server that is not started yet.
pub struct Builder {
    config: PathBuf,
    state: Option<PathBuf>,
    closures: BTreeMap<HookName, Vec<Closure>>,
    extras: Extras,
}

/// Why a server does not start.
#[derive(Debug)]
pub struct Error(StartError);

impl Builder {
    /// A server with this configuration file.
    pub fn new(config: impl Into<PathBuf>) -> Self {
        Self {
            config: config.into(),
            state: None,
            closures: BTreeMap::new(),
            extras: Extras::default(),
        }
    }

    /// Keeps the state in this directory instead of `.openctrl` beside the configuration.
    #[must_use]
    pub fn state(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state = Some(directory.into());
        self
    }

    /// Calls `closure` each time this happens: the place of Patrol's `Trigger…` functions, of the
    /// server and of all its apps and services.
    #[must_use]
    pub fn on(mut self, name: HookName, closure: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.closures.entry(name).or_default().push(Arc::new(closure));
        self
    }

    /// Appends these arguments to those of each app: Patrol's `ExtraArgs`. Asked when the
    /// configuration is read.
    #[must_use]
    pub fn extra_args(mut self, of: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.extras.args = Some(Arc::new(of));
        self
    }

    /// Appends these variables, as `NAME=value`, to those of each app: Patrol's `ExtraEnv`. Asked
    /// when the configuration is read.
    #[must_use]
    pub fn extra_env(mut self, of: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.extras.env = Some(Arc::new(of));
        self
    }

    /// Runs the server until a signal stops it. Times are RFC 3339 unless the configuration has
    /// another format, as with Patrol's library.
    ///
    /// # Errors
    /// For a configuration that cannot be used, an address that is taken, or a state directory that
    /// is in use.
    pub fn run(self) -> Result<(), Error> {
        let options = PatrolOptions { config: self.config, state: self.state };
        let closures = self.closures;
        let listener = move |event: &Event| {
            for closure in closures.get(&event.name).into_iter().flatten() {
                closure(event);
            }
        };
        let extras = Extras { listener: Some(Arc::new(listener)), ..self.extras };
        run_patrol(&options, extras).map_err(Error)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
