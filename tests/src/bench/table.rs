//! A report as text: a Markdown table that reads well in a terminal, too.

use super::figure::{Figure, short};
use super::report::Report;

const HEADINGS: [&str; 8] =
    ["scenario", "figure", "measured", "floor", "× floor", "Go master", "wanted", "met"];

/// The table of all figures with remarks and failures; then, if it was measured, how cost grows.
pub fn table(report: &Report) -> String {
    let figures = || report.figures().filter(|(scenario, _)| *scenario != "growth");
    let rows: Vec<Vec<String>> = figures().map(|(name, figure)| row(name, figure)).collect();
    let mut text = markdown(&HEADINGS, &rows);
    let remarks = figures().filter_map(|(name, figure)| remark(name, figure));
    let failures = report.outcomes.iter().filter_map(|outcome| {
        let failure = outcome.failure.as_ref()?;
        Some(format!("- {}: **nothing measured**: {failure}\n", outcome.scenario))
    });
    text.push('\n');
    text.extend(remarks.chain(failures));
    let profile = report.profile.as_deref().unwrap_or("unknown: it was built elsewhere");
    text.push_str(&format!("- profile of the program: {profile}\n"));
    let [before, after] = report.load.map(short);
    text.push_str(&format!("- {} CPUs, load {before} before and {after} after\n", report.cpus));
    text + &growth(report)
}

/// The figures of `growth`, named `<what>, <number> <of what>`: a row for each `what`, a column
/// for each number.
fn growth(report: &Report) -> String {
    let points: Vec<(String, usize, &Figure)> = report
        .figures()
        .filter(|(scenario, _)| *scenario == "growth")
        .filter_map(|(_, figure)| {
            let (what, size) = figure.name.rsplit_once(", ")?;
            let (number, of) = size.split_once(' ')?;
            Some((format!("{what}, by {of}"), number.parse().ok()?, figure))
        })
        .collect();
    let (mut rows, mut columns): (Vec<&str>, Vec<usize>) = (Vec::new(), Vec::new());
    for (what, number, _) in &points {
        if !rows.contains(&what.as_str()) {
            rows.push(what);
        }
        columns.push(*number);
    }
    columns.sort_unstable();
    columns.dedup();
    if rows.is_empty() {
        return String::new();
    }
    let cell = |what: &str, number: usize| {
        let found = points.iter().find(|(name, at, _)| name == what && *at == number);
        found.map_or(String::new(), |(_, _, figure)| with_unit(figure.value, figure))
    };
    let row = |what: &&str| {
        let cells = columns.iter().map(|number| cell(what, *number));
        std::iter::once((*what).to_owned()).chain(cells).collect()
    };
    let numbers: Vec<String> = columns.iter().map(usize::to_string).collect();
    let headings: Vec<&str> =
        std::iter::once("growth").chain(numbers.iter().map(String::as_str)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    format!("\n{}", markdown(&headings, &rows))
}

/// What each figure costs beside the same figure of an earlier run.
pub fn comparison(report: &Report, earlier: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .figures()
        .filter_map(|(scenario, figure)| {
            let before = earlier.figure(scenario, &figure.name)?;
            let floor = match (figure.times_floor(), before.times_floor()) {
                (Some(now), Some(before)) => format!("{} → {}", short(before), short(now)),
                (Some(_) | None, _) => String::new(),
            };
            Some(vec![
                scenario.to_owned(),
                figure.name.clone(),
                with_unit(before.value, figure),
                with_unit(figure.value, figure),
                figure.cost_against(before.value).map_or(String::new(), short),
                floor,
            ])
        })
        .collect();
    let headings = ["scenario", "figure", "before", "now", "cost × before", "× floor"];
    markdown(&headings, &rows)
}

fn row(scenario: &str, figure: &Figure) -> Vec<String> {
    let optional = |value: Option<f64>| value.map_or(String::new(), |v| with_unit(v, figure));
    let met = match figure.is_met() {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    };
    vec![
        scenario.to_owned(),
        figure.name.clone(),
        with_unit(figure.value, figure),
        optional(figure.floor.as_ref().map(|floor| floor.value)),
        figure.times_floor().map_or(String::new(), short),
        optional(figure.reference),
        optional(figure.wanted),
        met.to_owned(),
    ]
}

fn remark(scenario: &str, figure: &Figure) -> Option<String> {
    let floor = figure.floor.as_ref().map(|floor| format!("floor: {}", floor.what));
    let note = Some(figure.note.clone()).filter(|note| !note.is_empty());
    let parts: Vec<String> = floor.into_iter().chain(note).collect();
    (!parts.is_empty()).then(|| format!("- {scenario}, {}: {}\n", figure.name, parts.join("; ")))
}

fn with_unit(value: f64, figure: &Figure) -> String {
    format!("{} {}", short(value), figure.unit)
}

fn markdown(headings: &[&str], rows: &[Vec<String>]) -> String {
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            let cells = rows.iter().chain([&headings]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:<width$} |"));
        format!("|{}\n", cells.collect::<String>())
    };
    let rule: String = widths.iter().map(|&width| format!("{:-<1$}|", "", width + 2)).collect();
    let body: String = rows.iter().map(line).collect();
    format!("{}|{rule}\n{body}", line(&headings))
}

#[cfg(test)]
mod tests {
    use super::super::figure::Figure;
    use super::super::report::{Outcome, Report};
    use super::{comparison, table};

    #[test]
    fn a_report_reads_as_a_table() {
        let expected = "\
| scenario | figure | measured | floor   | × floor | Go master | wanted  | met    |
|----------|--------|----------|---------|---------|-----------|---------|--------|
| one      | time   | 30.0 ms  | 20.0 ms | 1.50    | 104 ms    | 10.0 ms | **no** |
| one      | bare   | 5.00 1/s |         |         |           |         |        |

- one, time: floor: bare server; rough
- two: **nothing measured**: it hung
- profile of the program: dist
- 2 CPUs, load 0 before and 1.00 after
";
        assert_eq!(table(&report(30.0)), expected);
    }

    #[test]
    fn growth_is_a_table_of_its_own() {
        let mut report = report(1.0);
        report.outcomes.truncate(1);
        let outcome = &mut report.outcomes[0];
        outcome.scenario = "growth".to_owned();
        outcome.figures = vec![
            Figure::cost("a GET, 100 instances", "µs", 8.0),
            Figure::cost("a GET, 1000 instances", "µs", 9.0),
            Figure::cost("a delivery, 1 subscribers", "µs", 5.0),
        ];
        let expected = "\
| growth                     | 1       | 100     | 1000    |
|----------------------------|---------|---------|---------|
| a GET, by instances        |         | 8.00 µs | 9.00 µs |
| a delivery, by subscribers | 5.00 µs |         |         |
";
        assert!(table(&report).ends_with(expected), "{}", table(&report));
    }

    #[test]
    fn runs_are_compared_by_cost() {
        let shown = comparison(&report(30.0), &report(60.0));
        let line = shown.lines().nth(2).unwrap();
        assert_eq!(
            line,
            "| one      | time   | 60.0 ms  | 30.0 ms  | 0.500         | 3.00 → 1.50 |"
        );
        assert_eq!(shown.lines().count(), 4, "{shown}");
    }

    #[test]
    fn a_report_survives_its_json() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("report.json");
        report(1.0).write(&path).unwrap();
        assert_eq!(Report::read(&path).unwrap(), report(1.0));
    }

    fn report(value: f64) -> Report {
        let time = Figure::cost("time", "ms", value);
        let time = time.floor("bare server", 20.0).reference(104.0).wanted(10.0).note("rough");
        let outcome = |scenario: &str, figures: Vec<Figure>, failure: Option<&str>| Outcome {
            scenario: scenario.to_owned(),
            took_s: 1.0,
            figures,
            failure: failure.map(str::to_owned),
        };
        let one = outcome("one", vec![time, Figure::rate("bare", "1/s", 5.0)], None);
        let two = outcome("two", Vec::new(), Some("it hung"));
        let profile = Some("dist".to_owned());
        Report { profile, cpus: 2, load: [0.0, 1.0], quick: false, outcomes: vec![one, two] }
    }
}
