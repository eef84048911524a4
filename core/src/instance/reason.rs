//! Why an instance is in its status: as data, and in words for people.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::decide::Why;
use crate::process::Exit;

/// Why an instance is in its status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No reason: it was just created, or it runs.
    #[default]
    None,
    /// Its process was asked to exit, and why.
    Stopping(Why),
    /// Its process received every signal of its stop and still runs, and why it was stopped.
    CannotEnd {
        /// What it was to end for.
        why: Why,
        /// What keeps it alive, for people, if that is known.
        held: Option<Box<str>>,
    },
    /// Its process exited on request, and why.
    Stopped(Why),
    /// Its process exited without a request.
    Exited(Exit),
    /// Its process could not be started, and why.
    NotStarted(Box<str>),
    /// Its process printed an error.
    Complained(Quote),
    /// Its process printed no checkpoint for longer than this.
    Silent {
        /// In ms.
        ms: u64,
    },
    /// Its process failed its live check too often, at last for this.
    NotLive(Box<str>),
    /// Its process is ended or was ended because this watched file changed, to start it again.
    FileChanged(Box<str>),
    /// Its process was not ready in time.
    NotReady {
        /// In ms.
        ms: u64,
    },
    /// The keeper ended its process because no master renewed its lease.
    LeaseExpired,
}

/// The beginning of a line that a process printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Quote(Box<str>);

/// Maximum length of a quoted line, in bytes as shown.
pub const QUOTE_MAX_BYTES: usize = 256;

impl Quote {
    /// The beginning of `line`. Bytes that are no text are replaced, and so are control
    /// characters: the words are shown on terminals.
    pub fn new(line: &[u8]) -> Self {
        let kept = &line[..line.len().min(QUOTE_MAX_BYTES)];
        let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let mut text: String = String::from_utf8_lossy(kept).chars().map(clean).collect();
        let is_cut = kept.len() < line.len() || text.len() > QUOTE_MAX_BYTES;
        if is_cut {
            text.truncate(text.floor_char_boundary(QUOTE_MAX_BYTES - '…'.len_utf8()));
            text.push('…');
        }
        Self(text.into())
    }

    /// The text.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Quote {
    /// Leaves the text out: it may hold secrets of the runtime.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Reason {
    /// Why the instance was or is being stopped.
    pub const fn why(&self) -> Option<Why> {
        match self {
            Self::Stopping(why) | Self::CannotEnd { why, .. } | Self::Stopped(why) => Some(*why),
            Self::FileChanged(_) => Some(Why::Restart),
            Self::None
            | Self::Exited(_)
            | Self::NotStarted(_)
            | Self::Complained(_)
            | Self::Silent { .. }
            | Self::NotLive(_)
            | Self::NotReady { .. }
            | Self::LeaseExpired => None,
        }
    }
}

impl fmt::Display for Reason {
    /// Empty if there is no reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Stopping(why) => write!(f, "stopping {}", purpose(*why)),
            Self::CannotEnd { why, held } => {
                let held = held.as_deref().unwrap_or("still running after every signal");
                let why = purpose(*why);
                write!(f, "cannot be killed: {held}; stopping {why}, tried again every minute")
            }
            Self::Stopped(why) => write!(f, "stopped {}", purpose(*why)),
            Self::FileChanged(path) => write!(f, "a watched file changed: {path}"),
            Self::Exited(exit) => write!(f, "{exit}"),
            Self::NotStarted(reason) => write!(f, "could not be started: {reason}"),
            Self::Complained(line) => write!(f, "printed an error: {}", line.as_str()),
            Self::Silent { ms } => write!(f, "no checkpoint for more than {} s", ms / 1_000),
            Self::NotReady { ms } => write!(f, "not ready within {} s", ms.div_ceil(1_000)),
            Self::LeaseExpired => f.write_str("its master did not renew its lease"),
            Self::NotLive(failure) => write!(f, "live check failed: {failure}"),
        }
    }
}

const fn purpose(why: Why) -> &'static str {
    match why {
        Why::Shutdown => "because the master is shutting down",
        Why::Operation => "to be replaced or deleted",
        Why::Stop => "on request",
        Why::Restart => "to be started again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn every_reason_has_its_words() {
        let words = |reason: Reason| reason.to_string();
        assert_eq!(words(Reason::None), "");
        assert_eq!(words(Reason::Stopping(Why::Restart)), "stopping to be started again");
        assert_eq!(words(Reason::Stopped(Why::Stop)), "stopped on request");
        let words_of_one = words(Reason::CannotEnd { why: Why::Stop, held: None });
        assert!(words_of_one.starts_with("cannot be killed: "), "{words_of_one}");
        assert!(words_of_one.contains("stopping on request, tried again"), "{words_of_one}");
        assert_eq!(words(Reason::Exited(Exit::Code(3))), "exited with code 3");
        assert_eq!(words(Reason::FileChanged("/a".into())), "a watched file changed: /a");
        assert_eq!(words(Reason::NotStarted("no file".into())), "could not be started: no file");
        let line = Quote::new(b"\x1b[31mERROR no route");
        assert_eq!(words(Reason::Complained(line)), "printed an error: \u{fffd}[31mERROR no route");
        assert_eq!(words(Reason::Silent { ms: 15_000 }), "no checkpoint for more than 15 s");
    }

    proptest! {
        #[test]
        fn a_quote_is_bounded_and_has_no_control_characters(line: Vec<u8>, long: bool) {
            let line = if long { line.repeat(40) } else { line };
            let quote = Quote::new(&line);
            prop_assert!(quote.as_str().len() <= QUOTE_MAX_BYTES);
            prop_assert!(!quote.as_str().chars().any(char::is_control));
        }
    }
}
