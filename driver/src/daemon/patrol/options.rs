//! What a Patrol server is started with.

use std::path::{Path, PathBuf};

/// What a Patrol server is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// The state directory, if it is not the one beside the configuration.
    pub(crate) state: Option<PathBuf>,
}

impl Options {
    /// The state directory: `.openctrl` in the folder of the configuration unless it was chosen.
    pub(crate) fn state_directory(&self) -> PathBuf {
        let beside = || self.config.parent().unwrap_or(Path::new("")).join(".openctrl");
        self.state.clone().unwrap_or_else(beside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_kept_beside_the_configuration() {
        let state_of = |config: &str, state: Option<&str>| {
            Options { config: config.into(), state: state.map(PathBuf::from) }.state_directory()
        };
        assert_eq!(state_of("a/c.json", None), Path::new("a/.openctrl"));
        assert_eq!(state_of("config.json", None), Path::new(".openctrl"));
        assert_eq!(state_of("a/c.json", Some("/var/lib/p")), Path::new("/var/lib/p"));
    }
}
