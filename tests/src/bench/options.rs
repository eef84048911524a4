//! The command line of the benchmark.

use std::path::PathBuf;

/// What it prints when it is called in another way.
pub const USAGE: &str = "\
usage: bench [--only NAME,NAME] [--quick] [--seconds N] [--bin PATH] [--json FILE] [--svg FILE]
             [--compare FILE]
       bench --list
  --only     these scenarios and no others; `growth` and `micro` too
  --quick    smaller scenarios: rough figures within a minute
  --seconds  how long each load of get, list, patrol and events lasts, 1 to 600, instead of 3 s
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
        /// Which variant of it is meant.
        extent: Extent,
    },
    /// Be the bare server that answers with the bytes of this file (for the benchmark's own use).
    FloorServer(PathBuf),
}

/// How much is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Whether to measure the quick variants.
    pub quick: bool,
    /// How long reads last, if not as long as in the scenario.
    pub seconds: Option<u16>,
}

/// What to measure and what to do with the figures.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The scenarios; all if empty.
    pub only: Vec<String>,
    /// How much of each.
    pub extent: Extent,
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
            let mut extent = Extent::default();
            let mut rest = rest.iter().copied();
            while let Some(word) = rest.next() {
                extent.read(word, || rest.next())?;
            }
            return Ok(Command::One { scenario: scenario.to_owned(), extent });
        }
        ["--floor-server", file] => return Ok(Command::FloorServer(file.into())),
        _ => {}
    }
    let mut options = Options::default();
    let mut rest = words.iter();
    while let Some(&word) = rest.next() {
        if options.extent.read(word, || rest.next().copied())? {
            continue;
        }
        let mut value = || rest.next().copied().ok_or(format!("{word} needs a value"));
        match word {
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--bin" => options.bin = Some(value()?.into()),
            "--json" => options.json = Some(value()?.into()),
            "--svg" => options.svg = Some(value()?.into()),
            "--compare" => options.compare = Some(value()?.into()),
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(Command::Run(options))
}

impl Extent {
    /// Reads an option, and its value if it has one; whether it is one of these.
    fn read<'a>(
        &mut self,
        word: &str,
        value: impl FnOnce() -> Option<&'a str>,
    ) -> Result<bool, String> {
        match word {
            "--quick" => self.quick = true,
            "--seconds" => {
                let seconds = value().and_then(|value| value.parse().ok());
                let seconds = seconds.filter(|seconds| (1..=600).contains(seconds));
                self.seconds = Some(seconds.ok_or("--seconds needs a number from 1 to 600")?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The options that give this extent.
    pub fn arguments(self) -> Vec<String> {
        let quick = self.quick.then(|| "--quick".to_owned());
        let seconds = self.seconds.map(|seconds| ["--seconds".to_owned(), seconds.to_string()]);
        quick.into_iter().chain(seconds.into_iter().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Extent, Options, parse};

    #[test]
    fn options_are_understood() {
        let run = "--only get,list --quick --seconds 60 --bin /b --json j --svg s --compare c";
        let expected = Options {
            only: vec!["get".to_owned(), "list".to_owned()],
            extent: Extent { quick: true, seconds: Some(60) },
            bin: Some("/b".into()),
            json: Some("j".into()),
            svg: Some("s".into()),
            compare: Some("c".into()),
        };
        assert_eq!(words(run), Ok(Command::Run(expected)));
        assert_eq!(words(""), Ok(Command::Run(Options::default())));
        assert_eq!(words("--list"), Ok(Command::List));
        for extent in [Extent::default(), Extent { quick: true, seconds: Some(60) }] {
            let line = format!("--one get {}", extent.arguments().join(" "));
            assert_eq!(words(&line), Ok(Command::One { scenario: "get".to_owned(), extent }));
        }
        assert_eq!(words("--json"), Err("--json needs a value".to_owned()));
        for seconds in ["--seconds", "--seconds 0", "--seconds 601"] {
            assert_eq!(words(seconds), Err("--seconds needs a number from 1 to 600".to_owned()));
        }
        assert_eq!(words("--fast"), Err("unknown option --fast".to_owned()));
    }

    fn words(text: &str) -> Result<Command, String> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }
}
