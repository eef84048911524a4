//! Why a configuration is refused.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

/// Why a configuration is refused: one sentence that begins with the key at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// In which step.
    pub stage: Stage,
    /// The key at fault, such as `apps.web.binary`; empty for the file as a whole.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The steps of reading a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The file is no JSON, or a value has the wrong type.
    Decode,
    /// A value is not allowed.
    Validate,
}

impl Stage {
    /// The exit status of a server that is started with such a file.
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Decode => 254,
            Self::Validate => 255,
        }
    }
}

impl ConfigError {
    pub(super) fn decode(key: &str, problem: impl Into<String>) -> Self {
        Self { stage: Stage::Decode, key: key.to_owned(), problem: problem.into() }
    }

    pub(super) fn invalid(key: &str, problem: impl Into<String>) -> Self {
        Self { stage: Stage::Validate, key: key.to_owned(), problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            // A key is text of the file: it may hold anything.
            write!(f, "{}: ", self.key.escape_debug())?;
        }
        f.write_str(&self.problem)
    }
}

impl core::error::Error for ConfigError {}
