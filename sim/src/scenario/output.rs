//! What processes print, in the bytes that they print.

use crate::choice::Choices;
use crate::world::{Fault, Prints, Process};

/// The most lines of a flood.
const FLOOD_LINES: usize = 256;

/// Text, and how many of its last bytes are not read yet.
pub(super) struct Printed {
    pub(super) text: Vec<u8>,
    pub(super) kept_back: usize,
    pub(super) faults: Vec<Fault>,
}

/// What `process` prints next.
pub(super) fn printed(choices: &mut Choices, process: &mut Process) -> Printed {
    let mut printed = Printed { text: Vec::with_capacity(400), kept_back: 0, faults: Vec::new() };
    match process.character.prints {
        Prints::Nothing => {}
        Prints::Checkpoints => lines(choices, &mut process.counters, &mut printed),
        Prints::Floods => flood(choices, &mut process.counters, &mut printed),
        Prints::Garbage => garbage(choices, &mut process.counters, &mut printed),
    }
    printed
}

/// One to three lines of a process that has exited.
pub(super) fn late(choices: &mut Choices) -> Vec<u8> {
    let mut printed = Printed { text: Vec::new(), kept_back: 0, faults: Vec::new() };
    lines(choices, &mut [7; 4], &mut printed);
    printed.text
}

fn lines(choices: &mut Choices, counters: &mut [u64; 4], printed: &mut Printed) {
    for _ in 0..=choices.below(3) {
        line(choices, counters, printed);
    }
}

fn line(choices: &mut Choices, counters: &mut [u64; 4], printed: &mut Printed) {
    match choices.below(6) {
        0 | 1 => printed.text.extend_from_slice(b"a line\n"),
        2 => printed.text.extend_from_slice(b"an ERROR line\n"),
        _ => checkpoint(choices, counters, printed),
    }
}

/// Many lines of a few kinds.
fn flood(choices: &mut Choices, counters: &mut [u64; 4], printed: &mut Printed) {
    let (count, period) = (1 + choices.below(FLOOD_LINES), 2 + choices.below(20));
    for index in 0..count {
        if index % period == 1 {
            line(choices, counters, printed);
        } else {
            printed.text.extend_from_slice(b"line ");
            number(&mut printed.text, index as u64);
            printed.text.push(b'\n');
        }
    }
    printed.faults.push(Fault::Flood);
}

/// Bytes that are no text among lines, in pieces.
fn garbage(choices: &mut Choices, counters: &mut [u64; 4], printed: &mut Printed) {
    line(choices, counters, printed);
    let part: &[u8] = choices.pick::<&[u8]>(&[
        b"no end",
        b"\xff\xfe\xc3\n",
        b"\r\n\r",
        b"\xe2\x82",
        b"ERR",
        b"OR\n",
        b"CHECK_POINT|MODE=1|PING",
        b"\0\x1b[31m\xf0\x9f\n",
    ]);
    printed.text.extend_from_slice(part);
    if str::from_utf8(part).is_err() {
        printed.faults.push(Fault::NoText);
    }
    if choices.one_in(2) {
        line(choices, counters, printed);
    }
    printed.kept_back = choices.below(printed.text.len().min(200));
    if printed.kept_back > 0 {
        printed.faults.push(Fault::PartialLine);
    }
}

/// A checkpoint whose counters went on, mostly; they may also start over, jump, or overflow.
fn checkpoint(choices: &mut Choices, counters: &mut [u64; 4], printed: &mut Printed) {
    let gauge = choices.below(100);
    let mode = gauge % 3;
    let text = &mut printed.text;
    text.extend_from_slice(b"CHECK_POINT|MODE=");
    number(text, mode as u64);
    text.extend_from_slice(b"|PING=");
    number(text, gauge as u64);
    text.extend_from_slice(b"ms|POOL=2|TCPS=");
    number(text, gauge as u64);
    text.extend_from_slice(b"|UDPS=3");
    // One byte selects for each counter whether it behaves unusually.
    let odd = choices.byte();
    let step = choices.below(1_000) as u64;
    for (index, (name, counter)) in
        [b"|TCPRX=", b"|TCPTX=", b"|UDPRX=", b"|UDPTX="].into_iter().zip(counters).enumerate()
    {
        text.extend_from_slice(name);
        let is_odd = odd >= 192 && usize::from(odd) % 4 == index;
        match (odd / 4) % 4 {
            0 if is_odd => {
                *counter = step % 50;
                printed.faults.push(Fault::CountsAnew);
            }
            1 if is_odd => *counter = u64::MAX - step % 2,
            2 if is_odd => {
                text.extend_from_slice(b"18446744073709551616");
                printed.faults.push(Fault::CounterOverflows);
                continue;
            }
            3 if is_odd => *counter = choices.word(),
            _ => *counter = counter.saturating_add(step * (index as u64 + 1)),
        }
        number(text, *counter);
    }
    text.push(b'\n');
}

fn number(text: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut rest = number;
    let mut start = digits.len();
    while rest > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for value in [0, 9, 10, 1_234_567_890, u64::MAX] {
            let mut text = b"=".to_vec();
            number(&mut text, value);
            assert_eq!(text, format!("={value}").into_bytes());
        }
    }
}
