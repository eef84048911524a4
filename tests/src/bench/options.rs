//! The command line of the benchmark.

use std::path::PathBuf;

/// What it prints when it is called in another way.
pub const USAGE: &str = "\
usage: bench [--only NAME,NAME] [--quick] [--bin PATH] [--json FILE] [--svg FILE] [--compare FILE]
       bench --list
  --only     these scenarios and no others; `growth` and `micro` too
  --quick    smaller scenarios: rough figures within a minute
  --bin      measures this program, which has to speak the v2 contract, instead of openctrl
  --json     writes the figures to a file
  --svg      draws the figures into a file
  --compare  prints what each figure costs beside that of an earlier --json FILE";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Print the names of the scenarios.
    List,
    /// Measure.
    Run(Options),
    /// Be the process that measures one scenario (for the benchmark's own use).
    One {
        /// Its name.
        scenario: String,
        /// Whether the quick variant is meant.
        quick: bool,
    },
    /// Be the bare server that answers with the bytes of this file (for the benchmark's own use).
    FloorServer(PathBuf),
}

/// What to measure and what to do with the figures.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The scenarios; all if empty.
    pub only: Vec<String>,
    /// Whether to measure the quick variants.
    pub quick: bool,
    /// The program to measure; built if there is none.
    pub bin: Option<PathBuf>,
    /// Where to write JSON.
    pub json: Option<PathBuf>,
    /// Where to write the picture.
    pub svg: Option<PathBuf>,
    /// An earlier run.
    pub compare: Option<PathBuf>,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// The argument that makes no sense.
pub fn parse(arguments: &[String]) -> Result<Command, String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--list"] => return Ok(Command::List),
        ["--one", scenario, ref rest @ ..] => {
            let (scenario, quick) = (scenario.to_owned(), rest.contains(&"--quick"));
            return Ok(Command::One { scenario, quick });
        }
        ["--floor-server", file] => return Ok(Command::FloorServer(file.into())),
        _ => {}
    }
    let mut options = Options::default();
    let mut rest = words.iter();
    while let Some(&word) = rest.next() {
        let mut value = || rest.next().copied().ok_or(format!("{word} needs a value"));
        match word {
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--quick" => options.quick = true,
            "--bin" => options.bin = Some(value()?.into()),
            "--json" => options.json = Some(value()?.into()),
            "--svg" => options.svg = Some(value()?.into()),
            "--compare" => options.compare = Some(value()?.into()),
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(Command::Run(options))
}

#[cfg(test)]
mod tests {
    use super::{Command, Options, parse};

    #[test]
    fn options_are_understood() {
        let run = "--only get,list --quick --bin /b --json j --svg s --compare c";
        let expected = Options {
            only: vec!["get".to_owned(), "list".to_owned()],
            quick: true,
            bin: Some("/b".into()),
            json: Some("j".into()),
            svg: Some("s".into()),
            compare: Some("c".into()),
        };
        assert_eq!(words(run), Ok(Command::Run(expected)));
        assert_eq!(words(""), Ok(Command::Run(Options::default())));
        assert_eq!(words("--list"), Ok(Command::List));
        let one = Command::One { scenario: "get".to_owned(), quick: true };
        assert_eq!(words("--one get --quick"), Ok(one));
        assert_eq!(words("--json"), Err("--json needs a value".to_owned()));
        assert_eq!(words("--fast"), Err("unknown option --fast".to_owned()));
    }

    fn words(text: &str) -> Result<Command, String> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }
}
