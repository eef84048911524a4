//! Commands that run programs, and that take instances from files.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::common::Waiting;
use super::values::{pair, secret, variable};
use crate::runtime::SecretSource;

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A name that no other instance has [default: name of the command]
    #[arg(short, long)]
    pub(crate) name: Option<String>,
    /// Set an environment variable; NAME alone passes on its current value
    #[arg(short, long, value_name = "K=V", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Set a variable to a value read at each start, from a file or the environment of the master
    #[arg(long, value_name = "K=file:PATH|env:NAME", value_parser = secret)]
    pub(crate) secret: Vec<(String, SecretSource)>,
    /// Working directory [default: the current one, if the master is on this machine]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// When to restart it
    #[arg(long, value_enum, value_name = "POLICY", default_value_t)]
    pub(crate) restart: RunRestart,
    /// Give up after this many restarts within 60 s
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_restarts: Option<String>,
    /// First signal of a stop; KILL follows [default: TERM]
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,
    /// Time from the first signal of a stop to KILL: 500ms, 30s, 5m [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub(crate) stop_timeout: Option<String>,
    /// User that it runs as; the master has to run as root
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Group that it runs as [default: that of the user]
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Mask of the permissions of new files, in octal digits
    #[arg(long, value_name = "MASK")]
    pub(crate) umask: Option<String>,
    /// Limit of its address space, in bytes, or with K, M or G
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory: Option<String>,
    /// What the start of the master does with it: restart, saved or always [default: restart]
    #[arg(long, value_name = "POLICY")]
    pub(crate) boot: Option<String>,
    /// Stop it when no master has renewed its lease for this time, from 10s to 24h
    #[arg(long, value_name = "TIME")]
    pub(crate) lease: Option<String>,
    /// When it is ready: line:PATTERN, after:TIME, tcp:HOST:PORT, http(s)://…, or notify
    #[arg(long, value_name = "RULE")]
    pub(crate) ready: Option<String>,
    /// Count it as failed if it is not ready after this time, or off [default: 10m]
    #[arg(long, value_name = "TIME", requires = "ready")]
    pub(crate) ready_timeout: Option<String>,
    /// Start it only when this instance is ready; can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) after: Vec<String>,
    /// Restart it when a file at or below this path changes; can be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) watch: Vec<PathBuf>,
    /// Leave this name out of what is watched: node.lock, or *.log; can be repeated
    #[arg(long, value_name = "NAME", requires = "watch")]
    pub(crate) watch_ignore: Vec<String>,
    /// Restart it when this stops answering: tcp:HOST:PORT or http(s)://…
    #[arg(long, value_name = "TARGET")]
    pub(crate) live: Option<String>,
    /// Start it at these times: minute hour day month weekday, or @hourly, @daily, @weekly …
    #[arg(long, value_name = "CRON")]
    pub(crate) schedule: Option<String>,
    /// Time zone of the schedule, such as Europe/Berlin [default: that of the system]
    #[arg(long, value_name = "ZONE", requires = "schedule")]
    pub(crate) schedule_tz: Option<String>,
    /// Count a line that matches this regular expression as an error
    #[arg(long, value_name = "PATTERN")]
    pub(crate) error: Option<String>,
    /// Read standard error apart from standard output, or joined with it in the order of writing
    /// [default: apart]
    #[arg(long, value_name = "apart|joined")]
    pub(crate) stderr: Option<String>,
    /// Add a tag; can be repeated
    #[arg(short, long, value_name = "K=V", value_parser = pair)]
    pub(crate) tag: Vec<(String, String)>,
    /// Allow a name that another instance has
    #[arg(long)]
    pub(crate) allow_duplicate: bool,
    /// Do not check that the command exists
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// The command and its arguments; write -- before it if it starts with a dash
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<String>,
}

/// When a process is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunRestart {
    /// After a failure, and when the master starts
    #[default]
    OnFailure,
    /// Never
    Never,
    /// Also after an exit with code 0
    Always,
}

/// `plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The file: TOML or YAML, by its extension
    #[arg(short, long, value_name = "FILE", default_value = "openctrl.toml")]
    pub(crate) file: PathBuf,
    /// Also delete instances that the file declared earlier and no longer declares
    #[arg(long)]
    pub(crate) prune: bool,
}

/// `apply`.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) plan: Plan,
    /// Show the changes, and make none
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Exit with status 2 if there were changes
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    /// Do not check that the commands exist
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// `export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Id, unique prefix of an id, or alias [default: every instance]
    #[arg(value_name = "INSTANCE")]
    pub(crate) names: Vec<String>,
    /// Only instances with this tag; if repeated, with all of them
    #[arg(short, long, value_name = "K[=V]")]
    pub(crate) tag: Vec<String>,
}

/// `import`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Import {
    /// The format of the file
    pub(crate) format: ImportFormat,
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) path: PathBuf,
}

/// The files that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// A Procfile of foreman, honcho or Heroku
    Procfile,
    /// A supervisord.conf
    Supervisord,
    /// An ecosystem file of pm2: JSON, or JavaScript that contains only data
    Pm2,
    /// A compose file of docker
    Compose,
    /// A service unit of systemd
    Systemd,
}
