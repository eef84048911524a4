//! Generates completion scripts and manual pages from the grammar.

use std::path::Path;
use std::{fs, io};

use clap_complete::{Shell as Target, generate};
use clap_mangen::Man;

use super::failure::{Failure, written};
use crate::grammar::{self, Completions, Man as Question, Shell};
use crate::version::VERSION;

/// Prints the completion script of a shell.
pub(super) fn completions(question: &Completions) -> Result<(), Failure> {
    let target = match question.shell {
        Shell::Bash => Target::Bash,
        Shell::Zsh => Target::Zsh,
        Shell::Fish => Target::Fish,
    };
    // It panics when it cannot write, hence by way of memory.
    let mut script = Vec::new();
    generate(target, &mut grammar(), "openctrl", &mut script);
    written(io::Write::write_all(&mut io::stdout(), &script))
}

/// Prints one manual page, or writes all of them.
pub(super) fn man(question: &Question) -> Result<(), Failure> {
    let line = grammar();
    if let Some(folder) = &question.dir {
        return write_all(&line, folder);
    }
    let command = match &question.command {
        None => &line,
        Some(name) => line.find_subcommand(name).ok_or_else(|| {
            Failure::Usage(format!("unknown command {name:?}; see 'openctrl help'"))
        })?,
    };
    written(page(command).and_then(|page| io::Write::write_all(&mut io::stdout(), &page)))
}

fn write_all(line: &clap::Command, folder: &Path) -> Result<(), Failure> {
    let commands = line.get_subcommands().filter(|command| command.get_name() != "help");
    for command in std::iter::once(line).chain(commands) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = folder.join(format!("{name}.1"));
        page(command).and_then(|page| fs::write(&path, page)).map_err(|error| {
            Failure::Refused(format!("cannot write {}: {error}", path.display()))
        })?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).manual("OpenCtrl").render(&mut page)?;
    Ok(page)
}

fn grammar() -> clap::Command {
    grammar::whole().version(VERSION).disable_version_flag(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_help_page() {
        let mut line = grammar();
        let mut pages = format!("$ openctrl --help\n{}\n", line.render_help());
        for command in line.get_subcommands_mut().filter(|one| one.get_name() != "help") {
            let name = command.get_name().to_owned();
            pages.push_str(&format!("$ openctrl {name} --help\n{}\n", command.render_help()));
            for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
                let inner_name = inner.get_name().to_owned();
                let page = inner.render_help();
                pages.push_str(&format!("$ openctrl {name} {inner_name} --help\n{page}\n"));
            }
        }
        insta::assert_snapshot!(pages);
    }
}
