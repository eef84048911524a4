//! Options that several commands have.

use std::time::Duration;

use clap::Args;

use super::values::duration;

/// Which instances.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Id, unique prefix of an id, or alias
    #[arg(value_name = "INSTANCE", required_unless_present_any = ["tag", "all"])]
    pub(crate) names: Vec<String>,
    /// Every instance with this tag; if repeated, with all of them
    #[arg(short, long, value_name = "K[=V]")]
    pub(crate) tag: Vec<String>,
    /// Every instance
    #[arg(long, conflicts_with_all = ["names", "tag"])]
    pub(crate) all: bool,
}

/// Whether to wait, and how long.
#[derive(Debug, Args)]
pub(crate) struct Waiting {
    /// Wait until the command has taken effect; a started process must run for the time of --for
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// How long a process must run to count as started
    #[arg(long = "for", value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub(crate) steady: Duration,
    /// Maximum time to wait: 500ms, 30s, 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) timeout: Duration,
}
