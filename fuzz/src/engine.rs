//! The whole engine in its simulated world.

use openctrl_sim::choice::Choices;
use openctrl_sim::run::run;

/// The bytes are the choices of a run, in which all invariants have to hold.
pub fn engine(data: &[u8]) {
    if let Err(failure) = run(&mut Choices::from_bytes(data)) {
        panic!("{failure}");
    }
}
