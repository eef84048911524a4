//! The URL of an instance.
//!
//! Owns: which texts are accepted and how one is kept. Does not own: the meaning of anything
//! after the scheme, which is the runtime's.

use super::parts::{Parts, UrlFault, outline, redact};
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

/// The URL of an instance as it was given, except that its scheme is lower-cased (Contract §4).
///
/// It may hold secrets: `Debug` shows it redacted, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InstanceUrl(Arc<str>);

/// Why a text is refused as the URL of an instance. The message repeats little of the text and
/// none of its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceUrlError {
    /// It is not a URL.
    Malformed {
        /// The beginning of the text, without user-info and query.
        shown: String,
        /// A description of the error.
        fault: UrlFault,
    },
    /// Its scheme is `master`, in some letter case.
    MasterScheme,
}

impl InstanceUrl {
    /// Accepts `text` unless Contract §4 refuses it.
    pub fn parse(text: &str) -> Result<InstanceUrl, InstanceUrlError> {
        let parts = Parts::parse(text)
            .map_err(|fault| InstanceUrlError::Malformed { shown: outline(text), fault })?;
        if parts.scheme.eq_ignore_ascii_case("master") {
            return Err(InstanceUrlError::MasterScheme);
        }
        let mut url = String::from(text);
        url[..parts.scheme.len()].make_ascii_lowercase();
        Ok(InstanceUrl(url.into()))
    }

    /// The whole URL, secrets included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scheme in lower case, which is the `type` of the instance.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').expect("parse found the colon").0
    }

    /// The URL without user-info and values of the query, for traces and operational logs.
    pub fn redacted(&self) -> String {
        redact(&self.0)
    }
}

impl fmt::Debug for InstanceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InstanceUrl").field(&self.redacted()).finish()
    }
}

impl fmt::Display for InstanceUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstanceUrlError::Malformed { shown, fault } => {
                write!(f, "url \"{shown}\" is not valid: {fault}")
            }
            InstanceUrlError::MasterScheme => f.write_str(
                "url scheme \"master\" is for the master itself; use the scheme of the runtime",
            ),
        }
    }
}

impl core::error::Error for InstanceUrlError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn keeps_all_but_the_case_of_the_scheme() {
        for text in [
            "managed://edge",
            "managed://Edge.EXAMPLE",
            "a+b.c-d://x",
            "mailto:joe",
            "demo:x?y",
            "demo:%zz",
            "demo:%zz?%zz",
            "demo:",
            "demo://",
            "demo:///p",
            "demo:/p",
            "demo://h?%zz &[",
            "demo://h/p q#f g",
            "demo://h/%2F%c3%A9/../[#%20",
            "demo://h:port:x",
            "demo://u<>[:p@h",
            "demo://[::1]:80",
            "demo://[fe80::1%25eth0]",
            "demo://a]b",
            "demo://h%41",
            "demo://мир/é#ü",
            "demo://h?",
            "demo://h#",
        ] {
            let url = InstanceUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.as_str(), text);
        }
        let url = InstanceUrl::parse("MaNaged://Edge").expect("a URL");
        assert_eq!((url.as_str(), url.scheme()), ("managed://Edge", "managed"));
    }

    #[test]
    fn refuses_what_is_not_a_url() {
        use UrlFault::*;
        for (text, fault) in [
            ("", Empty),
            ("/x", NoScheme),
            ("nosch", NoScheme),
            ("://x", NoScheme),
            ("*", NoScheme),
            ("1a://x", NoScheme),
            ("+a://x", NoScheme),
            (" demo://x", NoScheme),
            ("de_mo://x", NoScheme),
            ("démo://x", NoScheme),
            ("a/b:c", NoScheme),
            ("demo://x\n", ControlCharacter),
            ("demo:x\u{0}", ControlCharacter),
            ("demo://x?a\u{7f}", ControlCharacter),
            ("demo://x#\u{1b}", ControlCharacter),
            ("demo://a b", SpaceInHost),
            ("demo://a b@c", SpaceInHost),
            ("demo:// /x", SpaceInHost),
            ("demo://[::1", Bracket),
            ("demo://[::1/]", Bracket),
            ("demo://u@[::1", Bracket),
            ("demo://a[::1]", Bracket),
            ("demo://[[::1]", Bracket),
            ("demo://u%zz@h", BadEscape("user-info")),
            ("demo://h%", BadEscape("host")),
            ("demo://[fe80::1%eth0]", BadEscape("host")),
            ("demo://h/%4", BadEscape("path")),
            ("demo:/%é", BadEscape("path")),
            ("demo://h?q#%g0", BadEscape("fragment")),
            ("demo:x#%0g", BadEscape("fragment")),
        ] {
            let shown = outline(text);
            let expected = Err(InstanceUrlError::Malformed { shown, fault });
            assert_eq!(InstanceUrl::parse(text), expected, "{text:?}");
        }
        for text in ["master://h:1", "MASTER://h", "Master:x"] {
            assert_eq!(InstanceUrl::parse(text), Err(InstanceUrlError::MasterScheme));
        }
    }

    #[test]
    fn messages_say_what_to_do() {
        let message = |text| InstanceUrl::parse(text).expect_err("it is not valid").to_string();
        assert_eq!(
            message("managed://a b"),
            "url \"managed://a b\" is not valid: space in the host; remove or escape it"
        );
        assert_eq!(message(""), "url \"\" is not valid: it is empty; write scheme://host");
        assert_eq!(
            message("managed://u:p@h/%zz?key=1"),
            "url \"managed://<redacted>@h/%zz…\" is not valid: \
             bad percent escape in the path; write % itself as %25"
        );
        assert_eq!(
            message("Master://h"),
            "url scheme \"master\" is for the master itself; use the scheme of the runtime"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn an_accepted_url_is_stable(text in url_like()) {
            if let Ok(url) = InstanceUrl::parse(&text) {
                prop_assert!(url.as_str().eq_ignore_ascii_case(&text));
                prop_assert_eq!(&url.as_str()[url.scheme().len()..], &text[url.scheme().len()..]);
                prop_assert_eq!(url.scheme(), url.scheme().to_lowercase());
                prop_assert_eq!(InstanceUrl::parse(url.as_str()), Ok(url));
            }
        }

        #[test]
        fn secrets_are_never_shown(
            head in "(demo:(//)?)?",
            before in "[a-z:%/ \\[]{0,4}",
            host in "[a-z%\\[\\] \n]{0,100}",
            name in "[a-z]{1,3}",
            after in "(#[a-z%]{0,3})?",
        ) {
            let text = format!("{head}{before}SECRET@{host}?{name}=SECRET&SECRET{after}");
            let shown = match InstanceUrl::parse(&text) {
                Ok(url) => format!("{url:?}"),
                Err(error) => {
                    prop_assert!(error.to_string().len() < 180);
                    format!("{error} {error:?}")
                }
            };
            prop_assert!(!shown.contains("SECRET"), "{}", shown);
        }
    }

    fn url_like() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-zA-Z+.0-9-]{1,8}:(//)?[a-z@:/?#%0-9\\[\\] ]{0,20}",
            "[Dd]emo://[A-Zé:@]{0,8}(/(%[0-9a-fA-F]{2}){0,3})?(\\?\\PC{0,8})?",
            "\\PC{0,20}",
        ]
    }
}
