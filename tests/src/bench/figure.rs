//! One measured figure beside what it is held against. Data only.

use serde::{Deserialize, Serialize};

/// In which direction a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// A rate: requests, lines, changes.
    Higher,
    /// A cost: time, memory.
    Lower,
}

/// What the machine itself can do of the same work, measured in the same run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// In the unit of the figure.
    pub value: f64,
    /// What was measured.
    pub what: String,
}

/// One figure of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Figure {
    /// Its name, unique within its scenario.
    pub name: String,
    /// Its unit, such as `ms` or `lines/s`.
    pub unit: String,
    /// In which direction it is better.
    pub better: Better,
    /// The figure.
    pub value: f64,
    /// The floor of the same run.
    pub floor: Option<Floor>,
    /// The published figure of the Go master, on two cores of another machine.
    pub reference: Option<f64>,
    /// The wanted figure.
    pub wanted: Option<f64>,
    /// What else is to be known of it.
    pub note: String,
}

impl Figure {
    /// A rate.
    pub fn rate(name: &str, unit: &str, value: f64) -> Self {
        Self::new(name, unit, Better::Higher, value)
    }

    /// A cost.
    pub fn cost(name: &str, unit: &str, value: f64) -> Self {
        Self::new(name, unit, Better::Lower, value)
    }

    fn new(name: &str, unit: &str, better: Better, value: f64) -> Self {
        let (name, unit, note) = (name.to_owned(), unit.to_owned(), String::new());
        Self { name, unit, better, value, floor: None, reference: None, wanted: None, note }
    }

    /// Adds the floor of the same run.
    pub fn floor(self, what: &str, value: f64) -> Self {
        Self { floor: Some(Floor { value, what: what.to_owned() }), ..self }
    }

    /// Adds the published figure of the Go master.
    pub fn reference(self, value: f64) -> Self {
        Self { reference: Some(value), ..self }
    }

    /// Adds the wanted figure.
    pub fn wanted(self, value: f64) -> Self {
        Self { wanted: Some(value), ..self }
    }

    /// Adds a remark.
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// How many times what the floor costs; 1 is as good as the machine.
    pub fn times_floor(&self) -> Option<f64> {
        let floor = self.floor.as_ref()?;
        self.cost_against(floor.value)
    }

    /// Whether it is as good as wanted.
    pub fn is_met(&self) -> Option<bool> {
        let wanted = self.wanted?;
        Some(match self.better {
            Better::Higher => self.value >= wanted,
            Better::Lower => self.value <= wanted,
        })
    }

    /// How many times what `other`, of the same unit, costs; below 1 is better than it.
    pub fn cost_against(&self, other: f64) -> Option<f64> {
        let ratio = match self.better {
            Better::Higher => other / self.value,
            Better::Lower => self.value / other,
        };
        ratio.is_finite().then_some(ratio)
    }
}

/// A figure for people: three digits that count, and a letter for the size.
pub fn short(value: f64) -> String {
    let size = value.abs();
    let (scaled, letter) = match size {
        _ if size >= 1e9 => (value / 1e9, "G"),
        _ if size >= 1e6 => (value / 1e6, "M"),
        _ if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{scaled:.digits$}{letter}")
}

#[cfg(test)]
mod tests {
    use super::{Figure, short};

    #[test]
    fn a_ratio_is_what_it_costs_beside_the_floor() {
        let rate = Figure::rate("r", "1/s", 50.0).floor("bare", 200.0).wanted(60.0);
        assert_eq!((rate.times_floor(), rate.is_met()), (Some(4.0), Some(false)));
        let cost = Figure::cost("c", "ms", 30.0).floor("bare", 10.0).wanted(30.0);
        assert_eq!((cost.times_floor(), cost.is_met()), (Some(3.0), Some(true)));
        let bare = Figure::cost("c", "ms", 30.0).floor("bare", 0.0);
        assert_eq!((bare.times_floor(), bare.is_met()), (None, None));
    }

    #[test]
    fn figures_are_short() {
        let shown = [0.0, 0.0451, 2.84, 51.04, 894.2, 1250.0, 52_000.0, 3.1e6, 4e9].map(short);
        let expected = ["0", "0.045", "2.84", "51.0", "894", "1250", "52.0k", "3.10M", "4.00G"];
        assert_eq!(shown, expected);
    }
}
