//! How a process exits, and the signals it receives.

use core::fmt;

/// A process by its number and its start: another one that gets the number later started later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub start_ticks: u64,
}

/// How a process exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl Exit {
    /// Whether it exited with status 0.
    pub const fn is_clean(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for Exit {
    /// `exited with code 1`, `killed by SIGKILL`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "killed by SIG{name}"),
                None => write!(f, "killed by signal {number}"),
            },
        }
    }
}

/// The name of a signal that killed a process, without `SIG`. Most numbers above 6 are those of
/// Linux; on other systems only the numbers that all Unixes share have names.
fn signal_name(number: i32) -> Option<&'static str> {
    const SHARED: [i32; 12] = [1, 2, 3, 4, 5, 6, 8, 9, 11, 13, 14, 15];
    let is_linux = cfg!(any(target_os = "linux", target_os = "android"));
    let signal = u8::try_from(number).ok().and_then(Signal::new)?;
    (is_linux || SHARED.contains(&number)).then(|| signal.name())
}

/// A signal with a name, by its number on Linux.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// Who a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The whole process group.
    Group,
    /// The process alone that leads the group.
    Leader,
}

impl Signal {
    /// Asks a process to hang up, or to read its configuration again.
    pub const HUP: Self = Self(1);
    /// As from the keyboard.
    pub const INT: Self = Self(2);
    /// As from the keyboard, with a core dump.
    pub const QUIT: Self = Self(3);
    /// Ends a process that cannot refuse.
    pub const KILL: Self = Self(9);
    /// Free for the program.
    pub const USR1: Self = Self(10);
    /// Free for the program.
    pub const USR2: Self = Self(12);
    /// Asks a process to exit.
    pub const TERM: Self = Self(15);
    /// Resumes a process that is stopped.
    pub const CONT: Self = Self(18);

    /// The highest number. Real-time signals follow; nothing here sends one.
    pub const MAX: u8 = 31;

    /// The signal with this number, from 1 to [`Self::MAX`].
    pub const fn new(number: u8) -> Option<Self> {
        if matches!(number, 1..=Self::MAX) { Some(Self(number)) } else { None }
    }

    /// The signal with this name, with or without `SIG`, in any letter case, or with this number.
    pub fn parse(text: &str) -> Option<Self> {
        let has_prefix = text.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("SIG"));
        let bare = if has_prefix { &text[3..] } else { text };
        match NAMES.iter().position(|name| !name.is_empty() && name.eq_ignore_ascii_case(bare)) {
            Some(place) => u8::try_from(place).ok().and_then(Self::new),
            None => text.parse().ok().and_then(Self::new),
        }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name without `SIG`.
    pub const fn name(self) -> &'static str {
        NAMES[self.0 as usize]
    }
}

/// The names of the signals of Linux, by number.
const NAMES: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.name())
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_signal_has_a_name_or_a_number() {
        for text in ["TERM", "sigterm", "SIGTERM", "15"] {
            assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
        }
        for text in ["", "SIG", "0", "32", "TERMX", "-1", "SIG15"] {
            assert_eq!(Signal::parse(text), None, "{text}");
        }
        let names = [Signal::KILL, Signal::CONT].map(|signal| signal.to_string());
        assert_eq!(names, ["SIGKILL", "SIGCONT"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_signal_that_ends_a_process_is_named() {
        for (number, name) in [(7, "SIGBUS"), (24, "SIGXCPU"), (25, "SIGXFSZ"), (31, "SIGSYS")] {
            assert_eq!(Exit::Signal(number).to_string(), alloc::format!("killed by {name}"));
        }
        assert_eq!(Exit::Signal(64).to_string(), "killed by signal 64");
        assert_eq!(Exit::Signal(-1).to_string(), "killed by signal -1");
    }

    #[test]
    fn every_name_reads_as_its_number() {
        for number in 1..=Signal::MAX {
            let signal = Signal::new(number).expect("within bounds");
            assert_eq!(Signal::parse(signal.name()), Some(signal));
        }
    }
}
