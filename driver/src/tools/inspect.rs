//! `openctrl state check` and `export`: read a state directory and change nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use openctrl_core::store::{Image, Recovered, StoredInstance};
use serde_json::{Value, json};

use crate::counted::counted;
use crate::state::{StoreError, is_held, read_state};

/// The replacement of a secret.
const REDACTED: &str = "<redacted>";

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum InspectError {
    /// The directory has no state.
    Nothing(PathBuf),
    /// The state cannot be read.
    Store(StoreError),
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing(path) => {
                write!(f, "there is no state of a master in {}", path.display())
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InspectError {}

/// Says whether the state in a directory is complete.
///
/// # Errors
/// When there is no state, or not all of it.
pub(crate) fn check(directory: &Path) -> Result<String, InspectError> {
    read(directory).map(|state| report(directory, &state))
}

/// Prints the state in a directory as JSON.
///
/// # Errors
/// When there is no state, or not all of it.
pub(crate) fn export(directory: &Path, with_secrets: bool) -> Result<String, InspectError> {
    let json = document(&read(directory)?.image, with_secrets);
    let text = serde_json::to_string_pretty(&json);
    Ok(text.expect("strings and integers always encode") + "\n")
}

fn read(directory: &Path) -> Result<Recovered, InspectError> {
    let state = read_state(directory).map_err(InspectError::Store)?;
    state.ok_or_else(|| InspectError::Nothing(directory.to_owned()))
}

fn report(directory: &Path, state: &Recovered) -> String {
    let mut text = format!(
        "{}: complete\nmaster {}, {}, generation {}, {} in its journal\n",
        directory.display(),
        state.image.master.mid,
        counted(state.image.instances.len() as u64, "instance"),
        state.generation,
        counted(state.records, "change"),
    );
    for finding in &state.findings {
        text.push_str(&format!("note: {finding}\n"));
    }
    if is_held(directory) {
        text.push_str("note: a master is using it; what it writes meanwhile may look unfinished\n");
    }
    text
}

fn document(image: &Image, with_secrets: bool) -> Value {
    let key = if with_secrets { image.master.key.reveal() } else { REDACTED };
    let instances: Vec<Value> =
        image.instances.values().map(|stored| instance(stored, with_secrets)).collect();
    json!({
        "master": { "mid": image.master.mid, "alias": image.master.alias, "key": key },
        "instances": instances,
    })
}

fn instance(stored: &StoredInstance, with_secrets: bool) -> Value {
    let definition = &stored.definition;
    let url = definition.url();
    let url = if with_secrets { url.as_str().to_owned() } else { url.redacted() };
    let totals = stored.totals.totals();
    json!({
        "id": definition.id.to_string(),
        "alias": definition.alias,
        "url": url,
        "restart": definition.restarts(),
        "meta": definition.meta,
        "mode": stored.totals.mode,
        "tcprx": totals.tcprx,
        "tcptx": totals.tcptx,
        "udprx": totals.udprx,
        "udptx": totals.udptx,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::inbox::inbox;
    use crate::daemon::store::StoreWriter;
    use crate::state::StateDirectory;
    use openctrl_core::counters::SavedTotals;
    use openctrl_core::ids::InstanceId;
    use openctrl_core::instance::Definition;
    use openctrl_core::master::MasterIdentity;
    use openctrl_core::store::Record;
    use openctrl_core::url::InstanceUrl;
    use std::sync::Arc;

    fn image() -> Image {
        let mut image = Image::new(MasterIdentity::from_random([1; 8], [0xab; 16]));
        let url = InstanceUrl::parse("a://me:hush@host/?token=hush").expect("a good URL");
        let definition = Arc::new(Definition::new(InstanceId(1), url, "edge".to_owned()));
        let (desired, totals) = (Arc::default(), SavedTotals::default());
        image.apply(&Record::PutInstance { definition, desired, totals });
        image
    }

    #[test]
    fn a_state_is_checked_and_exported_without_secrets() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let check = || check(home.path());
        let error = check().expect_err("there is nothing").to_string();
        assert!(error.starts_with("there is no state"), "{error}");

        let (mailbox, _inbox) = inbox();
        let directory = StateDirectory::open(home.path()).expect("it can be used");
        let writer = StoreWriter::start(directory, image(), mailbox).expect("saved");
        assert!(check().expect("complete").contains("a master is using it"));
        writer.finish();
        let report = check().expect("complete");
        assert!(report.contains("complete\n") && report.contains("1 instance,"), "{report}");
        assert!(!report.contains("note"), "{report}");

        let export = |with_secrets| export(home.path(), with_secrets).expect("complete");
        let (plain, secret) = (export(false), export(true));
        assert!(!plain.contains("hush") && !plain.contains("abab"), "{plain}");
        assert!(secret.contains("me:hush") && secret.contains("abab"), "{secret}");
        let value: Value = serde_json::from_str(&plain).expect("JSON");
        assert_eq!(value["instances"][0]["alias"], "edge");
    }
}
