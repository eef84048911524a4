//! Finds the program of a command before it is started, as the start finds it.
//!
//! Owns the search and its messages. What was found can be gone when it is started.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use openctrl_core::instance::Setup;

use super::exec::Spec;
use super::params::parse;

/// Where the system looks if there is no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Bytes of a script that the system reads for its first line.
const FIRST_LINE_BYTES: u64 = 256;

/// Checks that the command of an `exec:` URL can be started by this process, with `setup` around it.
/// URLs of other schemes pass.
///
/// # Errors
/// What is wrong, and with what. No value of a variable or argument is repeated.
pub(crate) fn check_command(url: &str, setup: &Setup) -> Result<(), String> {
    if !url.split(':').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("exec")) {
        return Ok(());
    }
    let spec = parse(url).and_then(|url| Spec::parse(&url)).map_err(|error| error.to_string())?;
    let cwd = spec.cwd.clone().or_else(|| setup.cwd.clone().map(PathBuf::from));
    let cwd = cwd.unwrap_or_default();
    if !cwd.as_os_str().is_empty() {
        let is_folder = fs::metadata(&cwd).map(|file| file.is_dir());
        let wrong = |why: &dyn std::fmt::Display| format!("cwd {}: {why}", cwd.display());
        match is_folder {
            Err(error) => return Err(wrong(&error)),
            Ok(false) => return Err(wrong(&"not a directory")),
            Ok(true) => {}
        }
    }
    find_program(&spec.command, &cwd, &path(&spec, setup)).map(drop)
}

/// The `PATH` that the command has.
fn path(spec: &Spec, setup: &Setup) -> OsString {
    let given = spec.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
    let given = given.or_else(|| setup.env.get("PATH")).map(OsString::from);
    let inherited = || if setup.clear_env { None } else { std::env::var_os("PATH") };
    given.or_else(inherited).unwrap_or_else(|| DEFAULT_PATH.into())
}

/// The program of a command that is started in `cwd`: a path, or a name that is looked up in `path`.
/// An empty `cwd` is the current directory.
///
/// # Errors
/// A sentence that names the command.
pub(crate) fn find_program(command: &Path, cwd: &Path, path: &OsStr) -> Result<PathBuf, String> {
    let name = command.display();
    if command.as_os_str().as_bytes().contains(&b'/') {
        let whole = cwd.join(command);
        return match check_program(&whole) {
            Ok(()) => Ok(whole),
            Err(Unusable::Missing(error)) => Err(format!("command not found: {name}: {error}")),
            Err(Unusable::NotExecutable(reason)) => {
                Err(format!("{name} cannot be executed: {reason}"))
            }
        };
    }
    let mut unusable = None;
    for folder in std::env::split_paths(path) {
        let whole = cwd.join(folder).join(command);
        match check_program(&whole) {
            Ok(()) => return Ok(whole),
            // The search goes on, as another directory can have one that is executable.
            Err(Unusable::NotExecutable(reason)) => {
                unusable.get_or_insert_with(|| format!("{} {reason}", whole.display()));
            }
            Err(Unusable::Missing(_)) => {}
        }
    }
    Err(match unusable {
        Some(reason) => format!("{name} cannot be executed: {reason}"),
        None => format!("command not found: {name} is not in PATH"),
    })
}

/// Why a file cannot be started.
enum Unusable {
    Missing(io::Error),
    NotExecutable(String),
}

fn check_program(path: &Path) -> Result<(), Unusable> {
    let file = fs::metadata(path).map_err(Unusable::Missing)?;
    if file.is_dir() {
        return Err(Unusable::NotExecutable("is a directory".to_owned()));
    }
    if !file.is_file() || rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_err() {
        return Err(Unusable::NotExecutable("is not an executable file".to_owned()));
    }
    match interpreter(path).filter(|interpreter| !interpreter.exists()) {
        Some(missing) => {
            let reason = format!("names the interpreter {missing:?}, which does not exist");
            Err(Unusable::NotExecutable(reason))
        }
        None => Ok(()),
    }
}

/// The interpreter that the first line of a script names by an absolute path.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let mut first = Vec::new();
    // A program can be executable and not readable.
    File::open(path).ok()?.take(FIRST_LINE_BYTES).read_to_end(&mut first).ok()?;
    let line = first.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t'));
    let word = words.find(|word| !word.is_empty())?;
    word.starts_with(b"/").then(|| PathBuf::from(OsStr::from_bytes(word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A folder with a file of each kind.
    fn folder() -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a folder");
        for (name, text, mode) in [
            ("text", "", 0o644),
            ("tool", "", 0o755),
            ("script", "#! /bin/sh -e\n", 0o755),
            ("lost", "#!/no/such/shell\n", 0o755),
            ("dos", "#!/bin/sh\r\n", 0o755),
        ] {
            let path = home.path().join(name);
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        }
        fs::create_dir(home.path().join("folder")).expect("made");
        home
    }

    #[test]
    fn a_program_is_a_path_or_in_path() {
        let home = folder();
        let (here, path) = (home.path(), home.path().as_os_str());
        let find = |command: &str| find_program(Path::new(command), here, path);
        assert_eq!(find("tool"), Ok(here.join("tool")));
        assert_eq!(find("./tool"), Ok(here.join("./tool")));
        assert_eq!(find("script"), Ok(here.join("script")));
        for (bad, why) in [
            ("none", "is not in PATH"),
            ("./none", "command not found: ./none: No such file"),
            ("text", "is not an executable file"),
            ("./folder", "./folder cannot be executed: is a directory"),
            ("lost", "names the interpreter \"/no/such/shell\", which does not exist"),
            ("dos", "names the interpreter \"/bin/sh\\r\""),
        ] {
            let reason = find(bad).expect_err(bad);
            assert!(reason.contains(why), "{reason}");
        }
    }

    #[test]
    fn a_command_is_found_with_its_own_path_and_directory() {
        let home = folder();
        let home = home.path().display();
        let check = |url: String| check_command(&url, &Setup::default());
        assert_eq!(check(format!("exec:tool?env=PATH%3D{home}")), Ok(()));
        assert_eq!(check(format!("exec:tool?env=PATH%3D.&cwd={home}")), Ok(()));
        assert_eq!(check("demo://no-such".to_owned()), Ok(()));
        let set = |name: &str, text: String| [(name.to_owned(), text)].into();
        let setup = Setup { env: set("PATH", home.to_string()), ..Setup::default() };
        assert_eq!(check_command("exec:tool", &setup), Ok(()));
        let setup = Setup { cwd: Some(home.to_string()), env: set("PATH", ".".into()), ..setup };
        assert_eq!(check_command("exec:tool", &setup), Ok(()));
        for (bad, why) in [
            ("exec:no-such-command?env=A%3Dhidden", "command not found: no-such-command"),
            ("exec:sh?cwd=/no/such", "cwd /no/such: No such file"),
            ("exec:sh?cwd=/etc/passwd", "cwd /etc/passwd: not a directory"),
            ("exec:sh?agr=x", "unknown parameter \"agr\""),
        ] {
            let reason = check(bad.to_owned()).expect_err(bad);
            assert!(reason.contains(why) && !reason.contains("hidden"), "{reason}");
        }
    }
}
