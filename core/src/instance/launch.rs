//! The command of an instance and its environment.
//!
//! Values only: the driver decides which binary runs a URL, and how a process is created.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::rare::Usual;
use crate::mixer::Digest;
use crate::url::InstanceUrl;

/// The command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Launch {
    /// `<runtime> <url>`, the runtime being the one that the master was started with.
    Runtime(InstanceUrl),
    /// Its own command.
    Exec(Exec),
    /// A service that other commands start and stop.
    Verbs(Box<Verbs>),
}

/// A command and where its output goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exec {
    /// What clients of the v2 API see as the URL.
    pub shown: InstanceUrl,
    /// The program and its arguments; the program at least.
    pub argv: Vec<String>,
    /// Where its output goes.
    pub output: Output,
}

/// Where the output of a process goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// To the master, line by line.
    Pipe,
    /// To files in a directory.
    Files {
        /// The directory.
        directory: String,
        /// Whether standard error goes to the file of standard output.
        merge: bool,
    },
}

/// A service: one command for each verb.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Verbs {
    /// What clients of the v2 API see as the URL.
    pub shown: InstanceUrl,
    /// Starts it.
    pub start: Verb,
    /// Exits with 0 while it runs.
    pub status: Verb,
    /// Stops it.
    pub stop: Verb,
    /// Restarts it.
    pub restart: Verb,
}

/// One command of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Verb {
    /// The program and its arguments; the program at least.
    pub argv: Vec<String>,
    /// Exit codes other than 0 that count as success.
    pub ignored_codes: Vec<u8>,
}

/// The surroundings of a process, where they differ from those of the master.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Setup {
    /// The user, by name or number.
    pub user: Option<String>,
    /// The group, by name or number; by default that of the user.
    pub group: Option<String>,
    /// The file mode creation mask.
    pub umask: Option<u16>,
    /// The working directory.
    pub cwd: Option<String>,
    /// Variables that are added to the environment, or replaced in it.
    pub env: BTreeMap<String, String>,
    /// Whether the process starts with no variable of the master.
    pub clear_env: bool,
    /// The soft and hard limit of open files.
    pub open_files: Option<u64>,
    /// The limit of the address space, in bytes.
    pub memory_bytes: Option<u64>,
}

impl Usual for Setup {
    fn usual() -> &'static Self {
        static USUAL: Setup = Setup {
            user: None,
            group: None,
            umask: None,
            cwd: None,
            env: BTreeMap::new(),
            clear_env: false,
            open_files: None,
            memory_bytes: None,
        };
        &USUAL
    }
}

impl Launch {
    /// The URL that clients of the v2 API see.
    pub const fn url(&self) -> &InstanceUrl {
        match self {
            Self::Runtime(url) => url,
            Self::Exec(exec) => &exec.shown,
            Self::Verbs(verbs) => &verbs.shown,
        }
    }

    /// A number by which a later master recognizes the command of a run. It is the same in every
    /// version of this program.
    pub fn mark(&self) -> u64 {
        let mut mark = Digest::default();
        mark.everything(self.url().as_str());
        mark.0
    }

    /// Whether it is a command in an `exec:` URL, which knows nothing of the output that the
    /// contract asks of runtimes.
    pub fn is_command(&self) -> bool {
        matches!(self, Self::Runtime(url) if url.scheme().eq_ignore_ascii_case("exec"))
    }
}

impl fmt::Debug for Setup {
    /// Leaves the values of variables out: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, group, umask, cwd, env, clear_env, open_files, memory_bytes } = self;
        let names: Vec<&String> = env.keys().collect();
        f.debug_struct("Setup")
            .field("user", user)
            .field("group", group)
            .field("umask", umask)
            .field("cwd", cwd)
            .field("env", &names)
            .field("clear_env", clear_env)
            .field("open_files", open_files)
            .field("memory_bytes", memory_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_a_command_never_changes() {
        let url = |text: &str| Launch::Runtime(InstanceUrl::parse(text).expect("a URL"));
        assert_eq!(url("demo://a?b=c").mark(), 0xa8d4_bdd8_9aae_272d);
        assert_ne!(url("demo://a?b=d").mark(), url("demo://a?b=c").mark());
    }
}
