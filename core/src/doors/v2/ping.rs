//! `GET /tcping` (Contract §9): its target and its report. When to dial is the engine's decision.

use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::Serialize;

use crate::command::{PingOutcome, PingReport, Refusal};

impl PingReport {
    /// The JSON of the report.
    pub fn json(&self) -> Bytes {
        #[derive(Serialize)]
        struct Body<'a> {
            target: &'a str,
            connected: bool,
            latency: u64,
            error: Option<&'a str>,
        }
        let target = &self.target;
        let body = match &self.outcome {
            PingOutcome::Connected { latency_ms } => {
                Body { target, connected: true, latency: *latency_ms, error: None }
            }
            PingOutcome::Failed(error) => {
                Body { target, connected: false, latency: 0, error: Some(error) }
            }
        };
        Bytes::from(serde_json::to_vec(&body).expect("strings and integers always encode"))
    }
}

/// The `target` of a tcping query.
///
/// # Errors
/// 400 when there is none.
pub fn ping_target(query: &str) -> Result<String, Refusal> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, target)| name == "target" && !target.is_empty())
        .map(|(_, target)| target.into_owned())
        .ok_or_else(|| Refusal::Bad("no target; ask for /tcping?target=host:port".to_string()))
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
        let report = |outcome| PingReport { target: "a:1".to_string(), outcome }.json();
        assert_eq!(
            report(PingOutcome::Connected { latency_ms: 3 }),
            r#"{"target":"a:1","connected":true,"latency":3,"error":null}"#
        );
        assert_eq!(
            report(PingOutcome::Failed("refused".to_string())),
            r#"{"target":"a:1","connected":false,"latency":0,"error":"refused"}"#
        );
    }
}
