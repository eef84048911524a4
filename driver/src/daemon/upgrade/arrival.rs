//! The first moments of a program that another one became: what was handed over to it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use openctrl_core::handover::{Descriptor, Handover, Role};
use openctrl_core::ids::RunId;

use crate::promises::{close_inherited, inherited};

/// The variable with the number of the descriptor of the handover.
pub(crate) const VARIABLE: &str = "OPENCTRL_HANDOVER";

/// A handover, and the descriptors that were kept open.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) handover: Handover,
    pub(crate) state_lock: Option<OwnedFd>,
    pub(crate) tcp: Option<OwnedFd>,
    pub(crate) channel: Option<OwnedFd>,
    /// Unix listeners by their paths.
    pub(crate) sockets: HashMap<PathBuf, OwnedFd>,
    /// Where runs say that they are ready.
    pub(crate) notify: HashMap<RunId, OwnedFd>,
}

impl Arrival {
    /// Takes what another program handed over to this one; `None` if this is the first program of
    /// the process. Call it once, before anything else opens a descriptor.
    ///
    /// # Errors
    /// When it cannot be read: then this is a start as after a crash, and nothing is left open.
    pub(crate) fn take() -> Result<Option<Self>, String> {
        let Some(number) = std::env::var(VARIABLE).ok() else { return Ok(None) };
        Self::read(&number).map(Some).inspect_err(|_| close_inherited())
    }

    fn read(number: &str) -> Result<Self, String> {
        let number = number.parse().ok().filter(|number| *number > 2);
        let number = number.ok_or_else(|| format!("{VARIABLE} is not a descriptor"))?;
        let memory = inherited(number).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        File::from(memory).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let mut handover = Handover::decode(&bytes).map_err(|error| error.to_string())?;
        let descriptors = std::mem::take(&mut handover.descriptors);
        let mut arrival = Self {
            handover,
            state_lock: None,
            tcp: None,
            channel: None,
            sockets: HashMap::new(),
            notify: HashMap::new(),
        };
        for descriptor in descriptors {
            arrival.take_descriptor(descriptor);
        }
        Ok(arrival)
    }

    fn take_descriptor(&mut self, Descriptor { number, role }: Descriptor) {
        // What the first program was started with stays open and is not used.
        if role == Role::Inherited {
            return;
        }
        let Ok(descriptor) = inherited(number) else { return };
        match role {
            Role::StateLock => self.state_lock = Some(descriptor),
            Role::Tcp => self.tcp = Some(descriptor),
            Role::Channel => self.channel = Some(descriptor),
            Role::Socket(path) => {
                self.sockets.insert(PathBuf::from(OsStr::from_bytes(&path)), descriptor);
            }
            Role::Notify(run) => {
                self.notify.insert(run, descriptor);
            }
            Role::Inherited => {}
        }
    }
}
