//! Commands over the control socket.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `control`.
#[derive(Debug, Args)]
pub(crate) struct Control {
    /// The control socket
    #[arg(long, global = true, value_name = "PATH", default_value = "/run/openctrl/openctrl.sock")]
    pub(crate) socket: PathBuf,
    #[command(subcommand)]
    pub(crate) what: ControlWhat,
}

/// Commands over the control socket.
#[derive(Debug, Subcommand)]
pub(crate) enum ControlWhat {
    /// Show resources, their events, or the state of the master
    Get {
        /// Kind, Kind/name, status, controllers, runtime or events [default: all resources]
        #[arg(value_name = "SUBJECT")]
        subject: Option<String>,
    },
    /// Show one resource in full, with its newest events
    Describe {
        /// Kind/name
        #[arg(value_name = "KIND/NAME")]
        target: String,
    },
    /// Print stored events
    Events(ControlEvents),
    /// Check phases; exit status 1 if a check fails
    Probe {
        /// One instance [default: all]
        #[arg(value_name = "INSTANCE")]
        target: Option<String>,
    },
    /// Apply rules from a YAML file
    Apply(ControlApply),
}

/// `control events`.
#[derive(Debug, Args)]
pub(crate) struct ControlEvents {
    /// Only events whose topic matches: * is one segment, ** any number
    #[arg(long, value_name = "PATTERN")]
    pub(crate) topic: Option<String>,
    /// Only events about this resource
    #[arg(long, value_name = "KIND/NAME")]
    pub(crate) resource: Option<String>,
    /// Maximum number of events
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    pub(crate) lines: u64,
    /// Follow new events
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// `control apply`.
#[derive(Debug, Args)]
pub(crate) struct ControlApply {
    /// The file; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Remove rules that are not in the file
    #[arg(long)]
    pub(crate) replace: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
