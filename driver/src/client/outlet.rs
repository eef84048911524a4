//! Where answers go, and in which form.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use super::document::Document;
use super::failure::{Failure, written};
use super::table::{Canvas, Cell, Column, lines};
use super::text::plain;
use crate::grammar::Format;

/// Standard output, and how it is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlet {
    /// The form of answers.
    pub(crate) format: Format,
    /// What tables are drawn on.
    pub(crate) canvas: Canvas,
}

impl Outlet {
    /// Looks at what standard output is.
    pub(crate) fn new(format: Format) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let width = is_terminal.then(terminal_size).flatten().map(|(columns, _)| columns);
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let is_able = std::env::var_os("TERM").is_none_or(|name| name != "dumb");
        let has_colours = is_terminal && is_wanted && is_able;
        Self { format, canvas: Canvas { width, has_colours } }
    }

    /// Whether answers are for programs.
    pub(crate) const fn is_for_programs(&self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    /// Writes objects of the master: many as a list.
    pub(crate) fn documents(&self, documents: Vec<Document>) -> Result<(), Failure> {
        self.document(&Document::List(documents))
    }

    /// Writes one object of the master.
    pub(crate) fn document(&self, document: &Document) -> Result<(), Failure> {
        match self.format {
            Format::Yaml => self.print(&document.to_yaml()),
            Format::Json | Format::Table | Format::Wide => self.print(&(document.to_json() + "\n")),
        }
    }

    /// Writes a table.
    pub(crate) fn table(&self, columns: &[Column], rows: &[Vec<Cell>]) -> Result<(), Failure> {
        let mut text = lines(columns, rows, self.canvas).join("\n");
        text.push('\n');
        self.print(&text)
    }

    /// Writes names and values, one pair a line.
    pub(crate) fn pairs(&self, pairs: &[(String, String)]) -> Result<(), Failure> {
        let wide = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let line = |(name, value): &(String, String)| {
            format!("{:<wide$}  {}", plain(name), plain(value)).trim_end().to_owned() + "\n"
        };
        self.print(&pairs.iter().map(line).collect::<String>())
    }

    /// Writes text unchanged.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
    }
}

/// Writes a line to standard error.
pub(crate) fn note(text: &str) {
    // If standard error fails, the error cannot be reported.
    let _ = writeln!(io::stderr(), "openctrl: {text}");
}

/// The note for a command that is interrupted.
static INTERRUPTED: Mutex<String> = Mutex::new(String::new());

/// Sets the note that is written if a signal ends the command from now on.
pub(crate) fn if_interrupted(text: &str) {
    text.clone_into(&mut INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Writes this note; a signal ends the command.
pub(crate) fn interrupted() {
    let text = INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !text.is_empty() {
        note(&text);
    }
}

/// Columns and rows of the terminal that standard output is.
pub(crate) fn terminal_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    // A terminal with an unknown size reports 0.
    let known = |number: u16, usual| if number == 0 { usual } else { usize::from(number) };
    Some((known(size.ws_col, 80), known(size.ws_row, 24)))
}
