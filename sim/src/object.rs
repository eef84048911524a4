//! Instance objects as clients see them, read back from their JSON.
//!
//! Not a JSON parser: the engine renders objects compactly and in one order of fields (the core's
//! own tests pin that), and quotes inside of strings are escaped, so that the text between two
//! field names is a field.

use openctrl_core::instance::{Definition, Instance, Status};
use std::sync::Arc;

/// What an object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The whole object.
    pub json: String,
    /// All that the operator defined: the object without status, gauges and totals.
    pub definition: String,
    /// The URL, as it stands in the JSON.
    pub url: String,
    /// The status; `None` for the key instance.
    pub status: Option<Status>,
    /// `restart`.
    pub restart: bool,
    /// `ping pool tcps udps`.
    pub live: [u64; 4],
    /// The byte counters.
    pub totals: [u64; 4],
}

impl Shown {
    /// Reads an object.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let json = std::str::from_utf8(json).map_err(|error| format!("not UTF-8: {error}"))?;
        let missing = |what: &str| format!("no {what} in {json}");
        let (head, rest) = json.split_once("\"status\":\"").ok_or_else(|| missing("status"))?;
        let (status, rest) = rest.split_once("\",").ok_or_else(|| missing("status"))?;
        let (tail, numbers) = rest.rsplit_once(",\"mode\":").ok_or_else(|| missing("mode"))?;
        let url =
            tail.split_once("\"url\":\"").and_then(|(_, rest)| rest.split_once("\",\"config\""));
        let (url, _) = url.ok_or_else(|| missing("url"))?;
        let numbers = numbers.strip_suffix('}').ok_or_else(|| missing("end"))?;
        let mut values = numbers.split(',').skip(1).map(|field| {
            let value = field.rsplit_once(':').map_or(field, |(_, value)| value);
            value.parse::<u64>().map_err(|_| format!("{field} is no unsigned number"))
        });
        let mut four = || -> Result<[u64; 4], String> {
            let mut next = || values.next().unwrap_or_else(|| Err(missing("number")));
            Ok([next()?, next()?, next()?, next()?])
        };
        Ok(Self {
            json: json.to_string(),
            definition: format!("{head}{tail}"),
            url: url.to_string(),
            status: parse_status(status)?,
            restart: tail.contains(",\"restart\":true,"),
            live: four()?,
            totals: four()?,
        })
    }

    /// What every object of an instance with this definition says of it.
    pub fn definition_of(definition: &Arc<Definition>) -> String {
        let instance = Instance::new(Arc::clone(definition), 0, Default::default());
        let shown = Self::parse(&instance.view().json());
        shown.expect("the core renders what this module reads").definition
    }
}

fn parse_status(text: &str) -> Result<Option<Status>, String> {
    match text {
        "" => Ok(None),
        "stopped" => Ok(Some(Status::Stopped)),
        "running" => Ok(Some(Status::Running)),
        "error" => Ok(Some(Status::Error)),
        other => Err(format!("unknown status {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::ids::InstanceId;
    use openctrl_core::url::InstanceUrl;

    #[test]
    fn reads_what_the_core_renders() {
        let url = InstanceUrl::parse("demo:\",\"status\":\"x").expect("a valid URL");
        let mut definition = Definition::new(InstanceId(1), url, "\"url\":\"".to_string());
        definition.meta.tags.insert("mode".to_string(), ",\"mode\":1".to_string());
        let totals =
            openctrl_core::counters::Totals { tcptx: 7, udptx: u64::MAX, ..Default::default() };
        let definition = Arc::new(definition);
        let instance = Instance::new(Arc::clone(&definition), -4, totals);
        let shown = Shown::parse(&instance.view().json()).expect("an object");
        assert_eq!(shown.status, Some(Status::Stopped));
        assert_eq!(shown.url, r#"demo:\",\"status\":\"x"#);
        assert_eq!((shown.restart, shown.live), (true, [0; 4]));
        assert_eq!(shown.totals, [0, 7, 0, i64::MAX as u64]);
        assert_eq!(shown.definition, Shown::definition_of(&definition));
        assert!(Shown::parse(b"{}").is_err());
    }
}
