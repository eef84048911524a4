//! What processes print: lines and checkpoints.

use std::str::FromStr;
use std::sync::LazyLock;

use openctrl_core::checkpoint::Checkpoint;
use openctrl_core::line::{LINE_MAX_BYTES, LineSplitter};
use openctrl_core::output::{OutputBatch, OutputItem, OutputParser};
use regex::bytes::{Captures, Regex};

/// A line as it ought to be: what is kept of it, and how many bytes are not.
type Line = (Vec<u8>, u64);

/// The first byte says how many of the next bytes are lengths of chunks; the rest is a stream, in
/// which 254 stands for a run of about as many bytes as are kept of a line, the next byte says
/// exactly how many. The lines and their kinds are those of the model, however the
/// stream is cut up.
pub fn line(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else { return };
    let (lengths, stream) = rest.split_at(rest.len().min(usize::from(count % 16)));
    let stream = expand(stream);
    let chunks = cut(&stream, lengths);
    assert_eq!(chunks.concat(), stream, "the chunks are the stream");
    let model = model(&stream);
    assert!(split(&chunks) == model, "the lines are others than the stream's");
    let (mut parser, mut items) = (OutputParser::default(), Vec::new());
    for chunk in chunks {
        items.extend(parsed(&parser.push(chunk)));
    }
    items.extend(parsed(&parser.finish()));
    assert!(items == model.iter().map(meaning).collect::<Vec<_>>(), "a line is taken for another");
    assert!(parser.finish().is_empty(), "the last line counts once");
}

/// A checkpoint is what the pattern of the contract finds, no more and no less.
pub fn checkpoint(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        assert_eq!(Checkpoint::find(line), by_pattern(line));
    }
}

fn expand(stream: &[u8]) -> Vec<u8> {
    const RUN: u8 = 254;
    let (mut expanded, mut bytes, mut runs) = (Vec::new(), stream.iter(), 0);
    while let Some(byte) = bytes.next() {
        match (*byte, runs) {
            // A few are enough, and a stream of them only slow.
            (RUN, 0..3) => {
                let more = usize::from(bytes.next().copied().unwrap_or(0) % 8);
                expanded.resize(expanded.len() + LINE_MAX_BYTES - 4 + more, b'y');
                runs += 1;
            }
            (other, _) => expanded.push(other),
        }
    }
    expanded
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

fn split(chunks: &[&[u8]]) -> Vec<Line> {
    let (mut splitter, mut lines) = (LineSplitter::new(), Vec::new());
    for chunk in chunks {
        splitter.push(chunk, &mut |line| lines.push((line.bytes.to_vec(), line.cut_bytes)));
    }
    splitter.finish(&mut |line| lines.push((line.bytes.to_vec(), line.cut_bytes)));
    lines
}

/// The lines of a stream that is there as a whole.
fn model(stream: &[u8]) -> Vec<Line> {
    let ended = stream.strip_suffix(b"\n").unwrap_or(stream);
    let lines = ended.split(|byte| *byte == b'\n').filter(|_| !stream.is_empty());
    lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .map(|line| (kept(line), (line.len() - kept(line).len()) as u64))
        .collect()
}

/// What is kept of a line: its start, or of a long one in which CRs go back, the longest end that
/// begins after one.
fn kept(line: &[u8]) -> Vec<u8> {
    let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
    let begins = |at: &usize| *at == 0 || line[at - 1] == b'\r' && line[*at] != b'\r';
    let starts: Vec<usize> = (0..end).filter(begins).collect();
    let fits = starts.iter().find(|start| end - **start <= LINE_MAX_BYTES);
    let start = fits.or(starts.last()).copied().unwrap_or(0);
    let mut kept = line[start..end.min(start + LINE_MAX_BYTES)].to_vec();
    kept.resize((kept.len() + line.len() - end).min(LINE_MAX_BYTES), b'\r');
    kept
}

/// The kind of a line: a checkpoint, or a log line that says `ERROR` or does not.
#[derive(PartialEq)]
enum Meaning {
    Checkpoint(Checkpoint),
    Log { line: Line, is_error: bool },
}

fn meaning(line: &Line) -> Meaning {
    match by_pattern(&line.0) {
        Some(checkpoint) => Meaning::Checkpoint(checkpoint),
        None => {
            let is_error = line.0.windows(5).any(|five| five == b"ERROR");
            Meaning::Log { line: line.clone(), is_error }
        }
    }
}

fn parsed(batch: &OutputBatch) -> Vec<Meaning> {
    let item = |item: &OutputItem| match item {
        OutputItem::Checkpoint(checkpoint) => Meaning::Checkpoint(**checkpoint),
        OutputItem::Log(log) => {
            let line = (batch.text_of(log).to_vec(), log.cut_bytes);
            Meaning::Log { line, is_error: log.is_error }
        }
    };
    batch.items.iter().map(item).collect()
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
