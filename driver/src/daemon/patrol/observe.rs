//! Observations that the engine orders: pid files, processes that were not started here, and the
//! commands of services.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openctrl_core::engine::{Input, Sighting, VerbResult};
use openctrl_core::ids::ProcessRef;
use openctrl_core::instance::{Definition, Launch, Liveness, VerbKind};
use openctrl_core::process::{Exit, Identity};

use crate::daemon::inbox::{Mailbox, Notice};
use crate::daemon::process::{Claim, PidFile, Proof, VerbEnd, prove, run_command, wait_for_end};

/// How long the commands of a service may take.
const STATUS_LIMIT: Duration = Duration::from_secs(30);
const CHANGE_LIMIT: Duration = Duration::from_secs(180);

/// Reads the pid file of an instance, and finds the owner of the process.
pub(crate) fn read_pid_file(
    definition: Arc<Definition>,
    leader: Option<Identity>,
    mailbox: Mailbox,
) {
    tokio::task::spawn_blocking(move || {
        let (instance, sighting) = (definition.id, sight(&definition, leader));
        mailbox.fact(Notice::Fact(Input::PidFileRead { instance, sighting }));
    });
}

/// The process that the pid file of an instance names, if it lives and is not the instance's: it
/// counts as no pid file, and the instance is started beside it.
pub(super) fn stranger(definition: &Definition) -> Option<u32> {
    let named = named(definition, None)?;
    let is_stranger = named.proof != Proof::Absent && named.proof.admits(named.verify).is_none();
    is_stranger.then_some(named.pid)
}

fn sight(definition: &Definition, leader: Option<Identity>) -> Sighting {
    let proven = named(definition, leader).and_then(|named| named.proof.admits(named.verify));
    proven.map_or(Sighting::Nothing, Sighting::Proven)
}

/// The process that a pid file names.
struct Named {
    pid: u32,
    proof: Proof,
    /// Whether it has to run the program of the app.
    verify: bool,
}

fn named(definition: &Definition, leader: Option<Identity>) -> Option<Named> {
    let (Liveness::PidFile { path, verify, .. }, Launch::Exec(exec)) =
        (&definition.liveness, &definition.launch)
    else {
        return None;
    };
    let PidFile::Pid(pid) = PidFile::read(&PathBuf::from(path)) else { return None };
    let program = PathBuf::from(&exec.argv[0]);
    let variable = variable(definition);
    let claim = Claim { program: &program, leader, variable: &variable };
    Some(Named { pid, proof: prove(pid, &claim), verify: *verify })
}

/// The environment of the processes of an app.
pub(crate) fn variable(definition: &Definition) -> String {
    format!("PATROL_ID={}", definition.setup.env.get("PATROL_ID").map_or("", String::as_str))
}

/// Reports the exit of a process that was not started here.
pub(crate) fn track(process: ProcessRef, identity: Identity, mailbox: Mailbox) {
    tokio::spawn(async move {
        wait_for_end(identity).await;
        mailbox.fact(Notice::Fact(Input::TrackedGone { process, identity }));
    });
}

/// Runs a command of a service, and reports its result.
pub(crate) fn run_verb(definition: Arc<Definition>, verb: VerbKind, mailbox: Mailbox) {
    tokio::spawn(async move {
        let result = run(&definition, verb).await;
        let instance = definition.id;
        mailbox.fact(Notice::Fact(Input::VerbEnded { instance, verb, result }));
    });
}

async fn run(definition: &Definition, verb: VerbKind) -> VerbResult {
    let Launch::Verbs(verbs) = &definition.launch else {
        return VerbResult::Failed("it is no service".to_owned());
    };
    let (command, limit) = match verb {
        VerbKind::Start => (&verbs.start, CHANGE_LIMIT),
        VerbKind::Status => (&verbs.status, STATUS_LIMIT),
        VerbKind::Stop => (&verbs.stop, CHANGE_LIMIT),
        VerbKind::Restart => (&verbs.restart, CHANGE_LIMIT),
    };
    let succeeds = |code: u8| code == 0 || command.ignored_codes.contains(&code);
    match run_command(&command.argv, &[], limit).await {
        VerbEnd::Exited(Exit::Code(code)) if succeeds(code.to_le_bytes()[0]) => VerbResult::Done,
        VerbEnd::Exited(Exit::Signal(_)) | VerbEnd::TimedOut if succeeds(u8::MAX) => {
            VerbResult::Done
        }
        VerbEnd::Exited(Exit::Code(code)) => VerbResult::Failed(format!("exit code {code}")),
        VerbEnd::Exited(Exit::Signal(signal)) => VerbResult::Failed(format!("signal {signal}")),
        VerbEnd::TimedOut => VerbResult::Failed(format!("killed after {} s", limit.as_secs())),
        VerbEnd::NotStarted(error) => VerbResult::Failed(format!("{}: {error}", command.argv[0])),
    }
}
