//! `demo://name?…`: an instance that demonstrates the supervision rules. [`spec`] parses its URL,
//! [`play`] prints its output, and [`signals`] stops it.
//!
//! Each `every` it prints a log line and a checkpoint (Contract §7), the first right after the start.
//!
//! | parameter | default | |
//! |---|---|---|
//! | `every` | `1s` | time between two outputs |
//! | `log` | `demo <name>: tick <n>` | the line printed each time |
//! | `checkpoints` | `on` | `off`: log lines only |
//! | `start_delay` | | waits before the first output; the times below count from there |
//! | `error_after` | | prints a line with `ERROR`, once |
//! | `silent_after` | | stops printing, but keeps running |
//! | `exit_after` | | exits, with the status in `exit` |
//! | `exit` | `0` | 0 to 255, only beside `exit_after` |
//! | `ignore_term` | `0` | `1`: TERM does not stop it (an interrupt does) |
//!
//! Durations are whole numbers with a unit: `250ms`, `2s`, `1m`; at most a year.

mod play;
mod signals;
mod spec;

use std::io;
use std::process::ExitCode;

use self::signals::Signals;
pub(super) use self::spec::Spec;
use super::failure::Failure;

/// Plays the demo on stdout until it exits, because of its URL, a signal, or a closed output.
pub(super) fn run(spec: &Spec) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::System)?;
    let played = runtime.block_on(async {
        // Before the first line: a reader of it may send a signal at once.
        let mut signals = Signals::listen()?;
        // Writes block: a demo that outruns its reader waits on the pipe like any other child.
        play::play(spec, &mut io::stdout(), async || signals.next().await).await
    });
    match played {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(why) => Err(Failure::System(why)),
    }
}
