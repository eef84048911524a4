//! Watches files of instances, and reports changes. What follows is the engine's decision.
//!
//! A thread does it, which is started with the first instance that has files to watch.

#[cfg(target_os = "linux")]
mod folders;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod thread;

use openctrl_core::ids::InstanceId;
use openctrl_core::instance::Watch;

use crate::daemon::inbox::Mailbox;

/// The files that are watched.
#[derive(Debug)]
pub(crate) struct FileWatch {
    mailbox: Mailbox,
    #[cfg(target_os = "linux")]
    thread: Option<thread::Handle>,
}

#[cfg(target_os = "linux")]
impl FileWatch {
    pub(crate) const fn new(mailbox: Mailbox) -> Self {
        Self { mailbox, thread: None }
    }

    /// Watches these files for an instance, instead of others.
    pub(crate) fn watch(&mut self, instance: InstanceId, watch: Watch) {
        if self.thread.is_none() {
            match thread::Handle::start(self.mailbox.clone()) {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => return thread::failed(&self.mailbox, instance, error.to_string()),
            }
        }
        if let Some(thread) = &self.thread {
            thread.order(instance, Some(watch));
        }
    }

    /// Watches no files of an instance any more.
    pub(crate) fn unwatch(&self, instance: InstanceId) {
        if let Some(thread) = &self.thread {
            thread.order(instance, None);
        }
    }
}

/// Finds out whether files can be watched. May take as long as the file system does.
///
/// # Errors
/// A sentence that names the path, with the remedy.
#[cfg(target_os = "linux")]
pub(crate) fn check_watch(watch: &Watch) -> Result<(), String> {
    use std::path::Path;

    let mut count = 0;
    for path in &watch.paths {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(format!("watch: {path} does not exist"));
            }
            Err(error) => return Err(format!("watch: {path}: {error}")),
            Ok(_) => plan::folders(Path::new(path), watch, &mut count, &mut |_: &Path| Ok(()))
                .map_err(|reason| format!("watch: {reason}"))?,
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
impl FileWatch {
    pub(crate) const fn new(mailbox: Mailbox) -> Self {
        Self { mailbox }
    }

    /// Other systems have no inotify.
    pub(crate) fn watch(&mut self, instance: InstanceId, _: Watch) {
        use openctrl_core::engine::Input;

        use crate::daemon::inbox::Notice;

        let reason = "only a master on Linux watches files".to_owned();
        self.mailbox.fact(Notice::Fact(Input::WatchFailed { instance, reason }));
    }

    pub(crate) const fn unwatch(&self, _: InstanceId) {}
}

/// # Errors
/// If something is to be watched.
#[cfg(not(target_os = "linux"))]
pub(crate) fn check_watch(watch: &Watch) -> Result<(), String> {
    let refused = "watch: only a master on Linux watches files; leave it out";
    if watch.is_empty() { Ok(()) } else { Err(refused.to_owned()) }
}
