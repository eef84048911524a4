//! A simulated world around the engine of OpenCtrl: processes, a disk, clients and clocks, all
//! driven by one source of choices, and the invariants that are checked at every step.
//!
//! Nothing here touches the real world, and only `openctrl-core` is simulated: what the driver
//! makes of effects is not. `docs/SIMULATION.md` says how to run it, `docs/INVARIANTS.md` what it
//! checks.

pub mod choice;
pub mod control;
pub mod coverage;
pub mod digest;
pub mod invariants;
pub mod object;
pub mod oracle;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod trace;
pub mod words;
pub mod world;
