//! Makes untrusted text safe for a terminal: every character is only displayed.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text with every control character, and every other that changes how its surroundings look,
/// written out: `\x1b`, `\u{202e}`.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if is_simple(text) {
        return Cow::Borrowed(text);
    }
    escape(text, |_| false)
}

/// As [`plain`], but keeps tabs: for whole lines.
pub(crate) fn plain_line(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\t')
}

/// Whether a character controls a terminal or a reader instead of being visible: C0, C1, marks of
/// direction, separators, characters without width, and tags.
pub(crate) const fn is_hostile(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// How many columns it takes.
pub(crate) fn width(text: &str) -> usize {
    if is_simple(text) { text.len() } else { UnicodeWidthStr::width(text) }
}

/// Whether it is visible ASCII, as nearly every text of a table is.
fn is_simple(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The text in parts of at most this many columns, broken between words where that is possible.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + width(word) <= columns {
            parts.last_mut().expect("there is one").push(' ');
            used += 1;
        } else if used > 0 {
            parts.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            let wide = UnicodeWidthChar::width(c).unwrap_or(0);
            if used > 0 && used + wide > columns {
                parts.push(String::new());
                used = 0;
            }
            parts.last_mut().expect("there is one").push(c);
            used += wide;
        }
    }
    parts
}

/// The text in at most this many columns; a cut is marked with `…`.
pub(crate) fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = UnicodeWidthChar::width(c).unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        kept.push(c);
    }
    if columns > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_bad = |c: char| is_hostile(c) && !keep(c);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_bad(c) => plain.push(c),
            '\n' => plain.push_str("\\n"),
            '\r' => plain.push_str("\\r"),
            '\t' => plain.push_str("\\t"),
            c if u32::from(c) < 0x100 => {
                let _ = write!(plain, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(plain, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_the_terminal() {
        assert_eq!(plain("a\x1b]0;x\x07b\u{9b}2J"), "a\\x1b]0;x\\x07b\\x9b2J");
        assert_eq!(plain("pay \u{202e}gpj.exe\u{200b}"), "pay \\u{202e}gpj.exe\\u{200b}");
        assert_eq!(plain("one\ttwo\r\n"), "one\\ttwo\\r\\n");
        assert_eq!(plain_line("one\ttwo\x1b"), "one\ttwo\\x1b");
        assert!(matches!(plain("grün, 好 and é"), Cow::Borrowed(_)));
    }

    #[test]
    fn columns_are_counted_as_they_are_shown() {
        assert_eq!(width("好a"), 3);
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("好好", 3), "好…");
        assert_eq!(fit("好好", 2), "…");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("exited with code 9", 11), ["exited with", "code 9"]);
        assert_eq!(wrap("a very-long-word", 6), ["a", "very-l", "ong-wo", "rd"]);
        assert_eq!(wrap("好好 好", 4), ["好好", "好"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
