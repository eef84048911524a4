//! `token`: what is given to others in the place of the key.

use clap::{Args, Subcommand, ValueEnum};

use super::values::lifetime;

/// `token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token and print it; it is shown this once
    Create(CreateToken),
    /// List tokens, without their texts
    List,
    /// Revoke a token: it stops working at once, and its event streams end
    Revoke {
        /// Its name
        name: String,
    },
}

/// `token create`.
#[derive(Debug, Args)]
pub(crate) struct CreateToken {
    /// A name for it: letters, digits, '.', '_' and '-'
    pub(crate) name: String,
    /// What its holder may do
    #[arg(long, value_enum)]
    pub(crate) role: RoleWord,
    /// Stop working after this time: 12h, 30d, 52w [default: never]
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub(crate) expires: Option<u64>,
}

/// What the holder of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    /// See instances, what they print, and events
    Read,
    /// Also create, change, start, stop and delete instances
    Operate,
    /// Also change the master: its alias, its key, its tokens; read the audit log
    Admin,
}

impl RoleWord {
    /// The word of the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}
