//! `control=` and its companions in the master URL: whether there is a control API, and where.

use alloc::string::String;

/// The directory of the control API, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlOptions {
    /// `control=<dir>`: the directory of the sockets.
    pub dir: String,
    /// `control_group=`: the group that may use the control socket and those of instances.
    pub group: Option<String>,
    /// `control_events=`: how many events are kept.
    pub events: u32,
    /// `control_jsonl=on`: whether each instance also has a file of its events.
    pub jsonl: bool,
    /// `control_sockets=tagged`: only instances with the tag `control` have a socket.
    pub tagged_only: bool,
}
