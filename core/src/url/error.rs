//! Why a master URL is refused.

use alloc::string::String;
use core::fmt;

use super::parts::UrlFault;
use crate::limits::HOOKS_MAX;
use crate::url::TraceConfig;

/// Why a master cannot be started with a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterUrlError {
    /// It is not a URL.
    Malformed(UrlFault),
    /// Its scheme is this one, not `master`.
    UnknownScheme(String),
    /// There is no port.
    NoPort,
    /// The port is this, which is not a number up to 65535.
    BadPort(String),
    /// An IPv6 address without brackets.
    BareIpv6,
    /// The part named does not decode to UTF-8.
    NotUtf8(&'static str),
    /// `tls` is this, not 0, 1 or 2.
    BadTls(String),
    /// `cors` is this, not `*`, `off` or origins.
    BadCors(String),
    /// `client_ca` without TLS.
    ClientCaWithoutTls,
    /// `page` is this, not on or off.
    BadPage(String),
    /// `tls=2` without this parameter.
    MissingFile(&'static str),
    /// The parameter is not a number within these bounds.
    BadNumber {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: String,
        /// The least it may be.
        least: u32,
        /// The most it may be.
        most: u32,
    },
    /// The parameter is not one of two words.
    BadChoice {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        values: [&'static str; 2],
    },
    /// A `webhook` is no URL that reports can be sent to. The URL may be a secret.
    BadWebhook {
        /// Which one, counted from 1.
        place: usize,
        /// Why.
        fault: &'static str,
    },
    /// There are so many webhooks.
    TooManyWebhooks(usize),
    /// `webhook_events` is this, not a list of events.
    BadWebhookEvents(String),
    /// `webhook_secret` does not say where a secret is.
    BadWebhookSecret,
    /// This parameter without a webhook.
    WithoutWebhook(&'static str),
    /// The `trace_size` parameter is this, not a number of MiB.
    BadTraceSize(String),
    /// The `trace_text` parameter is this, not `on` or `off`.
    BadTraceText(String),
}

impl fmt::Display for MasterUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MasterUrlError::Malformed(fault) => write!(f, "the master URL is not valid: {fault}"),
            MasterUrlError::UnknownScheme(scheme) => {
                write!(f, "unknown URL scheme \"{scheme}\"; use master://host:port")
            }
            MasterUrlError::NoPort => {
                f.write_str("the master URL has no port; use master://host:port")
            }
            MasterUrlError::BadPort(port) => {
                write!(f, "bad port \"{port}\" in the master URL; use a number from 1 to 65535")
            }
            MasterUrlError::BareIpv6 => f.write_str(
                "the host of the master URL has colons; write an IPv6 address as [::1]:8080",
            ),
            MasterUrlError::NotUtf8(part) => {
                write!(f, "the {part} of the master URL is not UTF-8; correct its escapes")
            }
            MasterUrlError::BadTls(mode) => write!(
                f,
                "bad tls \"{mode}\" in the master URL; use 0 (off), 1 (self-signed) or 2 (files)"
            ),
            MasterUrlError::BadCors(text) => write!(
                f,
                "bad cors \"{text}\" in the master URL; use *, off, or origins such as \
                 https://a.example with commas between them"
            ),
            MasterUrlError::ClientCaWithoutTls => {
                f.write_str("client_ca needs TLS; add tls=1 or tls=2 to the master URL")
            }
            MasterUrlError::BadPage(word) => {
                write!(f, "bad page \"{word}\" in the master URL; use on or off")
            }
            MasterUrlError::MissingFile(name) => {
                write!(f, "tls=2 needs {name}; add {name}=<file> to the master URL")
            }
            MasterUrlError::BadNumber { name, value, least, most } => write!(
                f,
                "bad {name} \"{value}\" in the master URL; use a number from {least} to {most}"
            ),
            MasterUrlError::BadChoice { name, value, values: [first, second] } => {
                write!(f, "bad {name} \"{value}\" in the master URL; use {first} or {second}")
            }
            MasterUrlError::BadWebhook { place, fault } => write!(
                f,
                "bad webhook {place} in the master URL: {fault}; use http://host/path or \
                 https://host/path, percent-encoded as a value of a query"
            ),
            MasterUrlError::TooManyWebhooks(count) => {
                write!(f, "{count} webhooks in the master URL; use at most {HOOKS_MAX}")
            }
            MasterUrlError::BadWebhookEvents(text) => write!(
                f,
                "bad webhook_events \"{text}\" in the master URL; use some of \
                 error,recovered,flapping,ready"
            ),
            MasterUrlError::BadWebhookSecret => f.write_str(
                "bad webhook_secret in the master URL; use file:/absolute/path or env:NAME",
            ),
            MasterUrlError::WithoutWebhook(name) => {
                write!(f, "{name} needs webhook=<url> in the master URL")
            }
            MasterUrlError::BadTraceSize(size) => write!(
                f,
                "bad trace_size \"{size}\" in the master URL; use a number of MiB from 1 to {}",
                TraceConfig::SIZE_MAX_MIB
            ),
            MasterUrlError::BadTraceText(text) => {
                write!(f, "bad trace_text \"{text}\" in the master URL; use on or off")
            }
        }
    }
}

impl core::error::Error for MasterUrlError {}
