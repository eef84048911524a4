//! Tests with recordings of generated runs: an engine that was frozen and restored continues
//! unchanged, and a recording replays to the same digests and contains no secret.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::command::{Amend, AmendMeta, Caller, Command, DialOutcome, InstanceAction};
use crate::control::{Control, ControlInput};
use crate::counters::SavedTotals;
use crate::engine::{Effect, Engine, Found, Input};
use crate::expect::Expect;
use crate::formats::Masks;
use crate::ids::{InstanceId, KeyEpoch, ProcessRef, RecordSeq, RequestId, Revision, StoreEpoch};
use crate::instance::{Definition, Desired, Peer, PolicyEdit, PolicyField, Restart};
use crate::master::{ApiKey, MasterIdentity};
use crate::output::{OutputBatch, OutputParser};
use crate::process::Exit;
use crate::store::{ControlImage, Image, Record as Change};
use crate::stream::Stream;
use crate::time::{Time, Wall};
use crate::url::InstanceUrl;

/// Part of every text that must not be found in a trace.
const SECRET: &str = "hush";

/// An engine with a minimal environment that gives it mostly valid inputs.
struct World {
    engine: Engine,
    now: Now,
    requests: u64,
    last: (StoreEpoch, RecordSeq),
    instances: Vec<InstanceId>,
    processes: Vec<ProcessRef>,
    dials: Vec<RequestId>,
}

/// The next input, and two numbers that select its details.
type Choice = (u8, Index, u8);

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec((0u8..20, any::<Index>(), any::<u8>()), 1..120)
}

fn key(fill: u8) -> ApiKey {
    ApiKey::from_random([fill; 16])
}

fn url(number: u8) -> InstanceUrl {
    let secret = format!("{SECRET}{}", number % 3);
    let text = match number % 4 {
        0 => format!("demo://{secret}@host/path?a={secret}#{secret}"),
        1 => format!("demo://me:{secret}/@host?{secret}&b=\"{secret}"),
        2 => format!("exec:sh?arg=-c&arg={secret}"),
        _ => format!("demo://host?a={}", number % 8),
    };
    InstanceUrl::parse(&text).expect("a valid URL")
}

impl World {
    fn new() -> Self {
        let mut master = MasterIdentity::from_random([1; 8], [0; 16]);
        master.key = key(0xa0);
        master.alias = format!("{SECRET} master");
        let mut image = Image::new(master);
        for id in 0..3 {
            let alias = format!("{SECRET}\n{id}");
            let mut definition = Definition::new(InstanceId(id), url(id as u8), alias);
            definition.set_restarts(id != 1);
            definition.meta.tags.insert("tag".to_string(), format!("{SECRET}\u{1}"));
            definition.meta.peer.sid = SECRET.to_string();
            definition
                .setup
                .edit(|setup| drop(setup.env.insert("TOKEN".to_string(), SECRET.to_string())));
            let (definition, totals) = (definition.into(), SavedTotals::default());
            let values = BTreeMap::from([("note".to_string(), format!("\"{SECRET}\""))]);
            let desired = Desired { values, ..Desired::default() }.into();
            image.apply(&Change::PutInstance { definition, desired, totals });
        }
        let wall = Wall::from_micros(1_780_999_200_000_000);
        let now = Now { mono: Time::from_micros(5), wall };
        let found = Found { leftovers: &[InstanceId(2)], ..Found::default() };
        let mut world = Self {
            engine: Engine::with_found(image, found, [7; 32], now),
            now,
            requests: 0,
            last: (StoreEpoch(0), RecordSeq(0)),
            instances: (0..3).map(InstanceId).collect(),
            processes: Vec::new(),
            dials: Vec::new(),
        };
        world.drain();
        world
    }

    /// The result of a choice in the current state.
    fn input(&mut self, (kind, which, number): Choice) -> Input {
        let process =
            if self.processes.is_empty() { None } else { Some(*which.get(&self.processes)) };
        let id = *which.get(&self.instances);
        match (kind, process) {
            (0, _) => self.command(Command::Create { url: url(number), alias: SECRET.repeat(3) }),
            (1, _) => {
                self.command(Command::Replace { id, expect: expect(number), url: url(number) })
            }
            (2, _) => self.command(Command::Remove { id, expect: expect(number) }),
            (3 | 4, _) => self.command(Command::Amend {
                id,
                expect: expect(number),
                amend: amend(number).into(),
            }),
            (5, _) => self.command(Command::RotateKey(key(number))),
            (6, _) => self.command(Command::SetAlias(Some(format!("{SECRET}{}", number % 2)))),
            (7, _) if number < 128 => {
                let action = action(number);
                self.command(Command::Act { ids: [id, InstanceId(7)].into(), action })
            }
            (7, _) => self.command(Command::Dial(format!("u:{SECRET}@h:{number}"))),
            (8 | 9, _) => Input::RecordsPersisted { upto: self.last.1 },
            (10, _) if number < 60 => {
                let reason = format!("cannot write a://{SECRET}@disk");
                Input::PersistFailed { epoch: self.last.0, reason }
            }
            (11, _) if number < 10 => Input::ShutdownRequested,
            (12, _) if !self.dials.is_empty() => {
                let request = self.dials.remove(which.index(self.dials.len()));
                let outcome = match number % 2 {
                    0 => DialOutcome::Connected { latency_ms: number.into() },
                    _ => DialOutcome::Failed(format!("dial u:{SECRET}@h: refused")),
                };
                Input::Dialled { request, outcome }
            }
            (13, Some(process)) => Input::ProcessStarted { process },
            (14, Some(process)) if number < 60 => {
                let reason = format!("no exec:x?arg={SECRET}");
                Input::StartFailed { process, reason }
            }
            (14, Some(process)) if number < 90 => {
                Input::StartLost { process, may_have_run: number % 2 == 0 }
            }
            (14, Some(process)) if number > 250 => Input::LeaseExpired { process },
            (15 | 16, Some(process)) => Input::OutputRead { process, batch: batch(number) },
            (17, Some(process)) => {
                let exit =
                    if number < 128 { Exit::Code(number as i32 % 3) } else { Exit::Signal(9) };
                Input::ProcessExited { process, exit, group_left: number % 4 == 0 }
            }
            _ => {
                let passed = u64::from(number) * 40_000;
                let mono = Time::from_micros(self.now.mono.as_micros() + passed);
                // Now and then the wall clock steps back.
                let step = if number % 16 == 0 { -3_000_000 } else { passed.cast_signed() };
                let wall = self.now.wall.as_micros().saturating_add_signed(step);
                self.now = Now { mono, wall: Wall::from_micros(wall) };
                Input::TimeAdvanced
            }
        }
    }

    fn command(&mut self, command: Command) -> Input {
        self.requests += 1;
        // Some requests started before the current key was set.
        let epoch = self.engine.under_way().face.key_epoch.0;
        let epoch = if self.requests.is_multiple_of(9) { epoch.saturating_sub(1) } else { epoch };
        let caller = Caller::v2(KeyEpoch(epoch));
        Input::RequestArrived { request: RequestId(self.requests), caller, command }
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.engine.handle(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Effect> {
        let effects: Vec<Effect> = core::iter::from_fn(|| self.engine.poll_effect()).collect();
        for effect in &effects {
            if let Effect::Spawn { process, .. } | Effect::Adopt { process, .. } = effect {
                self.processes.push(*process);
            } else if let Effect::Persist { epoch, seq, record } = effect {
                self.last = (*epoch, *seq);
                if let Change::PutInstance { definition, .. } = &**record {
                    self.instances.push(definition.id);
                }
            } else if let Effect::Dial { request, .. } = effect {
                self.dials.push(*request);
            }
        }
        effects
    }
}

/// Now and then one of the first revisions, or none.
fn expect(number: u8) -> Expect {
    match number % 9 {
        revision @ 1..=3 => Expect::OneOf((1..=revision.into()).map(Revision).collect()),
        4 => Expect::OneOf(Vec::new()),
        _ => Expect::Any,
    }
}

fn action(number: u8) -> InstanceAction {
    match number % 4 {
        0 => InstanceAction::Start,
        1 => InstanceAction::Stop,
        2 => InstanceAction::Restart,
        _ => InstanceAction::Reset,
    }
}

fn amend(number: u8) -> Amend {
    let actions = [InstanceAction::Start, InstanceAction::Stop, InstanceAction::Restart];
    let tag = (format!("t{}", number % 2), format!("{SECRET}{number}"));
    let peer = Peer { sid: SECRET.to_string(), ..Peer::default() };
    let meta = AmendMeta { peer: Some(peer), tags: Some(BTreeMap::from([tag])) };
    match number % 8 {
        index @ 0..=2 => Amend { action: Some(actions[usize::from(index)]), ..Amend::default() },
        3 => Amend { action: Some(InstanceAction::Reset), ..Amend::default() },
        4 => Amend { restart: Some(number < 100), ..Amend::default() },
        5 => Amend { meta: Some(meta), ..Amend::default() },
        6 => Amend { policy: Some(policy(number).into()), ..Amend::default() },
        _ => Amend { alias: Some(format!("{SECRET} {}", number % 16)), ..Amend::default() },
    }
}

/// A few fields of a policy; the value of a variable is a secret.
fn policy(number: u8) -> PolicyEdit {
    let mut edit = PolicyEdit::default();
    let fields = PolicyField::ALL.iter().skip(usize::from(number) % 3).step_by(3);
    edit.fields = fields.copied().collect();
    edit.policy.restart = if number < 128 { Restart::Always } else { Restart::Never };
    edit.policy.history = (number % 4).into();
    edit.setup.env.insert("TOKEN".to_string(), format!("{SECRET}{number}"));
    edit
}

fn batch(number: u8) -> Arc<OutputBatch> {
    let mut text = format!("a line with {SECRET}\n");
    for count in 0..number % 3 {
        text.push_str(&format!(
            "CHECK_POINT|MODE={number}|PING=2ms|POOL=3|TCPS=4|UDPS=99999999999\
             |TCPRX={number}{count}|TCPTX=1|UDPRX=2|UDPTX=3\n"
        ));
    }
    if number.is_multiple_of(5) {
        text.push_str("an ERROR\n");
    }
    let stream = if number % 4 == 1 { Stream::Stderr } else { Stream::Stdout };
    if number.is_multiple_of(64) {
        text.push_str(&"x".repeat(70_000));
        text.push('\n');
    }
    Arc::new(OutputParser::of(stream).push(text.as_bytes()))
}

fn header() -> Header {
    Header {
        product: "test".to_string(),
        boot: BootId(1),
        sequence: 2,
        started: Now::default(),
        has_text: false,
    }
}

/// Runs the choices, recording from the `begin`th on. Returns the segment and the last engine.
fn record(choices: &[Choice], begin: usize) -> (Vec<u8>, Engine) {
    let mut world = World::new();
    for choice in &choices[..begin] {
        let input = world.input(*choice);
        world.tell(input);
    }
    let mut encoder = Encoder::begin(&header(), &world.engine);
    let mut segment = encoder.take();
    let mut digest = Digest::default();
    for (index, choice) in choices[begin..].iter().enumerate() {
        let input = world.input(*choice);
        encoder.input(world.now, digest, &input);
        for effect in world.tell(input) {
            digest.effect(&effect);
        }
        if index % 7 == 0 {
            encoder.state(world.engine.fingerprint());
        }
        if index % 5 == 0 {
            segment.append(&mut encoder.take());
        }
    }
    let state = Some(world.engine.fingerprint());
    let end = End { why: EndReason::Continued, effects: Some(digest), state };
    segment.append(&mut encoder.end(&end));
    (segment, world.engine)
}

/// Effects with the key in stars, as a trace has it.
fn as_recorded(effects: &[Effect]) -> String {
    let shown = format!("{effects:?}");
    (0..=255).fold(shown, |shown, fill| shown.replace(key(fill).reveal(), &"*".repeat(32)))
}

fn play(segment: &[u8]) -> (Summary, Engine, Ending) {
    let mut replay = Replay::new(segment).expect("a good segment");
    while let Some(step) = replay.step() {
        let lines = [show_happened(&step.input)];
        let effects = step.effects.iter().map(show_effect);
        for line in lines.into_iter().chain(effects).chain(step.changes.iter().map(show_change)) {
            assert!(!line.contains(SECRET) && !line.contains(char::is_control), "{line}");
        }
    }
    let ending = replay.ending().expect("it is at the end").clone();
    (replay.summary().clone(), replay.engine().clone(), ending)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_engine_goes_on_as_if_it_had_not_been_frozen(choices in choices(), at: Index) {
        let at = at.index(choices.len());
        let mut world = World::new();
        let mut thawed = None;
        for (index, choice) in choices.iter().enumerate() {
            if index == at {
                let mut masks = Masks::plain();
                let frozen = crate::codec::encode(world.engine.freeze(&mut masks));
                let frozen = crate::codec::decode(&frozen).expect("what was encoded");
                thawed = Some(Engine::thaw(frozen).expect("an engine"));
            }
            let input = world.input(*choice);
            let now = world.now;
            let effects = world.tell(input.clone());
            if let Some(engine) = &mut thawed {
                engine.handle(now, input);
                let others: Vec<Effect> = core::iter::from_fn(|| engine.poll_effect()).collect();
                prop_assert_eq!(as_recorded(&effects), as_recorded(&others));
                prop_assert_eq!(engine.fingerprint(), world.engine.fingerprint());
                prop_assert_eq!(engine.poll_timeout(), world.engine.poll_timeout());
            }
        }
    }

    #[test]
    fn a_recording_replays_and_holds_no_secret(choices in choices(), begin: Index) {
        let (segment, engine) = record(&choices, begin.index(choices.len()));
        let (summary, replayed, ending) = play(&segment);
        prop_assert_eq!(summary.difference, None);
        prop_assert_eq!(summary.effects_checked, summary.inputs);
        prop_assert!(summary.states_checked > summary.inputs / 7);
        prop_assert_eq!(replayed.fingerprint(), engine.fingerprint());
        prop_assert!(matches!(ending, Ending::Marked(_)), "{:?}", ending);
        let shown = String::from_utf8_lossy(&segment);
        prop_assert!(!shown.contains(SECRET));
        for fill in [0xa0].into_iter().chain(choices.iter().map(|choice| choice.2)) {
            prop_assert!(!shown.contains(key(fill).reveal()));
        }
    }

    #[test]
    fn a_torn_or_damaged_segment_does_no_harm(choices in choices(), at: Index, bit in 0u8..8) {
        let (mut segment, _) = record(&choices, 0);
        let length = at.index(segment.len());
        if let Ok(mut replay) = Replay::new(&segment[..length]) {
            while replay.step().is_some() {}
            prop_assert_eq!(replay.summary().difference, None);
            prop_assert!(matches!(replay.ending(), Some(Ending::Torn(_))));
        }
        segment[length] ^= 1 << bit;
        if let Ok(mut replay) = Replay::new(&segment) {
            while replay.step().is_some() {}
            let ending = replay.ending();
            prop_assert!(matches!(ending, Some(Ending::Torn(_) | Ending::Damaged(..))), "{:?}", ending);
        }
    }
}

/// A segment with other bytes in its bodies, and checksums that are right for them.
pub(super) fn tampered(segment: &[u8], changes: &[(Index, u8)]) -> Vec<u8> {
    let mut bodies = Vec::new();
    let mut rest = &segment[10..];
    while let block::Next::Block(kind, body, after) = block::next_block(rest) {
        bodies.push((kind, body.to_vec()));
        rest = after;
    }
    for (at, byte) in changes {
        let count = bodies.len();
        let (_, body) = &mut bodies[at.index(count)];
        let length = body.len();
        body[at.index(length)] = *byte;
    }
    let mut tampered = segment[..10].to_vec();
    for (kind, body) in bodies {
        block::push_block(&mut tampered, kind, &body);
    }
    tampered
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_tampered_segment_does_no_harm(
        choices in choices(),
        begin: Index,
        changes in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), 0u8..4, 250u8..=255]), 1..4),
    ) {
        let (segment, _) = record(&choices, begin.index(choices.len()));
        if let Ok(mut replay) = Replay::new(&tampered(&segment, &changes)) {
            while replay.step().is_some() {}
            prop_assert!(replay.ending().is_some());
        }
    }
}

#[test]
fn the_first_difference_is_found() {
    let mut world = World::new();
    let mut encoder = Encoder::begin(&header(), &world.engine);
    let mut digest = Digest::default();
    for number in 1..=6 {
        let input = world.command(Command::Create { url: url(number), alias: String::new() });
        encoder.input(world.now, digest, &input);
        world.tell(input).iter().for_each(|effect| digest.effect(effect));
        if number == 4 {
            digest.effect(&Effect::Finish);
        }
    }
    let end = End { why: EndReason::Finished, effects: Some(digest), state: None };
    let (summary, ..) = play(&encoder.end(&end));
    let difference = summary.difference.expect("one effect was not there");
    assert_eq!((difference.number, difference.verdict), (4, Verdict::EffectsDiffer));
    assert_eq!(summary.inputs, 6);
}

#[test]
fn a_state_that_differs_is_found() {
    let world = World::new();
    let mut encoder = Encoder::begin(&header(), &world.engine);
    encoder.input(world.now, Digest::default(), &Input::RecordsPersisted { upto: RecordSeq(0) });
    encoder.state(world.engine.fingerprint() ^ 1);
    let end = End { why: EndReason::Panicked, effects: None, state: None };
    let (summary, ..) = play(&encoder.end(&end));
    let difference = summary.difference.expect("the state is another");
    assert_eq!((difference.number, difference.verdict), (1, Verdict::StateDiffers));
}

#[test]
fn a_difference_in_the_machine_of_the_control_api_is_found() {
    let world = World::new();
    let mut control = Control::new(&ControlImage::default(), world.now);
    while control.poll_effect().is_some() {}
    let input = ControlInput::KeepFailed { epoch: 0, refused: None, reason: "full".to_string() };
    // What is recorded beside the truth: bits of its effects and of its state that are others.
    let replayed = |effects: Option<u64>, state: u64| {
        let mut machine = control.clone();
        let mut encoder = Encoder::begin_beside(&header(), &world.engine, Some(&machine));
        encoder.control(world.now, Digest::default(), &input);
        machine.handle(world.now, input.clone());
        let mut digest = Digest::default();
        while let Some(effect) = machine.poll_effect() {
            effect.digest(&mut digest);
        }
        if let Some(bits) = effects {
            encoder.followed(Digest(digest.0 ^ bits), &[]);
        }
        encoder.control_state(machine.fingerprint() ^ state);
        let why = EndReason::Finished;
        let (summary, ..) =
            play(&encoder.end(&End { why, effects: Some(Digest::default()), state: None }));
        summary
    };
    let equal = replayed(Some(0), 0);
    assert_eq!((equal.difference, equal.control_checked), (None, 2));
    for (effects, state) in [(Some(1 << 63), 0), (Some(0), 1), (None, 0)] {
        let difference = replayed(effects, state).difference.expect("something differs");
        assert_eq!((difference.number, difference.verdict), (1, Verdict::ControlDiffers));
    }
}

#[test]
fn what_is_no_trace_is_refused_with_a_reason() {
    let (segment, _) = record(&[], 0);
    let mut newer = segment.clone();
    newer[8] = 9;
    assert_eq!(Replay::new(b"hello").err(), Some(TraceError::NotATrace));
    assert_eq!(Replay::new(&newer).err(), Some(TraceError::Version(9)));
    for length in 0..=30 {
        let cut = Replay::new(&segment[..length]);
        assert_eq!(cut.err(), Some(TraceError::NoHeader), "{length} bytes");
    }
    let mut damaged = segment;
    damaged[40] ^= 1;
    assert!(matches!(Replay::new(&damaged), Err(TraceError::BadHeader(_))));
}
