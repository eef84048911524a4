//! The configuration file of the Patrol door: read at the start and at HUP.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openctrl_core::doors::patrol::config::{Config, ConfigError, Loaded, Reader, Stage};
use openctrl_core::doors::patrol::definitions::definitions;
use openctrl_core::doors::patrol::layout::{Layout, RFC3339};
use openctrl_core::instance::{Definition, Desired, Launch};

use super::hooks::{Extras, More};
use super::observe::stranger;

/// The value of `PATROL_UNITTEST` with which ticks and pings are as quick as in Patrol's own tests.
const QUICK: &str = "I KNOW WHAT I AM DOING";

/// A configuration file as it was read.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    /// The addresses that the server listens on, with chosen ports in place of 0.
    bound: Option<[SocketAddr; 2]>,
    is_alone: bool,
    extras: Extras,
}

/// Why there is no configuration.
#[derive(Debug)]
pub(crate) struct SetupError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    File(std::io::Error),
    Config(ConfigError),
}

impl ConfigFile {
    /// Reads a file, and logs its warnings.
    ///
    /// # Errors
    /// For a file that cannot be read or is no configuration.
    pub(crate) fn read(path: &Path, extras: Extras) -> Result<Self, SetupError> {
        let Loaded { config, warnings } = load(path)?;
        for warning in &warnings {
            tracing::warn!("Patrol.config: {}: {warning}", path.display());
        }
        Ok(Self::of(path, config, extras))
    }

    /// Reads a file and says in a few lines what is in it, with its warnings and programs of apps
    /// that cannot be started.
    ///
    /// # Errors
    /// Those of a start, as far as the file is their cause.
    pub(crate) fn check(path: &Path) -> Result<String, SetupError> {
        let Loaded { config, warnings } = load(path)?;
        let file = Self::of(path, config, Extras::default());
        file.http_address()?;
        let mut text = String::new();
        for warning in warnings.into_iter().chain(file.missing_programs()).chain(file.strangers()) {
            text += &format!("warning: {warning}\n");
        }
        let Config { apps, services, http, udp, .. } = &file.config;
        let count = |count: usize, name: &str| {
            format!("{count} {name}{}", if count == 1 { "" } else { "s" })
        };
        let (apps, services) = (count(apps.len(), "app"), count(services.len(), "service"));
        Ok(text + &format!("{}: {apps}, {services}, http://{http} udp://{udp}\n", path.display()))
    }

    fn of(path: &Path, mut config: Config, extras: Extras) -> Self {
        if std::env::var("PATROL_UNITTEST").is_ok_and(|value| value == QUICK) {
            (config.tick_every_s, config.ping_timeout_s) = (2, 3);
        }
        if extras.listener.is_some() && config.timestamp.is_none() {
            config.timestamp = Some(Layout::new(RFC3339));
        }
        for (id, app) in &mut config.apps {
            let more =
                |of: &Option<More>| of.as_ref().map(|of| of(id.as_str())).unwrap_or_default();
            app.args.extend(more(&extras.args));
            app.env.extend(more(&extras.env));
        }
        // Apps receive addresses that do not depend on the directory of the server.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path, config, bound: None, is_alone: true, extras }
    }

    fn missing_programs(&self) -> impl Iterator<Item = String> {
        self.config.apps.iter().filter_map(|(id, app)| {
            let program = app.program();
            let problem = match std::fs::metadata(&program) {
                Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => None,
                Ok(_) => Some("it is not an executable file".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            problem.map(|problem| format!("apps.{id}.binary: {program}: {problem}"))
        })
    }

    /// Processes that pid files name and that are not taken for the apps.
    fn strangers(&self) -> impl Iterator<Item = String> {
        self.instances().into_iter().filter_map(|(definition, _)| {
            let pid = stranger(&definition)?;
            let label = definition.label.as_ref()?.0.strip_prefix("app/")?;
            let Launch::Exec(exec) = &definition.launch else { return None };
            Some(format!(
                "apps.{label}.pid-path: process {pid} does not run {}: end it before the server \
                 starts, which would start another copy",
                exec.argv[0]
            ))
        })
    }

    /// Reads the file again, for a server that listens already.
    pub(crate) fn read_again(&self) -> Result<Self, SetupError> {
        let mut again = Self::read(&self.path, self.extras.clone())?;
        if let Some([http, udp]) = self.bound {
            again.set_bound(http, udp, self.is_alone);
        }
        Ok(again)
    }

    /// Host and port of the HTTP address; an empty host is every address.
    pub(crate) fn http_address(&self) -> Result<(String, u16), SetupError> {
        let address = &self.config.http;
        let split = address.rsplit_once(':').and_then(|(host, port)| {
            Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
        });
        split.ok_or_else(|| {
            let problem = format!("{address:?} is not host:port");
            let key = "http.listen".to_owned();
            let error = ConfigError { stage: Stage::Validate, key, problem };
            SetupError { path: self.path.clone(), reason: Reason::Config(error) }
        })
    }

    /// The addresses that are bound: HTTP, then UDP.
    pub(crate) fn bound(&self) -> [SocketAddr; 2] {
        self.bound.expect("a server that runs listens")
    }

    /// Puts the ports that the system chose in the place of 0 where apps are told of them.
    /// A server that is more than the door listens for HTTP where its own URL says.
    pub(crate) fn set_bound(&mut self, http: SocketAddr, udp: SocketAddr, is_alone: bool) {
        self.bound = Some([http, udp]);
        self.is_alone = is_alone;
        if !is_alone {
            let told = std::mem::replace(&mut self.config.http, http.to_string());
            let listen = self.config.listen_http.iter_mut();
            listen
                .filter(|address| **address == told)
                .for_each(|address| *address = http.to_string());
        }
        let resolve = |listen: &mut [String], configured: &str, bound: SocketAddr| {
            for address in listen.iter_mut().filter(|address| *address == configured) {
                if let Some(host) = address.strip_suffix(":0") {
                    *address = format!("{host}:{}", bound.port());
                }
            }
        };
        resolve(&mut self.config.listen_http, &self.config.http, http);
        resolve(&mut self.config.listen_udp, &self.config.udp, udp);
    }

    /// The instances of the configuration, and what is wanted of new ones.
    pub(crate) fn instances(&self) -> Vec<(Definition, Desired)> {
        definitions(&self.config).map(|one| (one.definition, one.initial)).collect()
    }

    pub(crate) fn shared(&self) -> Arc<Config> {
        Arc::new(self.config.clone())
    }
}

impl SetupError {
    /// The exit status of a server that is started with such a file.
    pub(crate) const fn exit_status(&self) -> u8 {
        match &self.reason {
            Reason::File(_) => 254,
            Reason::Config(error) => error.stage.exit_status(),
        }
    }
}

fn load(path: &Path) -> Result<Loaded, SetupError> {
    let error = |reason| SetupError { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|io| error(Reason::File(io)))?;
    let home = std::env::var("HOME").ok();
    let reader = Reader { home: home.as_deref(), defaults: true };
    Config::load(&bytes, reader).map_err(|config| error(Reason::Config(config)))
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            Reason::File(error) => write!(f, "cannot read the configuration {path}: {error}"),
            Reason::Config(error) => write!(f, "cannot use the configuration {path}: {error}"),
        }
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::File(error) => Some(error),
            Reason::Config(error) => Some(error),
        }
    }
}
