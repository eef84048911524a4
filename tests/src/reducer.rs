//! The state a published client keeps: instances by id, changed by events.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Event;

/// Instances by id, as a dashboard holds them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reducer {
    instances: BTreeMap<String, Value>,
}

impl Reducer {
    /// A state that holds what `GET /instances` answered.
    pub fn from_list(list: &[Value]) -> Self {
        let by_id = |value: &Value| (value["id"].as_str().unwrap_or("").to_owned(), value.clone());
        Self { instances: list.iter().map(by_id).collect() }
    }

    /// Applies one event as the published reducer does: `shutdown` and events without an
    /// instance change nothing, `delete` removes, every other type (`log` too) replaces.
    pub fn apply(&mut self, event: &Event) {
        let Some(id) = event.instance["id"].as_str() else { return };
        match event.kind.as_str() {
            "shutdown" => {}
            "delete" => {
                self.instances.remove(id);
            }
            _ => {
                self.instances.insert(id.to_owned(), event.instance.clone());
            }
        }
    }

    /// The instances held, by id.
    pub fn instances(&self) -> &BTreeMap<String, Value> {
        &self.instances
    }
}
