//! Instance objects as clients see them, read back from their JSON.
//!
//! Not a JSON parser: the engine renders objects compactly and in one order of fields (the core's
//! own tests pin that), and quotes inside of strings are escaped, so that the text between two
//! field names is a field.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use openctrl_core::counters::Totals;
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Definition, Instance, Status};

/// What an object says.
#[derive(Clone)]
pub struct Shown {
    /// The whole object.
    pub json: Bytes,
    /// The status; `None` for the key instance.
    pub status: Option<Status>,
    /// `mode`.
    pub mode: i64,
    /// `ping pool tcps udps`.
    pub live: [u64; 4],
    /// The byte counters.
    pub totals: [u64; 4],
    /// All that comes before the word for the status.
    head: usize,
    /// All between that word and the numbers.
    tail: Range<usize>,
}

const STATUS: &[u8] = b"\"status\":\"";
const MODE: &[u8] = b",\"mode\":";
const NUMBERS: [&[u8]; 9] = [
    MODE,
    b",\"ping\":",
    b",\"pool\":",
    b",\"tcps\":",
    b",\"udps\":",
    b",\"tcprx\":",
    b",\"tcptx\":",
    b",\"udprx\":",
    b",\"udptx\":",
];

impl Shown {
    /// Reads an object. One that is much `like` another is read faster.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn parse(json: &Bytes, like: Option<&Self>) -> Result<Self, String> {
        let wrong = |what: &str| format!("no {what} in {}", String::from_utf8_lossy(json));
        if let Some(like) = like.filter(|like| is_same(&like.json, json)) {
            return Ok(like.clone());
        }
        let (head, tail) = like
            .and_then(|like| cut_like(json, like))
            .map_or_else(|| cut(json), Ok)
            .map_err(wrong)?;
        let word = &json[head..tail.start];
        let status = parse_status(word).ok_or_else(|| wrong("good status"))?;
        let (mode, numbers) = numbers(&json[tail.end..]).ok_or_else(|| wrong("good numbers"))?;
        let [ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx] = numbers;
        let (live, totals) = ([ping, pool, tcps, udps], [tcprx, tcptx, udprx, udptx]);
        Ok(Self { json: json.clone(), status, mode, live, totals, head, tail })
    }

    /// What every object of an instance with this definition says of it; the numbers are 0.
    pub fn of(definition: &Arc<Definition>) -> Self {
        let instance = Instance::new(Arc::clone(definition), 0, Totals::default());
        Self::parse(&instance.view().json(), None).expect("the core renders what this module reads")
    }

    /// Whether all that the operator defined is the same: the object without status, gauges and
    /// totals.
    pub fn is_as_defined(&self, other: &Self) -> bool {
        self.definition() == other.definition()
    }

    /// The URL, as it stands in the JSON.
    pub fn url(&self) -> &[u8] {
        let tail = &self.json[self.tail.clone()];
        let start = find(tail, b"\"url\":\"").map_or(0, |at| at + 7);
        let end = find(&tail[start..], b"\",\"config\"").unwrap_or(0);
        &tail[start..start + end]
    }

    /// `restart`.
    pub fn restart(&self) -> bool {
        find(&self.json[self.tail.clone()], b",\"restart\":true,").is_some()
    }

    fn definition(&self) -> (&[u8], &[u8]) {
        (&self.json[..self.head], &self.json[self.tail.clone()])
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.json))
    }
}

/// Whether two of the same bytes are the very same.
pub(crate) fn is_same(one: &Bytes, other: &Bytes) -> bool {
    one.as_ptr() == other.as_ptr() && one.len() == other.len()
}

/// The instance that an object is of.
pub(crate) fn id_of(json: &[u8]) -> Option<InstanceId> {
    let id = json.strip_prefix(b"{\"id\":\"")?.get(..8)?;
    InstanceId::parse(str::from_utf8(id).ok()?)
}

/// Cuts an object into what comes before the word for the status, and what is between that and
/// the numbers.
fn cut(json: &[u8]) -> Result<(usize, Range<usize>), &'static str> {
    std::str::from_utf8(json).map_err(|_| "text")?;
    let head = find(json, STATUS).ok_or("status")? + STATUS.len();
    let start = head + find(&json[head..], b"\",").ok_or("status")?;
    let end = memchr::memmem::rfind(json, MODE).filter(|end| *end >= start).ok_or("mode")?;
    Ok((head, start..end))
}

/// The same, if the object differs in status and numbers only.
fn cut_like(json: &[u8], like: &Shown) -> Option<(usize, Range<usize>)> {
    let (head, tail) = like.definition();
    let rest = json.strip_prefix(head)?;
    let word = rest.iter().position(|byte| *byte == b'"')?;
    rest[word..].strip_prefix(tail)?;
    let start = head.len() + word;
    Some((head.len(), start..start + tail.len()))
}

fn parse_status(word: &[u8]) -> Option<Option<Status>> {
    match word {
        b"" => Some(None),
        b"stopped" => Some(Some(Status::Stopped)),
        b"running" => Some(Some(Status::Running)),
        b"error" => Some(Some(Status::Error)),
        _ => None,
    }
}

fn numbers(mut text: &[u8]) -> Option<(i64, [u64; 8])> {
    let mut found = [0; 9];
    let mut is_negative = false;
    for (number, name) in found.iter_mut().zip(NUMBERS) {
        text = text.strip_prefix(name)?;
        if name == MODE
            && let Some(rest) = text.strip_prefix(b"-")
        {
            (text, is_negative) = (rest, true);
        }
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        for digit in &text[..digits] {
            *number = u64::checked_mul(*number, 10)?.checked_add(u64::from(digit - b'0'))?;
        }
        text = &text[digits..];
    }
    let [mode, rest @ ..] = found;
    let mode = i64::try_from(mode).ok()?;
    (text == b"}").then_some((if is_negative { -mode } else { mode }, rest))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::url::InstanceUrl;

    fn definition(alias: &str) -> Arc<Definition> {
        let url = InstanceUrl::parse("demo:\",\"status\":\"x").expect("a valid URL");
        let mut definition = Definition::new(InstanceId(1), url, alias.to_string());
        definition.meta.tags.insert("mode".to_string(), ",\"mode\":1".to_string());
        Arc::new(definition)
    }

    #[test]
    fn reads_what_the_core_renders() {
        let definition = definition("\"url\":\"");
        let totals = Totals { tcptx: 7, udptx: u64::MAX, ..Default::default() };
        let instance = Instance::new(Arc::clone(&definition), -4, totals);
        let shown = Shown::parse(&instance.view().json(), None).expect("an object");
        assert_eq!((shown.status, shown.mode), (Some(Status::Stopped), -4));
        assert_eq!(shown.url(), br#"demo:\",\"status\":\"x"#);
        assert_eq!((shown.restart(), shown.live), (true, [0; 4]));
        assert_eq!(shown.totals, [0, 7, 0, i64::MAX as u64]);
        assert!(shown.is_as_defined(&Shown::of(&definition)));
        assert!(Shown::parse(&Bytes::from_static(b"{}"), None).is_err());
    }

    #[test]
    fn a_like_one_changes_nothing_but_the_time_it_takes() {
        let objects = ["", "a", "b\\"].map(|alias| Shown::of(&definition(alias)));
        let text = |shown: &Shown| String::from_utf8_lossy(&shown.json).into_owned();
        for shown in &objects {
            let texts = [
                text(shown),
                text(shown).replace("stopped", "error").replace("\"ping\":0", "\"ping\":12"),
                text(shown).replace("stopped", "gone"),
                text(shown).replace("\"ping\":0", "\"ping\":-1"),
                text(shown).replace("\"ping\":0", "\"ping\":99999999999999999999"),
            ];
            for json in texts.map(Bytes::from) {
                let alone = Shown::parse(&json, None);
                for like in &objects {
                    let read = Shown::parse(&json, Some(like));
                    assert_eq!(alone.is_ok(), read.is_ok());
                    if let (Ok(alone), Ok(read)) = (&alone, &read) {
                        assert_eq!((alone.status, alone.live), (read.status, read.live));
                        assert!(alone.is_as_defined(read));
                    }
                }
            }
        }
    }
}
