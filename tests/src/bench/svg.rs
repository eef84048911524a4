//! A report as one picture: for each figure its bar beside floor, Go master and wanted figure.
//!
//! Figures have units of their own, so each has a scale of its own, and it is logarithmic: what
//! matters is how many times one is the other.

use std::fmt::Write;

use super::figure::{Figure, short};
use super::report::Report;

const WIDTH: f64 = 1000.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 330.0;
const LONGEST: f64 = 520.0;
/// A bar of the smallest of a figure's values; one of `DECADE` more stands for ten times as much.
const SHORTEST: f64 = 60.0;
const DECADE: f64 = 120.0;
const BAR: f64 = 13.0;
const HEAD: f64 = 50.0;

/// The picture, as SVG.
pub fn picture(report: &Report) -> String {
    let mut body = String::new();
    let mut y = HEAD;
    for (scenario, figure) in report.figures() {
        y = group(&mut body, y, scenario, figure);
    }
    let legend = [
        ("measured", "#2a6fb0"),
        ("floor of the same run", "#7a7a7a"),
        ("Go master", "#c0702a"),
        ("wanted", "#3f9a4f"),
    ];
    let mut head = String::new();
    for (index, (name, colour)) in legend.into_iter().enumerate() {
        let x = 20.0 + 200.0 * index as f64;
        rectangle(&mut head, x, 15.0, 14.0, colour);
        text(&mut head, x + 20.0, 26.0, "start", name);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{head}{body}</svg>\n"
    )
}

/// Draws the bars of one figure; returns where the next begins.
fn group(out: &mut String, top: f64, scenario: &str, figure: &Figure) -> f64 {
    let floor = figure.floor.as_ref().map(|floor| floor.value);
    let bars = [
        (Some(figure.value), "#2a6fb0"),
        (floor, "#7a7a7a"),
        (figure.reference, "#c0702a"),
        (figure.wanted, "#3f9a4f"),
    ];
    let bars: Vec<(f64, &str)> = bars
        .into_iter()
        .filter_map(|(value, colour)| Some((value.filter(|value| *value > 0.0)?, colour)))
        .collect();
    let least = bars.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
    text(out, LEFT - 10.0, top + 11.0, "end", &format!("{scenario}: {}", figure.name));
    let mut y = top;
    for (value, colour) in &bars {
        let length = (SHORTEST + DECADE * (value / least).log10()).min(LONGEST);
        rectangle(out, LEFT, y, length, colour);
        let label = format!("{} {}", short(*value), figure.unit);
        text(out, LEFT + length + 6.0, y + 11.0, "start", &label);
        y += BAR + 1.0;
    }
    y.max(top + BAR) + 12.0
}

fn rectangle(out: &mut String, x: f64, y: f64, width: f64, colour: &str) {
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>"
    );
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222222\">{content}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::super::figure::Figure;
    use super::super::report::{Outcome, Report};
    use super::picture;

    #[test]
    fn every_value_has_its_bar() {
        let figures = vec![
            Figure::cost("a<b", "ms", 100.0).floor("bare", 10.0).wanted(10.0),
            Figure::rate("none", "1/s", 0.0),
        ];
        let scenario = "s".to_owned();
        let outcome = Outcome { scenario, took_s: 1.0, figures, failure: None };
        let outcomes = vec![outcome];
        let report = Report { profile: None, cpus: 2, load: [0.0; 2], quick: true, outcomes };
        let picture = picture(&report);
        let widths: Vec<&str> = picture
            .lines()
            .filter(|line| line.contains("x=\"330.0\""))
            .filter_map(|line| line.split("width=\"").nth(1)?.split('"').next())
            .collect();
        assert_eq!(widths, ["180.0", "60.0", "60.0"], "ten times as much is a decade longer");
        assert!(picture.contains("s: a&lt;b") && picture.ends_with("</svg>\n"), "{picture}");
    }
}
