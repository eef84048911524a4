//! The machine of the control API beside the engine: it sees each step, its events go to the same
//! disk, and INV-14 and INV-15 are checked.
//!
//! What its clients ask is drawn from a generator of its own, so that the choices of a run mean the
//! same with and without it.

use openctrl_core::control::{Attached, Cause, Control, ControlEffect, ControlInput, Ticket};
use openctrl_core::engine::{Effect, Engine};
use openctrl_core::store::{Image, Kept};
use openctrl_core::time::Now;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::control::law::Law;
use crate::control::script;
use crate::coverage::Stored;
use crate::invariants::Violation;
use crate::world::{KeptNews, World};

/// How many events are kept: few, so that the oldest go.
pub(super) const EVENTS_MAX: usize = 200;

/// One step in so many floods the rules with keys.
const FLOOD_IN: u32 = 1_600;

/// Events of a flood: more than a rule has keys.
const FLOOD: u32 = 5_000;

/// The machine, and what is known of it.
pub(super) struct Beside {
    machine: Control,
    law: Law,
    rng: ChaCha8Rng,
    tickets: u64,
    /// Inputs that the machine took.
    pub(super) inputs: u64,
    /// What happened so far.
    pub(super) stored: Stored,
}

impl Beside {
    pub(super) fn new(image: &Image, now: Now, seed: [u8; 32]) -> Self {
        Self {
            machine: Control::new(&image.control, now),
            law: Law::default(),
            rng: ChaCha8Rng::from_seed(seed),
            tickets: 0,
            inputs: 0,
            stored: Stored::default(),
        }
    }

    /// The machine of the next master, which found `image`.
    pub(super) fn restart(&mut self, image: &Image, now: Now) -> Result<(), Violation> {
        self.stored.pending_at_a_crash += u64::from(self.machine.pending() > 0);
        self.law.restarted(image).map_err(violation)?;
        self.machine = Control::new(&image.control, now);
        Ok(())
    }

    /// Sees a step before its effects are carried out. Gives what is stored with changes, and what
    /// is stored after them.
    pub(super) fn observe(
        &mut self,
        world: &World,
        cause: Cause,
        engine: &Engine,
        effects: &[Effect],
    ) -> Result<(Vec<Attached>, Vec<Kept>), Violation> {
        let now = world.clock.now();
        let pids = |_| Some(4_711);
        let attached = self.machine.observe(now, cause, engine, effects, &pids).attached;
        let later = self.orders(world)?;
        for kept in attached.iter().map(|attached| &attached.kept).chain(&later) {
            self.law.ordered(kept, self.machine.rules()).map_err(violation)?;
        }
        self.stored.with_a_change += attached.len() as u64;
        Ok((attached, later))
    }

    /// Hears what became of events, and fires what is due.
    pub(super) fn hear(&mut self, world: &mut World) -> Result<(), Violation> {
        let now = world.clock.now();
        while let Some(news) = world.disk.news() {
            let input = match news {
                KeptNews::Kept(upto) => ControlInput::EventsKept { upto },
                KeptNews::Refused(epoch, refused) => {
                    self.stored.refused += 1;
                    ControlInput::KeepFailed { epoch, refused, reason: "full".to_owned() }
                }
            };
            self.handle(now, input);
            self.settle(world)?;
        }
        if self.machine.poll_timeout().is_some_and(|due| due <= now.mono) {
            self.stored.timers += u64::from(self.machine.rules().next_due().is_some());
            self.law.time_advances();
            self.handle(now, ControlInput::TimeAdvanced);
            self.settle(world)?;
        }
        self.stored.most_keys |= u64::from(self.machine.rules().key_count() >= 4_096);
        self.law.rest(&self.machine, now).map_err(violation)
    }

    /// Its clients ask for something.
    pub(super) fn act(&mut self, world: &mut World, engine: &Engine) -> Result<(), Violation> {
        let draw = self.rng.next_u32();
        match draw % 16 {
            0 => {
                let request = script::rules(&mut self.rng);
                self.stored.requests += 1;
                let input = ControlInput::RulesRequested { ticket: self.ticket(), request };
                self.handle(world.clock.now(), input);
            }
            1 | 2 => self.note(world, engine),
            3 if draw % FLOOD_IN < 16 => {
                for _ in 1..FLOOD {
                    self.note(world, engine);
                    self.settle(world)?;
                }
                self.note(world, engine);
            }
            _ => return Ok(()),
        }
        self.settle(world)?;
        self.hear(world)
    }

    /// All that is pending becomes durable and is shown, once nothing goes wrong any more.
    pub(super) fn rest(&mut self, world: &World) -> Result<(), Violation> {
        match self.machine.pending() {
            0 => self.law.end(world.disk.image()).map_err(violation),
            pending => Err(violation(format!("INV-14: {pending} events are never shown"))),
        }
    }

    /// When it wants to fire or to try again.
    pub(super) fn is_waiting(&self) -> bool {
        self.machine.pending() > 0
    }

    /// A number that depends on every event.
    pub(super) fn digest(&self) -> u64 {
        self.law.summary.digest
    }

    fn handle(&mut self, now: Now, input: ControlInput) {
        self.inputs += 1;
        self.machine.handle(now, input);
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn note(&mut self, world: &World, engine: &Engine) {
        let table = engine.table();
        let mut rows = table.slots().filter_map(|slot| table.get(slot));
        let place = self.rng.next_u32() as usize % table.len().max(1);
        let Some(id) = rows.nth(place).map(|row| row.definition().id) else { return };
        let (ticket, fact) = (self.ticket(), script::note(&mut self.rng));
        self.stored.notes += 1;
        let input = ControlInput::Noted { ticket, instance: id, fact };
        self.handle(world.clock.now(), input);
    }

    /// After something outside of a step of the engine.
    fn settle(&mut self, world: &mut World) -> Result<(), Violation> {
        for kept in self.orders(world)? {
            self.law.ordered(&kept, self.machine.rules()).map_err(violation)?;
            world.disk.keep(kept);
        }
        Ok(())
    }

    /// Carries its orders out, but for those to store something, which are returned.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are for readers")]
    fn orders(&mut self, world: &World) -> Result<Vec<Kept>, Violation> {
        let mut to_keep = Vec::new();
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                ControlEffect::Keep(kept) => to_keep.push(kept),
                ControlEffect::Show(events) => {
                    self.law.shown(&events, world.disk.image()).map_err(violation)?;
                    self.stored.count(&events);
                }
                ControlEffect::RuleLost(rule, fault) => {
                    return Err(violation(format!("INV-14: the rule {rule} is lost: {fault}")));
                }
                _ => {}
            }
        }
        Ok(to_keep)
    }
}

/// The laws say first which invariant does not hold.
fn violation(what: String) -> Violation {
    let invariant = if what.starts_with("INV-15") { "INV-15" } else { "INV-14" };
    Violation { invariant, what }
}
