//! The ledger of children: what a master writes down of every process that it starts, so that
//! after its crash the next one knows them (Contract §11).
//!
//! A text file beside the state, one line a fact, never synced: it has to outlive the master, not
//! the machine. A start is written down before it happens, with the pipe or the file that the
//! process will print to, so that one whose id was never written is found all the same.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use openctrl_core::ids::{InstanceId, ProcessRef};

use super::stat::Sink;
use crate::file_identity::{FileIdentity, Place};
use crate::outputs::Outputs;

const FILE: &str = "openctrl.children";
const HEADER: &str = "openctrl-children 1";

/// Lines that may have become meaningless before the file is written anew; at some 40 bytes a
/// line this bounds it beside what lives.
const STALE_MAX: usize = 10_000;

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    /// What it runs for.
    pub(crate) instance: InstanceId,
    /// What it prints to.
    pub(crate) outputs: Outputs<Sink>,
    /// Its process id and start time, in clock ticks since the machine started.
    pub(crate) born: Option<(i32, u64)>,
}

/// An open ledger. A disk that cannot be written is told of once and tried again: supervision goes
/// on, and what is known here is written down when the disk lets us.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    boot: String,
    file: Option<(File, FileIdentity)>,
    children: BTreeMap<u64, Child>,
    numbers: HashMap<ProcessRef, u64>,
    next: u64,
    lines: usize,
    is_failing: bool,
    /// Whether the file was found to be another one, which may be that of another master.
    is_replaced: bool,
}

impl Ledger {
    /// Reads what the last master wrote, if the machine was not restarted since, and begins a new
    /// ledger with the same children: they are in it until they are told to be gone.
    pub(crate) fn open(directory: &Path) -> Self {
        let (path, boot) = (directory.join(FILE), boot_id());
        let children = fs::read(&path)
            .map(|text| parse(&String::from_utf8_lossy(&text), &boot))
            .unwrap_or_default();
        let next = children.keys().last().map_or(1, |last| last + 1);
        let mut ledger = Self {
            path,
            boot,
            file: None,
            children,
            numbers: HashMap::new(),
            next,
            lines: 0,
            is_failing: false,
            is_replaced: false,
        };
        ledger.rewrite();
        ledger
    }

    /// Whether the file does not say all that is known here; `retry` may help.
    pub(crate) const fn is_behind(&self) -> bool {
        self.is_failing
    }

    /// Tries to write down what could not be written before.
    pub(crate) fn retry(&mut self) {
        if self.is_failing {
            self.rewrite();
        }
    }

    /// Closes the file: whoever writes to it next opens it again, on a thread where it is good.
    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    /// The children that are not known to be gone, oldest first.
    pub(crate) fn children(&self) -> impl Iterator<Item = (u64, Child)> + '_ {
        self.children.iter().map(|(number, child)| (*number, *child))
    }

    /// A process is about to be started.
    pub(crate) fn intend(
        &mut self,
        process: ProcessRef,
        instance: InstanceId,
        outputs: Outputs<Sink>,
    ) {
        let number = self.next;
        self.next += 1;
        let child = Child { instance, outputs, born: None };
        self.children.insert(number, child);
        self.numbers.insert(process, number);
        self.append(&intended(number, &child));
    }

    /// It was.
    pub(crate) fn born(&mut self, process: ProcessRef, pid: i32, start_ticks: u64) {
        let Some(number) = self.numbers.get(&process).copied() else { return };
        if let Some(child) = self.children.get_mut(&number) {
            child.born = Some((pid, start_ticks));
            self.append(&format!("= {number} {pid} {start_ticks}\n"));
        }
    }

    /// A child of the last master goes by this name from now on.
    pub(crate) fn name(&mut self, process: ProcessRef, number: u64) {
        self.numbers.insert(process, number);
    }

    /// A process and its group are gone, or it never came to be.
    pub(crate) fn gone(&mut self, process: ProcessRef) {
        if let Some(number) = self.numbers.remove(&process) {
            self.forget(number);
        }
    }

    /// The same of a child of the last master.
    pub(crate) fn forget(&mut self, number: u64) {
        if self.children.remove(&number).is_some() {
            self.append(&format!("- {number}\n"));
        }
    }

    /// Writes the file again if it was removed or renamed.
    pub(crate) fn look(&mut self) {
        let Some((_, identity)) = &self.file else { return };
        let place = identity.place(&self.path);
        let was_replaced = self.is_replaced;
        self.is_replaced = matches!(place, Ok(Place::Replaced));
        let path = self.path.display();
        match place {
            Ok(Place::Missing) => {
                tracing::warn!("Master.run: {path} was removed or renamed; writing it again");
                self.rewrite();
            }
            Ok(Place::Replaced) if !was_replaced => tracing::warn!(
                "Master.run: {path} was replaced by another file, which the master leaves alone; after a \
                 crash of this master, the next one does not recognize its processes"
            ),
            Ok(Place::Replaced | Place::Same) | Err(_) => {}
        }
    }

    fn append(&mut self, line: &str) {
        self.look();
        if self.is_replaced {
            return;
        }
        self.lines += 1;
        if self.file.is_none() || self.lines > STALE_MAX + 4 * self.children.len() {
            return self.rewrite();
        }
        if let Some((file, _)) = &mut self.file
            && let Err(error) = file.write_all(line.as_bytes())
        {
            self.fail(&error);
        }
    }

    /// Begins the file anew with what is known; a crash leaves the old one or the new one.
    fn rewrite(&mut self) {
        let temporary = self.path.with_extension("children.tmp");
        let written = self.write_to(&temporary).and_then(|file| {
            fs::rename(&temporary, &self.path)?;
            let identity = FileIdentity::of(&file)?;
            Ok((file, identity))
        });
        match written {
            Ok(file) => {
                self.file = Some(file);
                if std::mem::take(&mut self.is_failing) {
                    let path = self.path.display();
                    tracing::info!("Master.run: {path} can be written again");
                }
            }
            Err(error) => {
                // The room that it takes may be what is missing.
                let _ = fs::remove_file(&temporary);
                self.fail(&error);
            }
        }
    }

    fn write_to(&mut self, path: &Path) -> io::Result<File> {
        let mut text = format!("{HEADER} {}\n", self.boot);
        for (number, child) in &self.children {
            text.push_str(&intended(*number, child));
            if let Some((pid, start_ticks)) = child.born {
                text.push_str(&format!("= {number} {pid} {start_ticks}\n"));
            }
        }
        self.lines = 3 * self.children.len();
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        Ok(file)
    }

    /// What was written last may be half a line: the file has to be begun anew.
    fn fail(&mut self, error: &io::Error) {
        self.file = None;
        if !std::mem::replace(&mut self.is_failing, true) {
            let path = self.path.display();
            tracing::warn!(
                "Master.run: cannot write {path}: {error}; until it can be written, a crash of \
                 the master leaves processes behind that the next one does not know"
            );
        }
    }
}

/// What a ledger says of children that may be alive. A line that cannot be read, as the last one
/// may be after a crash, says nothing.
fn parse(text: &str, boot: &str) -> BTreeMap<u64, Child> {
    let mut children = BTreeMap::new();
    let mut lines = text.lines();
    if lines.next() != Some(&format!("{HEADER} {boot}")) {
        return children;
    }
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
        match (words.first().copied(), number(1)) {
            (Some("+"), Some(key)) => {
                let instance = words.get(2).and_then(|word| InstanceId::parse(word));
                let output = number(3).map(|inode| match number(4) {
                    Some(device) => Sink::File { inode, device },
                    None => Sink::Pipe(inode),
                });
                if let (Some(instance), Some(output)) = (instance, output) {
                    let outputs = Outputs::joined(output);
                    children.insert(key, Child { instance, outputs, born: None });
                }
            }
            (Some("2"), Some(key)) => {
                if let (Some(child), Some(pipe)) = (children.get_mut(&key), number(2)) {
                    child.outputs.stderr = Some(Sink::Pipe(pipe));
                }
            }
            (Some("="), Some(key)) => {
                let pid = number(2).and_then(|pid| i32::try_from(pid).ok());
                if let (Some(child), Some(pid), Some(ticks)) =
                    (children.get_mut(&key), pid, number(3))
                {
                    child.born = Some((pid, ticks));
                }
            }
            (Some("-"), Some(key)) => {
                children.remove(&key);
            }
            _ => {}
        }
    }
    children
}

/// A child that is about to be started, as it is written down. Standard error that has a pipe of its
/// own is on a line of its own, which earlier versions leave out.
fn intended(number: u64, child: &Child) -> String {
    let Child { instance, outputs: Outputs { stdout, stderr }, .. } = child;
    let mut text = match stdout {
        Sink::Pipe(inode) => format!("+ {number} {instance} {inode}\n"),
        Sink::File { inode, device } => format!("+ {number} {instance} {inode} {device}\n"),
    };
    if let Some(Sink::Pipe(inode)) = stderr {
        text.push_str(&format!("2 {number} {inode}\n"));
    }
    text
}

/// Tells one run of the machine from another; process ids mean nothing across them.
fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::ids::{Generation, SlotId};

    fn process(generation: u64) -> ProcessRef {
        ProcessRef { slot: SlotId(0), generation: Generation(generation) }
    }

    fn pipe(number: u64) -> Outputs<Sink> {
        Outputs::joined(Sink::Pipe(number))
    }

    fn child(instance: u32, pipe: u64, born: Option<(i32, u64)>) -> Child {
        let outputs = Outputs::joined(Sink::Pipe(pipe));
        Child { instance: InstanceId(instance), outputs, born }
    }

    #[test]
    fn what_is_not_gone_is_known_to_the_next_master() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut ledger = Ledger::open(home.path());
        ledger.intend(process(1), InstanceId(1), pipe(11));
        ledger.born(process(1), 100, 1000);
        ledger.intend(process(2), InstanceId(2), pipe(12));
        ledger.born(process(2), 101, 1001);
        ledger.intend(process(3), InstanceId(3), pipe(13));
        ledger.gone(process(2));
        drop(ledger);

        let known = [(1, child(1, 11, Some((100, 1000)))), (3, child(3, 13, None))];
        let again = Ledger::open(home.path());
        assert_eq!(again.children().collect::<Vec<_>>(), known);
        drop(again);
        // Not told to be gone, they are known to the one after that as well.
        let mut third = Ledger::open(home.path());
        assert_eq!(third.children().collect::<Vec<_>>(), known);
        third.name(process(1), 1);
        third.gone(process(1));
        third.forget(3);
        drop(third);
        assert_eq!(Ledger::open(home.path()).children().count(), 0);
    }

    #[test]
    fn a_torn_line_and_another_boot_say_nothing() {
        let text = format!(
            "{HEADER} b\n+ 1 0000000a 11\n= 1 100 1000\n+ 3 0000000c 13 2049\n+ 2 0000000b 12\n= 2 10"
        );
        let children = parse(&text, "b");
        assert_eq!(children[&3].outputs.stdout, Sink::File { inode: 13, device: 2049 });
        assert_eq!(children[&1], child(10, 11, Some((100, 1000))));
        assert_eq!(children[&2].born, None);
        assert!(parse(&text, "c").is_empty());
        assert!(parse("", "b").is_empty());
        assert!(parse("garbage\n+ 1 0000000a 11", "b").is_empty());
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut ledger = Ledger::open(home.path());
        // A directory in the place of the temporary file, and the file itself lost.
        let obstacle = home.path().join("openctrl.children.tmp");
        fs::create_dir(&obstacle).expect("made");
        ledger.fail(&io::Error::other("the disk is full"));
        ledger.intend(process(1), InstanceId(1), pipe(11));
        ledger.born(process(1), 100, 1000);
        assert!(ledger.is_behind());
        fs::remove_dir(&obstacle).expect("removed");
        ledger.retry();
        assert!(!ledger.is_behind());
        drop(ledger);
        let known = [(1, child(1, 11, Some((100, 1000))))];
        assert_eq!(Ledger::open(home.path()).children().collect::<Vec<_>>(), known);
    }

    #[test]
    fn a_file_that_was_removed_is_written_anew_and_that_of_another_stays() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join(FILE);
        let mut ledger = Ledger::open(home.path());
        ledger.intend(process(1), InstanceId(1), pipe(11));
        fs::remove_file(&path).expect("removed");
        ledger.look();
        assert_eq!(Ledger::open(home.path()).children().count(), 1);
        // That one has put its own file there.
        ledger.intend(process(2), InstanceId(2), pipe(12));
        assert_eq!(Ledger::open(home.path()).children().count(), 1);
    }

    #[test]
    fn the_file_does_not_grow_with_restarts() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut ledger = Ledger::open(home.path());
        for generation in 0..20_000 {
            ledger.intend(process(generation), InstanceId(1), pipe(generation));
            ledger.born(process(generation), 1, 2);
            ledger.gone(process(generation));
        }
        let size = fs::metadata(home.path().join(FILE)).expect("it exists").len();
        assert!(size < 1_000_000, "{size} bytes");
    }
}
