//! Witnesses: instances that no client touches while masters and keepers are killed. Some stay, and
//! must be the same processes all along; one exits on request, and its exit status must be
//! known.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::child::prove_alone_as;
use crate::api::id_of;
use crate::{Api, until};

/// Scheme of the URLs of witnesses.
pub const SCHEME: &str = "crash-witness";

/// How many stay.
const STAYING: u32 = 3;

/// Tokens of witnesses, beyond those of clients.
const FIRST_TOKEN: u32 = 4_000_000_000;

/// How often the one that exits looks for the request.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The witnesses of one master.
#[derive(Debug)]
pub struct Witnesses {
    folder: PathBuf,
    staying: Vec<Staying>,
    exiting: String,
    code: i32,
}

#[derive(Debug)]
struct Staying {
    id: String,
    pid: i64,
}

/// What is wrong with witnesses.
#[derive(Debug, Default)]
pub struct Complaints {
    /// A process ended that was to stay.
    pub ended: Vec<String>,
    /// An exit status is not known, or wrong.
    pub unknown: Vec<String>,
}

impl Witnesses {
    /// Creates them; their files lie in `folder`.
    pub fn create(api: &Api, folder: &Path) -> Self {
        let url = |number: u32, what: &str| format!("{SCHEME}://{}/1?{what}", FIRST_TOKEN + number);
        let create = |number, what| id_of(&api.create(&url(number, what)));
        let ids: Vec<String> = (0..STAYING).map(|number| create(number, "stay")).collect();
        let exiting = create(STAYING, "exit");
        api.patch(&exiting, &json!({"restart": false})).expect(200);
        let staying = ids.into_iter().map(|id| {
            until("a witness to run", || api.status(&id) == "running");
            let pid = api.process(&id)["pid"].as_i64().expect("it runs");
            Staying { id, pid }
        });
        let staying = staying.collect();
        until("a witness to run", || api.status(&exiting) == "running");
        Self { folder: folder.to_owned(), staying, exiting, code: 0 }
    }

    /// Whether an instance is one of them.
    pub fn is_one(found: &Value) -> bool {
        found["url"].as_str().is_some_and(|url| url.starts_with(SCHEME))
    }

    /// Requests the exit of that one.
    pub fn tell_to_exit(&mut self) {
        self.code = self.code % 100 + 1;
        let temporary = self.folder.join("exit.tmp");
        fs::write(&temporary, self.code.to_string()).expect("the folder is writable");
        fs::rename(temporary, file(&self.folder)).expect("the folder is writable");
    }

    /// Looks whether all is as it should be, and starts the one that exited again. Without
    /// `is_strict` processes may have been replaced.
    pub fn check(&mut self, api: &Api, is_strict: bool) -> Complaints {
        let mut complaints = Complaints::default();
        for Staying { id, pid } in &mut self.staying {
            until("a witness to run", || api.status(id) == "running");
            let now = api.process(id);
            let found = now["pid"].as_i64().expect("it runs");
            if found != *pid && is_strict {
                complaints.ended.push(format!("process {pid} of {id} is {now}"));
            }
            *pid = found;
        }
        let id = &self.exiting;
        until("a witness to exit", || api.status(id) != "running");
        let last = api.process(id)["lastExit"].clone();
        if last["code"] != self.code && is_strict {
            complaints.unknown.push(format!("exit {} of {id} is {last}", self.code));
        }
        // A request before the kill that was not read must not end the next one.
        let _ = fs::remove_file(file(&self.folder));
        if api.status(id) == "error" {
            api.act(id, "stop");
        }
        api.act(id, "start");
        until("a witness to run", || api.status(id) == "running");
        complaints
    }
}

/// Lives the life of a witness; returns if the URL is none of one.
pub fn run(folder: &Path, url: &str) {
    let Some(rest) = url.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix("://")) else {
        return;
    };
    let Some((token, what)) = rest.split_once("/1?") else { exit(64) };
    let Ok(token) = token.parse() else { exit(64) };
    let _lock = prove_alone_as(folder, token, url).unwrap_or_else(|_| exit(65));
    if what == "stay" {
        loop {
            thread::park();
        }
    }
    loop {
        let code = fs::read_to_string(file(folder)).ok().and_then(|text| text.parse().ok());
        if let Some(code) = code {
            exit(code);
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("exit")
}
