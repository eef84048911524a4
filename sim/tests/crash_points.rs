//! Short scenarios, cut off after every single effect and before every single step of the disk,
//! with every way in which what was not synced may be lost.

use std::sync::Arc;

use openctrl_core::command::{Caller, Command};
use openctrl_core::doors::v2::{Secrets, decode_create, decode_patch};
use openctrl_core::engine::Input;
use openctrl_core::expect::Expect;
use openctrl_core::ids::ProcessRef;
use openctrl_core::master::{ApiKey, MasterIdentity};
use openctrl_core::output::OutputParser;
use openctrl_core::store::Image;
use openctrl_core::url::InstanceUrl;
use openctrl_sim::invariants::judge;
use openctrl_sim::run::Run;
use openctrl_sim::scenario::heal;
use openctrl_sim::world::{Crash, Phase, Tail};

/// What happens in a scenario. Requests are about the first instance there is.
#[derive(Clone, Copy)]
enum Act {
    Create,
    Patch(&'static str),
    Put(&'static str),
    Delete,
    Rename(&'static str),
    Rotate,
    /// All processes print a checkpoint.
    Print,
    /// The disk refuses so many steps, after so many others.
    Refuse(usize, usize),
    /// All that is pending comes right.
    Settle,
    /// The next timer is due.
    Tick,
    Shutdown,
}

use Act::{Create, Delete, Patch, Print, Put, Refuse, Rename, Rotate, Settle, Shutdown, Tick};

const SCENARIOS: [(&str, &[Act]); 10] = [
    ("create", &[Create, Settle, Create, Create, Settle]),
    ("patch", &[Create, Settle, Patch(r#"{"alias":"a"}"#), Patch(r#"{"alias":"b"}"#), Settle]),
    ("put", &[Create, Settle, Put("demo:x"), Put("demo:y"), Settle]),
    ("delete", &[Create, Create, Settle, Delete, Settle, Delete, Settle]),
    ("rotate", &[Rotate, Rename("edge"), Settle, Rotate, Settle]),
    ("reset", &[Create, Settle, Print, Tick, Settle, Patch(r#"{"action":"reset"}"#), Settle]),
    (
        "roll over",
        &[Create, Create, Create, Settle, Create, Create, Create, Settle, Rename("a"), Settle],
    ),
    ("append refused", &[Create, Settle, Create, Refuse(1, 1), Settle, Rename("a"), Settle]),
    ("cut refused", &[Create, Settle, Create, Refuse(1, 2), Settle, Rename("a"), Settle]),
    ("shutdown", &[Create, Settle, Print, Create, Shutdown, Settle]),
];

#[test]
fn every_crash_is_recovered_from() {
    let mut points = 0;
    for (name, acts) in SCENARIOS {
        let whole = play(acts, None, None).unwrap_or_else(|what| panic!("{name}: {what}"));
        let effects = whole.report.effects;
        let steps = whole.world.disk.files.steps() - begun().world.disk.files.steps();
        assert!(effects > 5 && steps > 1, "{name}: {effects} effects, {steps} steps");
        let newest = whole.world.disk.files.journals().last().map(|(generation, _)| *generation);
        let is_followed = ["roll over", "append refused", "cut refused"].contains(&name);
        assert_eq!(newest, Some(if is_followed { 3 } else { 2 }), "{name}");
        let after_effects = (1..=effects).map(|count| (Some(count), None));
        for (effects, steps) in after_effects.chain((0..steps).map(|count| (None, Some(count)))) {
            let at = || format!("{name}, after {effects:?} effects or {steps:?} steps");
            let died = play(acts, effects, steps).and_then(|run| {
                points += crash_in_every_way(&run)?;
                goes_on(run)
            });
            died.unwrap_or_else(|what| panic!("{}: {what}", at()));
        }
    }
    println!("{points} crash points");
    assert!(points >= 10_000, "only {points} crash points");
}

fn begun() -> Run {
    let image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    Run::new(image, [7; 32])
}

/// Runs a scenario up to its end, or to where the master dies.
fn play(acts: &[Act], effects: Option<u64>, steps: Option<usize>) -> Result<Run, String> {
    let mut run = begun();
    effects.into_iter().for_each(|effects| run.die_in(effects));
    steps.into_iter().for_each(|steps| run.world.disk.files.die_in(steps));
    run.begin().map_err(|violation| violation.to_string())?;
    for act in acts {
        if run.is_dead() || !perform(*act, &mut run)? {
            break;
        }
    }
    Ok(run)
}

/// Whether the master lives on.
fn perform(act: Act, run: &mut Run) -> Result<bool, String> {
    let known = run.oracle.known().next();
    let first = || known.expect("an instance was created before");
    let url = |text| InstanceUrl::parse(text).expect("a good URL");
    let patch = |body: &str| decode_patch(body.as_bytes()).expect("a good body");
    let command = match act {
        Create => {
            let body = br#"{"url":"demo:a"}"#;
            let (url, alias) = decode_create(body, Secrets::Shown).expect("a good body");
            Command::Create { url, alias }
        }
        Patch(body) => {
            Command::Amend { id: first(), expect: Expect::Any, amend: patch(body).into() }
        }
        Put(text) => Command::Replace { id: first(), expect: Expect::Any, url: url(text) },
        Delete => Command::Remove { id: first(), expect: Expect::Any },
        Rename(alias) => Command::SetAlias(Some(alias.to_string())),
        Rotate => Command::RotateKey(ApiKey::from_random([9; 16])),
        Print => return print(run),
        Refuse(after, count) => {
            run.world.disk.files.refuse(after, count);
            return Ok(true);
        }
        Settle => return settle(run),
        Tick => {
            // Nothing else is due that early.
            run.world.clock.advance_to(run.world.clock.now().mono.after_ms(5_000));
            return feed(run, Input::TimeAdvanced);
        }
        Shutdown => return feed(run, Input::ShutdownRequested),
    };
    let caller = Caller::v2(run.world.hub.key_epoch());
    let (request, caller, command) = run.world.clients.send(caller, command);
    feed(run, Input::RequestArrived { request, caller, command })
}

fn feed(run: &mut Run, input: Input) -> Result<bool, String> {
    run.feed(input, false).map_err(|violation| violation.to_string())?;
    Ok(!run.is_dead())
}

fn settle(run: &mut Run) -> Result<bool, String> {
    loop {
        match heal(&mut run.world) {
            Err(_) => return Ok(false),
            Ok(inputs) if inputs.is_empty() => return Ok(true),
            Ok(inputs) => {
                for input in inputs {
                    if !feed(run, input)? {
                        return Ok(false);
                    }
                }
            }
        }
    }
}

fn print(run: &mut Run) -> Result<bool, String> {
    let text = b"CHECK_POINT|MODE=1|PING=1ms|POOL=2|TCPS=3|UDPS=4\
                 |TCPRX=10|TCPTX=20|UDPRX=30|UDPTX=40\n";
    let alive = run.world.processes.iter().filter(|process| process.phase == Phase::Alive);
    let alive: Vec<ProcessRef> = alive.map(|process| process.reference).collect();
    for process in alive {
        let batch = Arc::new(OutputParser::default().push(text));
        if !feed(run, Input::OutputRead { process, batch })? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Crashes copies of the disk in every way, and starts them again. Says how many there were.
fn crash_in_every_way(run: &Run) -> Result<u32, String> {
    let mut points = 0;
    for crash in crashes(run.world.disk.files.unsynced_names()) {
        let say = |what| format!("{crash:?}: {what}");
        let mut disk = run.world.disk.clone();
        let found = disk.restart(crash, None).map_err(say)?.ok_or("it died unasked")?;
        judge(&run.oracle.ledger, &found).map_err(say)?;
        points += 1 + dies_again(run, crash)?;
    }
    Ok(points)
}

/// Lets the next master die as well, before every step of its start, and with it the machine.
fn dies_again(run: &Run, crash: Crash) -> Result<u32, String> {
    let power_loss = Crash { power_loss: true, tail: Tail::Nothing, names: 0 };
    for steps in 0.. {
        let say = |what| format!("{crash:?}, and again after {steps} steps: {what}");
        let mut disk = run.world.disk.clone();
        if disk.restart(crash, Some(steps)).map_err(say)?.is_some() {
            return Ok(u32::try_from(steps).expect("few"));
        }
        let found = disk.restart(power_loss, None).map_err(say)?.ok_or("it died unasked")?;
        judge(&run.oracle.ledger, &found).map_err(say)?;
    }
    Ok(0)
}

fn crashes(unsynced_names: usize) -> Vec<Crash> {
    let tails = [
        Tail::Nothing,
        Tail::Part(128),
        Tail::All,
        Tail::Unwritten(u8::MAX),
        Tail::Unwritten(0x55),
    ];
    let killed = tails[..3].iter().map(|tail| Crash { power_loss: false, tail: *tail, names: 0 });
    let lost = tails.iter().flat_map(|tail| {
        (0..=unsynced_names).map(|names| Crash { power_loss: true, tail: *tail, names })
    });
    killed.chain(lost).collect()
}

/// The next master ends what was left behind, and comes to rest.
fn goes_on(mut run: Run) -> Result<(), String> {
    let crash = Crash { power_loss: false, tail: Tail::All, names: 0 };
    let found = run.world.restart(crash, None, false, || true);
    let rested = run.restart(found, [8; 32]).and_then(|()| run.rest());
    rested.map_err(|violation| violation.to_string())
}
