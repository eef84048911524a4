//! The policy object: `/instances/{id}/policy`, how an instance is kept running and in what
//! surroundings.
//!
//! Unlike other bodies of this API these are strict: an unknown field is refused, because a policy
//! that is passed over is one that does not hold.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::Answer;
use super::secrets::Secrets;
use super::status::Rejection;
use crate::command::{Amend, Outcome};
use crate::instance::{
    BackoffPolicy, Boot, Definition, ENV_MAX_BYTES, LEASE_MS, LIMIT, Policy, PolicyEdit,
    PolicyField, RESTART_WINDOW_MS, RESTARTS_MAX, Restart, RestartLimit, Setup, StopPolicy,
    StopStep, TEXT_MAX_BYTES, TIME_MS, WAIT_MS, is_account, is_directory, is_variable, parse_umask,
};
use crate::process::{Scope, Signal};
use crate::url::MASK;

/// How many runs a client may have remembered; a configuration file may ask for more.
const HISTORY_MAX: u16 = 100;

/// Reads the body of `PATCH /instances/{id}/policy`: an absent field stays, `null` sets the
/// default.
///
/// # Errors
/// 400 for malformed JSON, an unknown field, a wrong type, a value out of bounds, or a masked
/// variable from who sees masks. The reason names the field.
pub fn decode_policy_patch(body: &[u8], secrets: Secrets) -> Result<Amend, Rejection> {
    decode(body, PolicyEdit::default(), secrets)
}

/// Reads the body of `PUT /instances/{id}/policy`: an absent field gets its default.
///
/// # Errors
/// As [`decode_policy_patch`].
pub fn decode_policy(body: &[u8], secrets: Secrets) -> Result<Amend, Rejection> {
    decode(body, PolicyEdit::all_defaults(), secrets)
}

/// The policy of an instance as JSON, with the ETag of the instance.
pub fn policy_answer(definition: &Definition, secrets: Secrets) -> Answer {
    Answer::instance(200, render(definition, secrets), definition.revision)
}

/// The answer to an edit of a policy.
pub fn policy_outcome(outcome: Outcome, secrets: Secrets) -> Answer {
    if let Outcome::Done { after, .. } = &outcome {
        return policy_answer(&after.definition, secrets);
    }
    Answer::from_outcome(outcome, secrets, Bytes::new)
}

fn render(definition: &Definition, secrets: Secrets) -> Bytes {
    let view = View::of(definition, secrets);
    let json = serde_json::to_vec(&view).expect("texts and numbers always encode");
    Bytes::from(json)
}

/// Fields in the order of the wire; all are always there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    restart: &'static str,
    max_restarts: Option<u32>,
    restart_window_ms: Option<u64>,
    boot: &'static str,
    backoff: BackoffView,
    stop: StopView,
    history: u16,
    user: Option<&'a str>,
    group: Option<&'a str>,
    umask: Option<String>,
    cwd: Option<&'a str>,
    env: BTreeMap<&'a str, &'a str>,
    clear_env: bool,
    open_files: Option<u64>,
    memory_bytes: Option<u64>,
    lease_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BackoffView {
    first_ms: u64,
    longest_ms: u64,
    healthy_ms: u64,
    prompt_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopView {
    steps: Vec<StepView>,
    scope: &'static str,
    restart_signal: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepView {
    signal: String,
    wait_ms: u64,
}

impl<'a> View<'a> {
    fn of(definition: &'a Definition, secrets: Secrets) -> Self {
        let Policy { restart, limit, boot, backoff, stop, run_limit_ms: _, history, lease_ms } =
            &definition.policy;
        let Setup { user, group, umask, cwd, env, clear_env, open_files, memory_bytes } =
            &*definition.setup;
        let BackoffPolicy { first_ms, longest_ms, healthy_ms, .. } = *backoff;
        let prompt_ms = definition.backoff().prompt_ms;
        let shown = |value: &'a String| match secrets {
            Secrets::Shown => value.as_str(),
            Secrets::Masked => MASK,
        };
        Self {
            restart: restart.as_str(),
            max_restarts: limit.map(|limit| limit.max),
            restart_window_ms: limit.map(|limit| limit.window_ms),
            boot: boot.as_str(),
            backoff: BackoffView { first_ms, longest_ms, healthy_ms, prompt_ms },
            stop: StopView::of(stop),
            history: *history,
            user: user.as_deref(),
            group: group.as_deref(),
            umask: umask.map(|mask| format!("{mask:03o}")),
            cwd: cwd.as_deref(),
            env: env.iter().map(|(name, value)| (name.as_str(), shown(value))).collect(),
            clear_env: *clear_env,
            open_files: *open_files,
            memory_bytes: *memory_bytes,
            lease_ms: *lease_ms,
        }
    }
}

impl StopView {
    fn of(stop: &StopPolicy) -> Self {
        let step =
            |step: &StopStep| StepView { signal: step.signal.to_string(), wait_ms: step.wait_ms };
        Self {
            steps: stop.steps().iter().map(step).collect(),
            scope: match stop.scope {
                Scope::Group => "group",
                Scope::Leader => "leader",
            },
            restart_signal: stop.restart_signal.map(|signal| signal.to_string()),
        }
    }
}

fn decode(body: &[u8], mut edit: PolicyEdit, secrets: Secrets) -> Result<Amend, Rejection> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Rejection::Bad("the body is empty; send a JSON object".to_string()));
    }
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Rejection::Bad(format!("the body is invalid: {error}")))?;
    let fields = object("the body", &body).map_err(Rejection::Bad)?;
    for (name, value) in fields {
        take(&mut edit, name, value).map_err(Rejection::Bad)?;
    }
    check_together(fields).map_err(Rejection::Bad)?;
    let variables = &edit.setup.env;
    variables.iter().try_for_each(|(name, value)| secrets.check_variable(name, value))?;
    Ok(Amend { policy: Some(Box::new(edit)), ..Amend::default() })
}

/// A description of the error in a body.
type Wrong = String;

const FIELDS: &str = "restart, maxRestarts, restartWindowMs, boot, backoff, stop, stopSignal, \
    stopGraceMs, history, user, group, umask, cwd, env, clearEnv, openFiles, memoryBytes and leaseMs";

/// Takes one field of the body; `null` leaves the default that an edit begins with.
fn take(edit: &mut PolicyEdit, name: &str, value: &Value) -> Result<(), Wrong> {
    let field = field(name).ok_or_else(|| unknown(name, FIELDS))?;
    edit.fields.insert(field);
    if value.is_null() {
        return Ok(());
    }
    let (policy, setup) = (&mut edit.policy, &mut edit.setup);
    match field {
        PolicyField::Restart => {
            policy.restart = word(name, value, Restart::parse, "never, on-failure or always")?;
        }
        PolicyField::MaxRestarts => {
            let max = number(name, value, 1..=u64::from(RESTARTS_MAX))?;
            let limit = policy.limit.get_or_insert(NO_LIMIT);
            limit.max = u32::try_from(max).expect("within bounds");
        }
        PolicyField::RestartWindow => {
            policy.limit.get_or_insert(NO_LIMIT).window_ms = number(name, value, TIME_MS)?;
        }
        PolicyField::Boot => {
            policy.boot = word(name, value, Boot::parse, "restart, saved or always")?;
        }
        PolicyField::Backoff => policy.backoff = backoff(value)?,
        PolicyField::Stop => policy.stop = stop(value)?,
        PolicyField::StopSignal => {
            let wait_ms = policy.stop.steps()[0].wait_ms;
            policy.stop = StopPolicy::signal_then_kill(signal(name, value)?, wait_ms);
        }
        PolicyField::StopGrace => {
            let signal = policy.stop.steps()[0].signal;
            policy.stop = StopPolicy::signal_then_kill(signal, number(name, value, WAIT_MS)?);
        }
        PolicyField::History => {
            let history = number(name, value, 0..=u64::from(HISTORY_MAX))?;
            policy.history = u16::try_from(history).expect("within bounds");
        }
        PolicyField::User | PolicyField::Group => {
            let account = checked(name, value, is_account, "a name or a number in a text")?;
            let at = if field == PolicyField::User { &mut setup.user } else { &mut setup.group };
            *at = Some(account);
        }
        PolicyField::Umask => {
            setup.umask =
                Some(word(name, value, parse_umask, "octal digits such as 022, at most 777")?);
        }
        PolicyField::Cwd => {
            setup.cwd =
                Some(checked(name, value, is_directory, "an absolute path of at most 4096 bytes")?);
        }
        PolicyField::Env => setup.env = env(value)?,
        PolicyField::ClearEnv => {
            setup.clear_env = value.as_bool().ok_or_else(|| wrong(name, value, "true or false"))?;
        }
        PolicyField::OpenFiles => setup.open_files = Some(number(name, value, LIMIT)?),
        PolicyField::Memory => setup.memory_bytes = Some(number(name, value, LIMIT)?),
        PolicyField::Lease => policy.lease_ms = Some(number(name, value, LEASE_MS)?),
    }
    Ok(())
}

const NO_LIMIT: RestartLimit = RestartLimit { max: 1, window_ms: RESTART_WINDOW_MS };

fn field(name: &str) -> Option<PolicyField> {
    Some(match name {
        "restart" => PolicyField::Restart,
        "maxRestarts" => PolicyField::MaxRestarts,
        "restartWindowMs" => PolicyField::RestartWindow,
        "boot" => PolicyField::Boot,
        "backoff" => PolicyField::Backoff,
        "stop" => PolicyField::Stop,
        "stopSignal" => PolicyField::StopSignal,
        "stopGraceMs" => PolicyField::StopGrace,
        "history" => PolicyField::History,
        "user" => PolicyField::User,
        "group" => PolicyField::Group,
        "umask" => PolicyField::Umask,
        "cwd" => PolicyField::Cwd,
        "env" => PolicyField::Env,
        "clearEnv" => PolicyField::ClearEnv,
        "openFiles" => PolicyField::OpenFiles,
        "memoryBytes" => PolicyField::Memory,
        "leaseMs" => PolicyField::Lease,
        _ => return None,
    })
}

/// What must hold between fields.
fn check_together(fields: &Map<String, Value>) -> Result<(), Wrong> {
    let given = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    if given("restartWindowMs") && !given("maxRestarts") {
        return Err("restartWindowMs has no effect without maxRestarts; send both".to_string());
    }
    let shorthand =
        ["stopSignal", "stopGraceMs"].into_iter().find(|name| fields.contains_key(*name));
    match shorthand {
        Some(name) if fields.contains_key("stop") => {
            Err(format!("stop and {name} contradict each other; send one of them"))
        }
        Some(_) | None => Ok(()),
    }
}

fn backoff(value: &Value) -> Result<BackoffPolicy, Wrong> {
    let mut backoff = BackoffPolicy::default();
    for (name, value) in object("backoff", value)? {
        if name == "promptMs" {
            let prompt_ms = number("backoff.promptMs", value, TIME_MS);
            backoff.prompt_ms = if value.is_null() { None } else { Some(prompt_ms?) };
            continue;
        }
        let (at, name) = match name.as_str() {
            "firstMs" => (&mut backoff.first_ms, "backoff.firstMs"),
            "longestMs" => (&mut backoff.longest_ms, "backoff.longestMs"),
            "healthyMs" => (&mut backoff.healthy_ms, "backoff.healthyMs"),
            other => {
                return Err(unknown(
                    &format!("backoff.{other}"),
                    "firstMs, longestMs, healthyMs and promptMs",
                ));
            }
        };
        if !value.is_null() {
            *at = number(name, value, TIME_MS)?;
        }
    }
    let BackoffPolicy { first_ms, longest_ms, .. } = backoff;
    if first_ms > longest_ms {
        return Err(format!(
            "backoff.firstMs is {first_ms} and backoff.longestMs {longest_ms}; give a first delay that is no longer than the longest"
        ));
    }
    Ok(backoff)
}

fn stop(value: &Value) -> Result<StopPolicy, Wrong> {
    const SHAPE: &str = "steps, scope and restartSignal";
    let fields = object("stop", value)?;
    let mut stop = match fields.get("steps").filter(|steps| !steps.is_null()) {
        Some(steps) => StopPolicy::new(steps_of(steps)?, Scope::Group)
            .map_err(|_| wrong("stop.steps", steps, "one to four steps"))?,
        None => StopPolicy::default(),
    };
    for (name, value) in fields {
        match name.as_str() {
            "steps" => {}
            "scope" | "restartSignal" if value.is_null() => {}
            "scope" => stop.scope = word("stop.scope", value, scope, "group or leader")?,
            "restartSignal" => stop.restart_signal = Some(signal("stop.restartSignal", value)?),
            other => return Err(unknown(&format!("stop.{other}"), SHAPE)),
        }
    }
    Ok(stop)
}

fn steps_of(value: &Value) -> Result<Vec<StopStep>, Wrong> {
    let steps = value
        .as_array()
        .ok_or_else(|| wrong("stop.steps", value, "an array of one to four steps"))?;
    if steps.len() > StopPolicy::STEPS_MAX {
        return Err(wrong("stop.steps", value, "an array of one to four steps"));
    }
    steps
        .iter()
        .enumerate()
        .map(|(index, value)| step(&format!("stop.steps[{index}]"), value))
        .collect()
}

fn step(at: &str, value: &Value) -> Result<StopStep, Wrong> {
    let (mut sent, mut wait_ms) = (None, 0);
    for (name, value) in object(at, value)? {
        let name = format!("{at}.{name}");
        match name.rsplit('.').next() {
            Some("signal") => sent = Some(signal(&name, value)?),
            Some("waitMs") => wait_ms = number(&name, value, WAIT_MS)?,
            _ => return Err(unknown(&name, "signal and waitMs")),
        }
    }
    let signal =
        sent.ok_or_else(|| format!("{at}.signal is missing; give a signal such as \"TERM\""))?;
    Ok(StopStep { signal, wait_ms })
}

fn scope(word: &str) -> Option<Scope> {
    match word {
        "group" => Some(Scope::Group),
        "leader" => Some(Scope::Leader),
        _ => None,
    }
}

fn env(value: &Value) -> Result<BTreeMap<String, String>, Wrong> {
    let mut variables = BTreeMap::new();
    for (name, value) in object("env", value)? {
        let shown = format!("env.{}", short(name));
        if !is_variable(name) {
            return Err(format!("{shown}: the name of a variable is not empty and has no \"=\""));
        }
        // No value in the reason: it may be a secret.
        let text = value.as_str().filter(|text| !text.contains('\0'));
        let text = text
            .ok_or_else(|| format!("{shown} must be a text without NUL; put numbers in quotes"))?;
        variables.insert(name.clone(), text.to_string());
    }
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENV_MAX_BYTES {
        return Err(format!(
            "env has {bytes} bytes of names and values; at most {ENV_MAX_BYTES} are kept"
        ));
    }
    Ok(variables)
}

fn object<'a>(name: &str, value: &'a Value) -> Result<&'a Map<String, Value>, Wrong> {
    value.as_object().ok_or_else(|| wrong(name, value, "a JSON object"))
}

fn word<T>(
    name: &str,
    value: &Value,
    parse: impl Fn(&str) -> Option<T>,
    want: &str,
) -> Result<T, Wrong> {
    value.as_str().and_then(parse).ok_or_else(|| wrong(name, value, want))
}

fn checked(
    name: &str,
    value: &Value,
    is_good: impl Fn(&str) -> bool,
    want: &str,
) -> Result<String, Wrong> {
    word(name, value, |text| is_good(text).then(|| text.to_string()), want)
}

fn signal(name: &str, value: &Value) -> Result<Signal, Wrong> {
    word(name, value, Signal::parse, "a signal of Linux in a text, such as \"TERM\" or \"15\"")
}

fn number(name: &str, value: &Value, bounds: RangeInclusive<u64>) -> Result<u64, Wrong> {
    let (least, most) = (bounds.start(), bounds.end());
    let within = value.as_u64().filter(|number| bounds.contains(number));
    within.ok_or_else(|| wrong(name, value, &format!("a whole number from {least} to {most}")))
}

fn wrong(name: &str, value: &Value, want: &str) -> Wrong {
    let found = match value {
        Value::Null => "null".to_string(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("{:?}", short(text)),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_string(),
    };
    format!("{name} must be {want}, not {found}")
}

fn unknown(name: &str, known: &str) -> Wrong {
    format!("unknown field {:?}; the fields are {known}", short(name))
}

/// The beginning of a text, for a sentence.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX_BYTES.min(40))]
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
