//! Entry point.

use std::process::ExitCode;

fn main() -> ExitCode {
    let url = std::env::args().nth(1).unwrap_or_default();
    openctrl::runtime::run(&url)
}
