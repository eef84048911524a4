//! The rounds: start, compare, look, work, kill.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::census::{Trouble, processes, trouble};
use super::child::{doubles, starts};
use super::dice::Dice;
use super::model::Model;
use super::summary::Summary;
use super::witness::{Complaints, Witnesses};
use super::work::{Account, Job, Shared, work};
use crate::{Master, binary, eventually, keeper, process};

/// Clients that work at the same time.
const CLIENTS: u32 = 4;
/// Tokens that a client may give in a round: more than it comes to use.
const TOKENS: u32 = 1000;
/// The latest moment of a kill, from the start of the work, of a start, and of a shutdown.
const WORK_MAX_US: u64 = 120_000;
const START_MAX_US: u64 = 40_000;
const SHUTDOWN_MAX_US: u64 = 30_000;
/// How long instances may take to settle after a start: a process that ignores TERM takes 5 s, and
/// one that crashes comes back within as long.
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// Between two looks at the processes.
const POLL: Duration = Duration::from_millis(4);

/// A master that is killed again and again, and what is known of its state.
pub struct Harness {
    seed: u64,
    folder: TempDir,
    runtime: PathBuf,
    master: Master,
    model: Model,
    summary: Summary,
    /// How often each process had been started when the master was last.
    starts: BTreeMap<u32, u64>,
    doubles_seen: usize,
    /// What is killed; if nothing is named, the master.
    victim: Option<Victim>,
    /// Whether processes survive a master that is killed.
    survives: bool,
    witnesses: Option<Witnesses>,
}

/// What is killed in a round, while processes survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The master.
    Master,
    /// The keeper.
    Keeper,
    /// Both at once.
    Both,
}

impl Harness {
    /// A new master; its instances run `program`, which hands calls with a URL on to
    /// [`super::child::run`].
    pub fn new(seed: u64, program: &Path) -> Self {
        Self::with(seed, program, None, false)
    }

    /// The same with a keeper, for orderly rounds.
    pub fn with_keeper(seed: u64, program: &Path) -> Self {
        Self::with(seed, program, None, true)
    }

    /// The same with processes that survive a kill.
    pub fn surviving(seed: u64, program: &Path, victim: Victim) -> Self {
        let mut harness = Self::with(seed, program, Some(victim), true);
        let witnesses = Witnesses::create(&harness.master.api(), harness.folder.path());
        harness.witnesses = Some(witnesses);
        harness
    }

    fn with(seed: u64, program: &Path, victim: Option<Victim>, has_keeper: bool) -> Self {
        let folder = TempDir::new().expect("a temporary directory can be made");
        // A file of its own: its path separates these processes from those of other harnesses.
        let runtime = folder.path().join("runtime");
        if fs::hard_link(program, &runtime).is_err() {
            fs::copy(program, &runtime).expect("the runtime can be copied");
        }
        let builder = Master::builder_for(&runtime);
        let builder = if has_keeper { builder } else { builder.query("survive", "off") };
        let master = builder.start();
        let model = Model { key: master.key().to_owned(), ..Model::default() };
        let summary = Summary::default();
        let starts = BTreeMap::new();
        let (doubles_seen, witnesses) = (0, None);
        Self {
            seed,
            folder,
            runtime,
            master,
            model,
            summary,
            starts,
            doubles_seen,
            victim,
            survives: has_keeper,
            witnesses,
        }
    }

    /// What came out so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// One round; at its end the master is dead.
    pub fn round(&mut self) {
        match self.victim {
            None => self.round_until(Self::end_somehow),
            Some(victim) => self.round_until(|harness, dice| harness.kill(victim, dice)),
        }
    }

    /// One round; at its end the master was stopped, in the midst of work, and has exited.
    pub fn orderly_round(&mut self) {
        self.round_until(|harness, _| harness.end_in_order());
    }

    fn round_until(&mut self, end: impl FnOnce(&mut Self, &mut Dice)) {
        let mut dice = Dice::new(self.seed, self.summary.rounds, 0);
        let is_dead = self.victim != Some(Victim::Keeper);
        if self.summary.rounds > 0 && is_dead {
            self.start(&mut dice);
        }
        self.look_until_settled();
        if self.summary.rounds > 0 {
            self.ask_witnesses();
        }
        self.work_until(&mut dice, end);
        for double in doubles(self.folder.path()).split_off(self.doubles_seen) {
            self.doubles_seen += 1;
            self.find(Trouble::Doubled(double));
        }
        self.summary.rounds += 1;
    }

    /// Starts the master again, compares, ends it in order, and looks whether anything is
    /// left.
    pub fn finish(mut self) -> Summary {
        if self.victim != Some(Victim::Keeper) {
            self.master.restart();
        }
        self.compare();
        self.ask_witnesses();
        self.master.stop();
        self.look_for_left_over();
        self.summary.clone()
    }

    /// Starts the master, which may be killed a few times before it is up.
    fn start(&mut self, dice: &mut Dice) {
        if dice.one_in(16) {
            self.check_directory();
        }
        for _ in 0..3 {
            if !dice.one_in(5) {
                break;
            }
            self.master.begin_restart();
            thread::sleep(Duration::from_micros(dice.below(START_MAX_US)));
            self.master.crash();
        }
        let tokens = self.model.instances.values().map(|known| known.acknowledged.task.token);
        self.starts = tokens.map(|token| (token, starts(self.folder.path(), token))).collect();
        self.master.restart();
    }

    /// What the operator's own tool says of a directory that was left by a crash.
    fn check_directory(&mut self) {
        let directory = self.master.folder().join("gob");
        let mut command = Command::new(binary::openctrl());
        command.args(["state", "check"]).arg(&directory).stdin(Stdio::null());
        let output = command.output().expect("openctrl can be started");
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            self.lose(format!("state check: {text}"));
        }
    }

    fn compare(&mut self) {
        let list = self.list();
        let printed = self.printed_key();
        let folder = self.folder.path();
        let mut faults = self.model.settle(&list, |token| starts(folder, token));
        if printed != self.model.key {
            faults.push(format!("{printed} is printed and {} listed", self.model.key));
        }
        faults.into_iter().for_each(|fault| self.lose(fault));
    }

    /// Compares, then waits until every instance is what it should be.
    fn look_until_settled(&mut self) {
        let folder = self.folder.path().to_owned();
        self.compare();
        let begun = Instant::now();
        loop {
            let list = self.list();
            let alive = processes(&self.runtime);
            let before = |token| self.starts.get(&token).copied();
            let survives = self.survives;
            let since = |token| if survives { Some(0) } else { before(token) };
            let started = |token| since(token).is_none_or(|n| starts(&folder, token) > n);
            let found = trouble(&self.model, &list, &alive, started, survives);
            let Some(trouble) = found else { return };
            if begun.elapsed() > SETTLE_MAX {
                // Each is found once: what is wrong now must not spoil the rounds to come.
                alive.iter().for_each(|process| process::send(process.pid, Signal::KILL));
                return self.find(trouble);
            }
            thread::sleep(POLL);
        }
    }

    /// Lets clients work, stops the master meanwhile, and records the answers that each of them received.
    fn work_until(&mut self, dice: &mut Dice, end: impl FnOnce(&mut Self, &mut Dice)) {
        let key = RwLock::new(self.model.key.clone());
        let (endpoint, base) = (self.master.endpoint(), self.master.base().to_owned());
        let folder = self.folder.path().to_owned();
        let is_over = AtomicBool::new(false);
        let master_lives = self.victim == Some(Victim::Keeper);
        let shared = Shared {
            endpoint,
            base: &base,
            key: &key,
            folder: &folder,
            master_lives,
            is_over: &is_over,
        };
        let (seed, round) = (self.seed, self.summary.rounds);
        let mut shares: Vec<_> = (0..CLIENTS).map(|_| Vec::new()).collect();
        for (index, entry) in std::mem::take(&mut self.model.instances).into_iter().enumerate() {
            shares[index % CLIENTS as usize].push(entry);
        }
        let accounts: Vec<Account> = thread::scope(|scope| {
            let start = |(client, instances)| {
                let dice = Dice::new(seed, round, u64::from(client) + 1);
                let first_token = (u32::try_from(round).unwrap_or(0) * CLIENTS + client) * TOKENS;
                let is_owner = client == 0;
                let job = Job { shared: &shared, dice, first_token, is_owner, instances };
                scope.spawn(move || work(job))
            };
            let clients: Vec<_> = (0..CLIENTS).zip(shares).map(start).collect();
            thread::sleep(Duration::from_micros(dice.below(WORK_MAX_US)));
            end(self, dice);
            is_over.store(true, Ordering::Relaxed);
            clients.into_iter().map(|client| client.join().expect("it reports")).collect()
        });
        self.model.key = key.into_inner().unwrap_or_else(PoisonError::into_inner);
        accounts.into_iter().for_each(|account| self.take(account));
        self.take_printed_key();
    }

    fn list(&self) -> Vec<Value> {
        let mut list = self.master.api().with_key(&self.printed_key()).list();
        list.retain(|found| !Witnesses::is_one(found));
        list
    }

    /// The key as the master printed it at its start, or the one that it made since.
    fn printed_key(&self) -> String {
        match self.victim {
            Some(Victim::Keeper) => self.model.key.clone(),
            None | Some(Victim::Master | Victim::Both) => self.master.key().to_owned(),
        }
    }

    fn ask_witnesses(&mut self) {
        let is_strict = self.victim != Some(Victim::Both);
        let api = self.master.api().with_key(&self.printed_key());
        let Some(witnesses) = &mut self.witnesses else { return };
        let Complaints { ended, unknown } = witnesses.check(&api, is_strict);
        ended.into_iter().for_each(|text| self.find(Trouble::EndedUnasked(text)));
        unknown.into_iter().for_each(|text| self.find(Trouble::StatusLost(text)));
    }

    /// Kills, and has a witness exit shortly before or after.
    fn kill(&mut self, victim: Victim, dice: &mut Dice) {
        let (is_before, pause) = (dice.one_in(2), Duration::from_micros(dice.below(3_000)));
        if is_before {
            self.witnesses.iter_mut().for_each(Witnesses::tell_to_exit);
            thread::sleep(pause);
        }
        let keeper = eventually("a keeper", || keeper::find(&self.master));
        if victim != Victim::Master {
            process::send(keeper, Signal::KILL);
        }
        if victim != Victim::Keeper {
            self.master.crash();
        }
        if !is_before {
            thread::sleep(pause);
            self.witnesses.iter_mut().for_each(Witnesses::tell_to_exit);
        }
        if victim == Victim::Keeper {
            keeper::wait_other_than(&self.master, keeper);
        }
    }

    fn end_in_order(&mut self) {
        self.master.stop();
        self.look_for_left_over();
    }

    fn end_somehow(&mut self, dice: &mut Dice) {
        match dice.below(20) {
            0 => self.end_in_order(),
            1..5 => {
                self.master.signal(Signal::TERM);
                thread::sleep(Duration::from_micros(dice.below(SHUTDOWN_MAX_US)));
                self.master.crash();
            }
            _ => self.master.crash(),
        }
    }

    fn look_for_left_over(&mut self) {
        for process in processes(&self.runtime) {
            self.find(Trouble::LeftOver(format!("{process:?} outlives the shutdown")));
        }
    }

    fn take(&mut self, account: Account) {
        let Account { instances, creates, alias, alias_pending, key_pending, .. } = account;
        self.model.instances.extend(instances);
        self.model.creates.extend(creates);
        if let Some(alias) = alias {
            self.model.alias = alias;
        }
        self.model.alias_pending = self.model.alias_pending.take().or(alias_pending);
        self.model.key_pending |= key_pending;
        self.summary.changes += account.changes;
        self.summary.unanswered += account.unanswered;
        account.faults.into_iter().for_each(|fault| self.lose(fault));
    }

    /// A key that was printed was promised, whether or not the client got its answer.
    fn take_printed_key(&mut self) {
        if self.victim == Some(Victim::Keeper) {
            // Every change was answered: the master lives.
            return;
        }
        let output = self.master.output();
        output.wait_end();
        let words = "Master.handlePatchInstance: API key regenerated: ";
        let lines = output.lines();
        let printed = lines.iter().rev().find_map(|line| line.text.split_once(words));
        if let Some((_, key)) = printed.filter(|_| self.model.key_pending) {
            self.model.key_pending &= key == self.model.key;
            self.model.key = key.to_owned();
        }
    }

    fn lose(&mut self, text: String) {
        self.find(Trouble::Down(text));
    }

    fn find(&mut self, trouble: Trouble) {
        let (count, name, text) = match trouble {
            Trouble::Down(text) => (&mut self.summary.lost, "lost", text),
            Trouble::Doubled(text) => (&mut self.summary.doubled, "doubled", text),
            Trouble::LeftOver(text) => (&mut self.summary.left_over, "left over", text),
            Trouble::EndedUnasked(text) => (&mut self.summary.ended, "ended unasked", text),
            Trouble::StatusLost(text) => {
                (&mut self.summary.statuses_lost, "exit status lost", text)
            }
        };
        *count += 1;
        let round = self.summary.rounds;
        self.summary.findings.push(format!("round {round}: {name}: {text}"));
    }
}
