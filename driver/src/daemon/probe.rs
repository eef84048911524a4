//! Checks of processes: connects to what they should answer at. What follows is the engine's
//! decision.

use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::instance::{CheckKind, Target};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::dial::look_up;
use super::inbox::{Mailbox, Notice};
use super::probe_tls::secure;

/// The most checks at a time; others wait.
const AT_A_TIME: usize = 256;

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

/// Connects to `host:port`.
///
/// # Errors
/// Those of the system.
pub(super) async fn open(address: &str) -> io::Result<TcpStream> {
    let addresses = match address.parse() {
        Ok(address) => vec![address],
        Err(_) => look_up(address.to_owned()).await?,
    };
    TcpStream::connect(&addresses[..]).await
}

async fn get(url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    let authority = uri.authority().ok_or("there is no host in it")?;
    let is_secure = uri.scheme_str().is_some_and(|it| it.eq_ignore_ascii_case("https"));
    let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let stream = open(&format!("{}:{port}", authority.host())).await;
    let stream = stream.map_err(|error| error.to_string())?;
    if is_secure {
        let stream = secure(authority.host(), stream).await?;
        return ask(stream, &uri).await;
    }
    ask(stream, &uri).await
}

/// Asks over a connection.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: &Uri,
) -> Result<(), String> {
    let authority = uri.authority().ok_or("there is no host in it")?;
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
