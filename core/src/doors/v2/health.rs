//! The health object: `GET /health`, for load balancers and probes without a key.
//!
//! It describes the master and not its instances.

use bytes::Bytes;
use serde::Serialize;

use super::answer::Answer;

/// How the master is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the master answers: it has started and its loop makes progress.
    pub is_alive: bool,
    /// Whether the master is shutting down.
    pub is_draining: bool,
    /// Whether the state can be saved.
    pub is_disk_good: bool,
    /// Whether reports to a webhook fail, which says nothing about being ready; `None` without one.
    pub webhooks_fail: Option<bool>,
}

/// Fields in the order of the wire.
#[derive(Serialize)]
struct View {
    status: &'static str,
    ready: bool,
    draining: bool,
    disk: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<&'static str>,
}

impl Health {
    /// 200 if the master is ready, 503 if it is not. The body has the reason.
    pub fn answer(self) -> Answer {
        let Self { is_alive, is_draining, is_disk_good, webhooks_fail } = self;
        let ready = is_alive && !is_draining && is_disk_good;
        let status = match (ready, is_draining) {
            (true, _) => "ready",
            (false, true) => "draining",
            (false, false) => "unavailable",
        };
        let word = |is_good| if is_good { "ok" } else { "failing" };
        let (disk, webhooks) = (word(is_disk_good), webhooks_fail.map(|fail| word(!fail)));
        let view = View { status, ready, draining: is_draining, disk, webhooks };
        let json = serde_json::to_vec(&view).expect("strings and booleans always encode");
        Answer::json(if ready { 200 } else { 503 }, Bytes::from(json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_fault_is_503_and_named() {
        let good =
            Health { is_alive: true, is_draining: false, is_disk_good: true, webhooks_fail: None };
        let cases = [
            (good, 200, r#"{"status":"ready","ready":true,"draining":false,"disk":"ok"}"#),
            (
                Health { webhooks_fail: Some(true), ..good },
                200,
                r#"{"status":"ready","ready":true,"draining":false,"disk":"ok","webhooks":"failing"}"#,
            ),
            (
                Health { is_alive: false, ..good },
                503,
                r#"{"status":"unavailable","ready":false,"draining":false,"disk":"ok"}"#,
            ),
            (
                Health { is_draining: true, ..good },
                503,
                r#"{"status":"draining","ready":false,"draining":true,"disk":"ok"}"#,
            ),
            (
                Health { is_disk_good: false, ..good },
                503,
                r#"{"status":"unavailable","ready":false,"draining":false,"disk":"failing"}"#,
            ),
        ];
        for (health, status, body) in cases {
            assert_eq!(health.answer(), Answer::json(status, Bytes::from(body)));
        }
    }
}
