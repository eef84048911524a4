//! `openctrl service`: installs the master as a service of systemd and removes it.
//!
//! Owns the units that it writes: for root one of the system, for other users one of their own. Does
//! not own the units of a package, which it leaves alone.

use std::env::{self, VarError};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use openctrl_core::url::MasterUrl;
use rustix::process::geteuid;

use crate::grammar::{InstallService, ServiceCommand};

/// The units of the sources: the package installs the first one.
const SYSTEM_UNIT: &str = include_str!("../../packaging/openctrl.service");
const USER_UNIT: &str = include_str!("../../packaging/openctrl.user.service");

/// What both have in the place of the program and of the URL.
const PROGRAM: &str = "ExecStart=/usr/bin/openctrl ";
const URL: &str = "OPENCTRL_URL=";

/// The first line of a unit that this command wrote.
const MARK: &str = "# Written by `openctrl service install`, which overwrites it.\n";

/// Units of packages.
const PACKAGED: [&str; 2] =
    ["/usr/lib/systemd/system/openctrl.service", "/lib/systemd/system/openctrl.service"];

/// Whose service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    System,
    User,
}

/// Carries out the command. Returns the text for standard output.
pub(crate) fn answer(command: &ServiceCommand) -> Result<String, String> {
    match command {
        ServiceCommand::Install(question) => install(scope(question.user), question),
        ServiceCommand::Uninstall { user } => uninstall(scope(*user)),
    }
}

fn scope(of_user: bool) -> Scope {
    if geteuid().is_root() && !of_user { Scope::System } else { Scope::User }
}

fn install(scope: Scope, question: &InstallService) -> Result<String, String> {
    if let Some(url) = &question.url {
        MasterUrl::parse(url).map_err(|error| format!("--url: {error}"))?;
    }
    let program = env::current_exe()
        .map_err(|error| format!("cannot find this program's own file: {error}"))?;
    let unit = unit(scope, &program, question.url.as_deref())?;
    if question.print {
        return Ok(unit);
    }
    let path = unit_path(scope)?;
    check_free(scope, &path)?;
    if program.components().any(|part| part.as_os_str() == "target") {
        let shown = program.display();
        warn(&format!("the service runs {shown}, which `cargo clean` removes: install it first"));
    }
    let before = fs::read(&path).ok();
    write(&path, unit.as_bytes())?;
    if let Err(reason) = systemctl(scope, &["daemon-reload"]) {
        // Without systemd, nothing is left behind.
        match before {
            Some(unit) => write(&path, &unit)?,
            None => fs::remove_file(&path).map_err(|error| named(&path, &error))?,
        }
        return Err(format!("nothing was installed: {reason}"));
    }
    if scope == Scope::System {
        add_user()?;
    }
    systemctl(scope, &["enable", "--now", "openctrl.service"])?;
    let mut text = format!("installed and started {}\n", path.display());
    text.push_str(match scope {
        Scope::System => "its log: journalctl -u openctrl\n",
        Scope::User => {
            "its log: journalctl --user -u openctrl\n\
             it stops when you log out, unless you allow it: loginctl enable-linger\n"
        }
    });
    Ok(text)
}

fn uninstall(scope: Scope) -> Result<String, String> {
    let path = unit_path(scope)?;
    check_ours(&path).map_err(|error| named(&path, &error))?;
    systemctl(scope, &["disable", "--now", "openctrl.service"])?;
    fs::remove_file(&path).map_err(|error| named(&path, &error))?;
    systemctl(scope, &["daemon-reload"])?;
    Ok(format!("stopped the service and removed {}; the state stays\n", path.display()))
}

/// The text of the unit.
fn unit(scope: Scope, program: &Path, url: Option<&str>) -> Result<String, String> {
    let text = match scope {
        Scope::System => SYSTEM_UNIT,
        Scope::User => USER_UNIT,
    };
    let program = program.to_str().filter(|path| !path.contains(['"', '\n', '\\']));
    let program =
        program.ok_or("the path of this program has characters that a unit cannot have")?;
    let mut unit = MARK.to_owned();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(PROGRAM) {
            unit.push_str(&format!("ExecStart=\"{}\" {rest}\n", escaped(program)));
            continue;
        }
        match url {
            Some(url) if line.contains(URL) => {
                unit.push_str(&format!("Environment=\"{URL}{}\"\n", escaped(url)));
            }
            // A file that an older package left must not replace the URL.
            Some(_) if line.starts_with("EnvironmentFile=") => {}
            Some(_) | None => {
                unit.push_str(line);
                unit.push('\n');
            }
        }
    }
    Ok(unit)
}

/// In a unit, `%` begins a specifier and a quote ends the value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")
}

fn unit_path(scope: Scope) -> Result<PathBuf, String> {
    if scope == Scope::System {
        return Ok("/etc/systemd/system/openctrl.service".into());
    }
    let folder = |name: &str| match env::var(name) {
        Ok(path) if Path::new(&path).is_absolute() => Ok(Some(PathBuf::from(path))),
        Ok(_) | Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    };
    let config = match folder("XDG_CONFIG_HOME")? {
        Some(config) => config,
        None => folder("HOME")?
            .ok_or("HOME is not set, so there is no folder for the unit")?
            .join(".config"),
    };
    Ok(config.join("systemd/user/openctrl.service"))
}

fn check_free(scope: Scope, path: &Path) -> Result<(), String> {
    let is_packaged = |path: &&&str| Path::new(path).exists();
    if scope == Scope::System
        && let Some(packaged) = PACKAGED.iter().find(is_packaged)
    {
        let reason = format!("a package has installed {packaged}");
        return Err(format!("{reason}: use systemctl enable --now openctrl"));
    }
    match check_ours(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(named(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Fails unless this command wrote the unit.
fn check_ours(path: &Path) -> io::Result<()> {
    if fs::read_to_string(path)?.starts_with(MARK) {
        return Ok(());
    }
    Err(io::Error::other("it was not written by this command: move it away first"))
}

/// The user that the unit of the system names.
fn add_user() -> Result<(), String> {
    let found = Command::new("getent").args(["passwd", "openctrl"]).output();
    if found.is_ok_and(|found| found.status.success()) {
        return Ok(());
    }
    let words = ["--system", "--user-group", "--home-dir", "/var/lib/openctrl"];
    run(Command::new("useradd").args(words).args(["--shell", "/usr/sbin/nologin", "openctrl"]))
}

fn write(path: &Path, unit: &[u8]) -> Result<(), String> {
    let failed = |error: io::Error| named(path, &error);
    let folder = path.parent().expect("the unit is in a folder");
    fs::create_dir_all(folder).map_err(failed)?;
    let new = path.with_extension("service.new");
    fs::write(&new, unit).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn systemctl(scope: Scope, words: &[&str]) -> Result<(), String> {
    let mut command = Command::new("systemctl");
    command.args((scope == Scope::User).then_some("--user")).args(words);
    run(&mut command)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let shown = format!("{name} {}", words.join(" "));
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("no message").trim();
            Err(format!("{shown}: {said} ({})", output.status))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && name == "systemctl" => {
            Err("systemd does not run here: there is no systemctl".to_owned())
        }
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "openctrl: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// systemd removes a private /tmp and a runtime directory between two runs of a service, while
    /// instances that outlive their master still use them.
    #[test]
    fn units_leave_instances_alone_when_the_master_crashes() {
        for unit in [SYSTEM_UNIT, USER_UNIT] {
            let has = |setting: &str| unit.lines().any(|line| line == setting);
            assert!(has("KillMode=process") && has("Restart=on-failure"), "{unit}");
            for setting in ["PrivateTmp=yes", "DynamicUser=yes"] {
                assert!(!has(setting), "{setting}");
            }
            assert!(!unit.contains("\nRuntimeDirectory="), "{unit}");
        }
    }

    #[test]
    fn a_unit_has_this_program_and_the_url() {
        let program = Path::new("/opt/open ctrl/50%/openctrl");
        let url = "master://[::1]:1?state=/var/my%20state&prefix=/\"";
        for scope in [Scope::System, Scope::User] {
            let unit = unit(scope, program, Some(url)).expect("it can be written");
            assert!(unit.starts_with(MARK));
            let lines: Vec<&str> = unit.lines().collect();
            assert!(
                lines.contains(&"ExecStart=\"/opt/open ctrl/50%%/openctrl\" ${OPENCTRL_URL}"),
                "{unit}"
            );
            let environment: Vec<&&str> =
                lines.iter().filter(|line| line.starts_with("Environment")).collect();
            assert_eq!(
                environment,
                [
                    &"Environment=\"OPENCTRL_URL=master://[::1]:1?state=/var/my%%20state&prefix=/\\\"\""
                ],
                "{unit}"
            );
        }
        let unit = unit(Scope::System, program, None).expect("it can be written");
        assert!(unit.contains("state=/var/lib/openctrl\n"), "{unit}");
        assert!(unit.contains("\nEnvironmentFile=-/etc/default/openctrl\n"), "{unit}");
    }
}
