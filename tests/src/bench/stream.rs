//! Counts marks in the bytes of an event stream, as cheaply as it can be done.
//!
//! The load generator shares the CPUs with what it measures, so nothing is parsed: the chunk
//! framing is taken off and each mark is searched for.

use memchr::memmem::Finder;

/// What a stream is searched for.
#[derive(Clone, Debug)]
pub struct Marks(Vec<Finder<'static>>);

/// One stream so far.
#[derive(Debug)]
pub struct Counter {
    marks: Marks,
    counts: Vec<u64>,
    framing: Framing,
    /// The last bytes, in which a mark may have begun.
    tail: Vec<u8>,
    bytes: u64,
    lost: u64,
}

/// Where in the transfer encoding the next byte is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Framing {
    /// In the header fields; so much of their end was seen.
    Head(Vec<u8>),
    /// In a chunk's size line.
    Size(usize),
    /// In a chunk, with this many bytes to come.
    Data(usize),
    /// No chunks: everything is data.
    Plain,
}

/// The mark that is always looked for: the report of lost events.
const GAP: &[u8] = b"event: gap\n";
/// How far behind the gap's mark its number is.
const GAP_WINDOW: usize = 120;

impl Marks {
    /// Counts these.
    pub fn new(marks: &[&str]) -> Self {
        Self(marks.iter().map(|mark| Finder::new(mark).into_owned()).collect())
    }
}

impl Counter {
    /// A stream whose answer head is still to come.
    pub fn new(marks: &Marks) -> Self {
        let counts = vec![0; marks.0.len()];
        let framing = Framing::Head(Vec::new());
        Self { marks: marks.clone(), counts, framing, tail: Vec::new(), bytes: 0, lost: 0 }
    }

    /// A stream of nothing but data.
    pub fn plain(marks: &Marks) -> Self {
        Self { framing: Framing::Plain, ..Self::new(marks) }
    }

    /// How often a mark was seen.
    pub fn count(&self, mark: usize) -> u64 {
        self.counts[mark]
    }

    /// How many bytes came, framing not counted.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many events the stream said were lost.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match &mut self.framing {
                Framing::Head(seen) => {
                    let known = seen.len();
                    seen.extend_from_slice(bytes);
                    match memchr::memmem::find(seen, b"\r\n\r\n") {
                        Some(end) => {
                            let head = String::from_utf8_lossy(&seen[..end]).to_ascii_lowercase();
                            let is_chunked = head.contains("transfer-encoding: chunked");
                            let used = end + 4 - known;
                            self.framing =
                                if is_chunked { Framing::Size(0) } else { Framing::Plain };
                            &bytes[used..]
                        }
                        None => return,
                    }
                }
                Framing::Size(size) => match size_line(size, bytes) {
                    (rest, true) => {
                        self.framing = Framing::Data(*size);
                        rest
                    }
                    (rest, false) => rest,
                },
                Framing::Data(left) => {
                    let (data, rest) = bytes.split_at(bytes.len().min(*left));
                    *left -= data.len();
                    let is_over = *left == 0;
                    self.search(data);
                    if is_over {
                        self.framing = Framing::Size(0);
                    }
                    rest
                }
                Framing::Plain => {
                    self.search(bytes);
                    return;
                }
            };
        }
    }

    fn search(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        for (finder, count) in self.marks.0.iter().zip(&mut self.counts) {
            let length = finder.needle().len();
            // Those that began before: what is in the seam alone was counted.
            let begun = &self.tail[self.tail.len().saturating_sub(length - 1)..];
            let seam = [begun, &data[..data.len().min(length - 1)]].concat();
            *count += finder.find_iter(&seam).count() as u64;
            *count += finder.find_iter(data).count() as u64;
        }
        self.search_gap(data);
        let keep = self.marks.0.iter().map(|finder| finder.needle().len()).max().unwrap_or(1);
        if data.len() >= keep {
            self.tail.clear();
            self.tail.extend_from_slice(&data[data.len() - keep..]);
        } else {
            self.tail.extend_from_slice(data);
            let excess = self.tail.len().saturating_sub(keep);
            self.tail.drain(..excess);
        }
    }

    /// A gap is a frame at the start of a chunk: one that a read cuts in two shows in the sum
    /// of what came, and only its number is lost.
    fn search_gap(&mut self, data: &[u8]) {
        let window = &data[..data.len().min(GAP.len() + GAP_WINDOW)];
        let Some(frame) = window.strip_prefix(GAP) else { return };
        let Some(at) = memchr::memmem::find(frame, b"\"lost\":") else { return };
        let digits = frame[at + 7..].iter().take_while(|byte| byte.is_ascii_digit());
        self.lost += digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    }
}

/// Reads on in a size line, which a line end may precede; whether it ended.
fn size_line<'a>(size: &mut usize, bytes: &'a [u8]) -> (&'a [u8], bool) {
    for (index, byte) in bytes.iter().enumerate() {
        match char::from(*byte).to_digit(16) {
            Some(digit) => *size = *size * 16 + digit as usize,
            None if *byte == b'\n' && *size > 0 => return (&bytes[index + 1..], true),
            None => {}
        }
    }
    (&[], false)
}

#[cfg(test)]
mod tests {
    use super::{Counter, Marks};

    const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        8\r\nabcXYZde\r\n3\r\nfXY\r\n7\r\nZabcXYZ\r\n\
        36\r\nevent: gap\ndata: {\"time\":\"2026-01-01\",\"lost\":12345}\n\n\r\n3\r\nabc\r\n";

    #[test]
    fn marks_are_counted_however_the_bytes_come() {
        let marks = Marks::new(&["XYZ", "abc", "c"]);
        for cut in 1..STREAM.len() {
            let mut counter = Counter::new(&marks);
            for part in STREAM.as_bytes().chunks(cut) {
                counter.push(part);
            }
            let counts = [0, 1, 2].map(|mark| counter.count(mark));
            assert_eq!(counts, [3, 3, 3], "in parts of {cut} bytes");
            assert_eq!(counter.bytes(), 8 + 3 + 7 + 0x36 + 3);
        }
        let mut counter = Counter::new(&marks);
        counter.push(STREAM.as_bytes());
        assert_eq!(counter.lost(), 12345);
    }

    #[test]
    fn a_stream_without_chunks_is_all_data() {
        let mut counter = Counter::plain(&Marks::new(&["aa"]));
        counter.push(b"xa");
        counter.push(b"ax");
        assert_eq!((counter.count(0), counter.bytes()), (1, 4));
    }
}
