//! What a run of the benchmark came to, as JSON and back.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::figure::Figure;

/// What one scenario came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name.
    pub scenario: String,
    /// How long it took, in s.
    pub took_s: f64,
    /// What it measured.
    pub figures: Vec<Figure>,
    /// Why it measured nothing.
    pub failure: Option<String>,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The cargo profile that built the program; `None` if it was built elsewhere.
    #[serde(default)]
    pub profile: Option<String>,
    /// CPUs of the machine.
    pub cpus: usize,
    /// How many processes wanted a CPU when it began and when it ended: more than 0 or so
    /// when it began means that it was not alone.
    pub load: [f64; 2],
    /// Whether it was the quick run, whose figures are rough.
    pub quick: bool,
    /// What each scenario came to, in their order.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// A figure by its scenario and name.
    pub fn figure(&self, scenario: &str, name: &str) -> Option<&Figure> {
        let outcome = self.outcomes.iter().find(|outcome| outcome.scenario == scenario)?;
        outcome.figures.iter().find(|figure| figure.name == name)
    }

    /// Every figure with its scenario.
    pub fn figures(&self) -> impl Iterator<Item = (&str, &Figure)> {
        self.outcomes.iter().flat_map(|outcome| {
            outcome.figures.iter().map(|figure| (outcome.scenario.as_str(), figure))
        })
    }

    /// Reads what [`Report::write`] wrote.
    ///
    /// # Errors
    /// What the system says, or what is wrong with the text.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, serde_json::to_vec_pretty(self)?)
    }
}
