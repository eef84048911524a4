//! A replay as text: for people, or as JSON, one object a line.
//!
//! Everything that was recorded is shown through `openctrl_core::trace`, which leaves nothing in it
//! that a terminal would act on.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::time::Now;
use openctrl_core::trace::{
    EndReason, Ending, Happened, Header, Replay, Shown, Step, Summary, Verdict, show_change,
    show_control_effect, show_effect, show_happened,
};
use serde_json::{Value, json};

use crate::grammar::Replay as Options;

/// Prints one segment.
pub(super) struct Timeline<'a, W> {
    options: &'a Options,
    out: &'a mut W,
}

impl<'a, W: Write> Timeline<'a, W> {
    pub(super) fn new(options: &'a Options, out: &'a mut W) -> Self {
        Self { options, out }
    }

    pub(super) fn begin(&mut self, file: &Path, header: &Header) -> io::Result<()> {
        let Header { product, boot, sequence, started, has_text } = header;
        let (file, product) = (file.display().to_string(), Shown(product).to_string());
        if self.options.json {
            return self.object(&json!({
                "segment": file, "version": product, "boot": boot.to_string(),
                "sequence": sequence, "uptime": seconds(*started),
                "time": started.wall.to_string(), "text": has_text,
            }));
        }
        writeln!(self.out, "{}", Shown(&file))?;
        let (wall, uptime) = (started.wall, seconds(*started));
        writeln!(
            self.out,
            "segment {sequence} of run {boot}, openctrl {product}, from {wall}, {uptime:.6} s after its start"
        )
    }

    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        if self.options.json {
            return self.object(&json!({ "note": text }));
        }
        writeln!(self.out, "{text}")
    }

    pub(super) fn step(&mut self, replay: &Replay<'_>, step: &Step) -> io::Result<()> {
        let is_shown = |id: InstanceId| touched(replay, step).contains(&id);
        if !self.options.instance.is_none_or(is_shown) {
            return Ok(());
        }
        let changes: Vec<String> = step.changes.iter().map(show_change).collect();
        let effects: Vec<String> = step.effects.iter().map(show_effect).collect();
        let control: Vec<String> = step.control.iter().filter_map(show_control_effect).collect();
        if self.options.json {
            return self.object(&json!({
                "input": step.number, "uptime": seconds(step.now),
                "time": step.now.wall.to_string(), "what": show_happened(&step.input),
                "changes": changes, "effects": effects, "control": control,
                "verdict": word(step.verdict),
            }));
        }
        let mark = match step.verdict {
            Verdict::Equal => "",
            Verdict::Unknown if replay.is_comparable() => "  (not checked)",
            Verdict::Unknown => "",
            Verdict::EffectsDiffer => "  DIFFERS: the recorded effects were others",
            Verdict::StateDiffers => "  DIFFERS: the recorded state was another",
            Verdict::ControlDiffers => "  DIFFERS: the recorded events and rules were others",
        };
        writeln!(self.out, "{:>14.6}  > {}{mark}", seconds(step.now), show_happened(&step.input))?;
        for change in changes {
            writeln!(self.out, "{:>14}  = {change}", "")?;
        }
        for effect in effects {
            writeln!(self.out, "{:>14}  < {effect}", "")?;
        }
        for effect in control {
            writeln!(self.out, "{:>14}  c {effect}", "")?;
        }
        Ok(())
    }

    pub(super) fn panicked(&mut self, number: u64, now: Now) -> io::Result<()> {
        if self.options.json {
            return self.object(&json!({ "panicked_at": number, "uptime": seconds(now) }));
        }
        writeln!(self.out, "the engine panics at input {number}, at {:.6} s", seconds(now))
    }

    pub(super) fn end(&mut self, replay: &Replay<'_>) -> io::Result<()> {
        let Summary { inputs, effects_checked, states_checked, control_checked, difference } =
            replay.summary();
        let ending =
            replay.ending().map_or_else(|| "stopped here as asked for".to_owned(), end_text);
        if self.options.json {
            let difference = difference.as_ref().map(|difference| {
                json!({
                    "input": difference.number, "uptime": seconds(difference.now),
                    "verdict": word(difference.verdict),
                })
            });
            return self.object(&json!({
                "inputs": inputs, "effects_checked": effects_checked,
                "states_checked": states_checked, "control_checked": control_checked,
                "difference": difference, "end": ending, "compared": replay.is_comparable(),
            }));
        }
        writeln!(self.out, "{}", Shown(&ending))?;
        if !replay.is_comparable() {
            let version = replay.version();
            return writeln!(self.out, "{inputs} inputs, not compared: format version {version}");
        }
        let verdict = match difference {
            None => "all equal".to_owned(),
            Some(difference) => format!(
                "the first difference is at input {}, at {:.6} s: {}",
                difference.number,
                seconds(difference.now),
                word(difference.verdict)
            ),
        };
        if replay.is_blind() {
            let what = "events and rules are not compared: a rule compares messages, which are not recorded";
            writeln!(self.out, "{what}")?;
        }
        let control = match (replay.control(), control_checked) {
            (None, _) => String::new(),
            (Some(_), checked) => format!(", {checked} of the control API"),
        };
        writeln!(
            self.out,
            "{inputs} inputs, {effects_checked} digests of effects and {states_checked} of states{control} checked: {verdict}"
        )
    }

    fn object(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{value}")
    }
}

/// Every instance that a step is about.
fn touched(replay: &Replay<'_>, step: &Step) -> BTreeSet<InstanceId> {
    let mut ids = BTreeSet::new();
    for change in &step.changes {
        ids.extend([change.before, change.after].into_iter().flatten().map(|glance| glance.id));
    }
    let table = replay.engine().table();
    let of = |process: ProcessRef| table.get(process.slot).map(|instance| instance.definition().id);
    match &step.input {
        Happened::Input(input) => {
            ids.extend(input.process().and_then(of));
            ids.extend(input.instance());
        }
        Happened::Control(input) => ids.extend(input.instance()),
    }
    for effect in &step.effects {
        let mut process = None;
        effect.about(|id| ids.extend([id]), |signalled| process = of(signalled));
        ids.extend(process);
    }
    ids
}

fn end_text(ending: &Ending) -> String {
    match ending {
        Ending::Marked(end) => match end.why {
            EndReason::Continued => "continues in the next segment".to_owned(),
            EndReason::Lost(inputs) => {
                format!("{inputs} inputs after this were not recorded: they came too fast")
            }
            EndReason::Finished => "the master stopped here".to_owned(),
            EndReason::Panicked => "the master panicked at the last input".to_owned(),
        },
        Ending::Torn(at) => {
            format!("cut off at byte {at}: the master was killed, or is still at it")
        }
        Ending::Damaged(at, reason) => format!("damaged at byte {at}: {reason}"),
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "equal",
        Verdict::Unknown => "unknown",
        Verdict::EffectsDiffer => "effects differ",
        Verdict::StateDiffers => "state differs",
        Verdict::ControlDiffers => "events or rules differ",
    }
}

/// Seconds since the start of the master.
fn seconds(now: Now) -> f64 {
    now.mono.as_micros() as f64 / 1e6
}
