//! Keeps the log folders of apps small: files that are too large get a number, and files that were
//! not written for long are removed.
//!
//! An app writes to its files itself and cannot be asked to open others. The content of a large
//! file is therefore copied to another one, and the file is cut. A line that is written in the
//! moment between can be lost, as with `copytruncate` of logrotate.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use openctrl_core::url::LogOptions;

use super::door::Door;

/// How often the files that apps write are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often folders are searched.
const SEARCH_EVERY: Duration = Duration::from_secs(3_600);

/// Year, month and day.
const FOLDERS_DEEP: usize = 3;

/// How large files grow, and which ones are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    size_bytes: u64,
    keep: u32,
    /// Zero keeps files indefinitely.
    age: Duration,
}

impl From<&LogOptions> for Rules {
    fn from(options: &LogOptions) -> Self {
        Self {
            size_bytes: u64::from(options.size_mib) * 1024 * 1024,
            keep: options.keep,
            age: Duration::from_secs(u64::from(options.age_days) * 24 * 3_600),
        }
    }
}

impl Door {
    /// Looks after the log files of all apps, until the task is stopped.
    pub(crate) async fn keep_logs_small(self: Arc<Self>, rules: Rules) {
        let mut searched: Option<Instant> = None;
        loop {
            let is_due = searched.is_none_or(|at| at.elapsed() >= SEARCH_EVERY);
            if is_due {
                searched = Some(Instant::now());
            }
            let (roots, current) = self.lock().logs();
            // The disk can be slow.
            let _ = tokio::task::spawn_blocking(move || {
                current.iter().for_each(|path| rotate_if_large(path, &rules));
                if is_due {
                    roots.iter().for_each(|root| search(root, FOLDERS_DEEP, &rules));
                }
            })
            .await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Rotates and removes the log files in a folder and those below, and removes folders of days that
/// are empty. Other files are left alone.
fn search(folder: &Path, deep: usize, rules: &Rules) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && deep > 0 && is_date_part(&path) {
            // One that is as old as this gets no more files.
            let was_old = is_old(&path, rules.age);
            search(&path, deep - 1, rules);
            if was_old {
                // Only an empty one is removed.
                let _ = fs::remove_dir(&path);
            }
        } else if kind.is_file() && deep == 0 && is_log(&path) {
            if is_old(&path, rules.age) {
                if let Err(error) = fs::remove_file(&path) {
                    tracing::warn!("Patrol.logs: cannot remove {}: {error}", path.display());
                }
            } else {
                rotate_if_large(&path, rules);
            }
        }
    }
}

/// Whether a folder is one of those that are made for dates: a year, a month or a day.
fn is_date_part(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_number = name.len() <= 4 && name.bytes().all(|byte| byte.is_ascii_digit());
    is_number || MONTHS.contains(&name)
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Whether a file is a log of an app, maybe with a number: `<ns>.stdout.log`, `<ns>.stderr.log.2`.
fn is_log(path: &Path) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parts: Vec<&str> = name.split('.').collect();
    match parts[..] {
        [start, kind, "log"] => is_number(start) && is_kind(kind),
        [start, kind, "log", number] => is_number(start) && is_kind(kind) && is_number(number),
        _ => false,
    }
}

fn is_kind(kind: &str) -> bool {
    matches!(kind, "stdout" | "stderr" | "stdmerge")
}

fn is_old(path: &Path, age: Duration) -> bool {
    let written = fs::metadata(path).and_then(|data| data.modified());
    let passed = written.ok().and_then(|written| SystemTime::now().duration_since(written).ok());
    !age.is_zero() && passed.is_some_and(|passed| passed > age)
}

fn rotate_if_large(path: &Path, rules: &Rules) {
    let is_numbered = path.extension().is_none_or(|extension| extension != "log");
    let is_large = fs::metadata(path).is_ok_and(|data| data.len() > rules.size_bytes);
    if is_large
        && !is_numbered
        && let Err(error) = rotate(path, rules.keep)
    {
        tracing::warn!("Patrol.logs: cannot rotate {}: {error}", path.display());
    }
}

/// Copies a file to one with the number 1, gives those before it the next number, and cuts it.
fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| PathBuf::from(format!("{}.{number}", path.display()));
    if keep > 0 {
        let there = (1..keep).take_while(|number| numbered(*number).exists()).count();
        for number in (1..=u32::try_from(there).unwrap_or(keep)).rev() {
            fs::rename(numbered(number), numbered(number + 1))?;
        }
        io::copy(&mut File::open(path)?, &mut File::create(numbered(1))?)?;
    }
    OpenOptions::new().write(true).open(path)?.set_len(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { size_bytes: 100, keep: 2, age: Duration::from_secs(3_600) };

    fn content(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_large_file_gets_a_number_and_its_writer_goes_on() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("1.stdout.log");
        let mut writer =
            OpenOptions::new().append(true).create(true).open(&path).expect("writable");
        let write = |writer: &mut File, letter: &str, count: usize| {
            io::Write::write_all(writer, letter.repeat(count).as_bytes()).expect("writable");
        };
        for letter in ["a", "b", "c"] {
            write(&mut writer, letter, 101);
            rotate_if_large(&path, &RULES);
            write(&mut writer, letter, 1);
            rotate_if_large(&path, &RULES);
        }
        let numbered = |number: u32| home.path().join(format!("1.stdout.log.{number}"));
        assert_eq!(content(&path), "c");
        assert_eq!(content(&numbered(1)), format!("b{}", "c".repeat(101)));
        assert_eq!(content(&numbered(2)), format!("a{}", "b".repeat(101)));
        assert!(!numbered(3).exists());
        rotate(&path, 0).expect("writable");
        assert_eq!((content(&path), content(&numbered(1)).len()), (String::new(), 102));
    }

    #[test]
    fn old_logs_go_with_their_folders_and_nothing_else_does() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let make = |path: &str, is_old: bool| {
            let path = home.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            let file = File::create(&path).expect("writable");
            let age = if is_old { Duration::from_secs(7_200) } else { Duration::ZERO };
            file.set_modified(SystemTime::now() - age).expect("ours");
            path
        };
        let gone = [
            make("2020/january/1/1.stdout.log", true),
            make("2020/january/1/1.stderr.log.1", true),
            make("2026/may/3/2.stdmerge.log", true),
        ];
        let kept = [
            make("2026/may/3/3.stdout.log", false),
            make("2026/may/4/notes.txt", true),
            make("2026/may/4/x.stdout.log", true),
            make("1.stdout.log", true),
        ];
        for folder in ["2020/january/1", "2020/january", "2020", "2026/may/3"] {
            let folder = File::open(home.path().join(folder)).expect("it is there");
            let old = SystemTime::now() - Duration::from_secs(7_200);
            folder.set_modified(old).expect("ours");
        }
        search(home.path(), FOLDERS_DEEP, &RULES);
        assert!(gone.iter().all(|path| !path.exists()));
        assert!(kept.iter().all(|path| path.exists()));
        assert!(!home.path().join("2020").exists());
        search(home.path(), FOLDERS_DEEP, &Rules { age: Duration::ZERO, ..RULES });
        assert!(kept.iter().all(|path| path.exists()));
    }
}
