//! The configuration of a Patrol server, `config.json`, as plain values.
//!
//! [`Config::load`] reads a file in two steps, as Patrol does. Decoding checks JSON and types, and
//! warns about keys that nothing reads. Validation checks values: apps in the order of the file,
//! then what they need of the listeners, then services. Each error names the key at fault.

mod app;
mod error;
mod hooks;
mod node;
mod raw;
mod service;
mod verb;

#[cfg(test)]
mod tests;

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

pub use app::{App, Common, KeepAlive};
pub use error::{ConfigError, Stage};
pub use hooks::{Hook, HookName, Hooks};
pub use raw::FreeData;
pub use service::{IgnoredCodes, Management, Service};
pub use verb::Verb;

use super::label::{Label, LabelError};
use super::layout::Layout;
use raw::RawConfig;

/// The default listen address for HTTP.
pub const HTTP_DEFAULT: &str = "127.0.0.1:8421";

/// The default listen address for UDP.
pub const UDP_DEFAULT: &str = "127.0.0.1:1248";

const TICK_EVERY: Bounds = Bounds { key: "tick-every", default: 15, least: 5, most: 120 };
const HISTORY: Bounds = Bounds { key: "history", default: 100, least: 5, most: 1_000 };
const PING_TIMEOUT: Bounds = Bounds { key: "ping-timeout", default: 30, least: 5, most: 180 };

/// The limits of a number, and what 0 stands for.
struct Bounds {
    key: &'static str,
    default: u64,
    least: u64,
    most: u64,
}

/// A configuration that passed every check.
#[derive(Clone, Debug)]
pub struct Config {
    /// Apps by id.
    pub apps: Vec<(Label, App)>,
    /// Services by id.
    pub services: Vec<(Label, Service)>,
    /// The interval of checks of apps and services, in seconds; 5 to 120.
    pub tick_every_s: u64,
    /// Number of past instances that are kept for each; 5 to 1000.
    pub history: usize,
    /// Seconds without a ping after which an app counts as stopped; 5 to 180.
    pub ping_timeout_s: u64,
    /// The format of times, if the file has one.
    pub timestamp: Option<Layout>,
    /// The HTTP addresses that apps are given.
    pub listen_http: Vec<String>,
    /// The UDP addresses that apps are given.
    pub listen_udp: Vec<String>,
    /// The HTTP address to bind.
    pub http: String,
    /// The UDP address to bind.
    pub udp: String,
    /// Commands that are run when something happens to the server itself.
    pub hooks: Hooks,
    /// The data of the server.
    pub x: FreeData,
}

/// A configuration and what its operator should know about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// One sentence for each key that nothing reads, and for each number that is out of its limits.
    pub warnings: Vec<String>,
}

/// Who reads the configuration, and for whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader<'a> {
    /// The replacement of `~` at the start of a working directory.
    pub home: Option<&'a str>,
    /// Whether listeners are resolved as the `patrol` program does: bound addresses have defaults,
    /// and what is bound is what apps are given. The library leaves both to its user.
    pub defaults: bool,
}

impl Config {
    /// Reads the first JSON value of `file`; what comes after it is not looked at.
    ///
    /// # Errors
    /// [`Stage::Decode`] for what is no configuration by its JSON or its types, and
    /// [`Stage::Validate`] for values that a configuration may not have.
    pub fn load(file: &[u8], reader: Reader<'_>) -> Result<Loaded, ConfigError> {
        let (mut raw, mut warnings) = RawConfig::decode(file)?;
        warnings.extend(raw.bounded().into_iter().filter_map(|(bounds, number)| {
            let used = bounds.of(number);
            (number != 0 && i64::try_from(used) != Ok(number)).then(|| bounds.warning(number))
        }));
        if reader.defaults {
            raw.resolve_listeners();
        }
        let config = Self::validate(raw, reader.home)?;
        Ok(Loaded { config, warnings })
    }

    fn validate(raw: RawConfig, home: Option<&str>) -> Result<Self, ConfigError> {
        if raw.apps.is_empty() && raw.services.is_empty() {
            return Err(ConfigError::invalid("", "Patrol Apps and Servers were both empty"));
        }
        let mut apps: Vec<(Label, App)> = Vec::new();
        for (key, app) in raw.apps {
            let path = alloc::format!("apps.{key}");
            let label = label("App", &path, &key)?;
            let app = app.ok_or_else(|| ConfigError::invalid(&path, "App was nil"))?;
            let app = App::validate(app, &path, home)?;
            if apps.iter().any(|(known, _)| *known == label) {
                return Err(ConfigError::invalid(&path, "Duplicate App Label"));
            }
            apps.push((label, app));
        }
        check_listeners(&apps, &raw.listen_http, &raw.listen_udp)?;
        let mut services: Vec<(Label, Service)> = Vec::new();
        for (key, service) in raw.services {
            let path = alloc::format!("services.{key}");
            let label = label("Service", &path, &key)?;
            let service = service.ok_or_else(|| ConfigError::invalid(&path, "Service was nil"))?;
            let service = Service::validate(service, &path)?;
            if services.iter().any(|(known, _)| *known == label) {
                return Err(ConfigError::invalid(&path, "Duplicate Service Label"));
            }
            services.push((label, service));
        }
        Ok(Self {
            apps,
            services,
            tick_every_s: TICK_EVERY.of(raw.tick_every),
            history: usize::try_from(HISTORY.of(raw.history)).expect("it is at most 1000"),
            ping_timeout_s: PING_TIMEOUT.of(raw.ping_timeout),
            timestamp: (!raw.timestamp.is_empty()).then(|| Layout::new(raw.timestamp)),
            listen_http: raw.listen_http,
            listen_udp: raw.listen_udp,
            http: raw.http,
            udp: raw.udp,
            hooks: raw.hooks,
            x: raw.x,
        })
    }
}

impl RawConfig {
    fn bounded(&self) -> [(Bounds, i64); 3] {
        let Self { tick_every, history, ping_timeout, .. } = self;
        [(TICK_EVERY, *tick_every), (HISTORY, *history), (PING_TIMEOUT, *ping_timeout)]
    }

    fn resolve_listeners(&mut self) {
        let resolve = |bound: &mut String, listen: &mut Vec<String>, default: &str| {
            if bound.is_empty() {
                *bound = default.to_string();
            }
            if listen.is_empty() {
                *listen = vec![bound.clone()];
            }
        };
        resolve(&mut self.http, &mut self.listen_http, HTTP_DEFAULT);
        resolve(&mut self.udp, &mut self.listen_udp, UDP_DEFAULT);
    }
}

fn label(group: &str, path: &str, key: &str) -> Result<Label, ConfigError> {
    Label::parse(key).map_err(|error| {
        let problem = match error {
            LabelError::Empty => "empty",
            LabelError::Invalid => "invalid",
        };
        ConfigError::invalid(path, alloc::format!("{group} Key was {problem}"))
    })
}

fn check_listeners(
    apps: &[(Label, App)],
    http: &[String],
    udp: &[String],
) -> Result<(), ConfigError> {
    let pings_over = |keep_alive| apps.iter().any(|(_, app)| app.keep_alive == keep_alive);
    if pings_over(KeepAlive::Http) && http.is_empty() {
        let problem = "HTTP Listeners were empty, we required one to exist!";
        return Err(ConfigError::invalid("listen-http", problem));
    }
    if pings_over(KeepAlive::Udp) && udp.is_empty() {
        let problem = "UDP Listeners were empty, we required one to exist!";
        return Err(ConfigError::invalid("listen-udp", problem));
    }
    Ok(())
}

impl Bounds {
    /// The number that is used for `number`.
    fn of(&self, number: i64) -> u64 {
        match number {
            0 => self.default,
            number => u64::try_from(number).unwrap_or(self.least).clamp(self.least, self.most),
        }
    }

    fn warning(&self, number: i64) -> String {
        let Self { key, least, most, .. } = self;
        alloc::format!("{key}: {number} is not {least} to {most}; {} is used", self.of(number))
    }
}
