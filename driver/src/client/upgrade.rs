//! `openctrl upgrade`: asks a master on this machine to become the program now at its path,
//! and waits until that answers.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use openctrl_core::handover::{Answer, Question};

use super::failure::Failure;
use super::outlet::Outlet;
use super::place::Place;
use crate::channel::ask;
use crate::grammar::Options;
use crate::state::{LOCK, PID_FILE, is_held};

/// How long the master may take to try the new program and to pause.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// How long the new program may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// How long one answer of a program that runs may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How often the new program is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Carries out the command.
pub(crate) fn upgrade(out: &Outlet, options: &Options) -> Result<(), Failure> {
    let state = state_directory(options)?;
    let (generation, from) = who(&state).map_err(|error| no_answer(&state, &error))?;
    let asked = ask(&state, Question::Upgrade).map_err(|error| no_answer(&state, &error))?;
    let mut has_begun = false;
    loop {
        match asked.next(BEGINS_WITHIN) {
            Ok(Some(Answer::Begun { .. })) => has_begun = true,
            Ok(Some(Answer::Refused(reason))) => return Err(Failure::Refused(reason)),
            Ok(Some(Answer::Running { .. })) => {}
            Ok(None) => break,
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                return Err(Failure::TimedOut(format!(
                    "the master does not answer within {} s",
                    BEGINS_WITHIN.as_secs()
                )));
            }
            Err(error) => return Err(Failure::Refused(error.to_string())),
        }
    }
    let to = next_program(&state, generation, has_begun)?;
    let pid = fs::read_to_string(state.join(PID_FILE)).unwrap_or_default();
    out.print(&format!("upgraded from {from} to {to}, process {}\n", pid.trim_end()))
}

fn state_directory(options: &Options) -> Result<PathBuf, Failure> {
    let state = Place::state_directory(options)?.ok_or_else(|| {
        if options.api.is_some() || options.master.is_some() {
            Failure::Usage("upgrade works on this machine only: use --state DIR".to_owned())
        } else {
            let reason = "no master is known on this machine: use --state DIR";
            Failure::Unreachable(reason.to_owned())
        }
    })?;
    let shown = state.display();
    match fs::metadata(state.join(LOCK)) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Failure::Unreachable(
            format!("the state in {shown} is another user's: become that user"),
        )),
        Ok(_) if is_held(&state) => Ok(state),
        Ok(_) | Err(_) => {
            Err(Failure::Unreachable(format!("no master runs with its state in {shown}")))
        }
    }
}

fn no_answer(state: &Path, error: &io::Error) -> Failure {
    let shown = state.display();
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        return Failure::Refused(format!(
            "the master of {shown} does not replace its program in place: it was started with \
             survive=off or with a Patrol configuration; stop it and start it again"
        ));
    }
    Failure::Unreachable(if kind == ErrorKind::ConnectionRefused {
        format!("the master of {shown} is starting: try again")
    } else if kind == ErrorKind::PermissionDenied {
        format!("the state in {shown} is another user's: become that user")
    } else {
        format!("the master of {shown} cannot be asked: {error}")
    })
}

/// Which program runs: its generation and its version.
fn who(state: &Path) -> io::Result<(u32, String)> {
    match ask(state, Question::Who)?.next(ANSWER)? {
        Some(Answer::Running { generation, version }) => Ok((generation, version)),
        Some(Answer::Refused(reason)) => Err(io::Error::other(reason)),
        Some(Answer::Begun { .. }) | None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Waits for the program after `generation`; returns its version.
fn next_program(state: &Path, generation: u32, has_begun: bool) -> Result<String, Failure> {
    let begun = Instant::now();
    while begun.elapsed() < ANSWERS_WITHIN {
        match who(state) {
            Ok((now, version)) if now != generation => return Ok(version),
            Ok(_) if !has_begun => break,
            Ok(_) | Err(_) => {}
        }
        if !is_held(state) {
            return Err(Failure::Refused(
                "the new program has ended, see its log; the children run on, so start the master \
                 again"
                    .to_owned(),
            ));
        }
        thread::sleep(ASK_EVERY);
    }
    Err(Failure::TimedOut("the new program does not answer: see the log of the master".to_owned()))
}
