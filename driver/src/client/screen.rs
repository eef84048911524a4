//! A whole terminal as a screen: taken over, drawn, and given back whatever happens.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::{Mutex, Once};
use std::thread;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::sync::mpsc;

use super::failure::{Failure, written};

/// The alternate screen, without a cursor, lines not wrapped.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// How the terminal was before; none while it is not taken over.
static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

static PANICS: Once = Once::new();

struct Before {
    /// Of standard input, if that is a terminal.
    modes: Option<Termios>,
}

/// The screen; gives the terminal back when it is dropped.
#[derive(Debug)]
pub(crate) struct Screen(());

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A letter.
    Letter(char),
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
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
        let screen = Self(());
        screen.write(ENTER)?;
        Ok(screen)
    }

    /// Draws lines from the top; what was below them goes.
    pub(crate) fn draw(&self, lines: &[String]) -> Result<(), Failure> {
        // Between the first and the last sequence the terminal shows nothing new, if it can.
        let mut frame = String::from("\x1b[?2026h\x1b[H");
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(line);
            frame.push_str("\x1b[K");
        }
        frame.push_str("\x1b[J\x1b[?2026l");
        self.write(&frame)
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if it is taken over. May be called from any thread.
pub(crate) fn restore() {
    // A second one who comes meanwhile has nothing to do.
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
        // It hangs in a read until the program ends.
        thread::spawn(move || {
            let mut bytes = [0; 64];
            while let Ok(count @ 1..) = io::stdin().read(&mut bytes) {
                for key in decode(&bytes[..count]) {
                    if sender.send(key).is_err() {
                        return;
                    }
                }
            }
        });
    }
    receiver
}

fn decode(mut bytes: &[u8]) -> Vec<Key> {
    const SEQUENCES: [(&[u8], Key); 12] = [
        (b"\x1b[A", Key::Up),
        (b"\x1bOA", Key::Up),
        (b"\x1b[B", Key::Down),
        (b"\x1bOB", Key::Down),
        (b"\x1b[5~", Key::PageUp),
        (b"\x1b[6~", Key::PageDown),
        (b"\x1b[H", Key::Home),
        (b"\x1bOH", Key::Home),
        (b"\x1b[1~", Key::Home),
        (b"\x1b[F", Key::End),
        (b"\x1bOF", Key::End),
        (b"\x1b[4~", Key::End),
    ];
    let mut keys = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        if let Some((sequence, key)) = SEQUENCES.iter().find(|(known, _)| bytes.starts_with(known))
        {
            keys.push(*key);
            bytes = &bytes[sequence.len()..];
            continue;
        }
        match first {
            b' ' => keys.push(Key::PageDown),
            letter if letter.is_ascii_graphic() => keys.push(Key::Letter(char::from(letter))),
            _ => {}
        }
        bytes = rest;
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        assert_eq!(
            decode(b"q\x1b[A\x1bOB\x1b[6~s "),
            [Key::Letter('q'), Key::Up, Key::Down, Key::PageDown, Key::Letter('s'), Key::PageDown]
        );
    }
}
