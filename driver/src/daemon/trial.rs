//! This program as a candidate: a master wants to know whether it can take its place. The other end
//! is `upgrade::preflight`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::Duration;

use openctrl_core::engine::Engine;
use openctrl_core::handover::{HANDOVER_VERSION, Handover, Preflight};
use openctrl_core::keeper;
use openctrl_core::url::MasterUrl;

use crate::daemon::clock::Clock;
use crate::daemon::endpoint::secured;
use crate::daemon::upgrade::TRIAL;
use crate::promises::inherited;
use crate::state::{StoreError, read_state};
use crate::version::VERSION;

/// Shows that this program can take the place of the master that has its state in `state`: reads
/// what that needs and changes nothing. Returns what this program says about itself.
pub(crate) fn show(state: &Path, url: &str) -> Result<String, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let url = MasterUrl::parse(url).map_err(|error| text(&error))?;
    let trial = inherited(TRIAL).map_err(|_| "this is for the master's own use".to_owned())?;
    let mut bytes = Vec::new();
    let mut trial = File::from(trial);
    trial.read_to_end(&mut bytes).map_err(|error| text(&error))?;
    let handover = Handover::decode(&bytes).map_err(|error| text(&error))?;
    Engine::resume(&handover.engine, &[], Clock::start().sample()).map_err(|error| text(&error))?;
    secured(&url, handover.certificate).map_err(|error| text(&error))?;
    read_state_of_other(state).map_err(|error| text(&error))?;
    let version = VERSION.to_owned();
    Ok(Preflight { version, handover: HANDOVER_VERSION, keeper: keeper::VERSION }.to_string())
}

/// Reads a state that another master writes. It may be met between two steps.
fn read_state_of_other(state: &Path) -> Result<(), StoreError> {
    let mut tries = 5;
    loop {
        tries -= 1;
        match read_state(state) {
            Ok(_) => return Ok(()),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
