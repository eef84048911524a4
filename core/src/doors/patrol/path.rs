//! Paths as texts: lexical normalization, and which paths a configuration may have.

use alloc::string::String;
use alloc::vec::Vec;

/// The shortest path that leads to the same place, by its text alone: no `//`, `.` or inner `..`,
/// no `/` at the end. The empty path becomes `.`.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            other => parts.push(other),
        }
    }
    let mut cleaned = String::with_capacity(path.len());
    if rooted {
        cleaned.push('/');
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            cleaned.push('/');
        }
        cleaned.push_str(part);
    }
    if cleaned.is_empty() { String::from(".") } else { cleaned }
}

/// Whether a configuration may have this path: it is its own [`clean`] form, at most with one `/`
/// after it, and leads somewhere else than `.`.
pub fn is_clean(path: &str) -> bool {
    let cleaned = clean(path);
    if cleaned == "." || path.is_empty() {
        return false;
    }
    path == cleaned || (cleaned != "/" && path.strip_suffix('/') == Some(&*cleaned))
}

/// `path` below `directory`, cleaned. A `path` that begins with `/` is below it all the same.
pub fn below(directory: &str, path: &str) -> String {
    let mut joined = String::with_capacity(directory.len() + 1 + path.len());
    joined.push_str(directory);
    joined.push('/');
    joined.push_str(path);
    clean(&joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    #[test]
    fn the_paths_of_the_contract_are_accepted_and_refused() {
        let good =
            ["/", "a", "a/", "a/b", "a/b/", "a/b/c", "..", "../", "../a", "../a/", "/bin/ls"];
        for path in good {
            assert!(is_clean(path), "{path:?}");
        }
        let bad = [
            "", ".", "./", "a/.", "a/..", "a/./", "a/../", "../a/.", "../a/..", "a/../b/c",
            "a/b/../c", "/.", "/..", "/./", "/../", ".//", "..//", "//", "///", "a//", "a//b",
        ];
        for path in bad {
            assert!(!is_clean(path), "{path:?}");
        }
    }

    #[test]
    fn a_path_goes_below_its_directory() {
        assert_eq!(below("/srv/app", "/bin/ls"), "/srv/app/bin/ls");
        assert_eq!(below("/srv/app/", "../b"), "/srv/b");
        assert_eq!(below("/srv", "../../../b"), "/b");
        assert_eq!(clean(""), ".");
        assert_eq!(clean("a/../.."), "..");
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing(path in "[ab./]{0,20}") {
            let cleaned = clean(&path);
            prop_assert_eq!(clean(&cleaned), cleaned);
        }

        #[test]
        fn a_rooted_path_stays_rooted(path in "[ab./]{0,20}") {
            let cleaned = clean(&format!("/{path}"));
            prop_assert!(cleaned.starts_with('/'), "{}", cleaned);
            prop_assert!(cleaned.split('/').all(|part| part != ".."), "{}", cleaned);
        }

        #[test]
        fn a_path_is_clean_if_it_is_its_clean_form(path in "[ab./]{1,20}") {
            let cleaned = clean(&path);
            let expected = cleaned != "."
                && (path == cleaned || (cleaned != "/" && path == format!("{cleaned}/")));
            prop_assert_eq!(is_clean(&path), expected);
        }
    }
}
