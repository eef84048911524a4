//! Patrol contract A: log files of apps are rotated by size and removed by age, as OPERATIONS says.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use openctrl_tests::patrol::{Folder, write_script};
use openctrl_tests::until;
use serde_json::json;

/// More than a file may have.
const LINES: usize = 11 * 1024 * 1024 / 64;

#[test]
fn a_large_log_file_is_rotated_while_the_app_writes_on() {
    let folder = Folder::default();
    let (go_on, script) = (folder.path("go-on"), PathBuf::from(folder.path("big")));
    let line = "x".repeat(63);
    let text = format!(
        "yes {line} | head -n {LINES}\nwhile [ ! -e {go_on} ]; do sleep 0.1; done\necho after\n\
         exec sleep 1000"
    );
    write_script(&script, &text);
    let mut app = folder.app(1, &[]);
    (app["binary"], app["args"]) = (json!("big"), json!([]));
    let patrol = folder.start(json!({"web": app}), json!({}));
    let file = || -> Option<PathBuf> {
        let mut found = patrol.folder().join("logs");
        for _ in 0..4 {
            let mut entries: Vec<PathBuf> =
                fs::read_dir(&found).ok()?.flatten().map(|entry| entry.path()).collect();
            entries.retain(|path| path.is_dir() || path.to_string_lossy().ends_with(".stdout.log"));
            found = entries.pop()?;
        }
        Some(found)
    };
    let bytes = |path: &str| fs::metadata(path).map_or(0, |data| data.len());
    let path = openctrl_tests::eventually("the log file", file).to_string_lossy().into_owned();
    let rotated = format!("{path}.1");
    until("a second file", || {
        bytes(&rotated) + bytes(&path) >= (LINES * 64) as u64 && bytes(&path) < bytes(&rotated)
    });
    fs::write(&go_on, "").expect("the folder is writable");
    until("the app to write on", || {
        fs::read_to_string(&path).is_ok_and(|text| text.ends_with("after\n"))
    });
    let place = path.split_once("/logs/").expect("it is in the folder").1;
    let list = patrol
        .get(&format!("/logs/{}/?group=app&id=web", place.rsplit_once('/').expect("a folder").0));
    assert!(list.expect(200).text().contains(".stdout.log.1"), "both can be read");
}

#[test]
fn old_log_files_go_and_everything_else_stays() {
    let folder = Folder::default();
    let make = |name: &str| {
        let path = PathBuf::from(folder.path(name));
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is writable");
        let file = File::create(&path).expect("the folder is writable");
        let long_ago = SystemTime::now() - Duration::from_secs(40 * 24 * 3_600);
        file.set_modified(long_ago).expect("it is ours");
        path
    };
    let app = folder.app(1, &["wait"]);
    let old = make("logs/2020/january/1/1577836800000000000.stdout.log");
    let others = [make("logs/2020/january/1/notes.txt"), make("logs/archive/1.stdout.log")];
    let patrol = folder.start(json!({"web": app}), json!({}));
    until("the old file to go", || !old.exists());
    assert!(others.iter().all(|path| path.exists()));
    patrol.wait_app("web", "running", |app| app["pid"].is_number());
}
