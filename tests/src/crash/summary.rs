//! What came out of many rounds.

use std::fmt;

/// What came out so far.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Rounds done.
    pub rounds: u64,
    /// Changes that were acknowledged.
    pub changes: u64,
    /// Changes without an answer.
    pub unanswered: u64,
    /// Findings: something acknowledged was not there, or something was there without a request
    /// for, or an instance that is to run did not.
    pub lost: u64,
    /// Findings of two processes of an instance.
    pub doubled: u64,
    /// Findings of a process that should not have been alive.
    pub left_over: u64,
    /// Findings of a process that ended though nothing asked it to.
    pub ended: u64,
    /// Findings of an exit status that is not known.
    pub statuses_lost: u64,
    /// Each finding with its round.
    pub findings: Vec<String>,
}

impl Summary {
    /// Whether nothing was found.
    pub const fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.left_over + self.ended + self.statuses_lost == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, changes, unanswered, lost, doubled, left_over, .. } = self;
        let Self { ended, statuses_lost, .. } = self;
        write!(
            f,
            "rounds {rounds}, changes {changes}, unanswered {unanswered}, lost {lost}, doubled \
             {doubled}, left over {left_over}, ended unasked {ended}, exit statuses lost \
             {statuses_lost}"
        )
    }
}
