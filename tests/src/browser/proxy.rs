//! A small reverse proxy: shows a master below a path of its own, as nginx would.
//!
//! One request a connection, no TLS, nothing kept. What it is in front of may change while it runs,
//! so that a test can take a master away and bring it back at the same address.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A running proxy; it ends with the test process.
pub struct Proxy {
    address: SocketAddr,
    prefix: String,
    upstream: Arc<Mutex<SocketAddr>>,
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1 that shows `upstream` below `prefix`, such as `/tools/x`;
    /// an empty one shows it as it is.
    pub fn start(prefix: &str, upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let upstream = Arc::new(Mutex::new(upstream));
        let (shared, path) = (Arc::clone(&upstream), prefix.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let target = *shared.lock().unwrap_or_else(PoisonError::into_inner);
                let path = path.clone();
                // A browser that leaves in the middle is no concern of ours.
                thread::spawn(move || pass(client, &path, target));
            }
        });
        Self { address, prefix: prefix.to_owned(), upstream }
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}{}/", self.address, self.prefix)
    }

    /// From now on it is in front of this.
    pub fn turn_to(&self, upstream: SocketAddr) {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
    }
}

fn pass(mut client: TcpStream, prefix: &str, upstream: SocketAddr) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let Some(head) = head(&mut reader, prefix)? else {
        return client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let Ok(mut server) = TcpStream::connect(upstream) else {
        return client.write_all(
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    server.write_all(head.as_bytes())?;
    let mut to_server = server.try_clone()?;
    thread::spawn(move || {
        copy(&mut reader, &mut to_server);
        // A client that has left takes its request with it.
        let _ = to_server.shutdown(Shutdown::Both);
    });
    copy(&mut server, &mut client);
    client.shutdown(Shutdown::Both)
}

/// The head of a request, the prefix taken off its path; `None` if it is not below the prefix.
fn head(reader: &mut BufReader<TcpStream>, prefix: &str) -> io::Result<Option<String>> {
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let below = target.strip_prefix(prefix).filter(|below| below.starts_with('/'));
    let mut head = format!("{method} {} HTTP/1.1\r\n", below.unwrap_or("/"));
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            head.push_str("Connection: close\r\n\r\n");
            return Ok(below.is_some().then_some(head));
        }
        if !line.to_ascii_lowercase().starts_with("connection:") {
            head.push_str(&line);
        }
    }
}

/// As `io::copy`, but hands on what there is at once.
fn copy(from: &mut impl Read, to: &mut TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
