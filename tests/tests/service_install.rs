//! `openctrl service`: the unit that it writes, and what it refuses to touch. A program in the place
//! of `systemctl` records its arguments; the unit itself is run by its own words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use openctrl_tests::binary::openctrl;
use openctrl_tests::process::send;
use openctrl_tests::{Shell, until};
use rustix::process::Signal;
use tempfile::TempDir;

struct Host {
    home: TempDir,
    program: PathBuf,
    shell: Shell,
}

impl Host {
    fn new() -> Self {
        let home = TempDir::new().expect("a folder");
        let bin = home.path().join("bin");
        fs::create_dir(&bin).expect("a folder");
        let fake = bin.join("systemctl");
        let calls = home.path().join("calls");
        let text = format!("#!/bin/sh\necho \"$*\" >>{}\n", calls.display());
        fs::write(&fake, text).expect("written");
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let program = bin.join("openctrl");
        let linked = fs::hard_link(openctrl(), &program);
        linked.or_else(|_| fs::copy(openctrl(), &program).map(drop)).expect("a program");
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let config = home.path().join("config");
        let shell = Shell::new(&program, home.path())
            .with("PATH", &path)
            .with("XDG_CONFIG_HOME", config.to_str().expect("UTF-8"));
        Self { home, program, shell }
    }

    fn unit(&self) -> PathBuf {
        self.home.path().join("config/systemd/user/openctrl.service")
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.home.path().join("calls")).unwrap_or_default()
    }
}

/// The value behind `name=` in a unit, without its quotes.
fn value<'a>(unit: &'a str, name: &str) -> &'a str {
    let found = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("{name} in {unit}"))
}

#[test]
fn a_service_of_a_user_is_installed_and_removed() {
    let host = Host::new();
    let installed = host.shell.ok(&["service", "install", "--user"]);
    let path = host.unit();
    assert!(installed.starts_with(&format!("installed and started {}\n", path.display())));
    assert!(installed.contains("loginctl enable-linger"), "{installed}");
    let unit = fs::read_to_string(&path).expect("it is there");
    assert_eq!(host.shell.ok(&["service", "install", "--user", "--print"]), unit);
    host.shell.ok(&["service", "install", "--user"]);
    let once = "--user daemon-reload\n--user enable --now openctrl.service\n";
    assert_eq!(host.calls(), once.repeat(2), "once more does the same");
    host.shell.ok(&["service", "uninstall", "--user"]);
    assert!(!path.exists());
    let removed = "--user disable --now openctrl.service\n--user daemon-reload\n";
    assert_eq!(host.calls(), once.repeat(2) + removed);
    let missing = host.shell.fails(1, &["service", "uninstall", "--user"]);
    assert!(missing.contains("openctrl.service: No such file"), "{missing}");
}

/// Where systemd does not run, `systemctl` says so.
#[test]
fn a_failed_installation_leaves_no_unit_behind() {
    let host = Host::new();
    let fake = host.home.path().join("bin/systemctl");
    let refuse = "#!/bin/sh\necho 'System has not been booted with systemd' >&2\nexit 1\n";
    let accept = fs::read(&fake).expect("it is there");
    fs::write(&fake, refuse).expect("written");
    let reason = host.shell.fails(1, &["service", "install", "--user"]);
    assert!(
        reason.starts_with("nothing was installed: systemctl --user daemon-reload"),
        "{reason}"
    );
    assert!(reason.contains("has not been booted with systemd"), "{reason}");
    assert!(!host.unit().exists());
    // One that was installed before stays.
    fs::write(&fake, accept).expect("written");
    host.shell.ok(&["service", "install", "--user"]);
    let unit = fs::read(host.unit()).expect("it is there");
    fs::write(&fake, refuse).expect("written");
    let other = ["service", "install", "--user", "--url", "master://127.0.0.1:1?state=/x"];
    host.shell.fails(1, &other);
    assert_eq!(fs::read(host.unit()).expect("it is there"), unit);
}

#[test]
fn the_unit_runs_a_master_with_the_state_of_the_user() {
    let host = Host::new();
    let unit = host.shell.ok(&["service", "install", "--user", "--print"]);
    let program = value(&unit, "ExecStart");
    assert_eq!(program, format!("\"{}\" ${{OPENCTRL_URL}}", host.program.display()));
    let home = host.home.path().to_str().expect("UTF-8");
    let url = value(&unit, "Environment").trim_matches('"');
    let url = url.strip_prefix("OPENCTRL_URL=").expect("the URL");
    let url = url.replace("%h", home).replace(":8080", ":0");
    let mut master = Command::new(&host.program)
        .arg(&url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // Commands of the user find this master by themselves.
    until("the master to be found", || host.shell.run(&["info"]).code == Some(0));
    let pid = i32::try_from(master.id()).expect("a pid");
    send(pid, Signal::TERM);
    assert!(master.wait().expect("it ends").success());
    assert!(Path::new(home).join(".local/state/openctrl/openctrl.state").exists());
}

#[test]
fn a_url_is_checked_and_a_foreign_unit_is_left_alone() {
    let host = Host::new();
    let wrong = host.shell.fails(1, &["service", "install", "--user", "--url", "master://x"]);
    assert!(wrong.contains("--url: "), "{wrong}");
    let url = "master://127.0.0.1:1?state=/a%20b";
    let unit = host.shell.ok(&["service", "install", "--user", "--print", "--url", url]);
    let expected = "\"OPENCTRL_URL=master://127.0.0.1:1?state=/a%%20b\"";
    assert_eq!(value(&unit, "Environment"), expected);
    fs::create_dir_all(host.unit().parent().expect("a folder")).expect("folders");
    fs::write(host.unit(), "[Service]\nExecStart=/bin/true\n").expect("written");
    for word in ["install", "uninstall"] {
        let refused = host.shell.fails(1, &["service", word, "--user"]);
        assert!(refused.contains("was not written by this command"), "{refused}");
    }
    assert!(fs::read_to_string(host.unit()).expect("it is there").ends_with("/bin/true\n"));
    assert_eq!(host.calls(), "");
}
