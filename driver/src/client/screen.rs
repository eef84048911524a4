//! A whole terminal as a screen: taken over, drawn with ratatui, and given back in every case.

use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::{Mutex, Once};
use std::thread;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::sync::mpsc;

use super::failure::{Failure, written};

/// The alternate screen, without a cursor; pasted text is marked as such.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[H\x1b[2J";
const LEAVE: &str = "\x1b[?2004l\x1b[?25h\x1b[?1049l";

/// Between the two the terminal shows nothing new, if it can.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";

/// How the terminal was before; none while it is not taken over.
static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

static PANICS: Once = Once::new();

struct Before {
    /// Of standard input, if that is a terminal.
    modes: Option<Termios>,
}

/// The screen; gives the terminal back when it is dropped.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

/// A key that was pressed, without a modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A letter, a digit or a mark.
    Letter(char),
    Enter,
    Escape,
    Up,
    Down,
    PageUp,
    PageDown,
    /// To the first line.
    Home,
    /// To the last line.
    End,
}

impl Screen {
    /// Takes the terminal over.
    pub(crate) fn enter(what: &str) -> Result<Self, Failure> {
        if !io::stdout().is_terminal() {
            return Err(Failure::Usage(format!("{what} needs a terminal to draw on")));
        }
        let stdin = io::stdin();
        let modes = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten();
        if let Some(modes) = &modes {
            let mut raw = modes.clone();
            // Keys come one by one and are not shown; Ctrl-C is a signal still.
            raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            raw.special_codes[SpecialCodeIndex::VMIN] = 1;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            let _ = tcsetattr(&stdin, OptionalActions::Now, &raw);
        }
        *BEFORE.lock().expect("no holder panics") = Some(Before { modes });
        PANICS.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                usual(panic);
            }));
        });
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()));
        let terminal =
            terminal.map_err(|error| Failure::Refused(format!("cannot draw: {error}")))?;
        let screen = Self { terminal };
        write(ENTER)?;
        Ok(screen)
    }

    /// Draws the whole screen; only what differs from before is written.
    pub(crate) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        write(BEGIN)?;
        written(self.terminal.draw(picture).map(|_| ()))?;
        write(END)
    }
}

fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if it is taken over. May be called from any thread.
pub(crate) fn restore() {
    // A second caller has nothing to do.
    let Ok(mut before) = BEFORE.try_lock() else { return };
    let Some(before) = before.take() else { return };
    if let Some(modes) = before.modes {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &modes);
    }
    // Not by way of the lock of standard output, which a thread that hangs may hold.
    let _ = rustix::io::write(rustix::stdio::stdout(), LEAVE.as_bytes());
}

/// Keys as they are pressed; none if standard input is no terminal.
pub(crate) fn keys() -> mpsc::UnboundedReceiver<Key> {
    let (sender, receiver) = mpsc::unbounded_channel();
    if io::stdin().is_terminal() {
        // It blocks in a read until the program exits.
        thread::spawn(move || {
            while let Ok(event) = event::read() {
                let Event::Key(pressed) = event else { continue };
                if key(pressed).is_some_and(|key| sender.send(key).is_err()) {
                    return;
                }
            }
        });
    }
    receiver
}

/// The key of an event. Keys with Alt or Ctrl, pasted text and unknown sequences have none.
#[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
fn key(pressed: KeyEvent) -> Option<Key> {
    let has_modifier = pressed.modifiers.difference(KeyModifiers::SHIFT) != KeyModifiers::NONE;
    if has_modifier || pressed.kind == KeyEventKind::Release {
        return None;
    }
    match pressed.code {
        KeyCode::Char(' ') | KeyCode::PageDown => Some(Key::PageDown),
        KeyCode::Char(letter) => Some(Key::Letter(letter)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::PageUp => Some(Key::PageUp),
        KeyCode::Home => Some(Key::Home),
        KeyCode::End => Some(Key::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_a_modifier_is_another() {
        let press = |code, modifiers| key(KeyEvent::new(code, modifiers));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::Letter('q')));
        assert_eq!(press(KeyCode::Char('R'), KeyModifiers::SHIFT), Some(Key::Letter('R')));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::CONTROL), None);
        assert_eq!(press(KeyCode::F(1), KeyModifiers::NONE), None);
    }
}
