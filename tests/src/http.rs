//! A small blocking HTTP/1.1 client that hides nothing: status, headers and body are what came
//! over the wire. Every wait on a socket is bounded by [`crate::PATIENCE`].

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::PATIENCE;
use crate::body::{Body, Framing};
use crate::json::is_compact;
use crate::tls::{self, Handshake, TlsStream};

/// Where a server listens and how to talk to it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its socket address.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// A connection, plain or not.
pub enum Stream {
    /// Over TCP.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream>),
}

/// What to send.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Verb.
    pub method: String,
    /// Request target, sent as it is.
    pub target: String,
    /// Header fields, sent as they are; `Host` and the body's length are added.
    pub headers: Vec<(String, String)>,
    /// Body; none sends no `Content-Length`.
    pub body: Option<Vec<u8>>,
}

/// Status and headers of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Header fields in the order they came.
    pub headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Status and headers.
    pub head: Head,
    /// The body, framing removed.
    pub body: Vec<u8>,
}

/// A connection that carries requests one after the other.
pub struct Connection {
    reader: BufReader<Stream>,
    host: String,
}

impl Connection {
    /// Connects.
    pub fn open(endpoint: &Endpoint) -> io::Result<Self> {
        let reader = BufReader::new(Stream::connect(endpoint)?);
        Ok(Self { reader, host: endpoint.address.to_string() })
    }

    /// Sends a request and reads the whole answer.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        self.write(request)?;
        let head = self.read_head()?;
        let framing = head.framing(&request.method);
        let mut body = Vec::new();
        Body::new(&mut self.reader, framing).read_to_end(&mut body)?;
        Ok(Response { status: head.status, head, body })
    }

    /// Sends a request and hands out the body while it is still coming.
    pub fn start(mut self, request: &Request) -> io::Result<(Head, Body<BufReader<Stream>>)> {
        self.write(request)?;
        let head = self.read_head()?;
        let framing = head.framing(&request.method);
        Ok((head, Body::new(self.reader, framing)))
    }

    /// What the server showed in the TLS handshake, if there was one.
    pub fn handshake(&self) -> Option<Handshake> {
        match self.reader.get_ref() {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => Some(tls::handshake(stream)),
        }
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        self.reader.get_ref().socket()
    }

    /// Writes a request and reads nothing. A server may answer and close before it has read a
    /// large body, so failing to write the body is not an error: what matters is the answer.
    pub fn write(&mut self, request: &Request) -> io::Result<()> {
        let Request { method, target, headers, body } = request;
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let stream = self.reader.get_mut();
        // One write for small requests, as real clients do.
        let body = body.as_deref().unwrap_or_default();
        if body.len() < 16 * 1024 {
            return stream.write_all(&[head.as_bytes(), body].concat());
        }
        stream.write_all(head.as_bytes())?;
        let _ = stream.write_all(body);
        Ok(())
    }

    /// Reads status line and headers of the next answer.
    pub fn read_head(&mut self) -> io::Result<Head> {
        let bad = |line: &str| io::Error::new(io::ErrorKind::InvalidData, line.to_owned());
        let status_line = self.read_line()?;
        let mut words = status_line.split(' ');
        let version = words.next().unwrap_or("");
        let status = words.next().and_then(|word| word.parse().ok());
        let (true, Some(status)) = (version.starts_with("HTTP/1."), status) else {
            return Err(bad(&status_line));
        };
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(Head { status, headers });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad(&line))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl Head {
    /// The value of a header field, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    fn framing(&self, method: &str) -> Framing {
        if method == "HEAD" || self.status == 204 || self.status == 304 {
            return Framing::Length(0);
        }
        if self.header("Transfer-Encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            return Framing::Chunked;
        }
        let length = self.header("Content-Length").and_then(|value| value.parse().ok());
        length.map_or(Framing::UntilClose, Framing::Length)
    }
}

impl Response {
    /// The value of a header field, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body is UTF-8")
    }

    /// The body as JSON; checks what the contract says about every JSON answer.
    pub fn json(&self) -> Value {
        let text = self.text();
        let kind = self.header("Content-Type").unwrap_or("(none)");
        assert!(kind.starts_with("application/json"), "Content-Type is {kind}, body {text}");
        assert!(is_compact(text), "not compact: {text}");
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Asserts the status and hands the answer on.
    pub fn expect(self, status: u16) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "body: {}", text.chars().take(500).collect::<String>());
        self
    }

    /// Asserts that this is an error answer with `status`: `{"error":"message"}` and nothing else.
    pub fn expect_error(self, status: u16) -> Self {
        let response = self.expect(status);
        let body = response.json();
        let message = body["error"].as_str().unwrap_or("");
        assert!(!message.is_empty(), "an error has a message: {body}");
        assert_eq!(body.as_object().map(|object| object.len()), Some(1), "{body}");
        response
    }
}

impl Stream {
    /// Connects and, if the endpoint says so, shakes hands.
    pub fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&endpoint.address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        if endpoint.tls {
            return Ok(Self::Tls(Box::new(tls::connect(socket)?)));
        }
        Ok(Self::Plain(socket))
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
