//! `GET /tcping` (Contract §9): its target and its report. When to dial is the engine's decision.

use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::Serialize;

use super::status::Rejection;
use crate::command::{DialOutcome, DialReport};

/// The JSON of a report.
pub(super) fn render_dial(DialReport { target, outcome }: &DialReport) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        target: &'a str,
        connected: bool,
        latency: u64,
        error: Option<&'a str>,
    }
    let body = match outcome {
        DialOutcome::Connected { latency_ms } => {
            Body { target, connected: true, latency: *latency_ms, error: None }
        }
        DialOutcome::Failed(error) => {
            Body { target, connected: false, latency: 0, error: Some(error) }
        }
    };
    Bytes::from(serde_json::to_vec(&body).expect("strings and integers always encode"))
}

/// The `target` of a tcping query.
///
/// # Errors
/// 400 if it is missing.
pub fn ping_target(query: &str) -> Result<String, Rejection> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, target)| name == "target" && !target.is_empty())
        .map(|(_, target)| target.into_owned())
        .ok_or_else(|| Rejection::Bad("no target; ask for /tcping?target=host:port".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_escaped_or_not() {
        for query in ["target=[::1]:80", "x=1&target=%5B%3A%3A1%5D%3A80", "target=&target=[::1]:80"]
        {
            assert_eq!(ping_target(query).as_deref(), Ok("[::1]:80"), "{query}");
        }
        for query in ["", "target", "target=", "Target=a:1"] {
            assert_eq!(ping_target(query).expect_err(query).status(), 400);
        }
    }

    #[test]
    fn reports_have_all_four_fields() {
        let report = |outcome| render_dial(&DialReport { target: "a:1".to_string(), outcome });
        assert_eq!(
            report(DialOutcome::Connected { latency_ms: 3 }),
            r#"{"target":"a:1","connected":true,"latency":3,"error":null}"#
        );
        assert_eq!(
            report(DialOutcome::Failed("refused".to_string())),
            r#"{"target":"a:1","connected":false,"latency":0,"error":"refused"}"#
        );
    }
}
