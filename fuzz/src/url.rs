//! The URL of an instance and that of a master.

use openctrl_core::url::{InstanceUrl, MasterUrl};

/// An accepted URL is what was given, but for the letter case of its scheme; an error shows little.
pub fn instance_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
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

/// A configuration has a usable prefix and names each unknown parameter once.
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
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
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
