//! The URL of a master.
//!
//! Owns: the configuration in its parts. Does not own: resolving the host, reading certificates, or
//! warning about unknown parameters.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use percent_encoding::percent_decode_str;

use super::control::ControlOptions;
use super::cors::Cors;
use super::options::{LogOptions, MetricsOptions, OptionTexts, Survival};
use super::parts::{Parts, outline};
use super::webhooks::WebhookOptions;
use crate::cgroup::Grouping;
use crate::url::{MasterUrlError, TraceConfig};

/// The configuration in `master://<host>:<port>[/prefix][?<query>]` (Contract §1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterUrl {
    /// A name, an IPv4 address or an IPv6 address without brackets; empty means all addresses.
    pub host: String,
    /// The port to listen on; 0 lets the system choose.
    pub port: u16,
    /// The path before the API version: a leading slash and no trailing one.
    pub prefix: String,
    /// How the API is served.
    pub tls: Tls,
    /// The `crt` parameter, whatever `tls` is; empty if there is none.
    pub crt: String,
    /// The `key` parameter, whatever `tls` is; empty if there is none.
    pub key: String,
    /// The runtime binary.
    pub bin: Option<String>,
    /// The state directory.
    pub state: Option<String>,
    /// How much output is retained.
    pub logs: LogOptions,
    /// What `/metrics` shows, and to whom.
    pub metrics: MetricsOptions,
    /// `log_format=json`: the master's own log is one JSON object a line.
    pub log_is_json: bool,
    /// `console=off`: lines of instances are not repeated on standard output.
    pub console: bool,
    /// How often an idle event stream repeats the reconnect hint, in seconds.
    pub heartbeat_s: u32,
    /// Whether processes outlive a master that is killed.
    pub survival: Survival,
    /// Whether processes have control groups of their own.
    pub grouping: Grouping,
    /// Which web sites may use the API from a browser.
    pub cors: Cors,
    /// The authorities of which clients have to show a certificate.
    pub client_ca: Option<String>,
    /// A Unix socket that the API is served on, too.
    pub socket: Option<String>,
    /// Where the control API is; `None` without one.
    pub control: Option<ControlOptions>,
    /// Whether the page for operators is served.
    pub page: bool,
    /// The configuration file of the Patrol door, if that is served.
    pub patrol: Option<String>,
    /// The recording of its inputs; `None` with `trace=off`.
    pub trace: Option<TraceConfig>,
    /// Where it reports what happens to instances; `None` with no webhook.
    pub webhooks: Option<WebhookOptions>,
    /// The names of unknown parameters, each once, in order.
    pub ignored: Vec<String>,
}

/// How the API is served (Contract §10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// `tls=0`: HTTP.
    Off,
    /// `tls=1`: HTTPS with a certificate made at start-up.
    SelfSigned,
    /// `tls=2`: HTTPS with a certificate and a key from PEM files.
    Files {
        /// Path of the certificate chain.
        crt: String,
        /// Path of the private key.
        key: String,
    },
}

impl MasterUrl {
    /// Reads the whole configuration. User-info is ignored.
    pub fn parse(text: &str) -> Result<MasterUrl, MasterUrlError> {
        let parts = Parts::parse(text).map_err(MasterUrlError::Malformed)?;
        if !parts.scheme.eq_ignore_ascii_case("master") {
            return Err(MasterUrlError::UnknownScheme(outline(parts.scheme)));
        }
        let (host, port) = split_port(parts.host)?;
        let parameters = Parameters::parse(parts.query);
        let trace = parameters.trace()?;
        let webhooks = parameters.webhooks()?;
        let Parameters { tls, crt, key, bin, state, page, patrol, options, ignored, .. } =
            parameters;
        let (crt, key) = (crt.unwrap_or_default(), key.unwrap_or_default());
        let url = MasterUrl {
            host: decode("host", host)?.into_owned(),
            port,
            prefix: prefix(&decode("path", parts.path)?),
            tls: Tls::parse(&tls.unwrap_or_default(), &crt, &key)?,
            crt,
            key,
            bin: bin.filter(|bin| !bin.is_empty()),
            state: state.filter(|state| !state.is_empty()),
            logs: options.logs()?,
            metrics: options.metrics()?,
            log_is_json: options.log_is_json()?,
            console: options.console()?,
            heartbeat_s: options.heartbeat_s()?,
            survival: options.survival()?,
            grouping: options.grouping()?,
            cors: options.cors()?,
            client_ca: options.client_ca(),
            socket: options.socket(),
            control: options.control()?,
            page: switch(&page.unwrap_or_default())?,
            patrol: patrol.filter(|patrol| !patrol.is_empty()),
            trace,
            webhooks,
            ignored,
        };
        if url.client_ca.is_some() && url.tls == Tls::Off {
            return Err(MasterUrlError::ClientCaWithoutTls);
        }
        Ok(url)
    }

    /// The base path of every resource, such as `/api/v2`.
    pub fn api_base(&self) -> String {
        format!("{}/v2", self.prefix)
    }

    /// The address in the start line (Contract §2), such as `http://127.0.0.1:8080/api/v2`.
    pub fn display_address(&self) -> String {
        let scheme = match self.tls {
            Tls::Off => "http",
            Tls::SelfSigned | Tls::Files { .. } => "https",
        };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let MasterUrl { host, port, .. } = self;
        format!("{scheme}://{open}{host}{close}:{port}{}", self.api_base())
    }
}

impl Tls {
    fn parse(mode: &str, crt: &str, key: &str) -> Result<Tls, MasterUrlError> {
        match mode {
            "" | "0" => Ok(Tls::Off),
            "1" => Ok(Tls::SelfSigned),
            "2" if crt.is_empty() => Err(MasterUrlError::MissingFile("crt")),
            "2" if key.is_empty() => Err(MasterUrlError::MissingFile("key")),
            "2" => Ok(Tls::Files { crt: crt.to_owned(), key: key.to_owned() }),
            other => Err(MasterUrlError::BadTls(outline(other))),
        }
    }
}

/// The query, decoded.
#[derive(Default)]
struct Parameters {
    tls: Option<String>,
    crt: Option<String>,
    key: Option<String>,
    bin: Option<String>,
    state: Option<String>,
    options: OptionTexts,
    page: Option<String>,
    patrol: Option<String>,
    trace: Option<String>,
    trace_size: Option<String>,
    trace_text: Option<String>,
    webhooks: Vec<String>,
    webhook_events: Option<String>,
    webhook_secret: Option<String>,
    ignored: Vec<String>,
}

impl Parameters {
    /// The first value of a name wins, also an empty one.
    fn parse(query: &str) -> Parameters {
        let mut parameters = Parameters::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let parameter = match &*name {
                "tls" => &mut parameters.tls,
                "crt" => &mut parameters.crt,
                "key" => &mut parameters.key,
                "bin" => &mut parameters.bin,
                "state" => &mut parameters.state,
                "page" => &mut parameters.page,
                "patrol" => &mut parameters.patrol,
                "trace" => &mut parameters.trace,
                "trace_size" => &mut parameters.trace_size,
                "trace_text" => &mut parameters.trace_text,
                "webhook_events" => &mut parameters.webhook_events,
                "webhook_secret" => &mut parameters.webhook_secret,
                // Each value counts.
                "webhook" => {
                    if !value.is_empty() {
                        parameters.webhooks.push(value.into_owned());
                    }
                    continue;
                }
                other => {
                    if let Some(place) = parameters.options.place_of(other) {
                        place.get_or_insert_with(|| value.into_owned());
                        continue;
                    }
                    if !parameters.ignored.iter().any(|known| *known == name) {
                        parameters.ignored.push(name.into_owned());
                    }
                    continue;
                }
            };
            parameter.get_or_insert_with(|| value.into_owned());
        }
        parameters
    }

    /// The webhooks, if there are any.
    fn webhooks(&self) -> Result<Option<WebhookOptions>, MasterUrlError> {
        let [events, secret] = [&self.webhook_events, &self.webhook_secret]
            .map(|parameter| parameter.as_deref().filter(|text| !text.is_empty()));
        WebhookOptions::parse(&self.webhooks, events, secret)
    }

    /// The recording. Parameters are checked even if it is off, so that an error shows at once.
    fn trace(&self) -> Result<Option<TraceConfig>, MasterUrlError> {
        let text = |parameter: &Option<String>| parameter.clone().unwrap_or_default();
        let size = text(&self.trace_size);
        let size_mib = match size.as_str() {
            "" => TraceConfig::DEFAULT_SIZE_MIB,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|size| (1..=TraceConfig::SIZE_MAX_MIB).contains(size))
                .ok_or_else(|| MasterUrlError::BadTraceSize(outline(&size)))?,
            other => return Err(MasterUrlError::BadTraceSize(outline(other))),
        };
        let has_text = match text(&self.trace_text).as_str() {
            "" | "off" => false,
            "on" => true,
            other => return Err(MasterUrlError::BadTraceText(outline(other))),
        };
        let directory = match text(&self.trace).as_str() {
            "off" => return Ok(None),
            "" | "on" => None,
            directory => Some(directory.to_owned()),
        };
        Ok(Some(TraceConfig { directory, size_mib, has_text }))
    }
}

/// Whether the page is served: unless it is turned off.
fn switch(page: &str) -> Result<bool, MasterUrlError> {
    match page {
        "" | "on" => Ok(true),
        "off" => Ok(false),
        other => Err(MasterUrlError::BadPage(outline(other))),
    }
}

/// The host without brackets, and the port.
fn split_port(authority: &str) -> Result<(&str, u16), MasterUrlError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(MasterUrlError::NoPort)?;
            (host, port.strip_prefix(':').ok_or(MasterUrlError::NoPort)?)
        }
        None => authority.rsplit_once(':').ok_or(MasterUrlError::NoPort)?,
    };
    if host.contains(':') && !authority.starts_with('[') {
        return Err(MasterUrlError::BareIpv6);
    }
    if port.is_empty() {
        return Err(MasterUrlError::NoPort);
    }
    // The standard parser would take a plus sign too.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()).then_some(port);
    let number = digits.and_then(|digits| digits.parse().ok());
    number.map(|number| (host, number)).ok_or_else(|| MasterUrlError::BadPort(outline(port)))
}

fn prefix(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/api".to_owned(),
        prefix => prefix.to_owned(),
    }
}

fn decode<'a>(part: &'static str, text: &'a str) -> Result<Cow<'a, str>, MasterUrlError> {
    percent_decode_str(text).decode_utf8().map_err(|_| MasterUrlError::NotUtf8(part))
}

#[cfg(test)]
#[path = "master_tests.rs"]
mod tests;
