//! The URL of an instance and that of a master.

use std::fmt::Write;
use std::sync::LazyLock;

use openctrl_core::url::{InstanceUrl, MasterUrl, Tls};
use regex::RegexSet;

/// A URL is refused where a pattern says so and nowhere else. An accepted one is what was given,
/// but for the letter case of its scheme; an error shows little.
pub fn instance_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    assert_eq!(InstanceUrl::parse(&text).is_err(), REFUSED.is_match(&text), "{text:?}");
    match InstanceUrl::parse(&text) {
        Ok(url) => {
            let (scheme, rest) = text.split_once(':').expect("a URL has a scheme");
            assert_eq!(url.scheme(), scheme.to_ascii_lowercase());
            assert_eq!(&url.as_str()[scheme.len()..], &text[scheme.len()..], "{rest}");
            assert_ne!(url.scheme(), "master");
            assert!(!text.bytes().any(|byte| byte.is_ascii_control()));
            assert_eq!(InstanceUrl::parse(url.as_str()), Ok(url.clone()), "it stays what it is");
            hides_secrets(url.as_str(), &url.redacted());
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(shown.len() < 300 && !shown.bytes().any(|byte| byte.is_ascii_control()));
        }
    }
}

/// What is refused (Contract §4), each for one reason.
static REFUSED: LazyLock<RegexSet> = LazyLock::new(|| {
    let bad_escape = "%(?:$|[^0-9A-Fa-f]|[0-9A-Fa-f](?:$|[^0-9A-Fa-f]))";
    let host = "^[^:]*://(?:[^/?#]*@)?";
    let patterns = [
        r"[\x00-\x1f\x7f]".to_string(),
        // No scheme: the text before the first colon is not one.
        r"^(?:[^:]*$|:|[^A-Za-z]|[^:]*[^A-Za-z0-9+.:-][^:]*:)".to_string(),
        "^(?i:master):".to_string(),
        "^[^:]*://[^/?#]* ".to_string(),
        // A host that begins with a bracket and does not close it, or has one elsewhere.
        format!(r"{host}\[[^\]/?#@]*(?:$|[/?#])"),
        format!(r"{host}[^/?#@]+\[[^/?#@]*(?:$|[/?#])"),
        // A path without a slash is opaque, and a query is the runtime's.
        format!("^[^:]*:/[^?#]*{bad_escape}"),
        format!("^[^#]*#.*{bad_escape}"),
    ];
    RegexSet::new(patterns).expect("the patterns are constant")
});

/// A configuration has a usable prefix, names each unknown parameter once, and is read back from a
/// URL that is made of it.
pub fn master_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match MasterUrl::parse(&text) {
        Ok(url) => {
            let base = url.api_base();
            assert!(base.starts_with('/') && base.ends_with("/v2"), "{base}");
            assert!(!url.prefix.ends_with('/'), "{}", url.prefix);
            assert!(url.display_address().ends_with(&base));
            assert!(url.bin.as_deref() != Some("") && url.state.as_deref() != Some(""));
            let mut ignored = url.ignored.clone();
            ignored.sort();
            ignored.dedup();
            assert_eq!(ignored.len(), url.ignored.len(), "{:?}", url.ignored);
            let again = made_of(&url);
            let read = MasterUrl::parse(&again).expect("it is made of a good one");
            // What is recorded, logged and measured is not said again: it is as without a word.
            let MasterUrl { trace, logs, metrics, log_is_json, console, heartbeat_s, .. } =
                read.clone();
            let expected = MasterUrl {
                ignored: vec![],
                trace,
                logs,
                metrics,
                log_is_json,
                console,
                heartbeat_s,
                ..url
            };
            assert_eq!(read, expected, "{again}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn made_of(url: &MasterUrl) -> String {
    let (open, close) = if url.host.contains(':') { ("[", "]") } else { ("", "") };
    let tls = match &url.tls {
        Tls::Off => 0,
        Tls::SelfSigned => 1,
        Tls::Files { crt, key } => {
            assert!(!crt.is_empty() && !key.is_empty(), "{url:?}");
            2
        }
    };
    let mut text = format!("MASTER://{open}{}{close}:{}", escaped(&url.host, ":"), url.port);
    text.push_str(&escaped(&url.prefix, "/"));
    write!(text, "?tls={tls}&crt={}&key={}", escaped(&url.crt, ""), escaped(&url.key, ""))
        .expect("a string takes any text");
    for (name, value) in [("bin", &url.bin), ("state", &url.state)] {
        let value = escaped(value.as_deref().unwrap_or_default(), "");
        write!(text, "&{name}={value}").expect("a string takes any text");
    }
    write!(text, "&page={}", if url.page { "on" } else { "off" }).expect("a string takes any text");
    text
}

/// Every byte but letters, digits and those of `kept` as an escape.
fn escaped(text: &str, kept: &str) -> String {
    let byte = |byte: u8| match char::from(byte) {
        letter if letter.is_ascii_alphanumeric() || kept.contains(letter) => letter.to_string(),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(byte).collect()
}

/// No value of the query is left, and no user-info of the authority.
fn hides_secrets(url: &str, redacted: &str) {
    let before_fragment = |text: &str| text.split('#').next().unwrap_or_default().to_string();
    let (url, redacted) = (before_fragment(url), before_fragment(redacted));
    if let Some((_, query)) = redacted.split_once('?') {
        for pair in query.split(['?', '&']).filter(|pair| !pair.is_empty()) {
            assert!(pair.ends_with("<redacted>"), "{redacted}");
        }
    }
    let head = url.split('?').next().unwrap_or_default();
    if head.contains('@') {
        assert!(redacted.contains("<redacted>@"), "{redacted}");
    }
}
