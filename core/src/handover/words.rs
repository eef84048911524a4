//! What is said about a replacement, as lines of text, so that programs of any version understand
//! each other: between `openctrl upgrade` and the master, and between the master and the program
//! that it tries before it becomes that.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// The longest message, in bytes.
const WORDS_MAX_BYTES: usize = 8 * 1024;

/// A question to a running master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which program are you?
    Who,
    /// Become the program that is at your path now.
    Upgrade,
}

/// An answer of a running master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This program runs.
    Running {
        /// How many programs it replaced in its process.
        generation: u32,
        /// Its version.
        version: String,
    },
    /// It begins to become another program: the connection ends, and the next generation answers.
    Begun {
        /// The generation of the program that goes.
        generation: u32,
        /// The version of the program that comes.
        version: String,
    },
    /// It goes on as it is, for this reason.
    Refused(String),
}

/// What a program says about itself before it is put in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// Its version.
    pub version: String,
    /// The version of the handover that it reads.
    pub handover: u16,
    /// The version of the messages that it exchanges with a keeper.
    pub keeper: u16,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Who => "who",
            Self::Upgrade => "upgrade",
        })
    }
}

impl Question {
    /// Reads a question; `None` if it is another one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = words(bytes)?;
        [Self::Who, Self::Upgrade].into_iter().find(|question| format!("{question}") == text)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { generation, version } => write!(f, "running {generation} {version}"),
            Self::Begun { generation, version } => write!(f, "begun {generation} {version}"),
            Self::Refused(reason) => {
                let line = reason.trim().replace('\n', "; ");
                let cut = line.floor_char_boundary(WORDS_MAX_BYTES / 2);
                write!(f, "refused {}", line[..cut].trim_end())
            }
        }
    }
}

impl Answer {
    /// Reads an answer; `None` if it is another one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (word, rest) = words(bytes)?.split_once(' ')?;
        let program = || {
            let (generation, version) = rest.split_once(' ')?;
            Some((generation.parse().ok()?, version.to_owned()))
        };
        match word {
            "running" => {
                let (generation, version) = program()?;
                Some(Self::Running { generation, version })
            }
            "begun" => {
                let (generation, version) = program()?;
                Some(Self::Begun { generation, version })
            }
            "refused" => Some(Self::Refused(rest.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Preflight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, handover, keeper } = self;
        write!(f, "openctrl-preflight\nversion {version}\nhandover {handover}\nkeeper {keeper}\n")
    }
}

impl Preflight {
    /// Reads what a program said; `None` if it said something else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = words(bytes)?;
        let mut lines = text.lines();
        if lines.next() != Some("openctrl-preflight") {
            return None;
        }
        // A newer program may say more.
        let field = |name: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once(' '));
            fields.find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        Some(Self {
            version: field("version")?.to_owned(),
            handover: field("handover")?.parse().ok()?,
            keeper: field("keeper")?.parse().ok()?,
        })
    }
}

fn words(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().filter(|text| text.len() <= WORDS_MAX_BYTES).map(str::trim_end)
}
