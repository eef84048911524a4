//! The command: runs of seeds and of files, sweeps, and the shrinking of what fails.

mod arguments;
mod console;
mod file;
mod found;
mod rate;
mod recorded;
mod sweep;

use std::io;
use std::process::ExitCode;

use openctrl_sim::choice::Choices;
use openctrl_sim::run::run;
use openctrl_sim::scenario::Scenario;

use self::arguments::{Answer, Command, Runs, parse};
use self::console::Console;
use self::file::Content;
use self::found::{Origin, save};

/// A run allocates about 20 times for each input: a sixth of its instructions with the allocator of
/// glibc, and a twentieth with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A panic of the core is a finding like others, and reported in the same way.
    std::panic::set_hook(Box::new(|_| {}));
    let mut console = Console::new();
    #[cfg(canary)]
    if let Err(what) = choose_canary() {
        return done(console.say(&what).map(|()| false));
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = match parse(&arguments) {
        Ok(command) => command,
        Err(Answer::Help(text)) => return done(console.say(&text).map(|()| true)),
        Err(Answer::Wrong(what)) => return done(console.say(&what).map(|()| false)),
    };
    done(match command {
        Command::Run { runs, save_to } => one(runs, save_to.as_deref(), &mut console),
        Command::Sweep(plan) => sweep::sweep(&plan, &mut console),
        Command::Replay(path) => match file::read(&path) {
            Ok(Content::Choices(bytes)) => replay(bytes, &mut console),
            Ok(Content::Trace(segment)) => recorded::of_trace(&segment, &path, &mut console),
            Err(what) => console.say(&what).map(|()| false),
        },
        Command::Shrink(path) => match file::read(&path) {
            Ok(Content::Choices(bytes)) => found::of_choices(bytes, &path, &mut console),
            Ok(Content::Trace(segment)) => recorded::shrink(&segment, &path, &mut console),
            Err(what) => console.say(&what).map(|()| false),
        },
    })
}

/// Lets the known bug be there that the environment names, as in the program that was recorded.
#[cfg(canary)]
fn choose_canary() -> Result<(), String> {
    use openctrl_core::canary::{Canary, choose};
    let Ok(name) = std::env::var("OPENCTRL_CANARY") else { return Ok(()) };
    let canary = Canary::find(&name);
    choose(Some(canary.ok_or_else(|| format!("no canary {name}; see core/src/canary.rs"))?));
    Ok(())
}

fn done(done: io::Result<bool>) -> ExitCode {
    if matches!(done, Ok(true)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One run, of a seed or a file. Says whether all holds.
fn one(runs: Runs, save_to: Option<&str>, console: &mut Console) -> io::Result<bool> {
    match runs {
        Runs::Seed(seed) => {
            console.say(&format!("seed {seed}"))?;
            whole(Choices::from_seed(seed), &Origin::Seed(seed), save_to, console)
        }
        Runs::Choices(path) => match file::read(&path) {
            Ok(Content::Choices(bytes)) => {
                whole(Choices::from_bytes(bytes), &Origin::File(path), save_to, console)
            }
            Ok(Content::Trace(_)) => {
                let what =
                    format!("{path} is a trace and has no choices in it: use `replay {path}`");
                console.say(&what).map(|()| false)
            }
            Err(what) => console.say(&what).map(|()| false),
        },
    }
}

fn whole(
    mut choices: Choices,
    origin: &Origin,
    save_to: Option<&str>,
    console: &mut Console,
) -> io::Result<bool> {
    console.say(&describe(&choices))?;
    let done = run(&mut choices);
    if let Some(path) = save_to {
        save(path, choices.taken(), console)?;
    }
    match done {
        Ok(report) => {
            console.say(&format!(
                "all invariants hold: {} inputs, {} effects, {} deaths of the master, {} s simulated, digest {:016x}",
                report.inputs,
                report.effects,
                report.restarts,
                report.simulated_ms / 1_000,
                report.digest.0
            ))?;
            Ok(true)
        }
        Err(failure) => found::tell(&failure, origin, console).map(|()| false),
    }
}

/// A run of choices, with its timeline if it fails, and no shrinking.
fn replay(bytes: Vec<u8>, console: &mut Console) -> io::Result<bool> {
    let mut choices = Choices::from_bytes(bytes);
    console.say(&describe(&choices))?;
    match run(&mut choices) {
        Ok(report) => {
            console.say(&format!("all invariants hold: digest {:016x}", report.digest.0))?;
            Ok(true)
        }
        Err(failure) => console.say(&failure.to_string()).map(|()| false),
    }
}

/// The scenario of a run in words.
fn describe(choices: &Choices) -> String {
    let (_, steps) = choices.chunks();
    let scenario = Scenario::draw(&mut choices.clone());
    format!("scenario of at most {} steps\n{scenario}", steps.count())
}
