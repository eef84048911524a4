//! Clients that send requests made in advance, over any number of connections in one thread.
//!
//! Each connection sends its next request when the answer to the last one is complete:
//! there are always as many requests under way as connections.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::time::Timespec;

use crate::Api;
use crate::http::{Endpoint, Request};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
const BLOCK_BYTES: usize = 256 * 1024;

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Address {
    /// On TCP.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(PathBuf),
}

/// One connection.
pub struct Client {
    /// A socket of either kind: it is only read and written.
    socket: File,
    answer: Vec<u8>,
    block: Vec<u8>,
}

/// What a load came to.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Answers that came.
    pub answers: u64,
    /// From the first request to the last answer.
    pub took: Duration,
    /// How long each answer took, in µs.
    pub latencies_us: Vec<f64>,
    /// The last answer of all, whole.
    pub last: Vec<u8>,
}

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so long.
    Elapsed(Duration),
    /// After this many answers.
    Answers(u64),
}

/// A request as bytes.
pub fn encode(request: Request, endpoint: &Endpoint) -> Vec<u8> {
    let Request { method, target, headers, body } = request;
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", endpoint.address);
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = body.unwrap_or_default();
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    [text.into_bytes(), body].concat()
}

/// A request to the API as bytes; an empty body is none.
pub fn request(api: &Api, method: &str, path: &str, body: &str) -> Vec<u8> {
    let call = api.request(method, path);
    let call = if body.is_empty() { call } else { call.body(body) };
    encode(call.into_request(), api.endpoint())
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(address: impl Into<Address>) -> io::Result<Self> {
        let socket = match address.into() {
            Address::Tcp(address) => {
                let socket = TcpStream::connect(address)?;
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(PATIENCE))?;
                OwnedFd::from(socket)
            }
            Address::Unix(path) => {
                let socket = UnixStream::connect(path)?;
                socket.set_read_timeout(Some(PATIENCE))?;
                OwnedFd::from(socket)
            }
        };
        Ok(Self { socket: socket.into(), answer: Vec::new(), block: vec![0; BLOCK_BYTES] })
    }

    /// Sends a request and does not wait for its answer.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.answer.clear();
        self.socket.write_all(request)
    }

    /// Waits for the whole answer to what was sent.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn wait(&mut self) -> io::Result<&[u8]> {
        while !self.receive()? {}
        Ok(&self.answer)
    }

    /// Sends a request and waits for the whole answer, whose status must be one of success.
    ///
    /// # Errors
    /// Another status, a broken connection, or no answer in time.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<&[u8]> {
        self.send(request)?;
        self.wait()
    }

    /// Reads once; whether the answer is complete and one of success.
    fn receive(&mut self) -> io::Result<bool> {
        let count = match self.socket.read(&mut self.block) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        self.answer.extend_from_slice(&self.block[..count]);
        let is_whole = is_whole(&self.answer);
        if is_whole && !self.answer.starts_with(b"HTTP/1.1 20") {
            let shown = &self.answer[..self.answer.len().min(400)];
            return Err(io::Error::other(String::from_utf8_lossy(shown).into_owned()));
        }
        Ok(is_whole)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

/// The body of a whole answer that was not sent in chunks.
pub fn body(answer: &[u8]) -> &[u8] {
    memchr::memmem::find(answer, b"\r\n\r\n").map_or(&[], |end| &answer[end + 4..])
}

/// Loads a server with what `next` gives for 0, 1, 2, …
///
/// # Errors
/// An answer that is not one of success, or none in time.
pub fn load<'a>(
    address: impl Into<Address>,
    connections: usize,
    until: Until,
    mut next: impl FnMut(u64) -> &'a [u8],
) -> io::Result<Load> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let address = address.into();
    let mut clients = Vec::new();
    for index in 0..connections {
        let client = Client::open(address.clone())?;
        rustix::io::ioctl_fionbio(&client.socket, true)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&poll, &client.socket, data, epoll::EventFlags::IN)?;
        clients.push((client, Instant::now()));
    }
    let mut load = Load::default();
    let begun = Instant::now();
    let mut sent = 0;
    let mut waiting = 0;
    let goes_on = |sent: u64| match until {
        Until::Elapsed(limit) => begun.elapsed() < limit,
        Until::Answers(count) => sent < count,
    };
    for (client, at) in &mut clients {
        if goes_on(sent) {
            *at = send(client, next(sent))?;
            (sent, waiting) = (sent + 1, waiting + 1);
        }
    }
    let mut events = Vec::with_capacity(connections);
    while waiting > 0 {
        events.clear();
        let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        epoll::wait(&poll, spare_capacity(&mut events), Some(&timeout))?;
        if events.is_empty() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer comes"));
        }
        for event in &events {
            let (client, at) = &mut clients[event.data.u64() as usize];
            if !client.receive()? {
                continue;
            }
            load.answers += 1;
            load.latencies_us.push(at.elapsed().as_secs_f64() * 1e6);
            waiting -= 1;
            if goes_on(sent) {
                *at = send(client, next(sent))?;
                (sent, waiting) = (sent + 1, waiting + 1);
            } else if waiting == 0 {
                load.last = std::mem::take(&mut client.answer);
            }
        }
    }
    load.took = begun.elapsed();
    Ok(load)
}

impl Load {
    /// Answers per second.
    pub fn per_second(&self) -> f64 {
        self.answers as f64 / self.took.as_secs_f64()
    }
}

fn send(client: &mut Client, request: &[u8]) -> io::Result<Instant> {
    // A request is far smaller than what an idle socket takes at once.
    client.send(request)?;
    Ok(Instant::now())
}

/// Whether an answer has all of its body: by its length, or by the last chunk.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else { return false };
    let head = &answer[..end + 2];
    match field(head, b"content-length:") {
        Some(length) => answer.len() >= end + 4 + length,
        None if answer.starts_with(b"HTTP/1.1 204") => true,
        None => answer.ends_with(b"\r\n0\r\n\r\n"),
    }
}

fn field(head: &[u8], name: &[u8]) -> Option<usize> {
    let lines = head.split(|byte| *byte == b'\n');
    let value = lines
        .filter(|line| line.len() > name.len())
        .find(|line| line[..name.len()].eq_ignore_ascii_case(name))?;
    std::str::from_utf8(&value[name.len()..]).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{body, is_whole};

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let whole = [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ];
        for text in whole {
            assert!(is_whole(text.as_bytes()), "{text}");
            assert!(!is_whole(&text.as_bytes()[..text.len() - 1]), "{text} without its end");
        }
        assert_eq!(body(whole[0].as_bytes()), b"abc");
    }
}
