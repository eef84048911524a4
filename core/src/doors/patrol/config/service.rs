//! A service of the configuration.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::app::{Common, check_name};
use super::error::ConfigError;
use super::raw::RawService;
use super::verb::Verb;

/// The longest name of a system service, in bytes.
const SERVICE_MAX_BYTES: usize = 63;

/// Which command manages a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Management {
    /// 1: `service NAME PARAMETER`.
    Service,
    /// 2: `/etc/init.d/NAME PARAMETER`.
    InitD,
}

/// The exit codes of one verb that count as success, beside 0.
pub type IgnoredCodes = Vec<u8>;

/// A service that passed every check. Arrays have one item for each verb, in the order of
/// [`Verb::ALL`].
#[derive(Clone, Debug)]
pub struct Service {
    /// What people call it; 1 to 255 bytes.
    pub name: String,
    /// What the system calls it; 1 to 63 bytes.
    pub service: String,
    /// The command of each verb.
    pub management: [Management; 4],
    /// The word that each verb is asked with.
    pub parameters: [String; 4],
    /// The exit codes of each verb that count as success, beside 0.
    pub ignored: [IgnoredCodes; 4],
    /// What apps and services have in common.
    pub common: Common,
}

impl Management {
    const fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Service),
            2 => Some(Self::InitD),
            _ => None,
        }
    }
}

impl Service {
    pub(super) fn validate(raw: RawService, key: &str) -> Result<Self, ConfigError> {
        let at = |name: &str| format!("{key}.{name}");
        let management = management(&raw, key)?;
        if raw.service.is_empty() {
            return Err(ConfigError::invalid(&at("service"), "Service was empty"));
        }
        if raw.service.len() > SERVICE_MAX_BYTES {
            let problem = "Service was longer than 63 bytes";
            return Err(ConfigError::invalid(&at("service"), problem));
        }
        check_name(&at("name"), "Service Name", &raw.name)?;
        let common = Common::validate(raw.common, key)?;
        for (verb, codes) in Verb::ALL.into_iter().zip(&raw.ignored) {
            check_codes(&at(&format!("ignore-exit-codes-{}", verb.as_str())), codes)?;
        }
        let mut parameters = raw.parameters;
        for (verb, parameter) in Verb::ALL.into_iter().zip(&mut parameters) {
            if parameter.is_empty() {
                *parameter = verb.as_str().into();
            }
        }
        let service = raw.service;
        Ok(Self { name: raw.name, service, management, parameters, ignored: raw.ignored, common })
    }
}

/// The command of each verb: one for all, or else one for each.
fn management(raw: &RawService, key: &str) -> Result<[Management; 4], ConfigError> {
    let [start, status, stop, _] = raw.managements;
    let each = raw.management == 0 && (start > 0 || status > 0 || stop > 0);
    if !each {
        return Management::from_number(raw.management).map(|all| [all; 4]).ok_or_else(|| {
            let problem = "Service Management was invalid, please select a method!";
            ConfigError::invalid(&format!("{key}.management"), problem)
        });
    }
    let mut found = [Management::Service; 4];
    for (index, verb) in Verb::ALL.into_iter().enumerate() {
        found[index] = Management::from_number(raw.managements[index]).ok_or_else(|| {
            let name = verb.capitalized();
            ConfigError::invalid(
                &format!("{key}.management-{}", verb.as_str()),
                format!("Service Management {name} was invalid, please select a method!"),
            )
        })?;
    }
    Ok(found)
}

fn check_codes(key: &str, codes: &[u8]) -> Result<(), ConfigError> {
    for (index, code) in codes.iter().enumerate() {
        if *code == 0 {
            return Err(ConfigError::invalid(key, "Service contained an Invalid Exit Code"));
        }
        if codes[..index].contains(code) {
            return Err(ConfigError::invalid(key, "Service contained a Duplicate Exit Code"));
        }
    }
    Ok(())
}
