//! The grammar of the command line, the source of help, completions, manual pages and suggestions.
//! Owns words and their meaning, not the actions of the commands.
//!
//! A URL as the only argument starts a master or a runtime and is not part of it; the topics `master`
//! and `runtime` describe these URLs.

mod common;
mod control;
mod declare;
mod patrol;
mod service;
mod token;
mod tools;
mod topics;
mod values;
mod wrong;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use openctrl_core::stream::Stream;

pub(crate) use common::{Waiting, Which};
pub(crate) use control::{Control, ControlApply, ControlEvents, ControlWhat};
pub(crate) use declare::{Apply, Export, Import, ImportFormat, Plan, Run, RunRestart};
pub(crate) use patrol::Patrol;
pub(crate) use service::{InstallService, ServiceCommand};
pub(crate) use token::{CreateToken, TokenCommand};
pub(crate) use tools::{Replay, State};
use values::{duration, pair, point};
pub(crate) use wrong::{Answer, read, whole};

/// OpenCtrl keeps programs running: one process for each instance, and a REST API.
#[derive(Debug, Parser)]
#[command(
    name = "openctrl",
    bin_name = "openctrl",
    disable_version_flag = true,
    subcommand_required = true,
    disable_help_flag = true,
    term_width = 100,
    override_usage = topics::USAGE,
    after_help = topics::EXAMPLES
)]
pub(crate) struct Line {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Address of the API, as the master logs it: https://HOST:PORT/api/v2
    #[arg(long, global = true, value_name = "URL", help_heading = WHERE)]
    pub(crate) api: Option<String>,
    /// A master from the configuration file
    #[arg(long, global = true, value_name = "NAME", help_heading = WHERE, conflicts_with = "api")]
    pub(crate) master: Option<String>,
    /// The master on this machine with its state in DIR
    #[arg(long, global = true, value_name = "DIR", help_heading = WHERE,
          conflicts_with_all = ["api", "master"])]
    pub(crate) state: Option<PathBuf>,
    /// The API key or a token; other users of this machine can see it, so prefer --key-file or OPENCTRL_KEY
    #[arg(long, global = true, value_name = "KEY", help_heading = WHERE)]
    pub(crate) key: Option<String>,
    /// A file with mode 0600 that contains the API key or a token; - is standard input
    #[arg(long, global = true, value_name = "FILE", help_heading = WHERE, conflicts_with = "key")]
    pub(crate) key_file: Option<PathBuf>,
    /// Trust only the certificates in this PEM file
    #[arg(long, global = true, value_name = "FILE", help_heading = WHERE)]
    pub(crate) ca: Option<PathBuf>,
    /// Trust only the certificate with this SHA-256 fingerprint
    #[arg(long, global = true, value_name = "SHA256", help_heading = WHERE, conflicts_with = "ca")]
    pub(crate) pin: Option<String>,
    /// A PEM file with a client certificate and its key, for masters with client_ca=
    #[arg(long, global = true, value_name = "FILE", help_heading = WHERE)]
    pub(crate) client_cert: Option<PathBuf>,
    /// Trust any certificate; anyone on the network path can read the key
    #[arg(long, global = true, help_heading = WHERE, conflicts_with_all = ["ca", "pin"])]
    pub(crate) insecure: bool,
    /// Output format; json and yaml print the objects of the API
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: Format,
    /// Print help
    #[arg(short, long, global = true, action = ArgAction::HelpShort)]
    pub(crate) help: Option<bool>,
}

const WHERE: &str = "Which master";

/// How answers are written: for reading, with more columns, or the master's objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List instances
    #[command(visible_aliases = ["ls", "status", "ps"])]
    List(List),
    /// Show all details of instances and their processes
    Show(Which),
    /// Run a command as an instance, and print its id
    Run(Box<Run>),
    /// Create an instance from a URL, start it, and print its id
    Create(Create),
    /// Start instances
    Start(Act),
    /// Stop instances
    Stop(Act),
    /// Restart instances
    Restart(Act),
    /// Set the byte counters of instances to 0
    Reset(Which),
    /// Stop instances and delete them
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Change alias, restart policy, peer and tags of instances
    Set(Set),
    /// Replace the URL of an instance, and start it
    Url(NewUrl),
    /// Print the output of instances
    Logs(Logs),
    /// Print events of the master
    Events(Events),
    /// Show the master and its machine
    Info,
    /// Show or set the alias of the master
    Alias(Alias),
    /// Change the API key
    #[command(subcommand)]
    Key(Key),
    /// Create, list and revoke tokens, which give others a part of the rights of the key
    #[command(subcommand)]
    Token(TokenCommand),
    /// Print who changed what, from where, and with what result
    Audit(Audit),
    /// Let the master connect to a TCP address
    Ping(Ping),
    /// Watch rates, CPU and memory of every instance
    Top(Top),
    /// Read and change resources over the control socket
    Control(Control),
    /// Create and change instances as a file declares, after showing the changes
    Apply(Apply),
    /// Show what apply would change; exit status 2 if there are changes
    Plan(Plan),
    /// Print instances as a file for apply
    Export(Export),
    /// Convert a file of another process manager to a file for apply
    Import(Import),
    /// Check the master and its machine for common problems
    Doctor,
    /// Replace the running master on this machine by the program now at its path; no instance stops
    Upgrade,
    /// Install the master as a service of systemd, or remove it
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Replay a recorded trace
    Replay(Replay),
    /// Check, export or repair a state directory
    #[command(subcommand)]
    State(State),
    /// Run a Patrol server from its config.json
    Patrol(Patrol),
    /// Describe the master URL and its parameters
    #[command(override_usage = topics::MASTER_USAGE, after_help = topics::MASTER)]
    Master,
    /// Describe the URLs of commands and demos
    #[command(override_usage = topics::RUNTIME_USAGE, after_help = topics::RUNTIME)]
    Runtime,
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page of the program or of a command
    Man(Man),
    /// Print the version
    Version,
}

/// `start`, `stop`, `restart`.
#[derive(Debug, Args)]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// `delete`.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Do not ask before deleting more than one
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Accepted for symmetry: delete always waits until the process has exited
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// Maximum time to wait for each instance: 500ms, 30s, 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// `list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Id, unique prefix of an id, or alias [default: every instance]
    #[arg(value_name = "INSTANCE", conflicts_with = "watch")]
    pub(crate) names: Vec<String>,
    /// Only instances with this tag; if repeated, with all of them
    #[arg(short, long, value_name = "K[=V]")]
    pub(crate) tag: Vec<String>,
    /// Only instances of this status
    #[arg(long, value_enum)]
    pub(crate) status: Option<Status>,
    /// Sort by this column
    #[arg(long, value_enum, default_value_t, value_name = "COLUMN")]
    pub(crate) sort: Sort,
    /// Show the list on the whole screen, and update it
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Only instances with this tag; if repeated, with all of them
    #[arg(short, long, value_name = "K[=V]")]
    pub(crate) tag: Vec<String>,
    /// Sort by this column
    #[arg(long, value_enum, default_value = "cpu", value_name = "COLUMN")]
    pub(crate) sort: Sort,
    /// Print this many tables, 2 s apart, instead of the screen
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
}

/// The status of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    Running,
    Stopped,
    Error,
}

/// The sort key of a list: names ascending, numbers descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    #[default]
    #[value(alias = "alias")]
    Name,
    Id,
    Status,
    Uptime,
    Restarts,
    Cpu,
    #[value(name = "mem", alias = "memory")]
    Memory,
    Ping,
    Sessions,
    Rx,
    Tx,
}

/// `create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The URL for the runtime: exec:COMMAND?arg=…, demo://NAME, or one that your runtime knows
    pub(crate) url: String,
    /// A name for the instance
    #[arg(short, long)]
    pub(crate) alias: Option<String>,
    /// Add a tag; can be repeated
    #[arg(short, long, value_name = "K=V", value_parser = pair)]
    pub(crate) tag: Vec<(String, String)>,
    /// Do not restart it after a failure, and do not start it with the master
    #[arg(long)]
    pub(crate) no_restart: bool,
    /// Do not check that the command exists
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// `set`.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Id, unique prefix of an id, or alias
    #[arg(value_name = "INSTANCE", required = true)]
    pub(crate) names: Vec<String>,
    /// The new name
    #[arg(short, long)]
    pub(crate) alias: Option<String>,
    /// When to restart it; on is on-failure, off is never
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) restart: Option<SetRestart>,
    /// Add or change a tag; can be repeated
    #[arg(short, long, value_name = "K=V", value_parser = pair)]
    pub(crate) tag: Vec<(String, String)>,
    /// Remove a tag; can be repeated
    #[arg(long, value_name = "K")]
    pub(crate) untag: Vec<String>,
    /// Remove all tags that are not given with --tag
    #[arg(long)]
    pub(crate) clear_tags: bool,
    /// Id of the peer
    #[arg(long, value_name = "ID")]
    pub(crate) peer_sid: Option<String>,
    /// Type of the peer
    #[arg(long, value_name = "TYPE")]
    pub(crate) peer_type: Option<String>,
    /// Name of the peer
    #[arg(long, value_name = "NAME")]
    pub(crate) peer_alias: Option<String>,
}

/// The restart policy of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SetRestart {
    #[value(alias = "on")]
    OnFailure,
    #[value(alias = "off")]
    Never,
    Always,
}

/// `url`.
#[derive(Debug, Args)]
pub(crate) struct NewUrl {
    /// Id, unique prefix of an id, or alias
    #[arg(value_name = "INSTANCE")]
    pub(crate) name: String,
    /// The new URL
    pub(crate) url: String,
    /// Do not check that the command exists
    #[arg(long)]
    pub(crate) force: bool,
}

/// `logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Id, unique prefix of an id, or alias
    #[arg(value_name = "INSTANCE", required_unless_present_any = ["tag", "all"])]
    pub(crate) names: Vec<String>,
    /// Every instance with this tag; if repeated, with all of them
    #[arg(long, value_name = "K[=V]")]
    pub(crate) tag: Vec<String>,
    /// Every instance
    #[arg(long, conflicts_with_all = ["names", "tag"])]
    pub(crate) all: bool,
    /// Follow new lines
    #[arg(short, long, conflicts_with = "until")]
    pub(crate) follow: bool,
    /// Maximum number of lines for each instance [default: 200, or all with --since]
    #[arg(short = 'n', long, value_name = "COUNT", conflicts_with = "since_start")]
    pub(crate) lines: Option<usize>,
    /// All lines that the current process printed
    #[arg(long, conflicts_with = "since")]
    pub(crate) since_start: bool,
    /// Only lines since this time: 10m (ten minutes ago), or 2026-06-09T10:13 (UTC)
    #[arg(long, value_name = "TIME", value_parser = point)]
    pub(crate) since: Option<String>,
    /// Only lines until this time
    #[arg(long, value_name = "TIME", value_parser = point)]
    pub(crate) until: Option<String>,
    /// Only lines that match this regular expression
    #[arg(short, long, value_name = "RE")]
    pub(crate) grep: Option<String>,
    /// Only lines that were written to this stream
    #[arg(long, value_enum)]
    pub(crate) stream: Option<StreamName>,
    /// Print the time before each line
    #[arg(short, long)]
    pub(crate) time: bool,
    /// Print control characters and escape sequences unchanged
    #[arg(long)]
    pub(crate) raw: bool,
}

/// The output streams of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamName {
    /// Standard output, or both where they share one pipe
    Stdout,
    /// Standard error
    Stderr,
}

impl StreamName {
    /// The stream of this name.
    pub(crate) const fn stream(self) -> Stream {
        match self {
            Self::Stdout => Stream::Stdout,
            Self::Stderr => Stream::Stderr,
        }
    }
}

/// `events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only events of this instance: id, unique prefix of an id, or alias
    #[arg(value_name = "INSTANCE")]
    pub(crate) name: Option<String>,
    /// Follow new events
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Maximum number of events
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) lines: u64,
    /// Print each event as the master sent it, one on a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `alias`.
#[derive(Debug, Args)]
pub(crate) struct Alias {
    /// The new alias
    #[arg(value_name = "ALIAS")]
    pub(crate) alias: Option<String>,
    /// Remove the alias
    #[arg(long, conflicts_with = "alias")]
    pub(crate) clear: bool,
}

/// `key`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a new key and print it; the old key stops working
    Rotate {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// `audit`.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Maximum number of entries
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) lines: u32,
}

/// `ping`.
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// Host and port to connect to
    #[arg(value_name = "HOST:PORT")]
    pub(crate) target: String,
}

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

/// The shells that scripts are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// `man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command
    pub(crate) command: Option<String>,
    /// Write all pages to this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Line::command().debug_assert();
    }
}
