//! What processes print, in the bytes that they print.

use std::io::Write;

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

/// One to three lines, as they come of a process that is gone.
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
            write_to(&mut printed.text, format_args!("line {index}\n"));
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
    write_to(
        text,
        format_args!("CHECK_POINT|MODE={mode}|PING={gauge}ms|POOL=2|TCPS={gauge}|UDPS=3"),
    );
    // One byte says for each counter whether something odd happens to it.
    let odd = choices.byte();
    let step = choices.below(1_000) as u64;
    for (index, (name, counter)) in
        ["TCPRX", "TCPTX", "UDPRX", "UDPTX"].into_iter().zip(counters).enumerate()
    {
        let is_odd = odd >= 192 && usize::from(odd) % 4 == index;
        match (odd / 4) % 4 {
            0 if is_odd => {
                *counter = step % 50;
                printed.faults.push(Fault::CountsAnew);
            }
            1 if is_odd => *counter = u64::MAX - step % 2,
            2 if is_odd => {
                write_to(text, format_args!("|{name}=18446744073709551616"));
                printed.faults.push(Fault::CounterOverflows);
                continue;
            }
            3 if is_odd => *counter = choices.word(),
            _ => *counter = counter.saturating_add(step * (index as u64 + 1)),
        }
        write_to(text, format_args!("|{name}={counter}"));
    }
    text.push(b'\n');
}

fn write_to(text: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a vector takes everything");
}
