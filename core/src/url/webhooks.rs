//! `webhook=`, `webhook_events=`, `webhook_secret=`: where the master reports what happens to
//! instances.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::error::MasterUrlError;
use super::parts::{Parts, outline};
use crate::limits::HOOKS_MAX;
use crate::occasion::Occasions;

/// Where the master reports what happens to instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookOptions {
    /// `webhook=<url>`, each one a receiver; at most [`HOOKS_MAX`].
    pub urls: Vec<WebhookUrl>,
    /// `webhook_events=`: what is reported.
    pub events: Occasions,
    /// `webhook_secret=`: where the secret is that signs reports, `file:/path` or `env:NAME`.
    pub secret: Option<String>,
}

/// A URL that reports are sent to. It may contain a secret anywhere, so that only its host is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    /// The scheme and the host with its port.
    shown: String,
}

impl WebhookOptions {
    /// `None` without a webhook.
    pub(super) fn parse(
        urls: &[String],
        events: Option<&str>,
        secret: Option<&str>,
    ) -> Result<Option<Self>, MasterUrlError> {
        let parse = |(index, text): (usize, &String)| {
            WebhookUrl::parse(text)
                .map_err(|fault| MasterUrlError::BadWebhook { place: index + 1, fault })
        };
        let urls = urls.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
        if urls.len() > HOOKS_MAX {
            return Err(MasterUrlError::TooManyWebhooks(urls.len()));
        }
        if urls.is_empty() {
            let without = |name, text: Option<&str>| match text {
                Some(_) => Err(MasterUrlError::WithoutWebhook(name)),
                None => Ok(()),
            };
            without("webhook_events", events)?;
            return without("webhook_secret", secret).map(|()| None);
        }
        let events = match events {
            None => Occasions::ALL,
            Some(text) => Occasions::parse(text)
                .ok_or_else(|| MasterUrlError::BadWebhookEvents(outline(text)))?,
        };
        if secret.is_some_and(|secret| !is_reference(secret)) {
            return Err(MasterUrlError::BadWebhookSecret);
        }
        Ok(Some(Self { urls, events, secret: secret.map(str::to_owned) }))
    }
}

impl WebhookUrl {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let parts = Parts::parse(text).map_err(|_| "it is not a URL")?;
        let scheme = parts.scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err("its scheme is not http or https");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has characters that need escapes");
        }
        if !parts.user_info.is_empty() || text.contains('@') && parts.host.is_empty() {
            return Err("a user or password in it is not sent");
        }
        if !has_name_and_port(parts.host) {
            return Err("its host or port is missing or wrong");
        }
        if !parts.fragment.is_empty() {
            return Err("a fragment (#) is not sent");
        }
        let shown = format!("{scheme}://{}", parts.host);
        Ok(Self { text: text.to_owned(), shown })
    }

    /// The whole URL.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for WebhookUrl {
    /// Only scheme and host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Whether this is a name or address, with a port or without.
fn has_name_and_port(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (host, None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    };
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]:".contains(&byte);
    !name.is_empty() && name.bytes().all(is_of_name) && port.is_none_or(is_port)
}

/// Whether this says where a secret is.
fn is_reference(text: &str) -> bool {
    match text.split_once(':') {
        Some(("file", path)) => path.starts_with('/'),
        Some(("env", name)) => !name.is_empty() && !name.contains('='),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::MasterUrl;
    use alloc::string::ToString;

    fn parse(query: &str) -> Result<Option<WebhookOptions>, MasterUrlError> {
        MasterUrl::parse(&format!("master://127.0.0.1:8080?{query}")).map(|url| url.webhooks)
    }

    fn refused(query: &str) -> String {
        parse(query).expect_err("it is refused").to_string()
    }

    #[test]
    fn each_receiver_is_read_and_only_its_host_is_shown() {
        let query = "webhook=https://hooks.example/T1/secret%3Fx=1&webhook=http://[::1]:8080\
                     &webhook_events=error,ready&webhook_secret=env:HOOK";
        let options = parse(query).expect("valid").expect("there are two");
        let [first, second] = &options.urls[..] else { panic!("{options:?}") };
        assert_eq!(first.reveal(), "https://hooks.example/T1/secret?x=1");
        assert_eq!(
            (first.to_string(), second.to_string()),
            ("https://hooks.example".to_string(), "http://[::1]:8080".to_string(),)
        );
        assert!(!format!("{options:?}").contains("secret%"), "{options:?}");
        assert!(!format!("{options:?}").contains("T1"), "{options:?}");
        assert_eq!(Some(options.events), Occasions::parse("error,ready"));
        assert_eq!(options.secret.as_deref(), Some("env:HOOK"));
        assert_eq!(parse("webhook=").expect("an empty one is none"), None);
        assert_eq!(parse("").expect("none"), None);
    }

    #[test]
    fn what_is_wrong_is_named_and_not_repeated() {
        for bad in [
            "ftp://h/s3cret",
            "hooks/s3cret",
            "http:///s3cret",
            "http://u:s3cret@h/",
            "http://h:0/s3cret",
            "http://h:99999/s3cret",
            "http://h/%23s3cret",
            "http://h/ s3cret",
            "http://h:1x/s3cret",
        ] {
            let words = refused(&format!("webhook=http://ok&webhook={bad}"));
            assert!(words.starts_with("bad webhook 2 in the master URL: "), "{words}");
            assert!(!words.contains("s3cret"), "{words}");
        }
        let words = refused("webhook=http://h&webhook_events=error,fire");
        assert!(words.contains("bad webhook_events \"error,fire\""), "{words}");
        for bad in ["s3cret", "file:s3cret", "env:", "file:"] {
            let words = refused(&format!("webhook=http://h&webhook_secret={bad}"));
            assert!(
                words.starts_with("bad webhook_secret") && !words.contains("s3cret"),
                "{words}"
            );
        }
        assert!(refused("webhook_events=error").contains("webhook_events needs webhook"));
        assert!(refused("webhook_secret=env:A").contains("webhook_secret needs webhook"));
        let many = "webhook=http://h&".repeat(HOOKS_MAX + 1);
        assert!(refused(&many).contains("at most 8"), "{}", refused(&many));
    }
}
