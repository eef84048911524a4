//! The scenarios, one file each. A scenario returns figures and knows nothing of reports.

mod change;
mod checkpoints;
mod children;
mod control;
mod control_create;
mod create;
mod deliveries;
mod durable;
mod events;
mod fan_out;
mod flood;
mod get;
mod growth;
mod idle;
mod info;
mod list;
mod log_files;
mod micro;
mod patch;
mod patrol;
mod peers;
mod pipe;
mod reads;
mod shutdown;
mod start;
mod survive;
mod tool;
mod waits;
mod writes;

use super::stage::{Measured, Stage};

/// One kind of work.
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// After how many seconds it is ended; half of it in a quick run.
    pub limit_s: u64,
    /// Does it.
    pub run: fn(&Stage) -> Measured,
}

/// All of them, in the order in which they run.
pub const SCENARIOS: [Scenario; 27] = [
    start::SCENARIO,
    create::SCENARIO,
    shutdown::SCENARIO,
    get::SCENARIO,
    list::SCENARIO,
    info::SCENARIO,
    patrol::SCENARIO,
    checkpoints::SCENARIO,
    fan_out::SCENARIO,
    flood::SCENARIO,
    patch::SCENARIO,
    change::SCENARIO,
    idle::SCENARIO,
    children::SCENARIO,
    survive::SCENARIO,
    tool::SCENARIO,
    deliveries::SCENARIO,
    durable::SCENARIO,
    pipe::SCENARIO,
    log_files::SCENARIO,
    control::SCENARIO,
    waits::SCENARIO,
    events::SCENARIO,
    control_create::SCENARIO,
    peers::SCENARIO,
    growth::SCENARIO,
    micro::SCENARIO,
];

/// The scenarios of these names, in the order in which they run; all if there are none.
///
/// # Errors
/// The name that is not one.
pub fn named(names: &[String]) -> Result<Vec<&'static Scenario>, String> {
    let is_known = |name: &String| SCENARIOS.iter().any(|scenario| scenario.name == name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        return Err(format!("there is no scenario {unknown}; --list names them"));
    }
    let is_chosen =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(SCENARIOS.iter().filter(is_chosen).collect())
}

/// A line for each scenario.
pub fn list() -> String {
    let line = |scenario: &Scenario| format!("{:<14} {}\n", scenario.name, scenario.about);
    SCENARIOS.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{SCENARIOS, named};

    #[test]
    fn scenarios_are_found_by_their_names() {
        let names = |chosen: &[&str]| {
            let chosen: Vec<String> = chosen.iter().map(|name| (*name).to_owned()).collect();
            named(&chosen).map(|found| found.iter().map(|s| s.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["list", "get"]), Ok(vec!["get", "list"]));
        assert_eq!(names(&[]).map(|found| found.len()), Ok(SCENARIOS.len()));
        assert!(names(&["get", "nothing"]).is_err());
    }
}
