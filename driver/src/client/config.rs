//! The configuration file: masters by name.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::failure::Failure;
use super::private::check_private;

/// The content of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The master that is used by default.
    pub(crate) default: Option<String>,
    /// Masters by their names.
    #[serde(default, rename = "master")]
    pub(crate) masters: BTreeMap<String, Named>,
}

/// One master of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    /// Its API.
    pub(crate) api: Option<String>,
    /// Or, on this machine, where it keeps its state.
    pub(crate) state: Option<PathBuf>,
    /// The key.
    pub(crate) key: Option<String>,
    /// Or the file that holds it.
    pub(crate) key_file: Option<PathBuf>,
    /// Certificates to trust.
    pub(crate) ca: Option<PathBuf>,
    /// The fingerprint to trust.
    pub(crate) pin: Option<String>,
    /// Trust anything.
    #[serde(default)]
    pub(crate) insecure: bool,
}

impl Config {
    /// Reads the file of this user; `None` if there is none.
    pub(crate) fn load() -> Result<Self, Failure> {
        let named = std::env::var_os("OPENCTRL_CONFIG").filter(|path| !path.is_empty());
        let is_named = named.is_some();
        let Some(path) = named.map(PathBuf::from).or_else(existing_path) else {
            return Ok(Self::default());
        };
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => {
                Ok(Self::default())
            }
            Err(error) => Err(Failure::Usage(format!("cannot read {}: {error}", path.display()))),
        }
    }

    /// The master of this name.
    pub(crate) fn named(&self, name: &str) -> Result<&Named, Failure> {
        self.masters.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.masters.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Failure::Usage(format!(
                "the configuration has no master {name:?}; it has {known} (see docs/operators/CLI.md)"
            ))
        })
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let reason = error.message().replace('\n', " ");
            Failure::Usage(format!("{}, line {line}: {reason}", path.display()))
        })?;
        if config.masters.values().any(|master| master.key.is_some()) {
            check_private(path).map_err(Failure::Usage)?;
        }
        for (name, master) in &config.masters {
            if master.api.is_some() == master.state.is_some() {
                let path = path.display();
                return Err(Failure::Usage(format!(
                    "{path}: master {name:?} needs either api or state"
                )));
            }
        }
        Ok(config)
    }
}

/// The configuration of the machine, for users without one of their own.
const OF_MACHINE: &str = "/etc/openctrl/config.toml";

/// The file of this user if there is one, else that of the machine.
fn existing_path() -> Option<PathBuf> {
    let of_machine = PathBuf::from(OF_MACHINE);
    match usual_path() {
        Some(own) if own.exists() || !of_machine.exists() => Some(own),
        Some(_) | None => Some(of_machine),
    }
}

fn usual_path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("openctrl").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("c.toml"), text).map_err(|failure| failure.to_string())
    }

    #[test]
    fn masters_have_names() {
        let config = parse(
            "default = \"home\"\n[master.home]\nstate = \"/opt/o/gob\"\n\
             [master.\"far away\"]\napi = \"https://h:1/api/v2\"\nkey_file = \"k\"\npin = \"ab\"\n",
        )
        .expect("it is good");
        assert_eq!(config.default.as_deref(), Some("home"));
        assert_eq!(config.named("far away").expect("there").pin.as_deref(), Some("ab"));
        let unknown = config.named("x").expect_err("not there").to_string();
        assert!(unknown.contains("far away, home"), "{unknown}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong = parse("default = \"a\"\n[master.a]\nhost = 1\n").expect_err("unknown field");
        assert!(wrong.starts_with("c.toml, line 3: unknown field"), "{wrong}");
        let wrong = parse("[master.a]\nkey_file = \"k\"").expect_err("no address");
        assert!(wrong.contains("either api or state"), "{wrong}");
        assert!(parse("x").is_err());
    }
}
