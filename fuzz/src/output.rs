//! What processes print: lines and checkpoints.

use std::str::FromStr;
use std::sync::LazyLock;

use openctrl_core::checkpoint::Checkpoint;
use openctrl_core::line::{LINE_MAX_BYTES, LineSplitter};
use regex::bytes::{Captures, Regex};

/// The first byte says how many of the next bytes are lengths of chunks; the rest is a stream,
/// whose lines may not depend on how it is cut up.
pub fn line(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else { return };
    let (lengths, stream) = rest.split_at(rest.len().min(usize::from(count % 16)));
    let whole = split([stream].into_iter());
    let chunks = cut(stream, lengths);
    assert_eq!(chunks.concat(), stream, "the chunks are the stream");
    assert_eq!(split(chunks.into_iter()), whole, "lines depend on chunks");
    for (bytes, cut_bytes) in &whole {
        assert!(bytes.len() <= LINE_MAX_BYTES && !bytes.contains(&b'\n'));
        assert!(*cut_bytes == 0 || bytes.len() == LINE_MAX_BYTES, "cut before the limit");
    }
}

/// A checkpoint is what the pattern of the contract finds, no more and no less.
pub fn checkpoint(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        assert_eq!(Checkpoint::find(line), by_pattern(line));
    }
}

fn cut<'a>(stream: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let (mut rest, mut chunks) = (stream, Vec::new());
    for length in lengths {
        let (chunk, after) = rest.split_at(rest.len().min(usize::from(*length)));
        chunks.push(chunk);
        rest = after;
    }
    chunks.push(rest);
    chunks
}

fn split<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, u64)> {
    let (mut splitter, mut lines) = (LineSplitter::new(), Vec::new());
    for chunk in chunks {
        splitter.push(chunk, &mut |line| lines.push((line.bytes.to_vec(), line.cut_bytes)));
    }
    splitter.finish(&mut |line| lines.push((line.bytes.to_vec(), line.cut_bytes)));
    lines
}

static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    let gauges =
        r"CHECK_POINT\|MODE=([0-9]+)\|PING=([0-9]+)ms\|POOL=([0-9]+)\|TCPS=([0-9]+)\|UDPS=([0-9]+)";
    let counters = r"\|TCPRX=([0-9]+)\|TCPTX=([0-9]+)\|UDPRX=([0-9]+)\|UDPTX=([0-9]+)";
    Regex::new(&format!("{gauges}{counters}")).expect("the pattern is constant")
});

fn by_pattern(line: &[u8]) -> Option<Checkpoint> {
    let groups = PATTERN.captures(line)?;
    Some(Checkpoint {
        mode: field(&groups, 1),
        ping: field(&groups, 2),
        pool: field(&groups, 3),
        tcps: field(&groups, 4),
        udps: field(&groups, 5),
        tcprx: field(&groups, 6),
        tcptx: field(&groups, 7),
        udprx: field(&groups, 8),
        udptx: field(&groups, 9),
    })
}

fn field<T: FromStr>(groups: &Captures<'_>, index: usize) -> Option<T> {
    std::str::from_utf8(&groups[index]).expect("digits are UTF-8").parse().ok()
}
