//! Tables of text that fit the terminal.

use std::borrow::Cow;

use super::text::{fit, plain, width, wrap};

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The heading.
    pub(crate) title: &'static str,
    /// Numbers are right-aligned.
    pub(crate) is_number: bool,
    /// Where the width does not suffice it may be narrowed down to this, unless 0.
    pub(crate) shrinks_to: usize,
    /// Whether a text that is too wide for it goes on in the next line.
    pub(crate) wraps: bool,
}

/// The style of a cell if there are colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As any text.
    Plain,
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
    /// Of less interest.
    Dim,
}

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: Cow<'static, str>,
    /// How many columns the text takes.
    wide: usize,
    tone: Tone,
}

/// Where a table is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Canvas {
    /// Columns of the terminal; none where nothing has to fit.
    pub(crate) width: Option<usize>,
    /// Whether there are colors.
    pub(crate) has_colours: bool,
}

impl Column {
    /// Text of its own width.
    pub(crate) const fn text(title: &'static str) -> Self {
        Self { title, is_number: false, shrinks_to: 0, wraps: false }
    }

    /// A number.
    pub(crate) const fn number(title: &'static str) -> Self {
        Self { title, is_number: true, shrinks_to: 0, wraps: false }
    }

    /// Text that gives way.
    pub(crate) const fn flexible(title: &'static str, shrinks_to: usize) -> Self {
        Self { title, is_number: false, shrinks_to, wraps: false }
    }

    /// Text that gives way, and of which nothing is lost.
    pub(crate) const fn wrapping(title: &'static str, shrinks_to: usize) -> Self {
        Self { title, is_number: false, shrinks_to, wraps: true }
    }
}

impl Cell {
    /// A cell; what would act on a terminal is written out.
    pub(crate) fn new(text: &str) -> Self {
        Self::toned(text, Tone::Plain)
    }

    /// A cell with a look.
    pub(crate) fn toned(text: &str, tone: Tone) -> Self {
        Self::safe(plain(text).into_owned().into(), tone)
    }

    /// A cell of a text of our own.
    pub(crate) fn own(text: impl Into<Cow<'static, str>>) -> Self {
        Self::safe(text.into(), Tone::Plain)
    }

    fn safe(text: Cow<'static, str>, tone: Tone) -> Self {
        let wide = width(&text);
        Self { text, wide, tone }
    }
}

/// The lines of a table, the heading first, without line ends.
pub(crate) fn lines(columns: &[Column], rows: &[Vec<Cell>], canvas: Canvas) -> Vec<String> {
    let widths = widths(columns, rows, canvas.width);
    let heading = heading(columns);
    let mut lines = Vec::with_capacity(rows.len() + 1);
    for row in std::iter::once(&heading).chain(rows) {
        let mut is_too_wide = row.iter().zip(columns).zip(&widths);
        if is_too_wide.any(|((cell, column), wide)| column.wraps && cell.wide > *wide) {
            let parts = wrapped(columns, row, &widths);
            lines.extend(parts.iter().map(|part| line(columns, part, &widths, canvas)));
        } else {
            lines.push(line(columns, row, &widths, canvas));
        }
    }
    lines
}

fn heading(columns: &[Column]) -> Vec<Cell> {
    columns.iter().map(|column| Cell::safe(column.title.into(), Tone::Dim)).collect()
}

/// A row as several: what does not fit a column that wraps is in the next ones.
fn wrapped(columns: &[Column], row: &[Cell], widths: &[usize]) -> Vec<Vec<Cell>> {
    let blank = || vec![Cell::own(""); row.len()];
    let mut rows = vec![row.to_vec()];
    for (index, cell) in row.iter().enumerate() {
        if !columns[index].wraps || cell.wide <= widths[index] {
            continue;
        }
        for (number, part) in wrap(&cell.text, widths[index]).into_iter().enumerate() {
            if number == rows.len() {
                rows.push(blank());
            }
            rows[number][index] = Cell::safe(part.into(), cell.tone);
        }
    }
    rows
}

/// `text` in the look of `tone`.
pub(crate) fn paint(text: &str, tone: Tone, canvas: Canvas) -> String {
    let code = match tone {
        _ if !canvas.has_colours => return text.to_owned(),
        Tone::Plain => return text.to_owned(),
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Dim => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

fn line(columns: &[Column], row: &[Cell], widths: &[usize], canvas: Canvas) -> String {
    let wide = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
    let mut line = String::with_capacity(wide);
    pieces(columns, row, widths, |text, tone| match tone {
        Tone::Plain => line.push_str(&text),
        Tone::Good | Tone::Bad | Tone::Dim => line.push_str(&paint(&text, tone, canvas)),
    });
    line.truncate(line.trim_end_matches(' ').len());
    // If even the narrowest table is too wide, lines are cut at the end.
    match canvas.width {
        Some(limit) if wide > limit => fit(&strip(&line), limit).into_owned(),
        Some(_) | None => line,
    }
}

/// The lines of a table as pieces of text with their looks, its heading first.
pub(crate) fn looks(
    columns: &[Column],
    rows: &[Vec<Cell>],
    width: usize,
) -> Vec<Vec<(String, Tone)>> {
    let widths = widths(columns, rows, Some(width));
    let heading = heading(columns);
    let looks_of = |row: &Vec<Cell>| {
        let mut looks = Vec::with_capacity(3 * columns.len());
        pieces(columns, row, &widths, |text, tone| looks.push((text.into_owned(), tone)));
        looks
    };
    std::iter::once(&heading).chain(rows).map(looks_of).collect()
}

/// Passes on the pieces of a row: texts with their looks, and the space between them.
fn pieces<'a>(
    columns: &[Column],
    row: &'a [Cell],
    widths: &[usize],
    mut put: impl FnMut(Cow<'a, str>, Tone),
) {
    // Wider gaps are rare.
    const SPACES: &str = "                                                                ";
    let space = |count: usize, put: &mut dyn FnMut(Cow<'a, str>, Tone)| {
        if count > 0 {
            let spaces = SPACES.get(..count);
            put(spaces.map_or_else(|| " ".repeat(count).into(), Cow::from), Tone::Plain);
        }
    };
    for (index, ((cell, column), &wide)) in row.iter().zip(columns).zip(widths).enumerate() {
        let (text, taken) = match cell.wide <= wide {
            true => (Cow::Borrowed(&*cell.text), cell.wide),
            false => {
                let text = fit(&cell.text, wide);
                let taken = width(&text);
                (text, taken)
            }
        };
        let gap = if index > 0 { 2 } else { 0 };
        let padding = wide - taken;
        space(if column.is_number { gap + padding } else { gap }, &mut put);
        put(text, cell.tone);
        if !column.is_number && index + 1 < columns.len() {
            space(padding, &mut put);
        }
    }
}

/// Without colors, so that it can be cut.
fn strip(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let mut text = parts.next().unwrap_or_default().to_owned();
    text.extend(parts.map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)));
    text
}

/// Every column as wide as its widest cell; flexible ones give way, the widest first.
fn widths(columns: &[Column], rows: &[Vec<Cell>], limit: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|column| width(column.title)).collect();
    for row in rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = (*wide).max(cell.wide);
        }
    }
    let Some(limit) = limit else { return widths };
    let gaps = 2 * (columns.len() - 1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(limit);
    while excess > 0 {
        let may_shrink = |(index, wide): &(usize, &mut usize)| {
            columns[*index].shrinks_to > 0 && **wide > columns[*index].shrinks_to
        };
        let widest = widths.iter_mut().enumerate().filter(may_shrink).max_by_key(|(_, w)| **w);
        let Some((_, wide)) = widest else { break };
        *wide -= 1;
        excess -= 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] =
        [Column::flexible("NAME", 4), Column::number("SIZE"), Column::flexible("URL", 6)];

    fn rows() -> Vec<Vec<Cell>> {
        let row = |name: &str, size: &str, url: &str| {
            vec![Cell::toned(name, Tone::Good), Cell::new(size), Cell::new(url)]
        };
        vec![row("好好好", "7", "demo://a"), row("b\x1b[2J", "1024", "exec:/bin/sleep?arg=60")]
    }

    fn shown(width: Option<usize>, has_colours: bool) -> String {
        lines(&COLUMNS, &rows(), Canvas { width, has_colours }).join("\n")
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        insta::assert_snapshot!(shown(None, false), @r"
        NAME      SIZE  URL
        好好好       7  demo://a
        b\x1b[2J  1024  exec:/bin/sleep?arg=60
        ");
    }

    #[test]
    fn a_table_fits_the_terminal_at_any_width() {
        insta::assert_snapshot!(shown(Some(30), false), @r"
        NAME      SIZE  URL
        好好好       7  demo://a
        b\x1b[2J  1024  exec:/bin/sle…
        ");
        for limit in 1..60 {
            let shown = shown(Some(limit), false);
            assert!(shown.lines().all(|line| width(line) <= limit), "{limit}: {shown}");
        }
    }

    #[test]
    fn nothing_of_a_text_that_wraps_is_lost() {
        let columns = [Column::text("NAME"), Column::wrapping("REASON", 6), Column::number("PID")];
        let row = |name: &'static str, reason: &str| {
            vec![Cell::own(name), Cell::new(reason), Cell::own("7")]
        };
        let rows = [row("a", "exited with code 9"), row("b", "waits for averylongname")];
        let canvas = Canvas { width: Some(22), has_colours: false };
        insta::assert_snapshot!(lines(&columns, &rows, canvas).join("\n"), @r"
        NAME  REASON       PID
        a     exited with    7
              code 9
        b     waits for      7
              averylongna
              me
        ");
    }

    #[test]
    fn colours_do_not_count() {
        let plain = shown(Some(40), false);
        assert_eq!(shown(Some(40), true).lines().map(strip).collect::<Vec<_>>().join("\n"), plain);
    }
}
