//! Message bodies of HTTP/1.1: by length, in chunks, or up to the end of the connection.

use std::io::{self, BufRead, Read};

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body at all, or one of this length.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The connection's end.
    UntilClose,
}

/// Reads one body off a connection and stops at its end.
pub struct Body<R> {
    inner: R,
    framing: Framing,
    /// Bytes left of the body (by length) or of the current chunk.
    left: u64,
    in_chunks: bool,
    done: bool,
}

impl<R: BufRead> Body<R> {
    /// A body that starts at the next byte of `inner`.
    pub fn new(inner: R, framing: Framing) -> Self {
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        Self { inner, framing, left, in_chunks: false, done: false }
    }

    /// The connection, for the next message.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        if self.in_chunks {
            self.line()?;
        }
        self.in_chunks = true;
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or("").trim();
        self.left = u64::from_str_radix(size, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("chunk {line:?}")))?;
        if self.left == 0 {
            while !self.line()?.is_empty() {}
            self.done = true;
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.inner.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.framing == Framing::UntilClose {
            return self.inner.read(buffer);
        }
        if self.framing == Framing::Chunked && self.left == 0 && !self.done {
            self.next_chunk()?;
        }
        let room = u64::try_from(buffer.len()).unwrap_or(u64::MAX).min(self.left);
        if room == 0 {
            return Ok(0);
        }
        let room = usize::try_from(room).expect("not above the buffer's length");
        let count = self.inner.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, Framing};
    use std::io::Read;

    fn read(bytes: &[u8], framing: Framing) -> (std::io::Result<String>, usize) {
        let mut body = Body::new(bytes, framing);
        let mut text = String::new();
        let result = body.read_to_string(&mut text).map(|_| text);
        (result, body.into_inner().len())
    }

    #[test]
    fn each_framing_ends_where_it_should() {
        assert_eq!(read(b"abcdef", Framing::Length(4)).0.unwrap(), "abcd");
        assert_eq!(read(b"abcdef", Framing::UntilClose).0.unwrap(), "abcdef");
        let chunked = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\nnext";
        let (text, left) = read(chunked, Framing::Chunked);
        assert_eq!((text.unwrap().as_str(), left), ("abcde", 4));
    }

    #[test]
    fn a_body_cut_short_is_an_error() {
        assert!(read(b"abc", Framing::Length(4)).0.is_err());
        assert!(read(b"5\r\nabc", Framing::Chunked).0.is_err());
        assert!(read(b"3\r\nabc\r\n", Framing::Chunked).0.is_err());
    }
}
