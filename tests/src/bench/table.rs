//! A report as text: a Markdown table that reads well in a terminal, too.

use super::figure::{Figure, short};
use super::report::Report;

const HEADINGS: [&str; 8] =
    ["scenario", "figure", "measured", "floor", "× floor", "Go master", "wanted", "met"];

/// The table of all figures, then remarks and failures.
pub fn table(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report.figures().map(|(name, figure)| row(name, figure)).collect();
    let mut text = markdown(&HEADINGS, &rows);
    let remarks = report.figures().filter_map(|(name, figure)| remark(name, figure));
    let failures = report.outcomes.iter().filter_map(|outcome| {
        let failure = outcome.failure.as_ref()?;
        Some(format!("- {}: **nothing measured**: {failure}\n", outcome.scenario))
    });
    text.push('\n');
    text.extend(remarks.chain(failures));
    text
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
";
        assert_eq!(table(&report(30.0)), expected);
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
        assert_eq!(super::Report::read(&path).unwrap(), report(1.0));
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
        Report { cpus: 2, load: [0.0, 1.0], quick: false, outcomes: vec![one, two] }
    }
}
