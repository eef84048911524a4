//! The world around the engine: what carries its effects out, and what can happen in it.

mod clients;
mod clock;
mod disk;
mod processes;

pub use clients::Clients;
pub use clock::Clock;
pub use disk::Disk;
pub use processes::{Phase, Process, Processes};

use openctrl_core::engine::Effect;
use openctrl_core::store::Image;

/// Everything but the engine.
#[derive(Debug)]
pub struct World {
    /// The two clocks.
    pub clock: Clock,
    /// The process table of the machine.
    pub processes: Processes,
    /// The disk.
    pub disk: Disk,
    /// Those who send requests, and their dials under way.
    pub clients: Clients,
}

impl World {
    /// A world whose disk holds `image`.
    pub fn new(image: Image) -> Self {
        Self {
            clock: Clock::default(),
            processes: Processes::default(),
            disk: Disk::new(image),
            clients: Clients::default(),
        }
    }

    /// Carries an effect out, as far as it has an effect on the world.
    pub fn carry_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Spawn { process, definition } => self.processes.spawn(*process, definition),
            Effect::Signal { process, signal } => self.processes.signal(*process, *signal),
            Effect::Persist { epoch, seq, record } => self.disk.accept(*epoch, *seq, record),
            Effect::SaveTotals(totals) => self.disk.save_totals(totals),
            Effect::Dial { request, .. } => self.clients.dial(*request),
            Effect::ShowMaster(_)
            | Effect::ShowInstance { .. }
            | Effect::Publish(_)
            | Effect::PublishLogs(_)
            | Effect::CloseStreams { .. }
            | Effect::Respond { .. }
            | Effect::Adopt { .. }
            | Effect::AnnounceKey(_)
            | Effect::Finish => {}
        }
    }
}
