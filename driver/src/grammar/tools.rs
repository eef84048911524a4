//! Commands that work on files and need no master.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use openctrl_core::ids::InstanceId;

use super::values::{Until, instance_id, until};

/// `replay`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Replay {
    /// A segment, or a directory of segments
    #[arg(value_name = "FILE")]
    pub(crate) path: PathBuf,
    /// Stop at this point: seconds after the start of the master, or a time in UTC
    #[arg(long, value_name = "TIME", value_parser = until, allow_hyphen_values = true)]
    pub(crate) until: Option<Until>,
    /// Show only lines about the instance with this id
    #[arg(long, value_name = "ID", value_parser = instance_id)]
    pub(crate) instance: Option<InstanceId>,
    /// Print JSON, one object on a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `state`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum State {
    /// Check that the state in DIR is complete
    Check {
        /// The state directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Print the state in DIR as JSON
    Export {
        /// The state directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Include the API key and passwords in URLs
        #[arg(long)]
        secrets: bool,
    },
    /// Keep what can be read of the damaged state in DIR
    ///
    /// Says what is given up before it changes anything. The damaged files stay in a folder in DIR.
    Repair {
        /// The state directory, which no master uses
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}
