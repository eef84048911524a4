//! The pure parts by themselves: runs the micro-benchmarks of `openctrl-core`.

use std::io;
use std::process::Command;

use super::super::figure::Figure;
use super::super::stage::{Measured, Stage};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "micro",
    about: "parser, engine step, rendering and window by themselves",
    limit_s: 400,
    run,
};

fn run(stage: &Stage) -> Measured {
    stage.step("building and running openctrl-core's micro-benchmarks");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["bench", "--quiet", "-p", "openctrl-core", "--bench", "micro", "--"])
        .args((stage.size(0, 1) == 1).then_some("--quick"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<Figure> = text.lines().filter_map(figure).collect();
    if figures.is_empty() {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("no figures: {}: {reason}", output.status)));
    }
    Ok(figures)
}

/// A line `<name>: <nanoseconds> ns`.
fn figure(line: &str) -> Option<Figure> {
    let (name, value) = line.rsplit_once(": ")?;
    Some(Figure::cost(name, "ns", value.strip_suffix(" ns")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn lines_of_the_micro_benchmarks_are_figures() {
        let found = figure("window: a log line: 12.5 ns").unwrap();
        assert_eq!((found.name.as_str(), found.value), ("window: a log line", 12.5));
        assert!(figure("running 0 tests").is_none());
    }
}
