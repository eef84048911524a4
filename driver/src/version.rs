//! The version of the program.

/// The tag of the release, else the version of the package.
pub(crate) const VERSION: &str = match option_env!("OPENCTRL_VERSION") {
    Some(tagged) => tagged,
    None => env!("CARGO_PKG_VERSION"),
};
