//! A simulated world around the engine of OpenCtrl: processes, a disk, clients and clocks, all
//! driven by one source of choices, and the invariants that are checked at every step.
//!
//! Only `openctrl-core` is simulated, without any real I/O; how the driver carries out effects is
//! not. `docs/contributors/SIMULATION.md` says how to run the simulation, and
//! `docs/contributors/INVARIANTS.md` which properties it checks.

pub mod choice;
pub mod control;
pub mod coverage;
pub mod invariants;
pub mod lanes;
pub mod object;
pub mod oracle;
pub mod patrol;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod trace;
pub mod world;
