//! Why the system does not start a runtime, for people: the error alone ("No such file or
//! directory") does not say what is missing, or what to do about it.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::io::Errno;

use crate::descriptors;

/// What went wrong with the start of `runtime`, and the remedy.
pub(super) fn explain(runtime: &Path, error: &io::Error) -> String {
    format!("{}: {error}: {}", runtime.display(), remedy(runtime, error))
}

fn remedy(runtime: &Path, error: &io::Error) -> String {
    let text = |text: &str| text.to_owned();
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => missing(runtime),
        Some(Errno::ACCESS | Errno::PERM) => forbidden(runtime),
        Some(Errno::NOEXEC) => {
            text("it is neither a program for this machine nor a script that starts with #!")
        }
        Some(Errno::TXTBSY) => text("the file is being written; the next start may succeed"),
        Some(Errno::NOTDIR) => text("a part of its path is a file; correct bin="),
        Some(Errno::AGAIN) => {
            text("the limit on processes is reached; raise it (ulimit -u, TasksMax=)")
        }
        Some(Errno::NOMEM) => text("the machine or the control group is out of memory"),
        Some(Errno::MFILE) => descriptors::remedy(),
        Some(Errno::NFILE) => {
            text("the machine has too many files open; raise the limit (sysctl fs.file-max)")
        }
        Some(Errno::TOOBIG) => text("the URL with the environment is longer than the system takes"),
        Some(_) | None => text("the system did not start it"),
    }
}

/// The file is missing, or something that it needs to be run.
fn missing(runtime: &Path) -> String {
    if runtime.components().count() == 1 {
        return "no command of this name is in the PATH of the master; give bin= a path".to_owned();
    }
    if is_own(runtime) {
        return "the file of this program was removed or moved while it runs; put it back, or \
                restart the master from where it is now"
            .to_owned();
    }
    if !runtime.exists() {
        return "there is no such file; correct bin=, or put the runtime there".to_owned();
    }
    match interpreter(runtime) {
        Some(interpreter) => {
            format!(
                "its first line asks for {interpreter}, which is missing; install or correct it"
            )
        }
        None => "the file is there, but the loader it was linked for is missing; use a static \
                 binary, or one that was built for this system"
            .to_owned(),
    }
}

/// Whether `runtime` is where this program was started from and is no longer.
fn is_own(runtime: &Path) -> bool {
    let mut own = runtime.as_os_str().to_owned();
    own.push(" (deleted)");
    fs::read_link("/proc/self/exe").is_ok_and(|link| link.as_os_str() == own)
}

/// What a script's first line asks for.
fn interpreter(script: &Path) -> Option<String> {
    let mut head = Vec::new();
    fs::File::open(script).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    // A carriage return, which Windows puts there, is part of the name that is looked for.
    let name = line.trim_matches([' ', '\t']).split([' ', '\t']).next()?;
    Some(format!("{name:?}"))
}

fn forbidden(runtime: &Path) -> String {
    let text = match fs::metadata(runtime) {
        Ok(data) if data.is_dir() => "it is a directory; give bin= a program",
        Ok(data) if data.permissions().mode() & 0o111 == 0 => {
            "the file is not executable; chmod +x makes it so"
        }
        Ok(_) => {
            "the user of the master may not execute it, or its file system is mounted with noexec"
        }
        Err(_) => "the user of the master may not enter a directory on its path",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    #[test]
    fn what_is_missing_is_named() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let missing = io::Error::from_raw_os_error(Errno::NOENT.raw_os_error());
        let script = home.path().join("script");
        let said = |path: &Path| explain(path, &missing);
        assert!(said(&script).ends_with(
            "No such file or directory (os error 2): there is no such file; correct bin=, or put \
             the runtime there"
        ));
        assert!(said(Path::new("nosuch")).contains("is in the PATH of the master"));
        fs::write(&script, "#! /no/such/python3 -u\nprint()\n").expect("written");
        assert!(said(&script).contains("asks for \"/no/such/python3\", which is missing"));
        fs::write(&script, "#!/bin/sh\r\n").expect("written");
        assert!(said(&script).contains("asks for \"/bin/sh\\r\""));
        fs::write(&script, "\x7fELF").expect("written");
        assert!(said(&script).contains("the loader it was linked for is missing"));
    }

    #[test]
    fn what_may_not_be_run_says_why() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let forbidden = io::Error::from_raw_os_error(Errno::ACCESS.raw_os_error());
        let file = home.path().join("file");
        fs::write(&file, "").expect("written");
        let said = |path: &Path| explain(path, &forbidden);
        assert!(said(&file).contains("chmod +x"));
        fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("changed");
        assert!(said(&file).contains("noexec"));
        assert!(said(home.path()).contains("it is a directory"));
    }
}
