//! The query of an instance URL, decoded strictly. Owns names, repetition and encoding; the scheme
//! defines the meaning of a value.

use percent_encoding::percent_decode_str;
use url::Url;

use super::failure::UrlError;

/// The parameters of one URL, in the order written.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Decodes the query of `url` as form encoding does: `+` is a space, `%2B` a plus. Values are
    /// UTF-8. Refuses names in neither list, and a second value for one in `once`.
    pub(super) fn parse(url: &Url, once: &[&str], many: &[&str]) -> Result<Self, UrlError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in url.query().unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(name).unwrap_or_default();
            if !once.contains(&&*name) && !many.contains(&&*name) {
                let known = [once, many].concat().join(", ");
                return Err(UrlError::UnknownParameter { name, known });
            }
            if once.contains(&&*name) && pairs.iter().any(|(earlier, _)| *earlier == name) {
                return Err(UrlError::Repeated(name));
            }
            let Some(value) = decode(value) else {
                return Err(UrlError::BadValue { name: "every parameter", want: "UTF-8" });
            };
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter that is given at most once.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a repeatable parameter, in order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
}

/// Parses a URL strictly. The parser alone would drop control characters, trim spaces, and leave a
/// bad escape as it stands: a command must not differ from what was written.
pub(super) fn parse(text: &str) -> Result<Url, UrlError> {
    if text.contains(|c: char| c.is_control() || c == ' ') {
        return Err(UrlError::RawBlank);
    }
    let escapes = text.split('%').skip(1);
    for escape in escapes {
        let hex = escape.as_bytes().get(..2).unwrap_or_default();
        if hex.len() < 2 || !hex.iter().all(u8::is_ascii_hexdigit) || hex == b"00" {
            return Err(UrlError::BadEscape);
        }
    }
    let url = Url::parse(text).map_err(UrlError::NotAUrl)?;
    if url.fragment().is_some() {
        return Err(UrlError::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return Err(UrlError::Authority);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Result<Params, UrlError> {
        let url = Url::parse(&format!("x:y?{query}")).expect("a URL");
        Params::parse(&url, &["one"], &["many"])
    }

    #[test]
    fn values_are_form_decoded_and_keep_their_order() {
        let got = params("many=a+b&one=%2B%26&&many=c%3Dd=e&many").expect("valid");
        assert_eq!(got.one("one"), Some("+&"));
        assert_eq!(got.all("many").collect::<Vec<_>>(), ["a b", "c=d=e", ""]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let known = "one, many".to_owned();
        let error = params("two=1").expect_err("unknown");
        assert_eq!(error, UrlError::UnknownParameter { name: "two".to_owned(), known });
        assert_eq!(params("one=1&one=1").expect_err("twice"), UrlError::Repeated("one".to_owned()));
        assert!(matches!(params("one=%ff"), Err(UrlError::BadValue { want: "UTF-8", .. })));
    }

    #[test]
    fn a_url_that_would_be_changed_by_parsing_is_refused() {
        assert_eq!(parse("exec:a?arg=x y"), Err(UrlError::RawBlank));
        assert_eq!(parse("exec:a?arg=x\n"), Err(UrlError::RawBlank));
        for bad in ["exec:a%", "exec:a%z", "exec:a%2", "exec:a?arg=%zz", "exec:a?arg=%00"] {
            assert_eq!(parse(bad), Err(UrlError::BadEscape), "{bad}");
        }
        assert_eq!(parse("exec:a?arg=b#c"), Err(UrlError::Fragment));
        assert_eq!(parse("demo://me@a"), Err(UrlError::Authority));
        assert_eq!(parse("demo://a:80"), Err(UrlError::Authority));
        assert!(matches!(parse("demo://[::"), Err(UrlError::NotAUrl(_))));
    }
}
