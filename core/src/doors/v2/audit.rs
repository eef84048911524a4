//! The audit log: one line of JSON for each request that changes something, or that is refused for
//! want of a right. Where the lines are kept is the driver's business.

use alloc::string::String;
use core::fmt::Write;

use super::route::Endpoint;
use super::status::Rejection;
use crate::escape::escaped_bytes;
use crate::time::Wall;

/// How many entries are read where the query does not say.
const LIMIT_DEFAULT: usize = 200;

/// How many entries are read at most.
const LIMIT_MAX: usize = 10_000;

/// The longest path that is kept, in bytes.
const PATH_MAX_BYTES: usize = 200;

/// Room for the names of the fields, a time and a status.
const FIXED_BYTES: usize = 112;

/// Who did what, from where, and with what result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry<'a> {
    /// When the answer was there.
    pub time: Wall,
    /// `key`, `token:NAME`, `user:UID` of the Unix socket, or `-` where nothing admitted.
    pub who: &'a str,
    /// The address, or the peer of the Unix socket.
    pub from: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path, without its query, which may hold a ticket.
    pub path: &'a str,
    /// More about what was asked: an action, a new id.
    pub detail: &'a str,
    /// The HTTP status of the answer.
    pub status: u16,
}

impl AuditEntry<'_> {
    /// The entry as one line, its end included.
    pub fn line(&self) -> String {
        let Self { time, who, from, method, path, detail, status } = self;
        let path = &path[..path.floor_char_boundary(PATH_MAX_BYTES)];
        let texts = [who, from, method, path, detail].map(str::len).iter().sum::<usize>();
        let mut line = String::with_capacity(FIXED_BYTES + texts);
        let _ = write!(line, "{{\"time\":\"{time}\"");
        let detail = (!detail.is_empty()).then_some((",\"detail\":", *detail));
        let fields = [
            (",\"who\":", *who),
            (",\"from\":", from),
            (",\"method\":", method),
            (",\"path\":", path),
        ];
        fields.into_iter().chain(detail).for_each(|(name, text)| put_text(&mut line, name, text));
        let _ = writeln!(line, ",\"status\":{status}}}");
        line
    }
}

/// Appends a name and a string. Most strings have nothing to escape, and are copied.
fn put_text(line: &mut String, name: &str, text: &str) {
    line.push_str(name);
    if escaped_bytes(text) == text.len() {
        line.push('"');
        line.push_str(text);
        line.push('"');
    } else {
        line.push_str(&serde_json::to_string(text).expect("a string always encodes"));
    }
}

/// Whether an answer goes into the log: what was let in and changes something, whatever came of it,
/// and what is refused for want of a role. Wrong keys are logged as often as the
/// [guard](crate::access::Guard) says: nobody without a key can push other entries out.
pub fn is_audited(endpoint: Option<Endpoint>, status: u16) -> bool {
    let changes = endpoint.is_some_and(Endpoint::changes);
    status != 401 && (status == 403 || changes)
}

/// The `limit` of a query of `/audit`: how many of the newest entries.
///
/// # Errors
/// 400 for anything but a number from 1 to 10000.
pub fn audit_limit(query: &str) -> Result<usize, Rejection> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let Some((_, text)) = pairs.find(|(name, _)| name == "limit") else { return Ok(LIMIT_DEFAULT) };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| {
        Rejection::Bad(alloc::format!("limit has to be a number from 1 to {LIMIT_MAX}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstanceId;

    #[test]
    fn an_entry_is_a_line() {
        let entry = AuditEntry {
            time: Wall::from_micros(0),
            who: "token:ci",
            from: "127.0.0.1",
            method: "PATCH",
            path: "/api/v2/instances/0000000a",
            detail: "stop",
            status: 200,
        };
        insta::assert_snapshot!(entry.line(), @r#"{"time":"1970-01-01T00:00:00.000000Z","who":"token:ci","from":"127.0.0.1","method":"PATCH","path":"/api/v2/instances/0000000a","detail":"stop","status":200}"#);
        let quoted = AuditEntry { path: "/\"\\\n", detail: "", ..entry.clone() };
        insta::assert_snapshot!(quoted.line(), @r#"{"time":"1970-01-01T00:00:00.000000Z","who":"token:ci","from":"127.0.0.1","method":"PATCH","path":"/\"\\\n","status":200}"#);
        let long = "é".repeat(1_000);
        assert!(AuditEntry { path: &long, ..entry }.line().len() < 400);
    }

    #[test]
    fn changes_and_missing_rights_are_audited() {
        let id = InstanceId(1);
        assert!(is_audited(Some(Endpoint::Delete(id)), 204));
        assert!(is_audited(Some(Endpoint::Delete(id)), 503));
        assert!(!is_audited(None, 401) && is_audited(Some(Endpoint::ListTokens), 403));
        assert!(!is_audited(Some(Endpoint::List), 200) && !is_audited(None, 404));
        assert!(!is_audited(Some(Endpoint::ListTokens), 200));
    }

    #[test]
    fn a_limit_is_a_number() {
        assert_eq!([audit_limit(""), audit_limit("x=1&limit=7")], [Ok(200), Ok(7)]);
        for bad in ["limit=", "limit=0", "limit=10001", "limit=x"] {
            assert_eq!(audit_limit(bad).map_err(|bad| bad.status()), Err(400), "{bad}");
        }
    }
}
