//! The file that declares instances: its format, as TOML or YAML, and the URL of each entry. Owns
//! neither masters nor commands: `client` applies such files, `tools` imports into them.
//!
//! ```toml
//! name = "shop"
//!
//! [instance.web]
//! command = ["node", "server.js"]
//! cwd = "/srv/shop"
//! env = { PORT = "8080" }
//! secrets = { TOKEN = "file:/run/secrets/token" }
//! restart = "on-failure"
//! tags = { site = "x" }
//! ```

mod entry;
mod env_file;
mod file;
mod name;
mod read;
mod variables;
mod write;

pub(crate) use entry::{Entry, PARAMETERS, Program, Restart};
pub(crate) use env_file::EnvFile;
pub(crate) use file::{Manifest, ManifestError};
pub(crate) use name::check_name;
pub(crate) use read::{read, read_text, yaml_reason};
pub(crate) use variables::escape;
pub(crate) use write::write;
