//! Control groups (cgroup v2): in which group a master makes those of its instances, and why not.
//!
//! The driver finds out the facts and makes the groups.

use core::fmt;

/// The group that a service manager puts the master in when it has delegated the group above
/// (`DelegateSubgroup=` of systemd).
pub const SUBGROUP: &str = "supervisor";

/// `cgroups=`: whether each process of an instance has a control group of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// `cgroups=off`: none has.
    Off,
    /// Without the parameter: each has one if the group of the master is delegated to it.
    IfDelegated,
    /// `cgroups=on`: also in a group that is only writable. A master that cannot make groups does
    /// not start.
    On,
}

/// What is known of the group that others would be made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// It is the root of the hierarchy of the whole machine.
    pub is_root_of_machine: bool,
    /// It is the root of what a container sees.
    pub is_root_of_namespace: bool,
    /// Groups can be made in it, and processes moved.
    pub is_writable: bool,
    /// It has the mark by which a service manager says that it has delegated the group.
    pub is_marked: bool,
    /// It belongs to the user of the master, who is not root.
    pub is_of_user: bool,
    /// It is a unit of systemd, which marks those that it delegates.
    pub is_unit: bool,
}

/// Why no groups are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There is no unified hierarchy, or the group of the master is not visible in it.
    NoHierarchy,
    /// The master may not write.
    NotWritable,
    /// The group is managed by others.
    NotDelegated,
}

impl Site {
    /// Whether a master makes groups here.
    ///
    /// # Errors
    /// When it does not, why.
    pub const fn admit(self, grouping: Grouping) -> Result<(), Obstacle> {
        let is_delegated = self.is_marked
            || (self.is_of_user && !self.is_unit)
            || (self.is_root_of_namespace && !self.is_root_of_machine);
        match grouping {
            _ if !self.is_writable => Err(Obstacle::NotWritable),
            Grouping::On => Ok(()),
            Grouping::IfDelegated if is_delegated => Ok(()),
            Grouping::IfDelegated | Grouping::Off => Err(Obstacle::NotDelegated),
        }
    }
}

/// The group of a process in the unified hierarchy, from its `/proc/<pid>/cgroup`, without the first
/// slash; `None` if there is none, or it is outside the namespace of the reader.
pub fn unified_group(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let is_outside = path.split('/').any(|part| part == "..");
    (!is_outside && !path.ends_with(" (deleted)")).then_some(path)
}

/// The group that those of instances are made in, from the master's own: the one above if the master
/// was put in a [`SUBGROUP`].
pub fn group_above(own: &str) -> &str {
    match own.rsplit_once('/') {
        Some((above, SUBGROUP)) => above,
        _ => own,
    }
}

/// Whether a group has the name of a unit of systemd.
pub fn is_unit(group: &str) -> bool {
    [".service", ".scope", ".slice"].iter().any(|suffix| group.ends_with(suffix))
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHierarchy => "there is no unified hierarchy (cgroup v2) here",
            Self::NotWritable => {
                "the group of the master is not writable; with systemd set Delegate=yes and \
                 ProtectControlGroups=no"
            }
            Self::NotDelegated => {
                "the group of the master is not delegated to it; with systemd set Delegate=yes, or \
                 else use cgroups=on"
            }
        })
    }
}

impl core::error::Error for Obstacle {}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: Site = Site {
        is_root_of_machine: false,
        is_root_of_namespace: false,
        is_writable: true,
        is_marked: false,
        is_of_user: false,
        is_unit: false,
    };

    #[test]
    fn groups_are_made_where_the_group_is_delegated() {
        let delegated = [
            Site { is_marked: true, ..SITE },
            Site { is_of_user: true, ..SITE },
            Site { is_root_of_namespace: true, ..SITE },
        ];
        for site in delegated {
            assert_eq!(site.admit(Grouping::IfDelegated), Ok(()), "{site:?}");
            let read_only = Site { is_writable: false, ..site };
            for grouping in [Grouping::IfDelegated, Grouping::On] {
                assert_eq!(read_only.admit(grouping), Err(Obstacle::NotWritable), "{site:?}");
            }
        }
    }

    #[test]
    fn the_groups_of_others_are_used_by_request_only() {
        let machine = Site { is_root_of_machine: true, is_root_of_namespace: true, ..SITE };
        let unit = Site { is_of_user: true, is_unit: true, ..SITE };
        for site in [SITE, machine, unit] {
            assert_eq!(site.admit(Grouping::IfDelegated), Err(Obstacle::NotDelegated), "{site:?}");
            assert_eq!(site.admit(Grouping::On), Ok(()), "{site:?}");
        }
    }

    #[test]
    fn the_group_of_a_process_is_read_in_a_hybrid_hierarchy_too() {
        let hybrid = "8:pids:/x\n0::/system.slice/a.service\n";
        assert_eq!(unified_group(hybrid), Some("system.slice/a.service"));
        assert_eq!(unified_group("0::/\n"), Some(""));
        for none in ["", "8:pids:/\n", "0::/../b\n", "0::/a (deleted)\n"] {
            assert_eq!(unified_group(none), None, "{none}");
        }
    }

    #[test]
    fn units_are_known_by_their_names() {
        for unit in ["a/b.service", "user.slice", "c.scope"] {
            assert!(is_unit(unit), "{unit}");
        }
        assert!(!is_unit("") && !is_unit("a.service/b"));
    }

    #[test]
    fn the_group_above_that_of_the_master_is_used_only_if_it_was_put_there() {
        assert_eq!(group_above("a.service/supervisor"), "a.service");
        for own in ["", "a.service", "supervisor", "a/supervisor/b"] {
            assert_eq!(group_above(own), own);
        }
    }
}
