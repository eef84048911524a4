//! Tools that work on the files of a master, without one.

pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod repair;
pub(crate) mod replay;
pub(crate) mod service;
