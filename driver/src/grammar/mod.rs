//! The grammar of the command line. Help, completions, manual pages and suggestions are made from
//! it. Owns words and their meaning, not what the commands do.
//!
//! A URL as the only argument starts a master or a runtime and is not part of it; the topics `master`
//! and `runtime` describe these URLs.

mod common;
mod control;
mod declare;
mod patrol;
mod tools;
mod topics;
mod values;
mod wrong;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(crate) use common::{Waiting, Which};
pub(crate) use control::{Control, ControlApply, ControlEvents, ControlWhat};
pub(crate) use declare::{Apply, Export, Import, ImportFormat, Plan, Run, RunRestart};
pub(crate) use patrol::Patrol;
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
    /// The master's API, as it logs it: https://HOST:PORT/api/v2
    #[arg(long, global = true, value_name = "URL", help_heading = WHERE)]
    pub(crate) api: Option<String>,
    /// A master named in the configuration file
    #[arg(long, global = true, value_name = "NAME", help_heading = WHERE, conflicts_with = "api")]
    pub(crate) master: Option<String>,
    /// The master of this machine that keeps its state in DIR
    #[arg(long, global = true, value_name = "DIR", help_heading = WHERE,
          conflicts_with_all = ["api", "master"])]
    pub(crate) state: Option<PathBuf>,
    /// The API key; others on this machine can see it: better --key-file or OPENCTRL_KEY
    #[arg(long, global = true, value_name = "KEY", help_heading = WHERE)]
    pub(crate) key: Option<String>,
    /// A private file that holds the API key; - is standard input
    #[arg(long, global = true, value_name = "FILE", help_heading = WHERE, conflicts_with = "key")]
    pub(crate) key_file: Option<PathBuf>,
    /// Trust only the certificates in this PEM file
    #[arg(long, global = true, value_name = "FILE", help_heading = WHERE)]
    pub(crate) ca: Option<PathBuf>,
    /// Trust only the certificate with this SHA-256 fingerprint
    #[arg(long, global = true, value_name = "SHA256", help_heading = WHERE, conflicts_with = "ca")]
    pub(crate) pin: Option<String>,
    /// Trust any certificate: whoever is between reads the key
    #[arg(long, global = true, help_heading = WHERE, conflicts_with_all = ["ca", "pin"])]
    pub(crate) insecure: bool,
    /// How the answer is written; json and yaml have the master's objects as they are
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: Format,
    /// Print this
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

/// What is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List instances
    #[command(visible_aliases = ["ls", "status", "ps"])]
    List(List),
    /// Show instances in full, with what is known of their processes
    Show(Which),
    /// Run a command as an instance; prints its id
    Run(Run),
    /// Create an instance of a URL and start it; prints its id
    Create(Create),
    /// Start instances that are stopped
    Start(Act),
    /// Stop instances
    Stop(Act),
    /// Stop instances and start them
    Restart(Act),
    /// Set the byte counters of instances to 0
    Reset(Which),
    /// Stop instances and remove them for good
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Change alias, restart policy, peer and tags of instances
    Set(Set),
    /// Give an instance another URL, and start it
    Url(NewUrl),
    /// Print what an instance printed
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
    /// Have the master connect to a TCP address
    Ping(Ping),
    /// Watch rates, CPU and memory of every instance
    Top(Top),
    /// Read and change over the control socket
    Control(Control),
    /// Make the instances what a file declares, after showing the changes
    Apply(Apply),
    /// Show what apply would change; exit status 2 if there are changes
    Plan(Plan),
    /// Print instances as a file for apply
    Export(Export),
    /// Print a file of another process manager as a file for apply
    Import(Import),
    /// Check the master and its machine for common problems
    Doctor,
    /// Replay a recorded trace
    Replay(Replay),
    /// Check or export a state directory
    #[command(subcommand)]
    State(State),
    /// Run a Patrol server from its config.json
    Patrol(Patrol),
    /// How a master is started, and the parameters of its URL
    #[command(override_usage = topics::MASTER_USAGE, after_help = topics::MASTER)]
    Master,
    /// How commands and demos are written as URLs
    #[command(override_usage = topics::RUNTIME_USAGE, after_help = topics::RUNTIME)]
    Runtime,
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page, or that of one command
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
    /// Do not ask before more than one is deleted
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Accepted for symmetry: delete always waits until the process has exited
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// Wait no longer than this for each: 500ms, 30s, 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// `list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only instances with this tag; given twice, both must be there
    #[arg(short, long, value_name = "K[=V]")]
    pub(crate) tag: Vec<String>,
    /// Only instances of this status
    #[arg(long, value_enum)]
    pub(crate) status: Option<Status>,
    /// What comes first
    #[arg(long, value_enum, default_value_t, value_name = "COLUMN")]
    pub(crate) sort: Sort,
    /// Keep the list on the screen as it changes
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Only instances with this tag; given twice, both must be there
    #[arg(short, long, value_name = "K[=V]")]
    pub(crate) tag: Vec<String>,
    /// What comes first
    #[arg(long, value_enum, default_value = "cpu", value_name = "COLUMN")]
    pub(crate) sort: Sort,
    /// Print this many tables, 2 s apart, in place of the screen
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

/// What a list is sorted by: names upwards, numbers downwards.
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
    /// What its runtime is given: exec:COMMAND?arg=…, demo://NAME, or what the runtime knows
    pub(crate) url: String,
    /// A name for it
    #[arg(short, long)]
    pub(crate) alias: Option<String>,
    /// A tag; may be given more than once
    #[arg(short, long, value_name = "K=V", value_parser = pair)]
    pub(crate) tag: Vec<(String, String)>,
    /// Do not start it again after a failure or when the master starts
    #[arg(long)]
    pub(crate) no_restart: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// `set`.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Id, beginning of an id that no other has, or alias
    #[arg(value_name = "INSTANCE", required = true)]
    pub(crate) names: Vec<String>,
    /// Another name for it
    #[arg(short, long)]
    pub(crate) alias: Option<String>,
    /// Whether it is started again after a failure and when the master starts
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) restart: Option<Switch>,
    /// Add or change a tag; may be given more than once
    #[arg(short, long, value_name = "K=V", value_parser = pair)]
    pub(crate) tag: Vec<(String, String)>,
    /// Remove a tag; may be given more than once
    #[arg(long, value_name = "K")]
    pub(crate) untag: Vec<String>,
    /// Remove all tags that are not given with --tag
    #[arg(long)]
    pub(crate) clear_tags: bool,
    /// Id of the peer
    #[arg(long, value_name = "ID")]
    pub(crate) peer_sid: Option<String>,
    /// Kind of the peer
    #[arg(long, value_name = "TYPE")]
    pub(crate) peer_type: Option<String>,
    /// Name of the peer
    #[arg(long, value_name = "NAME")]
    pub(crate) peer_alias: Option<String>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// `url`.
#[derive(Debug, Args)]
pub(crate) struct NewUrl {
    /// Id, beginning of an id that no other has, or alias
    #[arg(value_name = "INSTANCE")]
    pub(crate) name: String,
    /// The new URL
    pub(crate) url: String,
}

/// `logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Id, beginning of an id that no other has, or alias
    #[arg(value_name = "INSTANCE", required_unless_present_any = ["tag", "all"])]
    pub(crate) names: Vec<String>,
    /// Every instance with this tag; given twice, both must be there
    #[arg(long, value_name = "K[=V]")]
    pub(crate) tag: Vec<String>,
    /// Every instance
    #[arg(long, conflicts_with_all = ["names", "tag"])]
    pub(crate) all: bool,
    /// Follow new lines
    #[arg(short, long, conflicts_with = "until")]
    pub(crate) follow: bool,
    /// Maximum number of lines, of each instance [default: 200, with --since all]
    #[arg(short = 'n', long, value_name = "COUNT", conflicts_with = "since_start")]
    pub(crate) lines: Option<usize>,
    /// All lines that the present process printed
    #[arg(long, conflicts_with = "since")]
    pub(crate) since_start: bool,
    /// Only lines from this time on: 10m for ten minutes ago, or 2026-06-09T10:13 in UTC
    #[arg(long, value_name = "TIME", value_parser = point)]
    pub(crate) since: Option<String>,
    /// Only lines up to this time
    #[arg(long, value_name = "TIME", value_parser = point)]
    pub(crate) until: Option<String>,
    /// Only lines that match this regular expression
    #[arg(short, long, value_name = "RE")]
    pub(crate) grep: Option<String>,
    /// Begin each line with its time
    #[arg(short, long)]
    pub(crate) time: bool,
    /// Print control characters and escape sequences as they are
    #[arg(long)]
    pub(crate) raw: bool,
}

/// `events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only events of this instance: id, beginning of an id, or alias
    #[arg(value_name = "INSTANCE")]
    pub(crate) name: Option<String>,
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// So many of the last events
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) lines: u64,
    /// Each event as the master sent it, one a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `alias`.
#[derive(Debug, Args)]
pub(crate) struct Alias {
    /// The new alias
    #[arg(value_name = "ALIAS")]
    pub(crate) alias: Option<String>,
    /// Remove it
    #[arg(long, conflicts_with = "alias")]
    pub(crate) clear: bool,
}

/// `key`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a new key and print it; the old one is worth nothing from then on
    Rotate {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// `ping`.
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// What to connect to
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
    /// Write all pages into this folder
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
