//! Checks of processes: connects to what they should answer at, and hears those that say by
//! themselves that they are ready. What follows is the engine's decision.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use openctrl_core::engine::Input;
use openctrl_core::ids::{ProcessRef, RunId};
use openctrl_core::instance::{CheckKind, Target};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::dial::look_up;
use super::inbox::{Mailbox, Notice};

/// The most checks at a time; others wait.
const AT_A_TIME: usize = 256;

/// The longest message of a process about itself that is read.
const MESSAGE_MAX_BYTES: usize = 4096;

static TURN: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_A_TIME));

/// Makes a check, and reports how it ended.
pub(crate) fn check(
    process: ProcessRef,
    check: CheckKind,
    target: Target,
    timeout_ms: u64,
    mailbox: Mailbox,
) {
    tokio::spawn(async move {
        let _turn = TURN.acquire().await;
        let limit = Duration::from_millis(timeout_ms);
        let failure = match timeout(limit, connect(&target)).await {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(format!("{target}: {reason}")),
            Err(_) => Some(format!("{target}: no answer within {timeout_ms} ms")),
        };
        mailbox.fact(Notice::Fact(Input::CheckEnded { process, check, failure }));
    });
}

async fn connect(target: &Target) -> Result<(), String> {
    match target {
        Target::Tcp(address) => open(address).await.map(drop).map_err(|error| error.to_string()),
        Target::Http(url) => get(url).await,
    }
}

async fn open(address: &str) -> io::Result<TcpStream> {
    let addresses = match address.parse() {
        Ok(address) => vec![address],
        Err(_) => look_up(address.to_owned()).await?,
    };
    TcpStream::connect(&addresses[..]).await
}

async fn get(url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    let authority = uri.authority().ok_or("there is no host in it")?;
    let port = authority.port_u16().unwrap_or(80);
    let stream = open(&format!("{}:{port}", authority.host())).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // It ends with the request, whose answer is not read beyond its head.
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority.as_str())
        .header(header::USER_AGENT, "openctrl-check")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await;
    connection.abort();
    let status = answer.map_err(|error| error.to_string())?.status();
    if status.is_success() || status.is_redirection() {
        Ok(())
    } else {
        Err(format!("status {}", status.as_u16()))
    }
}

/// Ends with what it belongs to.
#[derive(Debug)]
pub(crate) struct Listening {
    task: AbortHandle,
    number: RawFd,
}

impl Listening {
    /// The number of its descriptor, to keep it open.
    pub(crate) const fn number(&self) -> RawFd {
        self.number
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The value of `NOTIFY_SOCKET` of a run.
pub(crate) fn notify_socket(run: RunId) -> String {
    format!("@{}", notify_name(run))
}

fn notify_name(run: RunId) -> String {
    format!("openctrl-{:032x}", run.0)
}

/// Hears a process that says by itself when it is ready. To be called before it is started, unless
/// another program of this master listened before, which left `handed`.
///
/// # Errors
/// If the system has no such socket.
#[cfg(target_os = "linux")]
pub(crate) fn listen(
    process: ProcessRef,
    run: RunId,
    handed: Option<OwnedFd>,
    mailbox: Mailbox,
) -> io::Result<Listening> {
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let socket = match handed {
        Some(handed) => UnixDatagram::from(handed),
        None => UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(notify_name(run))?)?,
    };
    let number = socket.as_raw_fd();
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UnixDatagram::from_std(socket)?;
    let task = tokio::spawn(async move {
        let mut message = vec![0; MESSAGE_MAX_BYTES];
        while let Ok(length) = socket.recv(&mut message).await {
            let is_ready = |line: &[u8]| line == b"READY=1";
            if message[..length].split(|byte| *byte == b'\n').any(is_ready) {
                let (check, failure) = (CheckKind::Ready, None);
                mailbox.fact(Notice::Fact(Input::CheckEnded { process, check, failure }));
                return;
            }
        }
    });
    Ok(Listening { task: task.abort_handle(), number })
}

/// Other systems have no sockets without a file.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn listen(
    _: ProcessRef,
    _: RunId,
    _: Option<OwnedFd>,
    _: Mailbox,
) -> io::Result<Listening> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers each connection with `answer`, or never if that is empty.
    async fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    let _ = stream.read(&mut request).await;
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_target_answers_or_it_is_said_why_not() {
        let good = server("HTTP/1.1 204 No Content\r\n\r\n").await;
        let bad = server("HTTP/1.1 503 Unavailable\r\ncontent-length: 9\r\n\r\nnot ").await;
        let junk = server("220 mail ready\r\n").await;
        let http = |address: &str| Target::Http(format!("http://{address}/health?x=1"));
        assert_eq!(connect(&http(&good)).await, Ok(()));
        assert_eq!(connect(&http(&bad)).await, Err("status 503".to_owned()));
        assert!(connect(&http(&junk)).await.is_err());
        assert_eq!(connect(&Target::Tcp(junk)).await, Ok(()));
        let refused = connect(&Target::Tcp("127.0.0.1:1".to_owned())).await;
        assert!(refused.is_err_and(|reason| reason.contains("refused")));
    }

    #[tokio::test]
    async fn a_target_that_hangs_does_not_end_by_itself() {
        let silent = Target::Http(format!("http://{}/", server("").await));
        let limit = Duration::from_millis(50);
        assert!(timeout(limit, connect(&silent)).await.is_err());
    }
}
