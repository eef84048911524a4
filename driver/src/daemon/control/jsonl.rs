//! One file of events for each instance, `events/<id>.jsonl`: one compact DaemonEvent a line, with
//! one older file beside it (control contract B 3.3).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use openctrl_core::doors::control::event_line;
use openctrl_core::event::StoredEvent;
use openctrl_core::ids::InstanceId;

/// A file of this size is rotated before the next line.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A line longer than this is left out.
const LINE_MAX_BYTES: usize = 60 * 1024;

/// The files of a state directory.
#[derive(Debug)]
pub(crate) struct EventFiles {
    dir: PathBuf,
    is_failing: bool,
}

impl EventFiles {
    /// The files in `dir`, which is made when it is needed.
    pub(crate) const fn new(dir: PathBuf) -> Self {
        Self { dir, is_failing: false }
    }

    /// Appends events to the files of their instances. What fails is said once, and left out.
    pub(super) fn append(&mut self, events: &[Arc<StoredEvent>]) {
        for event in events {
            let Some(instance) = event.managed_by() else { continue };
            let result = self.write(instance, event);
            match result {
                Ok(()) => self.is_failing = false,
                Err(error) if !std::mem::replace(&mut self.is_failing, true) => {
                    let dir = self.dir.display();
                    tracing::warn!("Control.events: cannot write event files in {dir}: {error}");
                }
                Err(_) => {}
            }
        }
    }

    fn write(&self, instance: InstanceId, event: &StoredEvent) -> io::Result<()> {
        let line = event_line(event);
        if line.len() > LINE_MAX_BYTES {
            return Ok(());
        }
        let path = self.dir.join(format!("{instance}.jsonl"));
        if fs::metadata(&path).is_ok_and(|file| file.len() >= FILE_MAX_BYTES) {
            fs::rename(&path, self.dir.join(format!("{instance}.jsonl.1")))?;
        }
        self.open(&path)?.write_all(line.as_bytes())
    }

    fn open(&self, path: &PathBuf) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o644);
        options.open(path).or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.dir)?;
            options.open(path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::event::StoredId;
    use openctrl_core::resource::{Fact, Identity};
    use openctrl_core::time::Wall;

    fn event(id: u64, message_bytes: usize) -> Arc<StoredEvent> {
        let identity = Identity { id: InstanceId(1), name: "web".into() };
        let mut draft = Fact::Ready.draft(&identity);
        draft.message = "x".repeat(message_bytes).into();
        Arc::new(draft.stored(StoredId(id), Wall::from_micros(id)))
    }

    #[test]
    fn lines_are_appended_and_the_file_is_rotated() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut files = EventFiles::new(dir.path().join("events"));
        files.append(&[event(1, 1), event(2, 100_000), event(3, 1)]);
        let path = dir.path().join("events/00000001.jsonl");
        let text = fs::read_to_string(&path).expect("it is there");
        let cursors: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
            .map(|event| event["cursor"].as_str().expect("a cursor").to_owned())
            .collect();
        assert_eq!(cursors, ["1", "3"], "a line that is too long is left out");
        fs::write(&path, vec![b'\n'; 4 * 1024 * 1024]).expect("it can be written");
        files.append(&[event(4, 1)]);
        assert_eq!(fs::read_to_string(&path).expect("it is there").lines().count(), 1);
        let older = dir.path().join("events/00000001.jsonl.1");
        assert_eq!(fs::metadata(older).expect("it is there").len(), 4 * 1024 * 1024);
    }
}
