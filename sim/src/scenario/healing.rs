//! A world without further faults.

use openctrl_core::engine::Input;
use openctrl_core::webhook::DeliveryResult;

use super::perform::{checked, delivered, dialled, ends, starts, zone_read};
use crate::choice::Choices;
use crate::world::{Character, Died, Phase, World};

/// The next pending events in a world without faults, none if nothing is pending: starts succeed,
/// processes that were asked to exit do so, records become durable, dials finish.
///
/// # Errors
/// The master crashed while it wrote.
pub fn heal(world: &mut World) -> Result<Vec<Input>, Died> {
    world.disk.heal();
    if let Some(process) = world.processes.first_in(Phase::Spawning) {
        return Ok(vec![starts(world, process, Character::default())]);
    }
    let now = world.clock.now().mono;
    let ending = world.processes.iter().find(|process| process.is_ending(now));
    if let Some(process) = ending.map(|process| process.reference) {
        return Ok(ends(&mut Choices::dull(), world, process));
    }
    while world.disk.queued() > 0 {
        if let Some(input) = world.disk.write(usize::MAX)? {
            return Ok(vec![input]);
        }
    }
    if !world.zones.is_empty() {
        return Ok(vec![zone_read(world)]);
    }
    if !world.checks.is_empty() {
        return Ok(vec![checked(world, 0, false)]);
    }
    if !world.deliveries.is_empty() {
        return Ok(vec![delivered(world, 0, DeliveryResult::Answered(204))]);
    }
    let dial = world.clients.dials().next();
    Ok(dial.map(|request| dialled(&mut Choices::dull(), world, request)).into_iter().collect())
}
