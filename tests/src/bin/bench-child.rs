//! The process that benchmarks run as an instance: as cheap as a process can be.
//!
//! What it does stands in its URL: `bench://wait`, `bench://checkpoints/<count>`,
//! `bench://lines/<count>/<bytes>`, `bench://lines/<count>/<bytes>/<lines a write>`, or
//! `bench://paced/<count>/<bytes>/<lines a write>`, one write a millisecond. Whatever it prints, it ends with the end mark, a checkpoint that it repeats
//! indefinitely: a reader that loses lines still sees the end. What is printed flat out begins
//! with the begin mark, another checkpoint.
//!
//! It uses the standard library only, so that the benchmark can build it without a linker's help
//! at every start (`bench/child.rs`).

use std::io::{self, Write};
use std::process::exit;
use std::thread;
use std::time::{Duration, Instant};

/// What is written at a time: as much as a pipe holds.
const BLOCK_BYTES: usize = 64 * 1024;
/// The received bytes of the marks; no other checkpoint has them.
const BEGIN_MARK: u64 = 123_454_321;
const END_MARK: u64 = 987_654_321_987;
/// Exit code for a URL that says nothing.
const MISUSE: i32 = 64;

fn main() {
    let url = std::env::args().nth(1).unwrap_or_default();
    let words: Vec<&str> = url.trim_start_matches("bench://").split(['/', '?']).collect();
    let number = |index: usize| words.get(index).and_then(|word| word.parse::<usize>().ok());
    match (words[0], number(1), number(2), number(3)) {
        ("wait", ..) => wait(),
        ("checkpoints", Some(count), ..) => blocks(count, BLOCK_BYTES, checkpoint),
        ("lines", Some(count), Some(bytes), burst) => {
            let block_bytes = burst.map_or(BLOCK_BYTES, |lines| lines * (bytes + 1));
            blocks(count, block_bytes, |n| line(n, bytes));
        }
        ("paced", Some(count), Some(bytes), Some(burst)) => paced(count, bytes, burst),
        _ => exit(MISUSE),
    }
    end();
}

fn wait() -> ! {
    loop {
        thread::park();
    }
}

/// Everything is made first: what is measured is how fast it is taken.
fn blocks(count: usize, block_bytes: usize, make: impl Fn(usize) -> String) {
    let text: String = (0..count).map(make).collect();
    put(mark(BEGIN_MARK).as_bytes());
    text.as_bytes().chunks(block_bytes).for_each(put);
}

fn paced(count: usize, bytes: usize, burst: usize) {
    let begun = Instant::now();
    let mut written = 0;
    for tick in 1.. {
        let text: String =
            (written..count.min(written + burst)).map(|number| line(number, bytes)).collect();
        put(text.as_bytes());
        written += burst;
        if written >= count {
            return;
        }
        thread::sleep((begun + Duration::from_millis(tick)).duration_since(Instant::now()));
    }
}

fn checkpoint(number: usize) -> String {
    format!(
        "CHECK_POINT|MODE=1|PING={}ms|POOL=4|TCPS=10|UDPS=2\
         |TCPRX={number}|TCPTX={number}|UDPRX=2048|UDPTX=4096\n",
        number % 100
    )
}

/// A line of this many bytes, without its end.
fn line(number: usize, bytes: usize) -> String {
    format!("{:x<bytes$}\n", format!("line {number} "))
}

fn mark(received: u64) -> String {
    format!(
        "CHECK_POINT|MODE=1|PING=1ms|POOL=4|TCPS=10|UDPS=2\
         |TCPRX={received}|TCPTX=0|UDPRX=0|UDPTX=0\n"
    )
}

fn end() {
    loop {
        put(mark(END_MARK).as_bytes());
        thread::sleep(Duration::from_millis(20));
    }
}

fn put(bytes: &[u8]) {
    let mut out = io::stdout();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        exit(0);
    }
}
