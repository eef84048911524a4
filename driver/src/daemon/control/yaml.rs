//! YAML of candidates as a tree, bounded: aliases cannot multiply what was sent.

use openctrl_core::doors::control::BODY_MAX_BYTES;
use serde_json::Value;
use serde_saphyr::budget::Budget;
use serde_saphyr::options::{AliasLimits, Options};

/// Nodes that a candidate may have, aliases resolved. A thousand rules have some ten thousand.
const NODES_MAX: usize = 100_000;

/// How deep they may be nested.
const DEPTH_MAX: usize = 64;

/// Reads one YAML document. JSON is YAML.
///
/// # Errors
/// What is wrong with it, and where; or that it is too large.
pub(super) fn decode(text: &str) -> Result<Value, String> {
    let mut budget = Budget::default();
    budget.max_events = NODES_MAX;
    budget.max_nodes = NODES_MAX;
    budget.max_depth = DEPTH_MAX;
    budget.max_documents = 1;
    budget.max_total_scalar_bytes = 2 * BODY_MAX_BYTES;
    let mut limits = AliasLimits::default();
    limits.max_total_replayed_events = NODES_MAX;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.alias_limits = limits;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.to_string();
        let line = error.lines().next().unwrap_or_default();
        format!("candidateYaml: {line}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_and_json_are_read() {
        let yaml = "spec:\n  resources:\n    - kind: EventRule\n      on: true\n      n: 3\n";
        let expected = json!({"spec": {"resources": [{"kind": "EventRule", "on": true, "n": 3}]}});
        assert_eq!(decode(yaml), Ok(expected.clone()));
        assert_eq!(decode(&expected.to_string()), Ok(expected));
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        for bad in ["a: [1, 2", "a: b: c", "- a\nb: c", "a: 1\n---\nb: 2", "a: 1\na: 2"] {
            let error = decode(bad).expect_err(bad);
            assert!(error.starts_with("candidateYaml: "), "{error}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        // In full it has 10^12 items: without a limit the test would not end.
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            let items = vec![alias; 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{items}]\n");
        }
        assert!(decode(&bomb).is_err());
        assert!(decode(&"[".repeat(100_000)).is_err());
        assert!(decode(&"{a: ".repeat(100_000)).is_err());
    }

    #[test]
    fn an_alias_that_is_harmless_is_resolved() {
        let yaml = "a: &x {k: v}\nb: *x\n";
        assert_eq!(decode(yaml), Ok(json!({"a": {"k": "v"}, "b": {"k": "v"}})));
    }
}
