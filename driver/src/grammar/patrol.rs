//! `patrol`, and how its flags may be written: as Go reads them, with one `-` or two.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;

/// `patrol`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Patrol {
    /// The configuration file; -config PATH is the same
    #[arg(long, value_name = "PATH", default_value = "config.json")]
    pub(crate) config: PathBuf,
    /// Where the state is kept [default: .openctrl/ beside the configuration file]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Check the configuration and exit; nothing is started or changed
    #[arg(long)]
    pub(crate) check: bool,
}

/// The words of a command line, with the flags of `patrol` as the grammar has them.
pub(super) fn long_flags<'a>(words: &[&'a str]) -> Vec<Cow<'a, str>> {
    let is_patrol = words.first() == Some(&"patrol");
    let long = |word: &&'a str| {
        let name = word.split('=').next().unwrap_or_default();
        if is_patrol && matches!(name, "-config" | "-state" | "-check") {
            Cow::Owned(format!("-{word}"))
        } else {
            Cow::Borrowed(*word)
        }
    };
    words.iter().map(long).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{Answer, Command, read};

    fn patrol(words: &[&str]) -> Patrol {
        match read(&[&["patrol"], words].concat()).map(|line| line.command) {
            Ok(Command::Patrol(patrol)) => patrol,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn flags_are_written_as_go_reads_them() {
        let expected = Patrol { config: PathBuf::from("a/c.json"), state: None, check: false };
        for words in [
            &["-config", "a/c.json"][..],
            &["--config", "a/c.json"],
            &["-config=a/c.json"],
            &["--config=a/c.json"],
        ] {
            assert_eq!(patrol(words), expected, "{words:?}");
        }
        let config = PathBuf::from("config.json");
        assert_eq!(patrol(&[]), Patrol { config, state: None, check: false });
        assert!(patrol(&["-check"]).check && patrol(&["--check"]).check);
        let state = PathBuf::from("/var/lib/p");
        assert_eq!(patrol(&["--state", "/var/lib/p"]).state, Some(state));
    }

    #[test]
    fn other_words_are_refused() {
        for words in
            [&["config.json"][..], &["-config"], &["-x", "y"], &["-config", "a", "b"], &["-"]]
        {
            let answer = read(&[&["patrol"], words].concat());
            assert!(matches!(answer, Err(Answer::Wrong(_))), "{words:?}: {answer:?}");
        }
    }
}
