//! `openctrl state repair`: says what of a damaged state can be kept, and keeps it.
//!
//! `openctrl_core::store` decides what is kept, `state` writes it. This module has the words and the
//! question.

use std::fmt::Write;
use std::io::{self, Write as _};
use std::path::Path;

use openctrl_core::ids::InstanceId;
use openctrl_core::store::{Image, Loss, Older, Repair, RepairError, Verdict, repair};

use crate::client::{Failure, confirm, plain};
use crate::counted::counted;
use crate::state::{StateDirectory, StoreError, with_files};

/// Repairs the state in a directory. Reports first, and asks unless the user is sure.
///
/// # Errors
/// When nothing can be kept, a master uses the directory, or a newer program wrote it; and when the
/// answer is no.
pub(crate) fn run(directory: &Path, is_sure: bool) -> Result<(), Failure> {
    // Nothing is made in the directory of another program, and none is created.
    if matches!(look(directory)?, Verdict::Nothing) {
        return Err(nothing(directory));
    }
    let mut held = StateDirectory::open(directory).map_err(cannot_hold)?;
    let repair = match look(directory)? {
        Verdict::Nothing => return Err(nothing(directory)),
        Verdict::Whole(state) => {
            let instances = counted(state.image.instances.len() as u64, "instance");
            return print(&format!(
                "{}: complete, {instances}: there is nothing to repair\n",
                directory.display()
            ));
        }
        Verdict::Partial(repair) => repair,
    };
    let report = report(directory, &repair);
    print(&report)?;
    if !is_sure {
        confirm(&format!("Repair the state in {}?", directory.display()))?;
    }
    let folder = held.replace(&repair.image, repair.next_generation, &report);
    let folder = folder.map_err(|error| {
        let directory = directory.display();
        Failure::Refused(format!("cannot repair the state in {directory}: {error}; try again"))
    })?;
    print(&format!("repaired; the damaged files are in {}\n", folder.display()))
}

fn look(directory: &Path) -> Result<Verdict, Failure> {
    let shown = directory.display();
    let looked =
        with_files(directory, repair).map_err(|error| Failure::Refused(error.to_string()))?;
    looked.map_err(|error| {
        Failure::Refused(match error {
            RepairError::Newer(reason) => {
                format!("the state in {shown} is not repaired: {reason}")
            }
            RepairError::NoSnapshot(reason) => format!(
                "nothing of the state in {shown} can be kept: {reason}. Put a copy in its place, \
                 or start with a new key and no instances by moving openctrl.state* and \
                 openctrl.journal.* away"
            ),
        })
    })
}

fn cannot_hold(error: StoreError) -> Failure {
    if let StoreError::Locked(path) = error {
        let path = path.display();
        return Failure::Refused(format!(
            "a master uses the state directory {path}: stop it before the repair"
        ));
    }
    Failure::Refused(error.to_string())
}

fn nothing(directory: &Path) -> Failure {
    Failure::Refused(format!("there is no state of a master in {}", directory.display()))
}

fn print(text: &str) -> Result<(), Failure> {
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::Refused(format!("cannot write the output: {error}")))
}

/// What is wrong, what is kept, what is given up, and what may be older than it was.
fn report(directory: &Path, repair: &Repair) -> String {
    let Repair { image, reason, snapshot, is_backup, records, given_up, older, .. } = repair;
    let base = if *is_backup { "the backup" } else { "the snapshot" };
    let mut text = format!(
        "{}: damaged: {reason}\n\
         kept: master {}, {}: {base} of generation {snapshot} and {}\n",
        directory.display(),
        image.master.mid,
        counted(image.instances.len() as u64, "instance"),
        counted(*records, "later change"),
    );
    match &given_up[..] {
        [] => text.push_str("given up: nothing\n"),
        losses => {
            text.push_str("given up:\n");
            losses.iter().for_each(|loss| text.push_str(&format!("  {loss}\n")));
        }
    }
    add_older(&mut text, image, older);
    if given_up.iter().any(Loss::has_records) {
        text.push_str(
            "An instance that a lost change created is missing. One that it deleted is there again, \
             one that it stopped is started, and a token that it revoked is valid.\n",
        );
    }
    text
}

fn add_older(text: &mut String, image: &Image, older: &Older) {
    let Older { instances, tokens, master, rules } = older;
    let mut lines = Vec::new();
    if !instances.is_empty() {
        let names: Vec<String> = instances.iter().map(|id| name(image, *id)).collect();
        lines.push(format!("{}: {}", counted(names.len() as u64, "instance"), names.join(", ")));
    }
    if !tokens.is_empty() {
        let names: Vec<&str> = tokens.iter().map(|name| name.as_str()).collect();
        lines.push(format!("{}: {}", counted(names.len() as u64, "token"), names.join(", ")));
    }
    if *master {
        lines.push("the API key and the alias of the master".to_owned());
    }
    if *rules {
        lines.push("the rules of the control API".to_owned());
    }
    if !lines.is_empty() {
        text.push_str("may be older than it was, if a lost change was about it:\n");
    }
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

/// The id of an instance, with its alias if it has one.
fn name(image: &Image, id: InstanceId) -> String {
    let alias = image.instances.get(&id).map(|stored| &*stored.definition.alias);
    match alias.unwrap_or_default() {
        "" => id.to_string(),
        alias => format!("{} ({id})", plain(alias)),
    }
}
