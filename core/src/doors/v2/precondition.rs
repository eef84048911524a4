//! ETags of instances and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1).
//!
//! The ETag names the revision of the definition: url, alias, restart and meta. Status and numbers
//! change without it, so it is no validator for caches and `If-None-Match` has no effect.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::status::Rejection;
use crate::expect::Expect;
use crate::ids::Revision;

/// The ETag of a revision.
pub(super) fn etag(Revision(number): Revision) -> String {
    ["\"", itoa::Buffer::new().format(number), "\""].concat()
}

/// The expectation in the `If-Match` headers of a request. Weak tags and foreign ones match
/// nothing.
///
/// # Errors
/// 400 for anything but `*` or a list of quoted tags.
pub fn decode_if_match<'a>(
    headers: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Expect, Rejection> {
    let mut headers = headers.into_iter().peekable();
    if headers.peek().is_none() {
        return Ok(Expect::Any);
    }
    let mut revisions = Vec::new();
    for header in headers {
        let header = header.trim_ascii();
        if header == b"*" {
            return Ok(Expect::Any);
        }
        let tags = core::str::from_utf8(header).ok().and_then(tags);
        revisions.extend(tags.ok_or_else(malformed)?);
    }
    Ok(Expect::OneOf(revisions))
}

fn malformed() -> Rejection {
    let reason = "If-Match is neither * nor a list of ETags in quotes, such as \"1\"";
    Rejection::Bad(reason.to_string())
}

/// The revisions in a list of tags; `None` if it is no such list.
fn tags(mut rest: &str) -> Option<Vec<Revision>> {
    let mut revisions = Vec::new();
    loop {
        let (is_weak, tag) = match rest.strip_prefix("W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let (tag, after) = tag.strip_prefix('"')?.split_once('"')?;
        revisions.extend(revision(tag).filter(|_| !is_weak));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(revisions);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

fn revision(tag: &str) -> Option<Revision> {
    let number: u64 = tag.parse().ok()?;
    (number.to_string() == tag).then_some(Revision(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expects(headers: &[&str]) -> Result<Expect, Rejection> {
        decode_if_match(headers.iter().map(|header| header.as_bytes()))
    }

    fn one_of(revisions: &[u64]) -> Result<Expect, Rejection> {
        Ok(Expect::OneOf(revisions.iter().copied().map(Revision).collect()))
    }

    #[test]
    fn tags_are_read_as_they_are_written() {
        assert_eq!(expects(&[]), Ok(Expect::Any));
        assert_eq!(expects(&[" * "]), Ok(Expect::Any));
        assert_eq!(expects(&[&etag(Revision(7))]), one_of(&[7]));
        assert_eq!(expects(&["\"1\" ,\"2\"", "\"3\""]), one_of(&[1, 2, 3]));
    }

    #[test]
    fn a_tag_of_others_matches_nothing() {
        let others = ["W/\"1\"", "\"\"", "\"01\"", "\"+1\"", "\"a,b\"", "\"99999999999999999999\""];
        for other in others {
            assert_eq!(expects(&[other]), one_of(&[]), "{other}");
        }
        assert_eq!(expects(&["W/\"1\", \"2\""]), one_of(&[2]));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for bad in ["", "1", "\"1", "\"1\" \"2\"", "\"1\",", "*, \"1\"", "w/\"1\""] {
            assert_eq!(expects(&[bad]).expect_err(bad).status(), 400, "{bad}");
        }
    }
}
