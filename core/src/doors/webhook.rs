//! Reports to webhooks as JSON.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::Serialize;

use crate::webhook::Delivery;

/// Fields in the order of the wire.
#[derive(Serialize)]
struct Report<'a> {
    event: &'static str,
    time: String,
    delivery: String,
    instance: Instance<'a>,
    status: &'static str,
    reason: &'a str,
    restarts: u64,
}

#[derive(Serialize)]
struct Instance<'a> {
    id: String,
    alias: &'a str,
    r#type: &'a str,
    tags: &'a BTreeMap<String, String>,
}

/// The body of a report. The same for every try.
pub fn webhook_body(delivery: &Delivery) -> Bytes {
    let report = Report {
        event: delivery.occasion.as_str(),
        time: delivery.time.to_string(),
        delivery: delivery.id.to_string(),
        instance: Instance {
            id: delivery.instance.to_string(),
            alias: &delivery.alias,
            r#type: &delivery.kind,
            tags: &delivery.tags,
        },
        status: delivery.status.as_str(),
        reason: &delivery.reason,
        restarts: delivery.restarts,
    };
    serde_json::to_vec(&report).expect("strings and numbers always encode").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstanceId;
    use crate::instance::Status;
    use crate::occasion::Occasion;
    use crate::time::Wall;
    use crate::webhook::DeliveryId;

    #[test]
    fn a_report_has_these_fields() {
        let delivery = Delivery {
            id: DeliveryId(0x1f),
            occasion: Occasion::Error,
            time: Wall::from_micros(1_780_999_200_000_000),
            instance: InstanceId(0xab),
            alias: "we\"b".to_string(),
            kind: "exec".to_string(),
            tags: [("team".to_string(), "a".to_string())].into(),
            status: Status::Error,
            reason: "exited with code 1".to_string(),
            restarts: 2,
        };
        let body = webhook_body(&delivery);
        let expected = r#"{"event":"error","time":"2026-06-09T10:00:00.000000Z","delivery":"000000000000001f","instance":{"id":"000000ab","alias":"we\"b","type":"exec","tags":{"team":"a"}},"status":"error","reason":"exited with code 1","restarts":2}"#;
        assert_eq!(core::str::from_utf8(&body), Ok(expected));
    }
}
