//! An edit of policy and setup: some of their fields, each with its new value.
//!
//! Values only. Doors read them from bodies, `exec_url` from URLs; the bounds that both hold them
//! to are here.

use alloc::collections::BTreeSet;
use core::ops::RangeInclusive;

use super::launch::Setup;
use super::policy::{Boot, Policy, Restart, RestartLimit, StopPolicy};
use super::rare::Rare;

/// The window of a restart limit that was given none.
pub const RESTART_WINDOW_MS: u64 = 60_000;

/// Any time in a policy, in ms: at most a week.
pub const TIME_MS: RangeInclusive<u64> = 1..=7 * 24 * 3_600_000;

/// The wait of a step of a stop, in ms: at most an hour.
pub const WAIT_MS: RangeInclusive<u64> = 0..=3_600_000;

/// A lease, in ms: at most a day. A master renews every 5 s, and one renewal may be late.
pub const LEASE_MS: RangeInclusive<u64> = 10_000..=24 * 3_600_000;

/// A limit of open files or of memory, in files or bytes. The system may allow fewer.
pub const LIMIT: RangeInclusive<u64> = 1..=1 << 53;

/// The longest working directory, in bytes.
pub const CWD_MAX_BYTES: usize = 4_096;

/// The longest name of a user or a group, in bytes.
const ACCOUNT_MAX_BYTES: usize = 256;

/// The most bytes that the variables of one instance have, names and values together.
pub const ENV_MAX_BYTES: usize = 16 * 1024;

/// A field of policy or setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyField {
    /// [`Policy::restart`]
    Restart,
    /// How many restarts a limit allows.
    MaxRestarts,
    /// In which time.
    RestartWindow,
    /// [`Policy::boot`]
    Boot,
    /// [`Policy::backoff`]
    Backoff,
    /// [`Policy::stop`]
    Stop,
    /// The signal of the first step of a stop, which KILL follows.
    StopSignal,
    /// How long that signal is given.
    StopGrace,
    /// [`Policy::history`]
    History,
    /// [`Setup::user`]
    User,
    /// [`Setup::group`]
    Group,
    /// [`Setup::umask`]
    Umask,
    /// [`Setup::cwd`]
    Cwd,
    /// [`Setup::env`]
    Env,
    /// [`Setup::clear_env`]
    ClearEnv,
    /// [`Setup::open_files`]
    OpenFiles,
    /// [`Setup::memory_bytes`]
    Memory,
    /// [`Policy::lease_ms`]
    Lease,
}

/// New values for some fields. The other fields of `policy` and `setup` mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyEdit {
    /// The fields that are edited.
    pub fields: BTreeSet<PolicyField>,
    /// The new values of those of the policy.
    pub policy: Policy,
    /// The new values of those of the setup.
    pub setup: Setup,
}

impl PolicyField {
    /// All of them, in the order of their numbers in stored formats.
    pub const ALL: [Self; 18] = [
        Self::Restart,
        Self::MaxRestarts,
        Self::RestartWindow,
        Self::Boot,
        Self::Backoff,
        Self::Stop,
        Self::StopSignal,
        Self::StopGrace,
        Self::History,
        Self::User,
        Self::Group,
        Self::Umask,
        Self::Cwd,
        Self::Env,
        Self::ClearEnv,
        Self::OpenFiles,
        Self::Memory,
        Self::Lease,
    ];
}

impl PolicyEdit {
    /// Sets every field to its default.
    pub fn all_defaults() -> Self {
        // A stop has one value, whichever way it is written.
        let is_whole = |field: &PolicyField| {
            !matches!(field, PolicyField::StopSignal | PolicyField::StopGrace)
        };
        Self { fields: PolicyField::ALL.into_iter().filter(is_whole).collect(), ..Self::default() }
    }

    /// Whether it edits nothing.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Puts the new values in.
    pub fn apply(&self, policy: &mut Policy, setup: &mut Rare<Setup>) {
        setup.edit(|setup| {
            self.fields.iter().for_each(|field| self.apply_field(*field, policy, setup));
        });
        if self.has_stop_shorthand() {
            self.apply_stop(&mut policy.stop);
        }
    }

    fn apply_field(&self, field: PolicyField, policy: &mut Policy, setup: &mut Setup) {
        let (new, around) = (&self.policy, &self.setup);
        match field {
            PolicyField::Restart => policy.restart = new.restart,
            PolicyField::MaxRestarts => {
                let window_ms = policy.limit.map_or(RESTART_WINDOW_MS, |limit| limit.window_ms);
                policy.limit =
                    new.limit.map(|RestartLimit { max, .. }| RestartLimit { max, window_ms });
            }
            PolicyField::RestartWindow => {
                let window_ms = new.limit.map_or(RESTART_WINDOW_MS, |limit| limit.window_ms);
                if let Some(limit) = &mut policy.limit {
                    limit.window_ms = window_ms;
                }
            }
            PolicyField::Boot => policy.boot = new.boot,
            PolicyField::Backoff => policy.backoff = new.backoff,
            PolicyField::Stop => policy.stop.clone_from(&new.stop),
            PolicyField::StopSignal | PolicyField::StopGrace => {}
            PolicyField::History => policy.history = new.history,
            PolicyField::User => setup.user.clone_from(&around.user),
            PolicyField::Group => setup.group.clone_from(&around.group),
            PolicyField::Umask => setup.umask = around.umask,
            PolicyField::Cwd => setup.cwd.clone_from(&around.cwd),
            PolicyField::Env => setup.env.clone_from(&around.env),
            PolicyField::ClearEnv => setup.clear_env = around.clear_env,
            PolicyField::OpenFiles => setup.open_files = around.open_files,
            PolicyField::Memory => setup.memory_bytes = around.memory_bytes,
            PolicyField::Lease => policy.lease_ms = new.lease_ms,
        }
    }

    fn has_stop_shorthand(&self) -> bool {
        let given = [PolicyField::StopSignal, PolicyField::StopGrace];
        given.iter().any(|field| self.fields.contains(field))
    }

    /// One signal and its grace period, then KILL; missing values come from the first step.
    fn apply_stop(&self, stop: &mut StopPolicy) {
        let mut first = stop.steps()[0];
        let new = self.policy.stop.steps()[0];
        if self.fields.contains(&PolicyField::StopSignal) {
            first.signal = new.signal;
        }
        if self.fields.contains(&PolicyField::StopGrace) {
            first.wait_ms = new.wait_ms;
        }
        let mut changed = StopPolicy::signal_then_kill(first.signal, first.wait_ms);
        (changed.scope, changed.restart_signal) = (stop.scope, stop.restart_signal);
        *stop = changed;
    }
}

impl Restart {
    /// Its word in the policy resource and in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }

    /// What a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Never, Self::OnFailure, Self::Always].into_iter().find(|one| one.as_str() == word)
    }
}

impl Boot {
    /// Its word in the policy resource and in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Saved => "saved",
            Self::Always => "always",
        }
    }

    /// What a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Restart, Self::Saved, Self::Always].into_iter().find(|one| one.as_str() == word)
    }
}

/// A file mode creation mask in octal digits.
pub fn parse_umask(text: &str) -> Option<u16> {
    let is_octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u16::from_str_radix(text, 8).ok().filter(|mask| is_octal && *mask <= 0o777)
}

/// Whether a text can be the name or the number of a user or a group.
pub fn is_account(text: &str) -> bool {
    let is_bad =
        |letter: char| letter.is_control() || letter.is_whitespace() || ":,/".contains(letter);
    (1..=ACCOUNT_MAX_BYTES).contains(&text.len()) && !text.contains(is_bad)
}

/// Whether a text can be a working directory: an absolute path.
pub fn is_directory(text: &str) -> bool {
    text.starts_with('/') && text.len() <= CWD_MAX_BYTES && !text.contains('\0')
}

/// Whether a text can be the name of a variable.
pub fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::StopStep;
    use crate::process::{Scope, Signal};

    /// Something to edit.
    #[derive(Debug, Default, PartialEq)]
    struct Edited {
        policy: Policy,
        setup: Rare<Setup>,
    }

    impl Edited {
        fn take(&mut self, edit: &PolicyEdit) {
            edit.apply(&mut self.policy, &mut self.setup);
        }
    }

    fn edit(fields: &[PolicyField], policy: Policy) -> PolicyEdit {
        let fields = fields.iter().copied().collect();
        PolicyEdit { fields, policy, setup: Setup::default() }
    }

    #[test]
    fn only_the_given_fields_change() {
        let policy = Policy { restart: Restart::Always, history: 3, ..Policy::default() };
        let mut changed = Edited::default();
        changed.take(&edit(&[PolicyField::History], policy));
        assert_eq!((changed.policy.restart, changed.policy.history), (Restart::OnFailure, 3));
        changed.take(&PolicyEdit::all_defaults());
        assert_eq!(changed, Edited::default());
    }

    #[test]
    fn a_limit_keeps_its_window_until_another_is_given() {
        let limit = |max, window_ms| Some(RestartLimit { max, window_ms });
        let with = |limit| Policy { limit, ..Policy::default() };
        let mut changed = Edited::default();
        changed.take(&edit(&[PolicyField::MaxRestarts], with(limit(3, 1))));
        assert_eq!(changed.policy.limit, limit(3, RESTART_WINDOW_MS));
        let both = [PolicyField::MaxRestarts, PolicyField::RestartWindow];
        changed.take(&edit(&both, with(limit(4, 7))));
        assert_eq!(changed.policy.limit, limit(4, 7));
        changed.take(&edit(&[PolicyField::MaxRestarts], with(limit(5, 1))));
        assert_eq!(changed.policy.limit, limit(5, 7));
        changed.take(&edit(&[PolicyField::MaxRestarts], with(None)));
        assert_eq!(changed.policy.limit, None);
    }

    #[test]
    fn the_shorthand_of_a_stop_keeps_what_it_does_not_give() {
        let mut changed = Edited::default();
        changed.policy.stop.scope = Scope::Leader;
        let int =
            Policy { stop: StopPolicy::signal_then_kill(Signal::INT, 1), ..Policy::default() };
        changed.take(&edit(&[PolicyField::StopSignal], int.clone()));
        let first = StopStep { signal: Signal::INT, wait_ms: 5_000 };
        let last = StopStep { signal: Signal::KILL, wait_ms: 0 };
        assert_eq!(changed.policy.stop.steps(), [first, last]);
        changed.take(&edit(&[PolicyField::StopGrace], int));
        assert_eq!(changed.policy.stop.steps(), [StopStep { wait_ms: 1, ..first }, last]);
        assert_eq!(changed.policy.stop.scope, Scope::Leader);
    }

    #[test]
    fn umask_and_names_are_checked() {
        assert_eq!(
            ["022", "0027", "777", "0"].map(parse_umask),
            [Some(0o22), Some(0o27), Some(0o777), Some(0)]
        );
        assert!(["", "8", "+7", "1000", "0x1"].iter().all(|bad| parse_umask(bad).is_none()));
        assert!(is_account("www-data") && is_account("1000"));
        assert!(["", "a b", "a:b", "a/b", "a\0"].iter().all(|bad| !is_account(bad)));
    }
}
