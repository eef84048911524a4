//! The output streams of a process.

/// Which output stream of a process a line was written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output, or both where they share one pipe. Notes of the master count as this.
    #[default]
    Stdout,
    /// Standard error, where it has a pipe of its own.
    Stderr,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// The stream of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.as_str() == name)
    }

    /// Its name where lines are shown: only standard error is named.
    pub fn shown(self) -> Option<&'static str> {
        (self == Self::Stderr).then_some(self.as_str())
    }
}
