//! How a service is managed: the command of each verb, its time limit, and what counts as success.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::config::{Management, Service, Verb};

impl Service {
    /// The command of `verb`. A program without a `/` is looked for in `PATH`.
    pub fn command(&self, verb: Verb) -> Vec<String> {
        let index = verb as usize;
        let parameter = self.parameters[index].clone();
        match self.management[index] {
            Management::Service => vec!["service".to_string(), self.service.clone(), parameter],
            Management::InitD => vec![format!("/etc/init.d/{}", self.service), parameter],
        }
    }

    /// Whether an exit with `code` means that `verb` succeeded.
    pub fn is_success(&self, verb: Verb, code: u8) -> bool {
        code == 0 || self.ignored[verb as usize].contains(&code)
    }
}

impl Verb {
    /// How long its command may take; then it is killed, which counts as an exit with 255.
    pub const fn limit_ms(self) -> u64 {
        match self {
            Self::Status => 30_000,
            Self::Start | Self::Stop | Self::Restart => 180_000,
        }
    }
}
