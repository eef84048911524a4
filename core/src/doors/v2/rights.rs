//! Which role each operation of the API takes. The API key has every right.

use super::route::{Endpoint, Observation};
use super::status::Rejection;
use crate::access::Role;

impl Endpoint {
    /// The least role whose tokens may do this. What is open to callers without any credential is
    /// up to the operator, not to a role.
    pub const fn role(self) -> Role {
        match self {
            Self::ReadInfo
            | Self::List
            | Self::Read(_)
            | Self::ReadKey
            | Self::ReadPolicy(_)
            | Self::Events
            | Self::IssueTicket
            | Self::Observe(
                Observation::Logs(_)
                | Observation::Process(_)
                | Observation::Control(_)
                | Observation::Processes
                | Observation::Health
                | Observation::Description
                | Observation::Metrics,
            ) => Role::Read,
            // A connection to a host of the caller's choice is more than looking.
            Self::TcpPing
            | Self::Create
            | Self::Act
            | Self::Patch(_)
            | Self::Replace(_)
            | Self::Delete(_)
            | Self::PatchPolicy(_)
            | Self::ReplacePolicy(_) => Role::Operate,
            Self::SetAlias
            | Self::PatchKey
            | Self::ReadAudit
            | Self::ListTokens
            | Self::CreateToken
            | Self::RevokeToken => Role::Admin,
        }
    }

    /// Whether it changes something, or has the master connect somewhere.
    pub fn changes(self) -> bool {
        let only_reads = matches!(self, Self::ReadAudit | Self::ListTokens);
        self.role() > Role::Read && !only_reads
    }

    /// Checks the role of a token against what this takes.
    ///
    /// # Errors
    /// 403 that names the role.
    pub fn check(self, role: Role) -> Result<(), Rejection> {
        let needed = self.role();
        if role.includes(needed) { Ok(()) } else { Err(Rejection::TakesRole { needed, role }) }
    }
}
