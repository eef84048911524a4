//! `service`: the master as a service of systemd.

use clap::{Args, Subcommand};

/// `service`.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Install a unit that runs the master, enable it and start it
    Install(InstallService),
    /// Stop the service and remove its unit; the state stays
    Uninstall {
        /// The service of this user, as for everybody but root
        #[arg(long)]
        user: bool,
    },
}

/// `service install`.
#[derive(Debug, Args)]
pub(crate) struct InstallService {
    /// The master URL [default: master://127.0.0.1:8080 with the state in /var/lib/openctrl, or
    /// ~/.local/state/openctrl for a user]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// A service of this user instead of one of the system, as for everybody but root
    #[arg(long)]
    pub(crate) user: bool,
    /// Print the unit, and change nothing
    #[arg(long)]
    pub(crate) print: bool,
}
