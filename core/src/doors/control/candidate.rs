//! Candidates: the rules in a request, and the answers (control contract A "Rules", B 1.4).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::Value;

use super::CONTROL_API_VERSION;
use super::answer::Reply;
use super::body::{DeleteRequest, LogLevel};
use super::wire::{is_empty, is_false};
use crate::go::rfc3339_nano;
use crate::resource::PROCESS_KIND;
use crate::rules::{
    API_VERSION, Changed, PlannedRule, RULES_MAX, RuleKind, RuleRef, RuleSet, RuleSpec, RulesChange,
};
use crate::time::Wall;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultEnvelope {
    api_version: &'static str,
    kind: &'static str,
    result: ResultWire,
}

#[derive(Serialize)]
struct ResultWire {
    generation: u64,
    timestamp: String,
    phase: &'static str,
    resources: Vec<ResourceResult>,
}

#[derive(Serialize)]
struct ResourceResult {
    id: String,
    phase: &'static str,
    plan: [&'static str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ValidateWire<'a> {
    api_version: &'static str,
    kind: &'static str,
    valid: bool,
    #[serde(skip_serializing_if = "is_empty")]
    error: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteWire {
    api_version: &'static str,
    kind: &'static str,
    deleted: [String; 1],
    #[serde(skip_serializing_if = "is_false")]
    dry_run: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogLevelWire {
    api_version: &'static str,
    kind: &'static str,
    level: &'static str,
}

/// The rules of a decoded candidate: its `spec.resources`. Everything else is ignored.
///
/// # Errors
/// The error, with the path of the field.
pub fn candidate_rules(candidate: &Value) -> Result<Vec<RuleSpec>, String> {
    if !candidate.is_object() {
        return Err("candidateYaml: expected an object with spec.resources".to_string());
    }
    let spec = candidate.get("spec");
    let resources = match spec.and_then(|spec| spec.get("resources")) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(resources)) => resources,
        Some(_) => return Err("spec.resources: expected a list".to_string()),
    };
    if resources.len() > RULES_MAX {
        return Err(format!("spec.resources: at most {RULES_MAX} rules are kept"));
    }
    let mut seen = BTreeSet::new();
    let mut rules = Vec::with_capacity(resources.len());
    for (index, resource) in resources.iter().enumerate() {
        let path = format!("spec.resources[{index}]");
        let rule = RuleSpec::decode(resource).map_err(|error| error.below(&path).to_string())?;
        if !seen.insert(rule.rule.clone()) {
            let (kind, name) = (rule.rule.kind.as_str(), &rule.rule.name);
            return Err(format!("{path}.metadata.name: there is a {kind} {name:?} before it"));
        }
        rules.push(rule);
    }
    Ok(rules)
}

/// The change that applies `rules`, and removes all others if it replaces.
///
/// # Errors
/// More rules than the limit.
pub fn replacing(
    rules: Vec<RuleSpec>,
    replace: bool,
    in_force: &RuleSet,
) -> Result<RulesChange, String> {
    let wanted: BTreeSet<&RuleRef> = rules.iter().map(|spec| &spec.rule).collect();
    let others = in_force.specs().map(|spec| &spec.rule).filter(|rule| !wanted.contains(rule));
    let remove = if replace { others.cloned().collect() } else { Vec::new() };
    let change = RulesChange { put: rules, remove };
    if in_force.len_after(&change) > RULES_MAX {
        return Err(format!("spec.resources: at most {RULES_MAX} rules are kept; delete some"));
    }
    Ok(change)
}

/// The rule that a delete names.
///
/// # Errors
/// 400 if there is no such rule.
pub fn deletion(request: &DeleteRequest, in_force: &RuleSet) -> Result<RuleRef, Reply> {
    let target = &request.target;
    let (kind, name) = match target.split_once('/') {
        None => return Err(Reply::bad("expected one resource")),
        Some(("", _)) => return Err(Reply::bad("empty resource kind")),
        Some((_, "")) => return Err(Reply::bad("empty name")),
        Some(parts) => parts,
    };
    if kind.eq_ignore_ascii_case(PROCESS_KIND) {
        let fault = "is not deleted here; delete the instance itself";
        return Err(Reply::bad(&format!("{target} {fault}")));
    }
    let is_other = !request.api_version.is_empty() && request.api_version != API_VERSION;
    let kind = RuleKind::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(kind));
    let rule = kind.map(|kind| RuleRef { kind, name: name.into() });
    let found = rule.filter(|rule| !is_other && in_force.spec(rule).is_some());
    found.ok_or_else(|| Reply::bad(&format!("{target} not found")))
}

/// The answer to `plan`.
pub fn plan_result(planned: &[PlannedRule], generation: u64, time: Wall) -> Reply {
    let is_done = |planned: &PlannedRule| planned.change == Changed::Unchanged;
    let phase = if planned.iter().all(is_done) { "Applied" } else { "Pending" };
    let phase_of = |planned: &PlannedRule| if is_done(planned) { "Applied" } else { "Pending" };
    result("PlanResult", phase, planned, phase_of, generation, time)
}

/// The answer to `apply`.
pub fn apply_result(planned: &[PlannedRule], generation: u64, time: Wall) -> Reply {
    let phase_of = |planned: &PlannedRule| match planned.change {
        Changed::Removed => "Removed",
        Changed::Created | Changed::Updated | Changed::Unchanged => "Applied",
    };
    result("ApplyResult", "Applied", planned, phase_of, generation, time)
}

fn result(
    kind: &'static str,
    phase: &'static str,
    planned: &[PlannedRule],
    phase_of: impl Fn(&PlannedRule) -> &'static str,
    generation: u64,
    time: Wall,
) -> Reply {
    let resource = |planned: &PlannedRule| ResourceResult {
        id: planned.rule.to_string(),
        phase: phase_of(planned),
        plan: [match planned.change {
            Changed::Created => "create",
            Changed::Updated => "update",
            Changed::Unchanged => "unchanged",
            Changed::Removed => "delete",
        }],
    };
    let resources = planned.iter().map(resource).collect();
    let result = ResultWire { generation, timestamp: rfc3339_nano(time), phase, resources };
    Reply::main(&ResultEnvelope { api_version: CONTROL_API_VERSION, kind, result })
}

/// The answer to `validate`: always 200.
pub fn validate_result(fault: Option<&str>) -> Reply {
    let error = fault.unwrap_or_default();
    Reply::main(&ValidateWire {
        api_version: CONTROL_API_VERSION,
        kind: "ValidateResult",
        valid: fault.is_none(),
        error,
    })
}

/// The answer to `delete`.
pub fn delete_result(rule: &RuleRef, dry_run: bool) -> Reply {
    Reply::main(&DeleteWire {
        api_version: CONTROL_API_VERSION,
        kind: "DeleteResult",
        deleted: [rule.to_string()],
        dry_run,
    })
}

/// The answer to `log-level`.
pub fn log_level_result(level: LogLevel) -> Reply {
    Reply::main(&LogLevelWire {
        api_version: CONTROL_API_VERSION,
        kind: "LogLevelResult",
        level: level.as_str(),
    })
}
