//! A small HTTP client: keeps connections, limits every wait, and describes errors in words.

use std::error::Error;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::failure::Failure;
use super::place::Place;
use super::text::plain;
use super::tls_error::{Peer, explain, tls_cause};
use super::trust::Secure;

/// Connecting, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// Between two pieces of an answer.
const BODY: Duration = Duration::from_secs(30);

/// A hundred thousand instances of an ordinary size.
const BODY_MAX_BYTES: usize = 512 * 1024 * 1024;

/// One master as a server.
pub(crate) struct Http {
    place: Place,
    secure: Option<Secure>,
    idle: Mutex<Vec<Connection>>,
}

type Connection = SendRequest<Full<Bytes>>;

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Bytes,
}

impl Http {
    /// A client that has not connected yet.
    pub(crate) fn new(place: Place) -> Result<Self, Failure> {
        let client_cert = place.client_cert.as_deref();
        let secure = place.trust.as_ref().map(|trust| Secure::new(trust, client_cert));
        let secure = secure.transpose()?;
        Ok(Self { place, secure, idle: Mutex::new(Vec::new()) })
    }

    /// Where it connects to.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// The fingerprint of the certificate that the master showed last.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        self.secure.as_ref().map(|secure| secure.seen.lock().expect("no holder panics").clone())
    }

    /// Asks, and reads the answer. `patience` is how long it may take to begin.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        patience: Duration,
    ) -> Result<Reply, Failure> {
        let kept = self.idle.lock().expect("no holder panics").pop();
        let mut response = None;
        // The master closes an idle connection; an unsent request can be sent again.
        if let Some(mut connection) = kept.filter(|connection| !connection.is_closed()) {
            let request = self.request(&method, path, body, &[])?;
            match timeout(patience, connection.send_request(request)).await {
                Ok(Ok(answer)) => response = Some((connection, answer)),
                Ok(Err(error)) if error.is_canceled() || method == Method::GET => {}
                Ok(Err(error)) => return Err(self.broken(&error)),
                Err(_) => return Err(self.slow(patience)),
            }
        }
        let (connection, response) = match response {
            Some(answered) => answered,
            None => {
                let mut connection = self.connect().await?;
                let request = self.request(&method, path, body, &[])?;
                let answer = self.first(patience, &mut connection, request).await?;
                (connection, answer)
            }
        };
        let status = response.status().as_u16();
        let body = self.read(response).await?;
        self.idle.lock().expect("no holder panics").push(connection);
        Ok(Reply { status, body })
    }

    /// Opens a stream on its own connection: the body has no end.
    pub(crate) async fn open(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response<Incoming>, Failure> {
        let mut connection = self.connect().await?;
        let request = self.request(&Method::GET, path, None, headers)?;
        self.first(BODY, &mut connection, request).await
    }

    /// Reads a whole body.
    pub(crate) async fn read(&self, response: Response<Incoming>) -> Result<Bytes, Failure> {
        let mut body = Limited::new(response.into_body(), BODY_MAX_BYTES);
        let mut whole = Vec::new();
        loop {
            match timeout(BODY, body.frame()).await {
                Ok(None) => return Ok(whole.into()),
                Ok(Some(Ok(frame))) => {
                    whole.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
                Ok(Some(Err(error))) => return Err(self.broken(&*error)),
                Err(_) => return Err(self.slow(BODY)),
            }
        }
    }

    async fn first(
        &self,
        patience: Duration,
        connection: &mut Connection,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        match timeout(patience, connection.send_request(request)).await {
            Ok(answer) => answer.map_err(|error| self.broken(&error)),
            Err(_) => Err(self.slow(patience)),
        }
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let Place { host, port, base, key, .. } = &self.place;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{base}{path}"))
            .header(header::HOST, format!("{host}:{port}"))
            .header("x-api-key", key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default().to_owned()));
        request.body(body).map_err(|error| Failure::Usage(format!("this cannot be asked: {error}")))
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        match timeout(CONNECT, self.dial()).await {
            Ok(connection) => connection,
            Err(_) => Err(self.unreachable("it does not answer")),
        }
    }

    async fn dial(&self) -> Result<Connection, Failure> {
        let address = (self.place.host.as_str(), self.place.port);
        let stream = TcpStream::connect(address).await.map_err(|error| {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                return self.unreachable("nothing listens there");
            }
            self.unreachable(&bare(&error))
        })?;
        // A request goes out at once.
        let _ = stream.set_nodelay(true);
        let Some(secure) = &self.secure else { return self.speak(stream).await };
        let name = ServerName::try_from(self.place.host.clone())
            .map_err(|_| self.unreachable("the name is not a valid TLS server name"))?;
        let connector = TlsConnector::from(secure.config.clone());
        let stream =
            connector.connect(name, stream).await.map_err(|error| self.untrusted(&error))?;
        self.speak(stream).await
    }

    async fn speak<S>(&self, stream: S) -> Result<Connection, Failure>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (connection, driver) =
            handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        tokio::spawn(driver);
        Ok(connection)
    }

    fn unreachable(&self, reason: &str) -> Failure {
        let shown = &self.place.shown;
        Failure::Unreachable(format!(
            "cannot reach the master at {shown}: {reason}; is it running, and is this its address?"
        ))
    }

    fn slow(&self, patience: Duration) -> Failure {
        let (shown, seconds) = (&self.place.shown, patience.as_secs_f32());
        Failure::Unreachable(format!("the master at {shown} has not answered for {seconds} s"))
    }

    fn broken(&self, error: &(dyn Error + 'static)) -> Failure {
        let shown = &self.place.shown;
        let is_garbled = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
        if is_garbled && self.secure.is_none() {
            return Failure::Unreachable(format!(
                "what answers at {shown} does not speak HTTP; is it https://?"
            ));
        }
        if let Some(failure) = self.refused_by_tls(error) {
            return failure;
        }
        let mut reason = error;
        while let Some(cause) = reason.source() {
            reason = cause;
        }
        let reason = reason.to_string();
        let reason = plain(&reason);
        Failure::Unreachable(format!("the connection to {shown} broke: {reason}"))
    }

    fn untrusted(&self, error: &io::Error) -> Failure {
        self.refused_by_tls(error).unwrap_or_else(|| self.unreachable(&bare(error)))
    }

    /// The words for an error of TLS, if it is one. A server may refuse the certificate of a client
    /// after the handshake.
    fn refused_by_tls(&self, error: &(dyn Error + 'static)) -> Option<Failure> {
        let fingerprint = self.fingerprint().unwrap_or_default();
        let peer = Peer {
            shown: &self.place.shown,
            host: &self.place.host,
            fingerprint: &fingerprint,
            has_client_cert: self.place.client_cert.is_some(),
        };
        Some(Failure::Unreachable(explain(tls_cause(error)?, &peer)))
    }
}

/// The message of the system, without the number of the error.
fn bare(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    text.split(" (os error").next().unwrap_or(text).to_owned()
}
