//! Patrol contract A and §1.4, "Library use": descriptors that a program gives to apps, with a real
//! child. The server runs in the process of the test, so this file has one test.

use std::error::Error;
use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use openctrl::patrol::{Builder, Group, HookName};
use rustix::process::{Signal, getpid, kill_process};

/// Reads both inputs and lists its descriptors.
const APP: &str = r#"#!/bin/sh
read -r from_stdin
read -r from_extra <&3
echo "stdin: $from_stdin, 3: $from_extra"
ls /proc/$$/fd
echo complaint >&2
echo end
exec sleep 1000
"#;

/// The reading end of a pipe that `text` was written to.
fn holding(text: &str) -> io::Result<OwnedFd> {
    let (read, mut write) = io::pipe()?;
    write.write_all(text.as_bytes())?;
    Ok(read.into())
}

/// What was started, and its data.
type Started = (Option<(Group, String)>, Option<Arc<str>>);

/// Reads what the app prints. Ends the server when it has printed everything and the hooks of the
/// server and of the app were called. The last read ends only if neither the server nor an app
/// holds the other end.
fn read(
    printed: PipeReader,
    happened: &mpsc::Receiver<Started>,
) -> io::Result<(Vec<String>, Vec<Started>)> {
    let (mut lines, mut seen) = (Vec::new(), Vec::new());
    for line in BufReader::new(printed).lines() {
        let line = line?;
        if line == "end" {
            seen.extend(happened.iter().take(2));
            // It is refused, and the server goes on.
            kill_process(getpid(), Signal::USR2)?;
            kill_process(getpid(), Signal::TERM)?;
        } else {
            lines.push(line);
        }
    }
    Ok((lines, seen))
}

fn logs_below(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names = Vec::new();
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            names.extend(logs_below(&entry.path()));
        } else {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names
}

#[test]
fn an_app_has_the_descriptors_that_a_program_gives_and_no_others() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    fs::write(path("app.sh"), APP)?;
    fs::set_permissions(path("app.sh"), Permissions::from_mode(0o755))?;
    let app = serde_json::json!({
        "keepalive": 1, "name": "Web", "working-directory": folder.path(), "binary": "app.sh",
        "log-directory": "logs", "pid-path": "app.pid", "env-parent": true, "std-merge": true,
        "x": {"team": "web"},
    });
    let config = serde_json::json!({
        "apps": {"web": app}, "x": [1],
        "http": {"listen": "127.0.0.1:0"}, "udp": {"listen": "127.0.0.1:0"},
    });
    fs::write(path("config.json"), config.to_string())?;
    let (printed, stdout) = io::pipe()?;
    let (told, happened) = mpsc::channel();
    let reader = thread::spawn(move || read(printed, &happened));
    Builder::new(path("config.json"))
        .stdin(|id| holding(&format!("input of {id}\n")).map(Some))
        .extra_files(|id| Ok(vec![holding(&format!("file of {id}\n"))?, holding("")?]))
        .stdout(move |_| Ok(Some(stdout.try_clone()?.into())))
        .stderr(|_| Ok(None))
        .on(HookName::Started, move |event| {
            let _ = told.send((event.subject.clone(), event.x.clone()));
        })
        .run()?;
    let (lines, seen) = reader.join().expect("it does not panic")?;
    assert_eq!(lines[0], "stdin: input of web, 3: file of web");
    let (opened, of_shell): (Vec<&String>, Vec<&String>) =
        lines[1..].iter().partition(|number| number.len() == 1);
    assert_eq!(opened, ["0", "1", "2", "3", "4"]);
    // The shell has its script open.
    assert!(of_shell.len() <= 1, "{of_shell:?}");
    let logs = logs_below(&path("logs"));
    assert!(!logs.is_empty() && logs.iter().all(|log| log.ends_with(".stderr.log")), "{logs:?}");
    let expected = [(None, "[1]"), (Some((Group::App, "web".into())), r#"{"team":"web"}"#)];
    let mut seen: Vec<_> = seen.iter().map(|(of, x)| (of.clone(), x.as_deref())).collect();
    seen.sort_unstable_by_key(|(of, _)| of.is_some());
    assert_eq!(seen, expected.map(|(of, x)| (of, Some(x))));
    Ok(())
}
