//! Roles: three steps, each with the rights of those before it.

/// What a caller may do. The order is that of the rights: `Read < Operate < Admin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See instances, their output, and events.
    Read,
    /// Also create, change, start, stop and delete instances.
    Operate,
    /// Also change the master itself: its alias, its key and its tokens; read the audit log.
    Admin,
}

impl Role {
    /// Every role, the one with the fewest rights first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Admin];

    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// Reads the word of the API.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether it has the rights of `needed`.
    pub fn includes(self, needed: Self) -> bool {
        self >= needed
    }

    /// Its number in files: never changes.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Read => 0,
            Self::Operate => 1,
            Self::Admin => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_the_rights_of_those_before_it() {
        for (place, role) in Role::ALL.into_iter().enumerate() {
            for (other_place, other) in Role::ALL.into_iter().enumerate() {
                assert_eq!(role.includes(other), place >= other_place, "{role:?} {other:?}");
            }
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert_eq!(Role::from_number(role.number()), Some(role));
        }
        assert_eq!(Role::parse("Admin"), None);
        assert_eq!(Role::from_number(3), None);
    }
}
