//! `cors=`: which web sites may use the API from a browser.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// Which web sites a browser lets use the API. The key is needed in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cors {
    /// All of them, as the contract says.
    #[default]
    Any,
    /// None but the page of the master itself.
    Off,
    /// Those with one of these origins.
    Origins(Vec<String>),
}

impl Cors {
    /// Reads `off`, or origins with commas between them; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::Any),
            "off" => Some(Self::Off),
            origins => {
                let origins = origins.split(',').map(str::to_owned).collect::<Vec<_>>();
                origins.iter().all(|origin| is_origin(origin)).then_some(Self::Origins(origins))
            }
        }
    }

    /// What `Access-Control-Allow-Origin` says to a site of `origin`; `None` leaves it out.
    pub fn allowed<'a>(&'a self, origin: Option<&str>) -> Option<&'a str> {
        match self {
            Self::Any => Some("*"),
            Self::Off => None,
            Self::Origins(known) => {
                known.iter().find(|known| Some(known.as_str()) == origin).map(String::as_str)
            }
        }
    }
}

/// `scheme://host[:port]` in lower case, as browsers send it.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let is_of_host =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    let is_of_scheme = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    !scheme.is_empty()
        && scheme.bytes().all(is_of_scheme)
        && !host.is_empty()
        && host.bytes().all(is_of_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_and_matched() {
        let cors = Cors::parse("https://a.example,http://[::1]:8080").expect("two origins");
        assert_eq!(cors.allowed(Some("https://a.example")), Some("https://a.example"));
        assert_eq!(cors.allowed(Some("http://[::1]:8080")), Some("http://[::1]:8080"));
        for other in [None, Some("https://a.example.evil"), Some("http://a.example"), Some("null")]
        {
            assert_eq!(cors.allowed(other), None);
        }
        assert_eq!(Cors::parse("*"), Some(Cors::Any));
        assert_eq!(Cors::Any.allowed(None), Some("*"));
        assert_eq!(Cors::parse("off").expect("a word").allowed(Some("https://a")), None);
        for bad in
            ["", "on", "a.example", "https://a/", "https://A", "https://a, https://b", "null"]
        {
            assert_eq!(Cors::parse(bad), None, "{bad:?}");
        }
    }
}
