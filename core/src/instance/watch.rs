//! Files whose changes restart an instance: `watch=` and `watch_ignore=`.
//!
//! Values only. They are given as parameters of an `exec:` URL and derive from it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The name of the parameter that names a path; it may be repeated.
pub const WATCH: &str = "watch";

/// The name of the parameter that names what is left out; it may be repeated.
pub const WATCH_IGNORE: &str = "watch_ignore";

/// The most paths that one instance watches, and the most names that it ignores.
const WATCHES_MAX: usize = 16;

/// The longest path, in bytes: that of Linux.
const PATH_MAX_BYTES: usize = 4_095;

/// The longest name, in bytes.
const NAME_MAX_BYTES: usize = 255;

/// Directories of dependencies and caches, which programs write themselves.
const ALWAYS_IGNORED: [&str; 2] = ["node_modules", "__pycache__"];

/// What an instance watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Watch {
    /// Absolute paths of files and directories; of a directory all below it is watched.
    pub paths: Vec<String>,
    /// Names that are left out below these paths, or `*` with the end of names.
    pub ignored: Vec<String>,
}

impl Watch {
    /// Whether anything is watched.
    pub const fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether entries with this name are left out: hidden ones, backups (`name~`), those of
    /// dependencies and caches, and those that `watch_ignore` names.
    pub fn ignores(&self, name: &str) -> bool {
        name.starts_with('.')
            || name.ends_with('~')
            || ALWAYS_IGNORED.contains(&name)
            || self.ignored.iter().any(|ignored| match ignored.strip_prefix('*') {
                Some(end) => name.ends_with(end),
                None => name == ignored,
            })
    }

    /// # Errors
    /// A sentence that names the parameter and its valid values.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        let (list, is_good, want) = if name == WATCH {
            (&mut self.paths, is_path(value), "an absolute path without . or ..")
        } else {
            let want = "the name of a file or directory, or * and the end of names such as *.log";
            (&mut self.ignored, is_name(value), want)
        };
        if !is_good {
            return Err(format!("{name} must be {want}"));
        }
        if list.iter().any(|known| known == value) {
            return Err(format!("{name}={value} is given twice: give it once"));
        }
        if list.len() == WATCHES_MAX {
            return Err(format!("{name} may be given {WATCHES_MAX} times at most"));
        }
        list.push(value.to_string());
        Ok(())
    }
}

fn is_path(path: &str) -> bool {
    let is_plain = |part: &str| !matches!(part, "." | "..");
    path.starts_with('/')
        && path.len() <= PATH_MAX_BYTES
        && !path.contains(char::is_control)
        && path.split('/').all(is_plain)
}

fn is_name(name: &str) -> bool {
    let end = name.strip_prefix('*').unwrap_or(name);
    !end.is_empty()
        && end.len() <= NAME_MAX_BYTES
        && !end.contains(|letter: char| letter == '/' || letter == '*' || letter.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(given: &[(&str, &str)]) -> Result<Watch, String> {
        let mut watch = Watch::default();
        given.iter().try_for_each(|(name, value)| watch.add(name, value)).map(|()| watch)
    }

    #[test]
    fn names_are_left_out_by_their_beginning_end_or_whole() {
        let watch = watch(&[(WATCH, "/srv"), (WATCH_IGNORE, "tmp"), (WATCH_IGNORE, "*.log")]);
        let watch = watch.expect("valid");
        for name in [".git", "a.js~", "node_modules", "__pycache__", "tmp", "app.log"] {
            assert!(watch.ignores(name), "{name}");
        }
        for name in ["a.js", "tmp2", "log", "app.log.js"] {
            assert!(!watch.ignores(name), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for bad in ["", "srv", "/srv/../etc", "/srv/.", "/a\nb"] {
            let reason = watch(&[(WATCH, bad)]).expect_err(bad);
            assert!(reason.starts_with("watch must be an absolute path"), "{reason}");
        }
        for bad in ["", "*", "a/b", "a*b", "**"] {
            let reason = watch(&[(WATCH_IGNORE, bad)]).expect_err(bad);
            assert!(reason.starts_with("watch_ignore must be"), "{reason}");
        }
        let twice = watch(&[(WATCH, "/a"), (WATCH, "/a")]);
        assert_eq!(twice, Err("watch=/a is given twice: give it once".to_string()));
        let paths: Vec<String> = (0..=WATCHES_MAX).map(|number| format!("/{number}")).collect();
        let many: Vec<_> = paths.iter().map(|path| (WATCH, path.as_str())).collect();
        assert_eq!(watch(&many), Err("watch may be given 16 times at most".to_string()));
    }
}
