//! Tables of text that fit the terminal.

use std::borrow::Cow;

use super::text::{fit, plain, width};

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The heading.
    pub(crate) title: &'static str,
    /// Numbers are right-aligned.
    pub(crate) is_number: bool,
    /// Where the width does not suffice it may be narrowed down to this, unless 0.
    pub(crate) shrinks_to: usize,
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
    text: String,
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
        Self { title, is_number: false, shrinks_to: 0 }
    }

    /// A number.
    pub(crate) const fn number(title: &'static str) -> Self {
        Self { title, is_number: true, shrinks_to: 0 }
    }

    /// Text that gives way.
    pub(crate) const fn flexible(title: &'static str, shrinks_to: usize) -> Self {
        Self { title, is_number: false, shrinks_to }
    }
}

impl Cell {
    /// A cell; what would act on a terminal is written out.
    pub(crate) fn new(text: &str) -> Self {
        Self::toned(text, Tone::Plain)
    }

    /// A cell with a look.
    pub(crate) fn toned(text: &str, tone: Tone) -> Self {
        Self { text: plain(text).into_owned(), tone }
    }
}

/// The lines of a table, the heading first, without line ends.
pub(crate) fn lines(columns: &[Column], rows: &[Vec<Cell>], canvas: Canvas) -> Vec<String> {
    let widths = widths(columns, rows, canvas.width);
    let heading: Vec<Cell> =
        columns.iter().map(|column| Cell::toned(column.title, Tone::Dim)).collect();
    std::iter::once(&heading).chain(rows).map(|row| line(columns, row, &widths, canvas)).collect()
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
    let mut line = String::with_capacity(widths.iter().sum::<usize>() + 2 * widths.len());
    for (text, tone) in pieces(columns, row, widths) {
        match tone {
            Tone::Plain => line.push_str(&text),
            Tone::Good | Tone::Bad | Tone::Dim => line.push_str(&paint(&text, tone, canvas)),
        }
    }
    // If even the narrowest table is too wide, lines are cut at the end.
    match canvas.width {
        Some(limit) if widths.iter().sum::<usize>() + 2 * (widths.len() - 1) > limit => {
            fit(&strip(&line), limit).into_owned()
        }
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
    let heading: Vec<Cell> =
        columns.iter().map(|column| Cell::toned(column.title, Tone::Dim)).collect();
    let owned = |(text, tone): Piece<'_>| (text.into_owned(), tone);
    std::iter::once(&heading)
        .chain(rows)
        .map(|row| pieces(columns, row, &widths).into_iter().map(owned).collect())
        .collect()
}

/// A text and how it looks.
type Piece<'a> = (Cow<'a, str>, Tone);

fn pieces<'a>(columns: &[Column], row: &'a [Cell], widths: &[usize]) -> Vec<Piece<'a>> {
    // Wider gaps are rare.
    const SPACES: &str = "                                                                ";
    let mut pieces = Vec::with_capacity(3 * columns.len());
    let space = |count: usize, pieces: &mut Vec<Piece<'a>>| {
        if count > 0 {
            let spaces = SPACES.get(..count);
            pieces.push((spaces.map_or_else(|| " ".repeat(count).into(), Cow::from), Tone::Plain));
        }
    };
    for (index, ((cell, column), &wide)) in row.iter().zip(columns).zip(widths).enumerate() {
        space(if index > 0 { 2 } else { 0 }, &mut pieces);
        let text = fit(&cell.text, wide);
        let padding = wide - width(&text);
        if column.is_number {
            space(padding, &mut pieces);
        }
        pieces.push((text, cell.tone));
        if !column.is_number && index + 1 < columns.len() {
            space(padding, &mut pieces);
        }
    }
    pieces
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
            *wide = (*wide).max(width(&cell.text));
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
    fn colours_do_not_count() {
        let plain = shown(Some(40), false);
        assert_eq!(shown(Some(40), true).lines().map(strip).collect::<Vec<_>>().join("\n"), plain);
    }
}
