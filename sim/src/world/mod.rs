//! The world around the engine: what carries its effects out, and what can happen in it.

mod clients;
mod clock;
mod disk;
mod fault;
mod files;
mod hub;
mod processes;

pub use clients::Clients;
pub use clock::Clock;
pub use disk::{Died, Disk};
pub use fault::Fault;
pub use files::{Crash, Files, Name, Stop, Tail};
pub use hub::{Frame, Given, Hub, Missed, Seen};
pub use processes::{Character, OnTerm, Phase, Prints, Process, Processes};

use openctrl_core::engine::Effect;
use openctrl_core::ids::InstanceId;
use openctrl_core::store::Image;

use crate::object::Shown;

/// Everything but the engine.
#[derive(Debug)]
pub struct World {
    /// The two clocks.
    pub clock: Clock,
    /// The process table of the machine.
    pub processes: Processes,
    /// The disk.
    pub disk: Disk,
    /// Clients, and their pending dials.
    pub clients: Clients,
    /// The event stream.
    pub hub: Hub,
    /// How often each kind of trouble happened.
    pub faults: [u64; Fault::ALL.len()],
}

impl World {
    /// A world whose disk holds `image`.
    pub fn new(image: Image, hub: Hub) -> Self {
        Self {
            clock: Clock::default(),
            processes: Processes::default(),
            disk: Disk::new(image),
            clients: Clients::default(),
            hub,
            faults: [0; Fault::ALL.len()],
        }
    }

    /// Notes that something of this kind happened.
    pub fn happened(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// Carries an effect out, as far as it has an effect on the world. `object` is the one in it.
    pub fn carry_out(&mut self, effect: &Effect, object: Option<&Shown>) {
        self.hub.carry_out(effect, object);
        #[expect(clippy::wildcard_enum_match_arm, reason = "others are of effect in the hub alone")]
        match effect {
            Effect::Spawn { process, definition, .. } => self.processes.spawn(*process, definition),
            Effect::Adopt { process, instance } => self.processes.adopt(*process, *instance),
            Effect::Signal { process, scope: _, signal } => {
                self.processes.signal(self.clock.now().mono, *process, *signal);
            }
            Effect::Persist { epoch, seq, record } => self.disk.accept(*epoch, *seq, record),
            Effect::SaveTotals(totals) => self.disk.save_totals(totals),
            Effect::Dial { request, .. } => self.clients.dial(*request),
            _ => {}
        }
    }

    /// The master dies, with the machine or alone, and the next one starts; `dies_in` steps from
    /// its beginning that one dies in the same way, if it is given, and one more starts. Returns
    /// the state that it finds, and the instances of which it finds processes.
    ///
    /// # Errors
    /// Why it refuses to start.
    pub fn restart(
        &mut self,
        crash: Crash,
        dies_in: Option<usize>,
        came_to_life: impl FnMut() -> bool,
    ) -> Result<(Image, Vec<InstanceId>), String> {
        self.clients.hung_up();
        self.hub = self.hub.reborn();
        self.processes.leave_behind(came_to_life);
        if crash.power_loss {
            self.processes.end_all();
        }
        let image = match self.disk.restart(crash, dies_in)? {
            Some(image) => image,
            None => {
                self.happened(Fault::DiesAtStart);
                let again = self.disk.restart(crash, None)?;
                again.ok_or("it dies unasked")?
            }
        };
        let leftovers = self.processes.find_leftovers(|id| image.instances.contains_key(&id));
        Ok((image, leftovers))
    }
}
