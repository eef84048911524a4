//! What HUP does to the Patrol door: its configuration is read again.

use std::sync::Arc;

use openctrl_core::engine::Input;

use super::door::Door;
use super::setup::ConfigFile;
use crate::daemon::inbox::{Mailbox, Notice};

/// Reads a configuration again, each time it is called. One that is bad changes nothing.
pub(crate) fn reload(
    mut config: ConfigFile,
    door: Arc<Door>,
    mailbox: Mailbox,
) -> impl FnMut() + Send {
    move || match config.read_again() {
        Ok(again) => {
            tracing::info!("Patrol.run: HUP received, {} read again", again.path.display());
            door.configure(again.shared());
            let set = Arc::new(again.instances());
            mailbox.fact(Notice::Fact(Input::Configured { set }));
            config = again;
        }
        Err(error) => tracing::error!("Patrol.run: HUP received, nothing is changed: {error}"),
    }
}
