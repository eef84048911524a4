//! A configuration whose types are checked and whose values are not.
#![allow(clippy::wildcard_enum_match_arm, reason = "any other kind of JSON is a wrong type")]

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::ConfigError;
use super::hooks::{self, HookName, Hooks};
use super::node::Node;
use super::verb::Verb;
use crate::doors::patrol::values::KeyValues;

/// At most this many unknown keys are warned about one by one.
const WARNINGS_MAX: usize = 100;

/// The value of `x`, as JSON text: data that the server carries for library users and does not
/// interpret.
pub type FreeData = Option<Arc<str>>;

#[derive(Default)]
pub(super) struct RawConfig {
    pub(super) apps: Vec<(String, Option<RawApp>)>,
    pub(super) services: Vec<(String, Option<RawService>)>,
    pub(super) tick_every: i64,
    pub(super) history: i64,
    pub(super) ping_timeout: i64,
    pub(super) timestamp: String,
    pub(super) listen_http: Vec<String>,
    pub(super) listen_udp: Vec<String>,
    pub(super) http: String,
    pub(super) udp: String,
    pub(super) hooks: Hooks,
    pub(super) x: FreeData,
}

#[derive(Default)]
pub(super) struct RawApp {
    pub(super) keep_alive: i64,
    pub(super) name: String,
    pub(super) binary: String,
    pub(super) working_directory: String,
    pub(super) log_directory: String,
    pub(super) pid_path: String,
    pub(super) pid_verify: bool,
    pub(super) execute_timeout: i64,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) env_parent: bool,
    pub(super) std_merge: bool,
    pub(super) common: RawCommon,
}

#[derive(Default)]
pub(super) struct RawService {
    pub(super) management: i64,
    /// For start, status, stop and restart.
    pub(super) managements: [i64; 4],
    pub(super) parameters: [String; 4],
    pub(super) ignored: [Vec<u8>; 4],
    pub(super) name: String,
    pub(super) service: String,
    pub(super) common: RawCommon,
}

#[derive(Default)]
pub(super) struct RawCommon {
    pub(super) disabled: bool,
    pub(super) values: KeyValues,
    pub(super) values_clear: bool,
    pub(super) secret: String,
    pub(super) hooks: Hooks,
    pub(super) x: FreeData,
}

impl RawConfig {
    /// The first JSON value of `file` and the warnings about it.
    pub(super) fn decode(file: &[u8]) -> Result<(Self, Vec<String>), ConfigError> {
        // Bytes that are not UTF-8 become U+FFFD, as in Patrol.
        let text = String::from_utf8_lossy(file);
        if text.trim_ascii().is_empty() {
            return Err(ConfigError::decode("", "EOF: the file is empty"));
        }
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let node = Node::deserialize(&mut deserializer)
            .map_err(|error| ConfigError::decode("", error.to_string()))?;
        let mut decoder = Decoder { warnings: Vec::new(), unknown: 0 };
        let config = decoder.config(node)?;
        Ok((config, decoder.finish()))
    }
}

/// Reads nodes as what they have to be, and collects warnings.
struct Decoder {
    warnings: Vec<String>,
    unknown: usize,
}

impl Decoder {
    fn finish(mut self) -> Vec<String> {
        if let Some(more) = self.unknown.checked_sub(WARNINGS_MAX).filter(|more| *more > 0) {
            self.warnings.push(format!("{more} more unknown keys, ignored"));
        }
        self.warnings
    }

    fn config(&mut self, node: Node) -> Result<RawConfig, ConfigError> {
        let mut config = RawConfig::default();
        for (key, node) in members("", node)? {
            let path = key.as_str();
            match key.to_ascii_lowercase().as_str() {
                "apps" => config.apps = self.entries(path, node, Self::app)?,
                "services" => config.services = self.entries(path, node, Self::service)?,
                "tick-every" => int(path, node, &mut config.tick_every)?,
                "history" => int(path, node, &mut config.history)?,
                "ping-timeout" => int(path, node, &mut config.ping_timeout)?,
                "json-timestamp" => text(path, node, &mut config.timestamp)?,
                "listen-http" => texts(path, node, &mut config.listen_http)?,
                "listen-udp" => texts(path, node, &mut config.listen_udp)?,
                "http" => self.listener(path, node, &mut config.http)?,
                "udp" => self.listener(path, node, &mut config.udp)?,
                "hooks" => config.hooks = hooks(path, node, &HookName::SERVER)?,
                "x" => config.x = free_data(node),
                _ => self.warn(path),
            }
        }
        Ok(config)
    }

    /// The members of `apps` or `services`; of several with the same key, the last counts.
    fn entries<T>(
        &mut self,
        path: &str,
        node: Node,
        read: fn(&mut Self, &str, Node) -> Result<T, ConfigError>,
    ) -> Result<Vec<(String, Option<T>)>, ConfigError> {
        let mut entries: Vec<(String, Option<T>)> = Vec::new();
        for (key, node) in members(path, node)? {
            let entry = match node {
                Node::Null => None,
                node => Some(read(self, &format!("{path}.{key}"), node)?),
            };
            match entries.iter_mut().find(|(known, _)| *known == key) {
                Some(known) => known.1 = entry,
                None => entries.push((key, entry)),
            }
        }
        Ok(entries)
    }

    fn app(&mut self, path: &str, node: Node) -> Result<RawApp, ConfigError> {
        let mut app = RawApp::default();
        for (key, node) in members(path, node)? {
            let path = &format!("{path}.{key}");
            match key.to_ascii_lowercase().as_str() {
                "keepalive" => int(path, node, &mut app.keep_alive)?,
                "name" => text(path, node, &mut app.name)?,
                "binary" => text(path, node, &mut app.binary)?,
                "working-directory" => text(path, node, &mut app.working_directory)?,
                "log-directory" => text(path, node, &mut app.log_directory)?,
                "pid-path" => text(path, node, &mut app.pid_path)?,
                "pid-verify" => flag(path, node, &mut app.pid_verify)?,
                "execute-timeout" => int(path, node, &mut app.execute_timeout)?,
                "args" => texts(path, node, &mut app.args)?,
                "env" => texts(path, node, &mut app.env)?,
                "env-parent" => flag(path, node, &mut app.env_parent)?,
                "std-merge" => flag(path, node, &mut app.std_merge)?,
                "hooks" => app.common.hooks = hooks(path, node, &HookName::APP)?,
                name => self.common(path, name, node, &mut app.common)?,
            }
        }
        Ok(app)
    }

    fn service(&mut self, path: &str, node: Node) -> Result<RawService, ConfigError> {
        let mut service = RawService::default();
        for (key, node) in members(path, node)? {
            let path = &format!("{path}.{key}");
            let name = key.to_ascii_lowercase();
            if let Some((field, verb)) = of_verb(&name) {
                match field {
                    "ignore-exit-codes" => codes(path, node, &mut service.ignored[verb])?,
                    "parameter" => text(path, node, &mut service.parameters[verb])?,
                    _ => int(path, node, &mut service.managements[verb])?,
                }
                continue;
            }
            match name.as_str() {
                "management" => int(path, node, &mut service.management)?,
                "name" => text(path, node, &mut service.name)?,
                "service" => text(path, node, &mut service.service)?,
                "hooks" => service.common.hooks = hooks(path, node, &HookName::SERVICE)?,
                "ignore-exit-codes" => self.warnings.push(format!(
                    "{path}: unknown key, ignored; use ignore-exit-codes-start, -status, -stop or -restart"
                )),
                name => self.common(path, name, node, &mut service.common)?,
            }
        }
        Ok(service)
    }

    fn common(
        &mut self,
        path: &str,
        name: &str,
        node: Node,
        common: &mut RawCommon,
    ) -> Result<(), ConfigError> {
        match name {
            "disabled" => flag(path, node, &mut common.disabled)?,
            "keyvalue-clear" => flag(path, node, &mut common.values_clear)?,
            "secret" => text(path, node, &mut common.secret)?,
            "keyvalue" => {
                let values = members(path, node)?;
                let values = values.into_iter().map(|(key, node)| (key, node.into_value()));
                common.values = KeyValues::new(values);
            }
            "x" => common.x = free_data(node),
            _ => self.warn(path),
        }
        Ok(())
    }

    fn listener(&mut self, path: &str, node: Node, listen: &mut String) -> Result<(), ConfigError> {
        for (key, node) in members(path, node)? {
            let path = &format!("{path}.{key}");
            match key.to_ascii_lowercase().as_str() {
                "listen" => text(path, node, listen)?,
                "x" => {}
                _ => self.warn(path),
            }
        }
        Ok(())
    }

    fn warn(&mut self, path: &str) {
        self.unknown += 1;
        if self.unknown <= WARNINGS_MAX {
            self.warnings.push(format!("{}: unknown key, ignored", path.escape_debug()));
        }
    }
}

/// A key of a service that there is once for each verb: what it says, and the index of the verb.
fn of_verb(name: &str) -> Option<(&str, usize)> {
    let verb = |text: &str| Verb::ALL.iter().position(|verb| verb.as_str() == text);
    if let Some(rest) = name.strip_prefix("ignore-exit-codes-") {
        return Some(("ignore-exit-codes", verb(rest)?));
    }
    let rest = name.strip_prefix("management-")?;
    match rest.strip_suffix("-parameter") {
        Some(rest) => Some(("parameter", verb(rest)?)),
        None => Some(("management", verb(rest)?)),
    }
}

/// Any JSON; null is no data.
fn free_data(node: Node) -> FreeData {
    match node {
        Node::Null => None,
        node => Some(node.into_value().to_string().into()),
    }
}

/// The members of an object; none for null.
fn members(path: &str, node: Node) -> Result<Vec<(String, Node)>, ConfigError> {
    match node {
        Node::Object(members) => Ok(members),
        Node::Null => Ok(Vec::new()),
        other => Err(wrong(path, "an object", &other)),
    }
}

/// Reads a whole number; null changes nothing.
fn int(path: &str, node: Node, number: &mut i64) -> Result<(), ConfigError> {
    match node {
        Node::Int(read) => *number = read,
        Node::Null => {}
        other => return Err(wrong(path, "a whole number", &other)),
    }
    Ok(())
}

fn flag(path: &str, node: Node, flag: &mut bool) -> Result<(), ConfigError> {
    match node {
        Node::Bool(read) => *flag = read,
        Node::Null => {}
        other => return Err(wrong(path, "true or false", &other)),
    }
    Ok(())
}

fn text(path: &str, node: Node, text: &mut String) -> Result<(), ConfigError> {
    match node {
        Node::Text(read) => *text = read,
        Node::Null => {}
        other => return Err(wrong(path, "a text", &other)),
    }
    Ok(())
}

fn texts(path: &str, node: Node, list: &mut Vec<String>) -> Result<(), ConfigError> {
    *list = match node {
        Node::List(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| {
                let mut read = String::new();
                text(&format!("{path}[{index}]"), item, &mut read).map(|()| read)
            })
            .collect::<Result<_, _>>()?,
        Node::Null => Vec::new(),
        other => return Err(wrong(path, "an array of texts", &other)),
    };
    Ok(())
}

/// Reads exit codes: an array of numbers, or a text in base64, which Go's decoder takes for bytes.
fn codes(path: &str, node: Node, codes: &mut Vec<u8>) -> Result<(), ConfigError> {
    *codes = match node {
        Node::List(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| {
                let path = format!("{path}[{index}]");
                let mut code = 0;
                int(&path, item, &mut code)?;
                u8::try_from(code)
                    .map_err(|_| ConfigError::decode(&path, "an exit code is 1 to 255"))
            })
            .collect::<Result<_, _>>()?,
        Node::Text(text) => STANDARD.decode(text.replace(['\r', '\n'], "")).map_err(|_| {
            ConfigError::decode(path, "expected an array of exit codes, found a text")
        })?,
        Node::Null => Vec::new(),
        other => return Err(wrong(path, "an array of exit codes", &other)),
    };
    Ok(())
}

fn hooks(path: &str, node: Node, names: &[HookName]) -> Result<Hooks, ConfigError> {
    let mut list = Vec::new();
    for (key, node) in members(path, node)? {
        let path = format!("{path}.{key}");
        let mut argv = Vec::new();
        texts(&path, node, &mut argv)?;
        list.push((path, key, argv));
    }
    hooks::read(list, names)
}

fn wrong(path: &str, expected: &str, found: &Node) -> ConfigError {
    ConfigError::decode(path, format!("expected {expected}, found {}", found.kind()))
}
