//! The text that a terminal shows for a line that overwrites itself: a carriage return moves to the
//! start of the line, as progress bars do, and a backspace one column back, as spinners do.
//!
//! Owns: the remaining text and its colors. Every character counts as one column. Movements to
//! other lines are ignored.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::str::Chars;

/// The longest style that is kept; colors take less.
const STYLE_MAX_BYTES: usize = 64;

/// The text that remains. Text without a carriage return or a backspace is unchanged.
pub fn displayed(text: &str) -> Cow<'_, str> {
    if !text.contains(['\r', '\x08']) {
        return Cow::Borrowed(text);
    }
    let mut screen = Screen { columns_max: text.len(), ..Screen::default() };
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\r' => screen.cursor = 0,
            '\x08' => screen.cursor = screen.cursor.saturating_sub(1),
            '\x1b' => screen.escape(&mut chars),
            other => screen.put(other),
        }
    }
    Cow::Owned(screen.text())
}

#[derive(Default)]
struct Screen {
    cells: Vec<(char, usize)>,
    cursor: usize,
    /// A sequence that moves the cursor further than the text is long makes nothing longer.
    columns_max: usize,
    /// The styles that were set, each as the sequences that set it. The last one is active; number
    /// 0 is the default style.
    styles: Vec<String>,
}

impl Screen {
    fn put(&mut self, char: char) {
        let cell = (char, self.styles.len());
        while self.cells.len() < self.cursor {
            self.cells.push((' ', 0));
        }
        match self.cells.get_mut(self.cursor) {
            Some(place) => *place = cell,
            None => self.cells.push(cell),
        }
        self.cursor += 1;
    }

    /// Parses the bytes after an ESC.
    fn escape(&mut self, chars: &mut Peekable<Chars<'_>>) {
        match chars.next() {
            Some('[') => self.control(chars),
            // Strings such as titles, up to BEL or ESC \.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while let Some(char) = chars.next() {
                    if char == '\x07' || char == '\x1b' && chars.next_if_eq(&'\\').is_some() {
                        break;
                    }
                }
            }
            Some(_) | None => {}
        }
    }

    /// Takes a control sequence after its introducer.
    fn control(&mut self, chars: &mut Peekable<Chars<'_>>) {
        let mut parameters = String::new();
        while let Some(char) = chars.next_if(|char| (' '..='?').contains(char)) {
            if parameters.len() < STYLE_MAX_BYTES {
                parameters.push(char);
            }
        }
        // A sequence that other bytes interrupt ends before them.
        let Some(last) = chars.next_if(|char| ('@'..='~').contains(char)) else { return };
        let number = || parameters.parse::<usize>().unwrap_or(1).max(1);
        match last {
            'm' => self.set_style(&parameters),
            'K' => self.erase(&parameters),
            'C' => self.cursor = self.cursor.saturating_add(number()).min(self.columns_max),
            'D' => self.cursor = self.cursor.saturating_sub(number()),
            'G' => self.cursor = (number() - 1).min(self.columns_max),
            _ => {}
        }
    }

    fn erase(&mut self, parameters: &str) {
        match parameters {
            "" | "0" => self.cells.truncate(self.cursor),
            "1" => {
                let end = self.cells.len().min(self.cursor + 1);
                self.cells[..end].fill((' ', 0));
            }
            "2" => self.cells.clear(),
            _ => {}
        }
    }

    fn set_style(&mut self, parameters: &str) {
        let is_reset = parameters.is_empty() || parameters.split([';', ':']).any(|one| one == "0");
        let before = self.styles.last().filter(|_| !is_reset).cloned().unwrap_or_default();
        let mut style = before;
        if !matches!(parameters, "" | "0") && style.len() + parameters.len() < STYLE_MAX_BYTES {
            style.push_str("\x1b[");
            style.push_str(parameters);
            style.push('m');
        }
        self.styles.push(style);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut style = "";
        for (char, number) in &self.cells {
            let wanted = number.checked_sub(1).map_or("", |index| self.styles[index].as_str());
            if wanted != style {
                if !style.is_empty() {
                    text.push_str("\x1b[0m");
                }
                text.push_str(wanted);
                style = wanted;
            }
            text.push(*char);
        }
        if !style.is_empty() {
            text.push_str("\x1b[0m");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_return_overwrites_what_was_there() {
        let cases = [
            ("plain \x1b[1mbold", "plain \x1b[1mbold"),
            ("abc\rx", "xbc"),
            (" 5 %\r50 %\r100 %", "100 %"),
            ("long line\rshort\x1b[K", "short"),
            ("old\r\x1b[2Knew", "new"),
            ("abcd\r\x1b[1Kx", "xbcd"),
            ("|\x08/\x08-", "-"),
            ("\x08\x08a", "a"),
            ("abc\r", "abc"),
            ("abc\r\r\r", "abc"),
            ("abc\r\x1b[2Cx\x1b[1Dy\x1b[1Gz", "zby"),
            ("a\r\x1b[5Cb", "a    b"),
            ("\x1b]0;title\x07a\rb", "b"),
            ("\x1b]0;title\x1b\\a\rb", "b"),
            ("größe\rÄ", "Äröße"),
        ];
        for (text, shown) in cases {
            assert_eq!(displayed(text), shown, "{text:?}");
        }
    }

    #[test]
    fn colors_stay_with_their_characters() {
        let red_and_plain = "\x1b[31mred\x1b[0m!";
        assert_eq!(displayed(&alloc::format!("xxxx\r{red_and_plain}")), red_and_plain);
        let (red, bold) = ("\x1b[31m", "\x1b[1m");
        assert_eq!(
            displayed(&alloc::format!("{red}abc\r{bold}x\x1b[m")),
            alloc::format!("{red}{bold}x\x1b[0m{red}bc\x1b[0m")
        );
        assert!(matches!(displayed(red_and_plain), Cow::Borrowed(_)));
    }

    #[test]
    fn a_far_movement_makes_nothing_large() {
        assert!(displayed("\r\x1b[999999999Cx\x1b[999999999Gy").len() < 40);
    }

    proptest! {
        #[test]
        fn plain_segments_overwrite_column_by_column(segments in prop::collection::vec("[a-zé ]{0,9}", 1..6)) {
            let text = segments.join("\r");
            let mut expected: Vec<char> = Vec::new();
            for segment in &segments {
                for (column, char) in segment.chars().enumerate() {
                    if column < expected.len() { expected[column] = char } else { expected.push(char) }
                }
            }
            prop_assert_eq!(&displayed(&text), &expected.into_iter().collect::<String>());
        }

        #[test]
        fn no_text_panics(text in "[\r\x08\x1b\\[0-9;mKCGDé]{0,60}|\\PC{0,40}") {
            displayed(&text);
        }
    }
}
