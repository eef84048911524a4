//! Parses arguments into a command, help, or one line that names the wrong word and the one that
//! was probably meant.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

use super::Line;
use super::patrol::long_flags;

/// The output instead of carrying out a command.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Help, for standard output.
    Help(String),
    /// One line about a wrong word, for standard error. The exit status is 2.
    Wrong(String),
}

/// Commands that take none of the options that name a master.
const OFFLINE: [&str; 9] =
    ["import", "replay", "state", "patrol", "master", "runtime", "completions", "man", "version"];

/// Commands of other process managers, each with the one that does the same here.
const ELSEWHERE: [(&str, &str); 17] = [
    ("add", "run"),
    ("describe", "show"),
    ("down", "stop --all"),
    ("edit", "set"),
    ("inspect", "show"),
    ("jlist", "list -o json"),
    ("kill", "stop"),
    ("monit", "top"),
    ("reload", "restart"),
    ("remove", "delete"),
    ("rename", "set --alias"),
    ("reread", "plan"),
    ("save", "export"),
    ("startup", "service install"),
    ("tail", "logs"),
    ("up", "apply"),
    ("update", "apply"),
];

/// Commands of other process managers that have no counterpart. What is spelled like them does
/// something else.
const NOWHERE: [&str; 4] = ["clear", "flush", "scale", "signal"];

/// How alike two words are that may be the same misspelled, of at most 1.
const ALIKE: f64 = 0.8;

/// The shown grammar: offline commands do not have the options of a master.
pub(crate) fn whole() -> clap::Command {
    let mut line = Line::command();
    line.build();
    for name in OFFLINE {
        line = line.mut_subcommand(name, hide_master);
    }
    line
}

/// Reads the words after the program's name.
pub(crate) fn read(words: &[&str]) -> Result<Line, Answer> {
    let is_help = words.iter().any(|word| matches!(*word, "help" | "-h" | "--help"));
    // Help is built from the whole grammar; a command costs only its own part.
    let grammar = if is_help { whole() } else { Line::command() };
    let words = long_flags(words);
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let all = std::iter::once("openctrl").chain(words.iter().copied());
    let matches = grammar.try_get_matches_from(all);
    matches
        .and_then(|matches| Line::from_arg_matches(&matches))
        .map_err(|error| explain(&error, &path(&words)))
}

fn hide_master(mut command: clap::Command) -> clap::Command {
    let inner: Vec<String> =
        command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    for name in inner.iter().filter(|name| *name != "help") {
        command = command.mut_subcommand(name, hide_master);
    }
    command.mut_args(|arg| {
        let is_of_master = arg.is_global_set() && arg.get_id() != "help";
        if is_of_master { arg.hide(true) } else { arg }
    })
}

/// The command that the words name, as far as they name one.
fn path(words: &[&str]) -> String {
    let mut command = Line::command();
    let mut path = String::from("openctrl");
    for word in words.iter().filter(|word| !word.starts_with('-')) {
        let Some(inner) = command.find_subcommand(word) else { break };
        path = format!("{path} {}", inner.get_name());
        command = inner.clone();
    }
    path
}

#[expect(clippy::wildcard_enum_match_arm, reason = "there may be more kinds of errors")]
fn explain(error: &clap::Error, path: &str) -> Answer {
    let text = error.render().to_string();
    let reason = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return Answer::Help(text),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is missing".to_owned()
        }
        ErrorKind::InvalidSubcommand => match unknown_command(error) {
            Some(word) => format!("unknown command {word:?}"),
            None => "unknown command".to_owned(),
        },
        _ => first_sentence(&text),
    };
    Answer::Wrong(match meant(error) {
        Some(meant) => format!("{reason}; did you mean '{meant}'? See '{path} --help'"),
        None => format!("{reason}; see '{path} --help'"),
    })
}

/// The error, without the usage and the tips of clap.
fn first_sentence(text: &str) -> String {
    let first = text.split("\n\n").next().unwrap_or(text);
    let first = first.strip_prefix("error: ").unwrap_or(first);
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What was probably meant.
fn meant(error: &clap::Error) -> Option<String> {
    if unknown_command(error).is_some_and(|word| NOWHERE.contains(&word)) {
        return None;
    }
    elsewhere(error).or_else(|| suggestion(error)).or_else(|| nearest(error))
}

/// The word that is no command.
fn unknown_command(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => Some(word),
        Some(_) | None => None,
    }
}

/// The command here that does what an unknown one does in another process manager.
fn elsewhere(error: &clap::Error) -> Option<String> {
    let word = unknown_command(error)?;
    let known = ELSEWHERE.iter().find(|(other, _)| *other == word);
    known.map(|(_, command)| (*command).to_owned())
}

/// The command or the option of the program that is spelled most like an unknown one. The library
/// suggests none after `help`, and does not know that `--version` is a command too.
#[expect(clippy::wildcard_enum_match_arm, reason = "there may be more kinds of errors")]
fn nearest(error: &clap::Error) -> Option<String> {
    let (kind, names): (_, Vec<String>) = match error.kind() {
        ErrorKind::InvalidSubcommand => (
            ContextKind::InvalidSubcommand,
            Line::command().get_subcommands().map(|known| known.get_name().to_owned()).collect(),
        ),
        ErrorKind::UnknownArgument => {
            (ContextKind::InvalidArg, ["--help", "--version"].map(str::to_owned).to_vec())
        }
        _ => return None,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return None };
    let word = word.split('=').next().unwrap_or(word);
    let all = names.into_iter().map(|name| (strsim::jaro_winkler(word, &name), name));
    let best = all.filter(|(alike, _)| *alike >= ALIKE).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, name)| name)
}

/// The word that was probably meant.
#[expect(clippy::wildcard_enum_match_arm, reason = "there may be more kinds of values")]
fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(word) => Some(word.clone()),
        // The most similar is last.
        ContextValue::Strings(words) => words.last().cloned(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(words: &[&str]) -> String {
        match read(words) {
            Err(Answer::Wrong(line)) => line,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    fn help(words: &[&str]) -> String {
        match read(words) {
            Err(Answer::Help(text)) => text,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn a_wrong_word_is_named_with_the_one_that_was_meant() {
        let lines = [
            &["lst"][..],
            &["help", "lsit"],
            &["--verison"],
            &["scale", "a", "3"],
            &["reload", "a"],
            &["rename", "a", "b"],
            &["monit"],
            &["list", "--stauts", "error"],
            &["list", "--status", "eror"],
            &["replay"],
            &["replay", "f", "--until", "soon"],
            &["replay", "f", "--instance", "A"],
            &["replay", "f", "--json", "--json"],
            &["state", "chek", "d"],
            &["state", "check", "a", "b"],
            &["state"],
            &["-x"],
            &[""],
        ];
        let said: Vec<String> =
            lines.iter().map(|words| format!("{}: {}", words.join(" "), wrong(words))).collect();
        assert!(said.iter().all(|line| line.lines().count() == 1));
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn commands_of_others_lead_to_commands_that_exist() {
        for other in NOWHERE {
            assert_eq!(
                wrong(&[other]),
                format!("unknown command {other:?}; see 'openctrl --help'")
            );
        }
        for (other, command) in ELSEWHERE {
            let line = wrong(&[other]);
            assert!(line.contains(&format!("did you mean '{command}'?")), "{line}");
            let words = command.split(' ').take_while(|word| !word.starts_with("--"));
            help(&words.chain(["--help"]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn help_of_offline_commands_does_not_speak_of_a_master() {
        for words in [&["help", "replay"][..], &["replay", "-h"], &["help", "state", "check"]] {
            let text = help(words);
            assert!(!text.contains("--api") && !text.contains("--output"), "{text}");
        }
        assert!(help(&["help", "list"]).contains("--api"));
        assert!(help(&["help", "master"]).contains("tls=0|1|2"));
        assert!(help(&["help", "runtime"]).contains("arg=<text>"));
    }
}
