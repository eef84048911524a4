//! A bare hyper server: what HTTP itself costs.
//!
//! It answers every GET with the same bytes, and every other request once a record of it is on
//! the disk: appended with those that wait and synced with them, as a group. It never answers
//! [`WAIT_PATH`]. It runs in a process of its own, with one thread for HTTP, so that what it uses
//! can be measured as a master's is. It listens on TCP and on a Unix socket.

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::future::pending;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};

use super::super::stage::Stage;

/// The path of a request that is never answered.
pub const WAIT_PATH: &str = "/wait";

/// As large as the record of a change of an instance with a short URL.
const RECORD_BYTES: usize = 200;
/// The headers that the contract asks for.
const HEADERS: [(&str, &str); 4] = [
    ("content-type", "application/json"),
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS"),
    ("access-control-allow-headers", "Content-Type, X-API-Key, Last-Event-ID"),
];

/// A server that runs; it ends with this value.
pub struct FloorServer {
    child: Child,
    address: SocketAddr,
    socket: PathBuf,
    started_in: Duration,
}

impl FloorServer {
    /// Starts one that answers with these bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(stage: &Stage, body: &[u8]) -> io::Result<Self> {
        let file = stage.file("body");
        fs::write(&file, body)?;
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--floor-server")
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().map_err(io::Error::other)?;
        let socket = file.with_extension("sock");
        Ok(Self { child, address, socket, started_in: begun.elapsed() })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its Unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid fits")
    }

    /// How long it took from its start until it listened.
    pub const fn started_in(&self) -> Duration {
        self.started_in
    }
}

impl Drop for FloorServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the server until its stdin ends.
///
/// # Errors
/// What the system says.
pub fn serve(body: &Path) -> io::Result<()> {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let journal = OpenOptions::new().append(true).create(true).open(body.with_extension("log"))?;
    let (changes, queue) = mpsc::unbounded_channel();
    thread::spawn(move || make_durable(journal, queue));
    let socket = body.with_extension("sock");
    let _ = fs::remove_file(&socket);
    let body = Bytes::from(fs::read(body)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(accept(&socket, body, Arc::new(changes)))
}

type Changes = mpsc::UnboundedSender<oneshot::Sender<()>>;

async fn accept(socket: &Path, body: Bytes, changes: Arc<Changes>) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let local = UnixListener::bind(socket)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                tokio::spawn(serve_one(stream, body.clone(), Arc::clone(&changes)));
            }
            accepted = local.accept() => {
                let (stream, _) = accepted?;
                tokio::spawn(serve_one(stream, body.clone(), Arc::clone(&changes)));
            }
        }
    }
}

async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    body: Bytes,
    changes: Arc<Changes>,
) {
    let service = service_fn(move |request| answer(request, body.clone(), Arc::clone(&changes)));
    // A client that goes away is no concern of a floor.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    body: Bytes,
    changes: Arc<Changes>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == WAIT_PATH {
        pending::<()>().await;
    }
    if request.method() != Method::GET {
        let _ = request.into_body().collect().await;
        let (done, is_durable) = oneshot::channel();
        let _ = changes.send(done);
        let _ = is_durable.await;
    }
    let mut response = Response::new(Full::new(body));
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn make_durable(mut file: fs::File, mut queue: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while let Ok(next) = queue.try_recv() {
            group.push(next);
        }
        let records = vec![b'r'; RECORD_BYTES * group.len()];
        file.write_all(&records).and_then(|()| file.sync_data()).expect("the disk takes it");
        for done in group {
            let _ = done.send(());
        }
    }
}
