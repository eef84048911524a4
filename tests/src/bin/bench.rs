//! `bench`: measures the master beside what the machine can do (`openctrl_tests::bench`).

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use openctrl_tests::bench::options::{Command, Options, USAGE, parse};
use openctrl_tests::bench::report::Report;
use openctrl_tests::bench::{floor, runner, scenarios, svg, table};
use openctrl_tests::binary;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match parse(&arguments) {
        Ok(Command::List) => print(&scenarios::list()),
        Ok(Command::Run(options)) => run(&options),
        Ok(Command::One { scenario, extent }) => {
            runner::run_one(&scenario, extent, &mut io::stdout())
        }
        Ok(Command::FloorServer(body)) => {
            floor::server::serve(&body).map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("{error}\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let read = |path: &PathBuf| Report::read(path).map_err(|e| named(path, &e));
    // Files that cannot be read are reported before anything is measured.
    let earlier = options.compare.as_ref().map(read).transpose()?;
    scenarios::named(&options.only)?;
    let bin = match &options.bin {
        Some(bin) => bin.canonicalize().map_err(|error| named(bin, &error))?,
        None => {
            say("building openctrl");
            binary::openctrl().to_path_buf()
        }
    };
    let profile = binary::profile(&bin);
    if profile == Some("dev") {
        say("this is a debug build: its figures mean nothing");
    }
    say(&format!("measuring {}, profile {}", bin.display(), profile.unwrap_or("unknown")));
    let report = runner::run(options, &bin)?;
    print(&table::table(&report))?;
    if let Some(earlier) = &earlier {
        print(&format!("\n{}", table::comparison(&report, earlier)))?;
    }
    if let Some(path) = &options.json {
        report.write(path).map_err(|error| named(path, &error))?;
    }
    if let Some(path) = &options.svg {
        std::fs::write(path, svg::picture(&report)).map_err(|error| named(path, &error))?;
    }
    let failed = report.outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    if failed == 0 { Ok(()) } else { Err(format!("{failed} scenarios measured nothing")) }
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn print(text: &str) -> Result<(), String> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
