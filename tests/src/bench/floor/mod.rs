//! Floors: what the machine can do of the same work when nothing but that work is done.

pub mod fan_out;
pub mod go;
pub mod pipe;
pub mod server;
pub mod spawn;
pub mod sync;
