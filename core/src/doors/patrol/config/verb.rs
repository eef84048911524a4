//! What a service can be asked.

/// What a service can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Run.
    Start,
    /// Say whether it runs.
    Status,
    /// Stop.
    Stop,
    /// Stop, then run.
    Restart,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 4] = [Self::Start, Self::Status, Self::Stop, Self::Restart];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Status => "status",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    pub(super) const fn capitalized(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Status => "Status",
            Self::Stop => "Stop",
            Self::Restart => "Restart",
        }
    }
}
