//! Hooks: commands that are run when something happens, for operators who do not write Rust.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::ConfigError;

/// What a command can be run for. The names are those of Patrol's triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookName {
    /// A start is about to be tried; of the server: it is being made.
    Start,
    /// It was started, or found running.
    Started,
    /// An app was found running by its ping.
    StartedPinged,
    /// It could not be started.
    StartFailed,
    /// It was seen running at a tick.
    Running,
    /// It was seen disabled and not running at a tick.
    Disabled,
    /// An instance ended.
    Closed,
    /// An app sent a ping.
    Pinged,
    /// The server shuts down.
    Shutdown,
    /// The server begins to look at its apps and services.
    Tick,
    /// The server has stopped looking at them.
    Stopped,
}

impl HookName {
    /// The hooks of the server itself.
    pub const SERVER: [Self; 5] =
        [Self::Start, Self::Started, Self::Tick, Self::Stopped, Self::Shutdown];

    /// The hooks of an app.
    pub const APP: [Self; 9] = [
        Self::Start,
        Self::Started,
        Self::StartedPinged,
        Self::StartFailed,
        Self::Running,
        Self::Disabled,
        Self::Closed,
        Self::Pinged,
        Self::Shutdown,
    ];

    /// The hooks of a service.
    pub const SERVICE: [Self; 7] = [
        Self::Start,
        Self::Started,
        Self::StartFailed,
        Self::Running,
        Self::Disabled,
        Self::Closed,
        Self::Shutdown,
    ];

    /// Its key in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Started => "started",
            Self::StartedPinged => "started-pinged",
            Self::StartFailed => "start-failed",
            Self::Running => "running",
            Self::Disabled => "disabled",
            Self::Closed => "closed",
            Self::Pinged => "pinged",
            Self::Shutdown => "shutdown",
            Self::Tick => "tick",
            Self::Stopped => "stopped",
        }
    }
}

/// One command: an absolute path and its arguments.
pub type Hook = Vec<String>;

/// The commands of the server, of an app or of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks(Vec<(HookName, Hook)>);

impl Hooks {
    /// The command for `name`.
    pub fn get(&self, name: HookName) -> Option<&Hook> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, hook)| hook)
    }

    /// Whether there is no command at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Hooks from their paths for messages, keys and commands; of repeated keys, the last counts.
pub(super) fn read(
    list: Vec<(String, String, Hook)>,
    names: &[HookName],
) -> Result<Hooks, ConfigError> {
    let mut hooks: Vec<(HookName, Hook)> = Vec::new();
    for (path, key, hook) in list {
        let found = names.iter().find(|name| name.as_str().eq_ignore_ascii_case(&key));
        let Some(name) = found else {
            let known: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let problem = format!("unknown hook; the hooks here are {}", known.join(", "));
            return Err(ConfigError::invalid(&path, problem));
        };
        if !hook.first().is_some_and(|program| program.starts_with('/')) {
            let problem = "a hook is an array: an absolute path, then its arguments";
            return Err(ConfigError::invalid(&path, problem));
        }
        hooks.retain(|(known, _)| known != name);
        hooks.push((*name, hook));
    }
    Ok(Hooks(hooks))
}
