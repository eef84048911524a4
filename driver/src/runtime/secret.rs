//! Secret variables by reference: the value is read when the process starts.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest file that a secret is read from, in bytes.
const SECRET_MAX_BYTES: u64 = 64 * 1024;

/// Where the value of a secret variable is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// A file, by its absolute path. A final line end is not part of the value.
    File(PathBuf),
    /// A variable of the master's environment.
    Env(String),
}

impl SecretSource {
    /// Reads `file:/absolute/path` or `env:NAME`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("file", path) if Path::new(path).is_absolute() => Some(Self::File(path.into())),
            ("env", name) if !name.is_empty() && !name.contains('=') => {
                Some(Self::Env(name.to_owned()))
            }
            _ => None,
        }
    }

    /// The value.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(crate) fn read(&self) -> Result<OsString, String> {
        match self {
            Self::Env(variable) => {
                std::env::var_os(variable).ok_or_else(|| "it is not set".to_owned())
            }
            Self::File(path) => {
                let file = File::open(path).map_err(|error| error.to_string())?;
                let mut text = String::new();
                let read = file.take(SECRET_MAX_BYTES + 1).read_to_string(&mut text);
                read.map_err(|error| error.to_string())?;
                if text.len() as u64 > SECRET_MAX_BYTES || text.contains('\0') {
                    return Err("it is larger than 64 KiB or has a NUL".to_owned());
                }
                let value = text.strip_suffix('\n').unwrap_or(&text);
                Ok(value.strip_suffix('\r').unwrap_or(value).into())
            }
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}
