//! The `openctrl` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    openctrl::run(std::env::args_os().skip(1))
}
