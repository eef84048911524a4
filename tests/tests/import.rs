//! `openctrl import`: files of other process managers, applied to a real master.

use std::fs;

use openctrl_tests::{Master, Shell, binary};
use serde_json::json;

#[test]
fn what_is_imported_can_be_applied() {
    let master = Master::builder_for(binary::openctrl()).start();
    let shell = Shell::beside(&master);
    let files = [
        ("procfile", "Procfile", "proc: exec sleep 1000\n"),
        ("supervisord", "s.conf", "[program:super]\ncommand=sleep %(ENV_SECONDS)s ; a comment\n"),
        (
            "pm2",
            "ecosystem.config.js",
            "module.exports = {apps: [{name: 'pm', script: 'sleep', args: '1000'}]}",
        ),
        ("compose", "compose.yaml", "services: {comp: {command: sleep 1000, image: x}}"),
        ("systemd", "sys.service", "[Service]\nExecStart=/bin/sleep 1000\nRestart=on-failure\n"),
    ];
    let shell = shell.with("SECONDS", "1000");
    for (format, name, text) in files {
        let path = master.folder().join(name);
        fs::write(&path, text).expect("written");
        let ran = shell.run(&["import", format, path.to_str().expect("UTF-8")]);
        assert_eq!(ran.code, Some(0), "{format}: {}", ran.stderr);
        assert!(ran.stderr.ends_with(": 1 instance\n"), "{format}: {}", ran.stderr);
        let file = master.folder().join(format!("{format}.toml"));
        fs::write(&file, &ran.stdout).expect("written");
        shell.ok(&["apply", "-y", "-w", "--for", "100ms", "-f", file.to_str().expect("UTF-8")]);
    }
    let list = shell.ok(&["list", "--status", "running"]);
    for name in ["proc", "super", "pm", "comp", "sys"] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{name}: {list}");
    }
}

#[test]
fn what_has_no_counterpart_is_reported_and_is_no_failure() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let path = master.folder().join("s.conf");
    fs::write(&path, "[program:a]\ncommand=x\npriority=1\n").expect("written");
    let ran = shell.run(&["import", "supervisord", path.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stdout, "[instance.a]\ncommand = [\"x\"]\nstop_timeout = \"10s\"\n");
    assert!(ran.stderr.contains("[program:a]: priority=1 has no counterpart"), "{}", ran.stderr);
    let wrong = shell.fails(1, &["import", "pm2", path.to_str().expect("UTF-8")]);
    assert!(wrong.contains("pm2 jlist"), "{wrong}");
    let format = shell.fails(2, &["import", "prokfile", "x"]);
    assert!(format.contains("did you mean 'procfile'?"), "{format}");
}

/// A list of `pm2 jlist` for `pm2 start -i 2`: one entry for each process, of the same name.
#[test]
fn the_processes_in_the_list_of_pm2_become_as_many_instances() {
    let master = Master::builder_for(binary::openctrl()).start();
    let shell = Shell::beside(&master);
    let one = |number: u32| {
        json!({"name": "napp", "pm_id": number, "pm2_env": {
            "name": "napp", "pm_exec_path": "/bin/sleep", "pm_cwd": "/", "exec_interpreter": "none",
            "args": ["1000"], "instances": 2, "NODE_APP_INSTANCE": number, "exec_mode": "fork_mode",
            "autorestart": true, "watch": false, "max_memory_restart": 209_715_200,
            "env": {"SECRET": "hush"},
        }})
    };
    let path = master.folder().join("apps.json");
    fs::write(&path, json!([one(0), one(1)]).to_string()).expect("written");
    let ran = shell.run(&["import", "pm2", path.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(": 2 instances\n"), "{}", ran.stderr);
    let memory = "app \"napp\": max_memory_restart has no counterpart";
    assert_eq!(ran.stderr.matches(memory).count(), 1, "{}", ran.stderr);
    assert!(!ran.stdout.contains("hush"), "{}", ran.stdout);
    let file = master.folder().join("apps.toml");
    fs::write(&file, &ran.stdout).expect("written");
    let file = file.to_str().expect("UTF-8");
    let applied = shell.ok(&["apply", "-y", "-f", file]);
    assert!(applied.ends_with("napp-0: created\nnapp-1: created\n"), "{applied}");
    assert_eq!(shell.ok(&["plan", "-f", file]), "2 unchanged\n");
}

/// A `-` before the path of a unit means that the file may be missing.
#[test]
fn a_unit_whose_file_of_variables_is_missing_is_applied() {
    let master = Master::builder_for(binary::openctrl()).start();
    let shell = Shell::beside(&master);
    let unit = master.folder().join("sys.service");
    let text = "[Service]\nExecStart=/bin/sleep 1000\nEnvironmentFile=-/no/such/default\n";
    fs::write(&unit, text).expect("written");
    let ran = shell.run(&["import", "systemd", unit.to_str().expect("UTF-8")]);
    assert!(!ran.stderr.contains("EnvironmentFile"), "{}", ran.stderr);
    let line = "env_file = [{ path = \"/no/such/default\", required = false }]";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    let file = master.folder().join("sys.toml");
    fs::write(&file, &ran.stdout).expect("written");
    let applied = shell.ok(&["apply", "-y", "-f", file.to_str().expect("UTF-8")]);
    assert!(applied.ends_with("sys: created\n"), "{applied}");
}
