//! `openctrl import`: files of other process managers, applied to a real master.

use std::fs;

use openctrl_tests::{Master, Shell, binary};

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
        assert!(ran.stderr.ends_with(": 1 instances\n"), "{format}: {}", ran.stderr);
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
