//! The form in which a file of the page is sent: without comments, and compressed.
//!
//! Owns both steps, and whether a client takes the second. Does not own the files or their headers.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header;

/// A script or style sheet without its comments, its indentation and its blank lines.
///
/// Knows the style of the files of the page, not the whole syntax: a comment has lines of its own,
/// and no text spans lines.
pub(super) fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut is_comment = false;
    for line in text.lines() {
        let mut line = line.trim();
        if !is_comment && (line.is_empty() || line.starts_with("//")) {
            continue;
        }
        if is_comment || line.starts_with("/*") {
            let Some((_, rest)) = line.split_once("*/") else {
                is_comment = true;
                continue;
            };
            is_comment = false;
            line = rest.trim();
            if line.is_empty() {
                continue;
            }
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// The content compressed with gzip.
pub(super) fn gzip(content: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    Bytes::from(written.expect("writing to memory does not fail"))
}

/// Whether the client that sent these headers takes gzip (RFC 9110 §12.5.3). Without the header it
/// does not: programs that send none often cannot decompress.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let mut any = false;
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let is_wanted = quality.is_none_or(|text| text.parse::<f32>().is_ok_and(|q| q > 0.0));
        match &*name {
            "gzip" | "x-gzip" => return is_wanted,
            "*" => any = is_wanted,
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn comments_indentation_and_blank_lines_are_removed() {
        let script = "// One.\n\n/** Two. */\nlet a = 1;\n  /*\n   * Three: /* \n   */\n  \
                      f(\"//\", \"/* x */\"); // Kept.\n/* four */ let b = 2;\n";
        let kept = "let a = 1;\nf(\"//\", \"/* x */\"); // Kept.\nlet b = 2;\n";
        assert_eq!(without_comments(script), kept);
    }

    #[test]
    fn gzip_can_be_read_back() {
        let text = "line\n".repeat(1_000);
        let packed = gzip(text.as_bytes());
        assert!(packed.len() < 100, "{} bytes", packed.len());
        let mut read = String::new();
        flate2::read::GzDecoder::new(&*packed).read_to_string(&mut read).expect("gzip");
        assert_eq!(read, text);
    }

    #[test]
    fn a_client_says_whether_it_takes_gzip() {
        let accepts = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            accepts_gzip(&headers)
        };
        for yes in ["gzip", "deflate, GZIP;q=0.5", "br, *", "x-gzip", "gzip, identity;q=0"] {
            assert!(accepts(&[yes]), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip; q=0.000, *", "*;q=0", "gzip;q=much", "gzipped"] {
            assert!(!accepts(&[no]), "{no}");
        }
        assert!(accepts(&["br", "gzip"]));
        assert!(!accepts(&[]));
    }
}
