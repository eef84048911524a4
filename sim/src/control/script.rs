//! What happens in this world, chosen at random: commands, fates of processes, rules.

use std::sync::{Arc, LazyLock};

use openctrl_core::command::{Amend, AmendMeta, Command, InstanceAction};
use openctrl_core::control::RulesRequest;
use openctrl_core::doors::control::{DeleteRequest, candidate_rules};
use openctrl_core::engine::Input;
use openctrl_core::expect::Expect;
use openctrl_core::ids::{InstanceId, ProcessRef};
use openctrl_core::output::OutputParser;
use openctrl_core::process::Exit;
use openctrl_core::resource::Fact;
use openctrl_core::rules::RuleSpec;
use openctrl_core::url::InstanceUrl;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

const ALIASES: [&str; 5] = ["web", "db", "", "no name", "0badcafe"];

/// Rules of every operator, two that contradict themselves, and one that fires at every creation.
const RULES: &str = r#"{"spec": {"resources": [
    {"kind": "EventRule", "metadata": {"name": "always"}, "spec": {"pattern": {"operator": "any_of", "topic": "openctrl.instance.created"}, "emit": {"topic": "r.always"}}},
    {"kind": "EventRule", "metadata": {"name": "echo"}, "spec": {"pattern": {"operator": "any_of", "topic": "**"}, "emit": {"topic": "openctrl.instance.created", "attributes": {"a": "${event.type} ${attributes.command} ${x}"}}}},
    {"kind": "EventRule", "metadata": {"name": "all"}, "spec": {"pattern": {"operator": "all_of", "topics": ["routerd.daemon.lifecycle.started", "routerd.daemon.command.received"], "correlate_by": "resource.name"}, "emit": {"topic": "r.all"}}},
    {"kind": "EventRule", "metadata": {"name": "strict"}, "spec": {"pattern": {"operator": "sequence", "topics": ["routerd.daemon.command.received", "routerd.daemon.command.executed"], "strict": true, "correlate_by": "daemon.instance"}, "emit": {"topic": "r.strict"}}},
    {"kind": "EventRule", "metadata": {"name": "window"}, "spec": {"pattern": {"operator": "window", "topic": "routerd.**", "threshold": 5, "window": "3s"}, "emit": {"topic": "r.window"}}},
    {"kind": "EventRule", "metadata": {"name": "count"}, "spec": {"pattern": {"operator": "count", "topic": "routerd.daemon.command.*", "threshold": 3, "correlate_by": "attributes.command"}, "emit": {"topic": "r.count"}}},
    {"kind": "EventRule", "metadata": {"name": "throttle"}, "spec": {"pattern": {"operator": "throttle", "topic": "**", "interval": "2s", "rate": 2}, "emit": {"topic": "r.throttle"}}},
    {"kind": "EventRule", "metadata": {"name": "debounce"}, "spec": {"pattern": {"operator": "debounce", "topic": "routerd.daemon.command.*", "quiet": "1s", "correlate_by": "attributes.command"}, "emit": {"topic": "r.debounce"}}},
    {"kind": "EventRule", "metadata": {"name": "absence"}, "spec": {"pattern": {"operator": "absence", "trigger": "routerd.daemon.lifecycle.crashed", "expected": "routerd.daemon.lifecycle.ready", "duration": "4s", "correlate_by": "resource.name"}, "emit": {"topic": "r.absence"}}},
    {"kind": "DerivedEvent", "metadata": {"name": "up"}, "spec": {"topic": "d.up", "inputs": [{"field": "${Process/web.status.phase}", "equals": "Running"}], "emitInitial": true}},
    {"kind": "DerivedEvent", "metadata": {"name": "slow"}, "spec": {"topic": "d.slow", "inputs": [{"field": "${DerivedEvent/up.status.asserted}", "equals": "true"}, {"field": "${EventRule/echo.status.fireCount}"}], "retractWhen": "all_false", "hysteresis": "2s"}},
    {"kind": "DerivedEvent", "metadata": {"name": "liar"}, "spec": {"topic": "d.liar", "inputs": [{"field": "${DerivedEvent/liar.status.asserted}", "equals": "false"}]}},
    {"kind": "DerivedEvent", "metadata": {"name": "other"}, "spec": {"topic": "d.other", "inputs": [{"field": "${DerivedEvent/liar.status.asserted}", "equals": "false"}], "hysteresis": "1ms"}}
]}}"#;

static POOL: LazyLock<Vec<RuleSpec>> = LazyLock::new(|| {
    let text =
        RULES.replace("{\"kind\"", "{\"apiVersion\": \"net.routerd.net/v1alpha1\", \"kind\"");
    let candidate = serde_json::from_str(&text).expect("the pool is JSON");
    candidate_rules(&candidate).expect("the pool is good")
});

fn below(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    rng.next_u32() as usize % limit
}

/// A command of some client.
pub(super) fn command(rng: &mut ChaCha8Rng, instances: &[InstanceId]) -> Command {
    let alias = ALIASES[below(rng, ALIASES.len())];
    if instances.is_empty() || (instances.len() < 6 && below(rng, 3) == 0) {
        let url = InstanceUrl::parse("demo://host").expect("a URL");
        return Command::Create { url, alias: alias.to_string() };
    }
    let id = instances[below(rng, instances.len())];
    let expect = Expect::Any;
    let actions = [InstanceAction::Start, InstanceAction::Stop, InstanceAction::Restart];
    let amend = match below(rng, 6) {
        0 => return Command::Remove { id, expect },
        1 if !alias.is_empty() => Amend { alias: Some(alias.to_string()), ..Amend::default() },
        2 => Amend { restart: Some(below(rng, 2) == 0), ..Amend::default() },
        3 => {
            let tags = [("a".to_string(), below(rng, 3).to_string())].into();
            let meta = AmendMeta { tags: Some(tags), ..AmendMeta::default() };
            Amend { meta: Some(meta), ..Amend::default() }
        }
        _ => Amend { action: Some(actions[below(rng, actions.len())]), ..Amend::default() },
    };
    Command::Amend { id, expect, amend: Box::new(amend) }
}

/// What happens to a process next.
pub(super) fn fate(rng: &mut ChaCha8Rng, process: ProcessRef, lives: bool) -> Input {
    if !lives {
        return match below(rng, 6) {
            5 => Input::StartLost { process, may_have_run: below(rng, 2) == 0 },
            0 => Input::StartFailed { process, reason: "no such file".to_string() },
            _ => Input::ProcessStarted { process },
        };
    }
    let line = match below(rng, 6) {
        0 => {
            let exit = [Exit::Code(0), Exit::Code(3), Exit::Signal(9)][below(rng, 3)];
            return Input::ProcessExited { process, exit, group_left: false };
        }
        1 => "ERROR no route",
        2 | 3 => "CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5|TCPRX=1|TCPTX=2|UDPRX=3|UDPTX=4",
        _ => "a line",
    };
    let mut parser = OutputParser::default();
    let batch = Arc::new(parser.push(format!("{line}\n").as_bytes()));
    Input::OutputRead { process, batch }
}

/// Rules are applied, deleted or read.
pub(crate) fn rules(rng: &mut ChaCha8Rng) -> RulesRequest {
    let spec = |rng: &mut ChaCha8Rng| POOL[below(rng, POOL.len())].clone();
    match below(rng, 5) {
        0 => {
            let rule = spec(rng).rule;
            let target = format!("{}/{}", rule.kind.as_str(), rule.name);
            RulesRequest::Delete(DeleteRequest { target, ..DeleteRequest::default() })
        }
        1 => RulesRequest::PlanInForce,
        2 => RulesRequest::Apply(POOL.clone(), true, false),
        _ => {
            let spec = spec(rng);
            RulesRequest::Apply(vec![spec], below(rng, 8) == 0, false)
        }
    }
}

/// A command event with one of many keys.
pub(crate) fn note(rng: &mut ChaCha8Rng) -> Fact {
    let command = format!("c{}", below(rng, 6_000));
    match below(rng, 3) {
        0 => Fact::CommandReceived(command),
        1 => Fact::CommandExecuted(command),
        _ => Fact::CommandRejected(command),
    }
}
