//! The parameters of the recording: `trace`, `trace_size`, `trace_text`.

use alloc::string::String;

/// Where inputs are recorded, and how much of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceConfig {
    /// The `trace` parameter; by default beside the state.
    pub directory: Option<String>,
    /// The `trace_size` parameter: what all files together may take, in MiB.
    pub size_mib: u32,
    /// The `trace_text` parameter: whether the text of log lines is recorded too.
    pub has_text: bool,
}

impl TraceConfig {
    /// Default of `trace_size`: enough for hours of a busy master, and small compared with its log.
    pub const DEFAULT_SIZE_MIB: u32 = 64;

    /// The most that `trace_size` may be: a disk of its own.
    pub const SIZE_MAX_MIB: u32 = 1 << 20;
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self { directory: None, size_mib: Self::DEFAULT_SIZE_MIB, has_text: false }
    }
}
