//! Why the built-in runtime did not run, with its exit code. Owns the messages only.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::secret::SecretSource;

/// The schemes served, as an error names them.
pub(super) const SCHEMES: [&str; 2] = ["demo", "exec"];

/// An error of an instance URL. Names parameters, never their values.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UrlError {
    /// Not a URL at all.
    NotAUrl(url::ParseError),
    /// No runtime in this executable serves the scheme.
    UnknownScheme(String),
    /// The URL has an unescaped space or control character.
    RawBlank,
    /// A `%` without two hexadecimal digits, or `%00`.
    BadEscape,
    /// `#…`, which would be cut off.
    Fragment,
    /// A user, a password or a port.
    Authority,
    /// The part before the `?` is invalid.
    Target(&'static str),
    /// A parameter this scheme does not have.
    UnknownParameter { name: String, known: String },
    /// A parameter given twice that may be given once.
    Repeated(String),
    /// An invalid value of a parameter.
    BadValue { name: &'static str, want: &'static str },
    /// An invalid policy parameter: a sentence that describes the error.
    Policy(String),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAUrl(why) => write!(f, "the instance URL is not a URL: {why}"),
            Self::UnknownScheme(scheme) => write!(
                f,
                "unknown scheme \"{scheme}\": this program runs instances of {}; for any other, start \
                 the master (master://host:port) with bin=<path of a runtime>",
                SCHEMES.join(", ")
            ),
            Self::RawBlank => f.write_str(
                "the instance URL has a bare space or control character: write it as %20 or the like",
            ),
            Self::BadEscape => f.write_str(
                "the instance URL has a bad escape: a % takes two hexadecimal digits other than 00, \
                 and is itself written %25",
            ),
            Self::Fragment => {
                f.write_str("the instance URL has a fragment: write # in a value as %23")
            }
            Self::Authority => {
                f.write_str("the instance URL has a user or a port: neither means anything here")
            }
            Self::Target(what) => f.write_str(what),
            Self::UnknownParameter { name, known } => {
                write!(f, "unknown parameter \"{name}\": there are {known}")
            }
            Self::Repeated(name) => write!(f, "{name} is given twice: give it once"),
            Self::BadValue { name, want } => write!(f, "{name} must be {want}"),
            Self::Policy(reason) => f.write_str(reason),
        }
    }
}

impl core::error::Error for UrlError {}

/// Why the runtime exited without doing its work.
#[derive(Debug)]
pub(super) enum Failure {
    /// The URL does not describe anything to run.
    Url(UrlError),
    /// The user, the umask or a limit cannot be set: a sentence with the reason.
    Setup(String),
    /// The working directory cannot be entered.
    Cwd { path: PathBuf, why: io::Error },
    /// The value of a secret variable cannot be read.
    Secret { name: String, source: SecretSource, why: String },
    /// There is no such command, or no such interpreter for it.
    NotFound { command: PathBuf, why: io::Error },
    /// The command is there but cannot be executed.
    CannotExecute { command: PathBuf, why: io::Error },
    /// The system refused signal handlers, timers or output.
    System(io::Error),
}

impl Failure {
    /// The exit status: 2 for a bad URL; 126 and 127 as shells use them.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Url(_) | Self::Cwd { .. } | Self::Secret { .. } | Self::Setup(_) => 2,
            Self::NotFound { .. } => 127,
            Self::CannotExecute { .. } => 126,
            Self::System(_) => 1,
        }
    }
}

impl From<UrlError> for Failure {
    fn from(why: UrlError) -> Self {
        Self::Url(why)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => why.fmt(f),
            Self::Setup(reason) => f.write_str(reason),
            Self::Cwd { path, why } => {
                write!(f, "cwd {}: {why}: give a directory that can be entered", path.display())
            }
            Self::Secret { name, source, why } => write!(f, "secret {name}: {source}: {why}"),
            Self::NotFound { command, why } => write!(
                f,
                "command not found: {}: {why}; check the path or PATH, and the interpreter that a \
                 script names",
                command.display()
            ),
            Self::CannotExecute { command, why } => {
                write!(f, "{}: cannot execute: {why}", command.display())
            }
            Self::System(why) => why.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}
