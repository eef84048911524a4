//! The files that say which master runs on a state directory, and where it is reached.

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::address_file::Address;
use crate::published_file::PublishedFile;
use crate::state::PID_FILE;

/// How often it is looked whether the files are still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The files of a master, while nothing is in them.
pub(super) struct Signposts {
    address: PublishedFile,
    pid: PublishedFile,
}

impl Signposts {
    /// Those in a state directory.
    pub(super) fn in_directory(state: &Path) -> Self {
        Self { address: Address::file(state), pid: PublishedFile::at(state.join(PID_FILE)) }
    }

    /// Removes those of an earlier master.
    pub(super) fn remove_earlier(&mut self) {
        self.address.remove_earlier();
        self.pid.remove_earlier();
    }

    /// Writes them, and keeps them in their places. A Patrol server has no `address`.
    pub(super) fn publish(mut self, address: Option<&Address>) -> Published {
        if let Some(address) = address
            && let Err(error) = self.address.publish(address.text())
        {
            tracing::warn!(
                "Master.run: commands on this machine cannot find this master: {error}; use --api"
            );
        }
        if let Err(error) = self.pid.publish(format!("{}\n", std::process::id())) {
            let path = self.pid.path().display();
            tracing::warn!("Master.run: cannot write {path}: {error}");
        }
        let (withdraw, withdrawn) = oneshot::channel();
        Published { withdraw, kept: tokio::spawn(keep([self.pid, self.address], withdrawn)) }
    }
}

/// The files, in their places.
pub(super) struct Published {
    withdraw: oneshot::Sender<()>,
    kept: JoinHandle<()>,
}

impl Published {
    /// Removes them. Call this while the directory is locked: the next master has files of its own.
    pub(super) async fn withdraw(self) {
        let _ = self.withdraw.send(());
        let _ = self.kept.await;
    }
}

/// Keeps the files in their places until they are withdrawn, and removes them then.
async fn keep(mut files: [PublishedFile; 2], mut withdrawn: oneshot::Receiver<()>) {
    while timeout(LOOK_EVERY, &mut withdrawn).await.is_err() {
        for file in &mut files {
            // If it cannot be written, its directory is probably missing, too: that is reported
            // there.
            if file.restore().unwrap_or(false) {
                let path = file.path().display();
                tracing::warn!("Master.run: {path} was removed and was written again");
            }
        }
    }
}
