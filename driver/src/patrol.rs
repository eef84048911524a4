//! A Patrol server in a program of one's own: closures in the place of Patrol's triggers.
//!
//! ```standalone_crate
//! use openctrl::patrol::{Builder, HookName};
//!
//! # use std::os::unix::fs::PermissionsExt;
//! # let folder = tempfile::tempdir()?;
//! # std::env::set_current_dir(folder.path())?;
//! # let directory = std::env::current_dir()?;
//! # std::fs::write("app.sh", "#!/bin/sh\n[ -s out ] || echo $LOG_NAME $1 >out; exit 3\n")?;
//! # std::fs::set_permissions("app.sh", std::fs::Permissions::from_mode(0o755))?;
//! # let config = format!(
//! #     r#"{{
//! #         "apps": {{"web": {{
//! #             "keepalive": 1, "name": "Web", "working-directory": {directory:?},
//! #             "binary": "app.sh", "log-directory": "logs", "pid-path": "app.pid"
//! #         }}}},
//! #         "http": {{"listen": "127.0.0.1:0"}}, "udp": {{"listen": "127.0.0.1:0"}}
//! #     }}"#
//! # );
//! # std::fs::write("config.json", config)?;
//! # let (ended, seen) = std::sync::mpsc::channel();
//! let server = Builder::new("config.json")
//!     .on(HookName::Closed, move |event| {
//!         println!("{:?} ended: {:?}", event.subject, event.facts);
//! #         let _ = ended.send(format!("{:?} {:?}", event.subject, event.facts));
//! #         let us = rustix::process::getpid();
//! #         rustix::process::kill_process(us, rustix::process::Signal::TERM).expect("our own");
//!     })
//!     .extra_args(|id| vec![format!("--of={id}")])
//!     .extra_env(|id| vec![format!("LOG_NAME={id}")]);
//! server.run()?;
//! # assert_eq!(std::fs::read_to_string("out")?, "web --of=web\n");
//! # let seen = seen.recv()?;
//! # assert!(seen.contains("web") && seen.contains("EXIT_CODE") && seen.contains('3'), "{seen}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Closures run one after the other beside supervision, which never waits for them. Work that must
//! be done before apps start belongs before [`Builder::run`]. When the server ends, pending closures have
//! until 5 s after the signal, and at least 1 s after the last app has ended.
//!
//! Apps can start with descriptors of this program. Here each gets a listener that stays open while
//! it restarts, as file 3:
//!
//! ```standalone_crate
//! use std::net::TcpListener;
//!
//! use openctrl::patrol::Builder;
//! # use openctrl::patrol::HookName;
//!
//! # use std::os::unix::fs::PermissionsExt;
//! # let folder = tempfile::tempdir()?;
//! # std::env::set_current_dir(folder.path())?;
//! # let directory = std::env::current_dir()?;
//! # std::fs::write("app.sh", "#!/bin/sh\n[ -s out ] || readlink /proc/self/fd/3 >out\n")?;
//! # std::fs::set_permissions("app.sh", std::fs::Permissions::from_mode(0o755))?;
//! # let config = format!(
//! #     r#"{{
//! #         "apps": {{"web": {{
//! #             "keepalive": 1, "name": "Web", "working-directory": {directory:?}, "env-parent": true,
//! #             "binary": "app.sh", "log-directory": "logs", "pid-path": "app.pid"
//! #         }}}},
//! #         "http": {{"listen": "127.0.0.1:0"}}, "udp": {{"listen": "127.0.0.1:0"}}
//! #     }}"#
//! # );
//! # std::fs::write("config.json", config)?;
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let server = Builder::new("config.json")
//!     .extra_files(move |_id| Ok(vec![listener.try_clone()?.into()]));
//! # let server = server.on(HookName::Closed, |_| {
//! #     let us = rustix::process::getpid();
//! #     rustix::process::kill_process(us, rustix::process::Signal::TERM).expect("our own");
//! # });
//! server.run()?;
//! # let out = std::fs::read_to_string("out")?;
//! # assert!(out.starts_with("socket:["), "{out}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

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

    /// Gives these files to each app at its start, as 3, 4 and so on: Patrol's `ExtraFiles`. At
    /// most 256; an app has no others but its standard ones.
    ///
    /// This closure and those of [`stdin`](Self::stdin), [`stdout`](Self::stdout) and
    /// [`stderr`](Self::stderr) are called at every start with the id of the app. Other starts wait
    /// for them, so they must not block. What they return is closed in this program when the app
    /// has started. If one of them fails or panics, the start has failed and is tried again like
    /// any other.
    #[must_use]
    pub fn extra_files(
        mut self,
        of: impl Fn(&str) -> io::Result<Vec<OwnedFd>> + Send + Sync + 'static,
    ) -> Self {
        self.extras.sources.files = Some(Arc::new(of));
        self
    }

    /// The standard input of each app: Patrol's `Stdin`. `None` is `/dev/null`, as without this.
    #[must_use]
    pub fn stdin(
        mut self,
        of: impl Fn(&str) -> io::Result<Option<OwnedFd>> + Send + Sync + 'static,
    ) -> Self {
        self.extras.sources.stdin = Some(Arc::new(of));
        self
    }

    /// The standard output of each app: Patrol's `Stdout`. `None` is a log file, as without this.
    /// An output that is given has no log file and is not shown by `/stdout/`, and `std-merge` does
    /// not apply.
    #[must_use]
    pub fn stdout(
        mut self,
        of: impl Fn(&str) -> io::Result<Option<OwnedFd>> + Send + Sync + 'static,
    ) -> Self {
        self.extras.sources.stdout = Some(Arc::new(of));
        self
    }

    /// The standard error of each app: Patrol's `Stderr`, by the rules of
    /// [`stdout`](Self::stdout).
    #[must_use]
    pub fn stderr(
        mut self,
        of: impl Fn(&str) -> io::Result<Option<OwnedFd>> + Send + Sync + 'static,
    ) -> Self {
        self.extras.sources.stderr = Some(Arc::new(of));
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
