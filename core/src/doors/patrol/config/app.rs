//! An app of the configuration.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::ConfigError;
use super::hooks::Hooks;
use super::raw::{FreeData, RawApp, RawCommon};
use crate::doors::patrol::path;
use crate::doors::patrol::secret::{SECRET_MAX_BYTES, Secret};
use crate::doors::patrol::values::KeyValues;

/// The longest name, in bytes.
pub(super) const NAME_MAX_BYTES: usize = 255;

/// How the server knows whether an app runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// 1: the server started it and waits for its exit.
    Patrol,
    /// 2: the app writes its process id into a file.
    PidFile,
    /// 3: the app sends pings over HTTP.
    Http,
    /// 4: the app sends pings over UDP.
    Udp,
}

impl KeepAlive {
    const fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Patrol),
            2 => Some(Self::PidFile),
            3 => Some(Self::Http),
            4 => Some(Self::Udp),
            _ => None,
        }
    }

    /// Its number in the configuration and in `PATROL_KEEPALIVE`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Patrol => 1,
            Self::PidFile => 2,
            Self::Http => 3,
            Self::Udp => 4,
        }
    }

    /// Whether the app says by pings that it runs.
    pub const fn pings(self) -> bool {
        matches!(self, Self::Http | Self::Udp)
    }
}

/// An app that passed every check.
#[derive(Clone, Debug)]
pub struct App {
    /// How the server knows whether it runs.
    pub keep_alive: KeepAlive,
    /// What people call it; 1 to 255 bytes.
    pub name: String,
    /// Its working directory; absolute.
    pub working_directory: String,
    /// Its program, relative to the working directory.
    pub binary: String,
    /// Its logs, relative to the working directory.
    pub log_directory: String,
    /// Its pid file, relative to the working directory; may be empty for apps that ping.
    pub pid_path: String,
    /// Whether a process id counts only if the process runs the app's program.
    pub pid_verify: bool,
    /// How many seconds it may run; 0 for any number.
    pub execute_timeout_s: u64,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, as `name=value`.
    pub env: Vec<String>,
    /// Whether it gets the environment of the server, too.
    pub env_parent: bool,
    /// Whether both outputs go to one file.
    pub std_merge: bool,
    /// What apps and services have in common.
    pub common: Common,
}

/// What apps and services have in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// Whether it begins disabled.
    pub disabled: bool,
    /// The key-values it begins with.
    pub values: KeyValues,
    /// Whether key-values are emptied when an instance ends.
    pub values_clear: bool,
    /// What requests have to present before they change anything.
    pub secret: Option<Secret>,
    /// Its commands.
    pub hooks: Hooks,
    /// Its data.
    pub x: FreeData,
}

impl App {
    /// The absolute path of its program.
    pub fn program(&self) -> String {
        path::below(&self.working_directory, &self.binary)
    }

    /// The absolute path of its pid file, if it has one.
    pub fn pid_file(&self) -> Option<String> {
        (!self.pid_path.is_empty()).then(|| path::below(&self.working_directory, &self.pid_path))
    }

    pub(super) fn validate(
        raw: RawApp,
        key: &str,
        home: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let at = |name: &str| format!("{key}.{name}");
        let keep_alive = KeepAlive::from_number(raw.keep_alive).ok_or_else(|| {
            let problem = "App KeepAlive was invalid, please select a keep alive method!";
            ConfigError::invalid(&at("keepalive"), problem)
        })?;
        check_name(&at("name"), "App Name", &raw.name)?;
        let working_directory = working_directory(&at("working-directory"), &raw, home)?;
        check_path(&at("binary"), ["App Binary", "App Binary"], &raw.binary)?;
        let names = ["App Log Directory", "App Log Directory"];
        check_path(&at("log-directory"), names, &raw.log_directory)?;
        if !keep_alive.pings() {
            check_path(&at("pid-path"), ["App PIDPATH", "App PIDPath"], &raw.pid_path)?;
        }
        let common = Common::validate(raw.common, key)?;
        let execute_timeout_s = u64::try_from(raw.execute_timeout)
            .map_err(|_| ConfigError::invalid(&at("execute-timeout"), "App Excute Timeout < 0"))?;
        Ok(Self {
            keep_alive,
            name: raw.name,
            working_directory,
            binary: raw.binary,
            log_directory: raw.log_directory,
            pid_path: raw.pid_path,
            pid_verify: raw.pid_verify,
            execute_timeout_s,
            args: raw.args,
            env: raw.env,
            env_parent: raw.env_parent,
            std_merge: raw.std_merge,
            common,
        })
    }
}

impl Common {
    pub(super) fn validate(raw: RawCommon, key: &str) -> Result<Self, ConfigError> {
        if raw.secret.len() > SECRET_MAX_BYTES {
            let key = format!("{key}.secret");
            return Err(ConfigError::invalid(&key, "Secret Longer than 128 bytes"));
        }
        Ok(Self {
            disabled: raw.disabled,
            values: raw.values,
            values_clear: raw.values_clear,
            secret: Secret::new(raw.secret),
            hooks: raw.hooks,
            x: raw.x,
        })
    }
}

pub(super) fn check_name(key: &str, what: &str, name: &str) -> Result<(), ConfigError> {
    if name.is_empty() {
        return Err(ConfigError::invalid(key, format!("{what} was empty")));
    }
    if name.len() > NAME_MAX_BYTES {
        return Err(ConfigError::invalid(key, format!("{what} was longer than 255 bytes")));
    }
    Ok(())
}

fn working_directory(key: &str, raw: &RawApp, home: Option<&str>) -> Result<String, ConfigError> {
    let problem =
        |problem: &str| ConfigError::invalid(key, format!("App WorkingDirectory {problem}"));
    let directory = match raw.working_directory.strip_prefix("~/") {
        Some(rest) => {
            let home =
                home.ok_or_else(|| problem("begins with ~/ and no home directory is known"))?;
            format!("{home}/{rest}").replacen("//", "/", usize::from(home.ends_with('/')))
        }
        None => raw.working_directory.clone(),
    };
    if directory.is_empty() {
        return Err(problem("was empty"));
    }
    if !directory.starts_with('/') {
        return Err(problem("was relative"));
    }
    if !path::is_clean(&directory) {
        return Err(problem("was unclean"));
    }
    Ok(directory)
}

/// Checks a path, which an error calls by the first name if it is empty, else by the second.
fn check_path(key: &str, [if_empty, what]: [&str; 2], path: &str) -> Result<(), ConfigError> {
    if path.is_empty() {
        return Err(ConfigError::invalid(key, format!("{if_empty} was empty")));
    }
    if !path::is_clean(path) {
        return Err(ConfigError::invalid(key, format!("{what} was unclean")));
    }
    // The system's calls end a path at a NUL; so do argument lists.
    if path.contains('\0') {
        return Err(ConfigError::invalid(key, format!("{what} contains a NUL character")));
    }
    Ok(())
}
