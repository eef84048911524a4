//! What is said of an end beyond its status: core dumps and the out-of-memory killer.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use openctrl_tests::api::id_of;
use openctrl_tests::{Master, eventually};
use serde_json::json;

/// Runs a shell script as an instance and returns the reason of its first exit, and its log.
fn run(master: &Master, script: &str) -> (String, String) {
    let api = master.api();
    let escaped: String = script.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let id = id_of(&api.create(&format!("exec:sh?arg=-c&arg={escaped}")));
    api.patch(&id, &json!({"restart": false})).expect(200);
    let reason = eventually("the exit", || {
        let process = api.get(&format!("/instances/{id}/process")).json();
        process["lastExit"]["reason"].as_str().map(str::to_owned)
    });
    (reason, api.get(&format!("/instances/{id}/logs")).json()["lines"].to_string())
}

#[test]
fn a_core_dump_is_said() {
    let master = Master::builder().without_bin().start();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let script =
        |limit: &str| format!("cd {}; ulimit -c {limit}; kill -ABRT $$", folder.path().display());
    let plain = run(&master, &script("0"));
    assert_eq!(plain, ("killed by SIGABRT".to_owned(), "[]".to_owned()));
    // Whether cores are dumped at all is the system's to say.
    let same = Command::new("sh").args(["-c", &script("unlimited")]).status().expect("it runs");
    let (reason, log) = run(&master, &script("unlimited"));
    assert_eq!(
        reason.starts_with("killed by SIGABRT (core dumped"),
        same.core_dumped(),
        "{reason}"
    );
    assert_eq!(log.contains("core dumped"), same.core_dumped(), "{log}");
}

/// A control group with a memory limit, where tests may make one.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn new(limit_bytes: u64) -> Option<Self> {
        let name = format!("openctrl-test-{}", std::process::id());
        for (root, limit) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let path = Path::new(root).join(&name);
            let made =
                Path::new(root).join("cgroup.procs").exists() && fs::create_dir(&path).is_ok();
            if made && fs::write(path.join(limit), limit_bytes.to_string()).is_ok() {
                return Some(Self(path));
            }
            let _ = fs::remove_dir(path);
        }
        let _ = writeln!(std::io::stderr(), "SKIPPED: no control group with a limit can be made");
        None
    }

    fn add(&self, pid: i32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("it can be moved there");
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn the_out_of_memory_killer_is_said_where_it_is_proven() {
    let Some(group) = MemoryGroup::new(192 << 20) else { return };
    // The master reads the counter of the group that it is started in.
    let mut master = Master::builder().without_bin().start();
    master.stop();
    group.add(i32::try_from(std::process::id()).expect("a pid fits"));
    master.restart();
    let (reason, _) = run(&master, "kill -KILL $$");
    assert_eq!(reason, "killed by SIGKILL", "that was not the kernel");
    let (reason, log) = run(&master, "exec tail </dev/zero");
    assert!(reason.starts_with("killed by SIGKILL (out of memory: the kernel killed"), "{reason}");
    assert!(log.contains("out of memory"), "{log}");
    let (reason, _) = run(&master, "tail </dev/zero; exit $?");
    assert!(reason.starts_with("exited with code 137 (out of memory"), "{reason}");
    let (reason, _) = run(&master, "kill -KILL $$");
    assert_eq!(reason, "killed by SIGKILL");
    master.stop();
    let root = group.0.parent().expect("a root").join("cgroup.procs");
    fs::write(root, std::process::id().to_string()).expect("it can be moved back");
}
