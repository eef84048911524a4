//! `openctrl doctor`: checks a master and its machine for common problems.
//!
//! Changes nothing. Every check reports its result; for a problem, also the remedy.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use openctrl_core::cgroup::{Grouping, unified_group};
use rustix::process::{Resource, getrlimit, getuid};

use super::api::Api;
use super::document::Document;
use super::failure::Failure;
use super::outlet::Outlet;
use super::place::Place;
use super::table::{Cell, Column, Tone};
use super::text::plain;
use super::units::bytes;
use crate::cgroups::site;
use crate::counted::counted;
use crate::grammar::Options;
use crate::state::read_state;
use crate::version::VERSION;

/// Below this many open files a master runs out with a few hundred instances.
const FILES_FEW: u64 = 4096;

/// Below this many processes a control group is full soon.
const PROCESSES_FEW: u64 = 512;

/// Free space that a disk should have: in bytes, and as a part of all of it.
const DISK_FEW_BYTES: u64 = 100 * 1024 * 1024;
const DISK_FEW_PERCENT: u64 = 5;

/// 2024-01-01, in seconds since 1970: an earlier clock was never set.
const CLOCK_EARLIEST: u64 = 1_704_067_200;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Ok,
    Warning,
    Error,
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    grade: Grade,
    what: &'static str,
    text: String,
}

/// Runs all checks and prints what they found.
pub(crate) async fn doctor(out: &Outlet, options: &Options) -> Result<(), Failure> {
    let mut findings = vec![clock(SystemTime::now()), open_files(), processes(), control_groups()];
    findings.extend(unit());
    // What is wrong with the options is found again below.
    if let Ok(Some(directory)) = Place::state_directory(options) {
        findings.extend(state(&directory));
    }
    findings.extend(master(options).await);
    print(out, &findings)?;
    let errors: Vec<&Finding> =
        findings.iter().filter(|finding| finding.grade == Grade::Error).collect();
    match errors[..] {
        [] => Ok(()),
        [one] => Err(Failure::Refused(format!("{}: {}", one.what, one.text))),
        [first, ..] => {
            let (count, what, text) = (errors.len(), first.what, &first.text);
            Err(Failure::Refused(format!("{count} errors, first {what}: {text}")))
        }
    }
}

fn print(out: &Outlet, findings: &[Finding]) -> Result<(), Failure> {
    if out.is_for_programs() {
        let field = |name: &'static str, text: &str| (name.into(), Document::Text(text.to_owned()));
        let one = |finding: &Finding| {
            Document::Object(vec![
                field("check", finding.what),
                field("grade", finding.grade.word()),
                field("text", &finding.text),
            ])
        };
        return out.documents(findings.iter().map(one).collect());
    }
    let columns = [Column::text("CHECK"), Column::text("RESULT"), Column::text("WHAT")];
    let row = |finding: &Finding| {
        let tone = match finding.grade {
            Grade::Ok => Tone::Good,
            Grade::Warning => Tone::Plain,
            Grade::Error => Tone::Bad,
        };
        let grade = Cell::toned(finding.grade.word(), tone);
        vec![Cell::new(finding.what), grade, Cell::new(&finding.text)]
    };
    out.table(&columns, &findings.iter().map(row).collect::<Vec<_>>())
}

impl Grade {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

fn found(grade: Grade, what: &'static str, text: impl Into<String>) -> Finding {
    Finding { grade, what, text: text.into() }
}

fn clock(now: SystemTime) -> Finding {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    if seconds < CLOCK_EARLIEST {
        return found(
            Grade::Error,
            "clock",
            "it is before 2024; set it, or start time synchronization",
        );
    }
    found(Grade::Ok, "clock", "it is set")
}

fn open_files() -> Finding {
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if limit < FILES_FEW {
        let text = format!("at most {limit} in this session; raise it (ulimit -Hn, LimitNOFILE=)");
        return found(Grade::Warning, "open files", text);
    }
    found(Grade::Ok, "open files", format!("at most {limit} in this session"))
}

/// The limit of the control group on processes, where there is one.
fn processes() -> Finding {
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(group) = unified_group(&group) else {
        return found(Grade::Ok, "cgroup", "no unified hierarchy; no limit of it is checked");
    };
    let file = format!("/sys/fs/cgroup/{group}/pids.max");
    match fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(limit) if limit < PROCESSES_FEW => {
            let text = format!("at most {limit} processes in this session; raise TasksMax=");
            found(Grade::Warning, "cgroup", text)
        }
        Some(limit) => found(Grade::Ok, "cgroup", format!("at most {limit} processes")),
        None => found(Grade::Ok, "cgroup", "no limit on processes"),
    }
}

/// Whether a master of this session gives processes control groups.
fn control_groups() -> Finding {
    let text =
        match site().and_then(|(path, site)| site.admit(Grouping::IfDelegated).map(|()| path)) {
            Err(obstacle) => format!("a master of this session uses none: {obstacle}"),
            Ok(path) => {
                let controllers = fs::read_to_string(path.join("cgroup.controllers"));
                let controllers = controllers.unwrap_or_default();
                let controllers = match controllers.trim() {
                    "" => "without controllers".to_owned(),
                    names => format!("with the controllers {names}"),
                };
                format!("a master of this session makes them in {}, {controllers}", path.display())
            }
        };
    found(Grade::Ok, "cgroups", text)
}

/// The unit of the package, where systemd runs and has one.
fn unit() -> Option<Finding> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let fields = "LoadState,ActiveState,Result,LoadError,KillMode,PrivateTmp,Delegate";
    let words = ["show", "openctrl.service", "-p", fields];
    let shown = Command::new("systemctl").args(words).stdin(Stdio::null()).output().ok()?;
    unit_of(&String::from_utf8_lossy(&shown.stdout))
}

fn unit_of(shown: &str) -> Option<Finding> {
    let of = |name: &str| {
        let mut lines = shown.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    };
    Some(match (of("LoadState"), of("ActiveState")) {
        ("" | "not-found", _) => return None,
        ("loaded", "failed") => {
            let text =
                format!("openctrl.service failed ({}); see journalctl -u openctrl", of("Result"));
            found(Grade::Error, "unit", text)
        }
        ("loaded", _) if matches!(of("KillMode"), "control-group" | "mixed") => {
            let text = format!(
                "openctrl.service has KillMode={}: if the master crashes, systemd ends all \
                 instances; set KillMode=process",
                of("KillMode")
            );
            found(Grade::Warning, "unit", text)
        }
        ("loaded", _) if of("PrivateTmp") == "yes" => {
            let text = "openctrl.service has PrivateTmp=yes: if the master crashes, systemd \
                        deletes the files of instances in /tmp; set PrivateTmp=no";
            found(Grade::Warning, "unit", text.to_owned())
        }
        ("loaded", state) if of("Delegate") == "no" => {
            let text = format!(
                "openctrl.service is {state}; processes have no control groups: set Delegate=yes and \
                 ProtectControlGroups=no (systemctl edit openctrl)"
            );
            found(Grade::Warning, "unit", text)
        }
        ("loaded", state) => found(Grade::Ok, "unit", format!("openctrl.service is {state}")),
        (load, _) => {
            let text = format!(
                "openctrl.service cannot be loaded ({load}); see systemctl status openctrl"
            );
            found(Grade::Error, "unit", text)
        }
    })
}

fn state(directory: &Path) -> Vec<Finding> {
    let shown = directory.display();
    let about = match fs::metadata(directory) {
        Ok(about) => about,
        Err(error) => {
            return vec![found(Grade::Error, "state", format!("{shown}: {error}"))];
        }
    };
    let mut findings = Vec::new();
    let me = getuid().as_raw();
    if about.permissions().mode() & 0o077 != 0 {
        let text = format!("{shown} is open to other users; chmod 700 {shown}");
        findings.push(found(Grade::Warning, "permissions", text));
    } else if about.uid() != me && me != 0 {
        let text = format!("{shown} belongs to user {}; run this as that user", about.uid());
        findings.push(found(Grade::Warning, "permissions", text));
        return findings;
    }
    findings.push(match read_state(directory) {
        Ok(Some(state)) => {
            let instances = counted(state.image.instances.len() as u64, "instance");
            found(Grade::Ok, "state", format!("{shown} is complete: {instances}"))
        }
        Ok(None) => found(Grade::Warning, "state", format!("{shown} has no state of a master yet")),
        Err(error) => found(Grade::Error, "state", error.to_string()),
    });
    findings.extend(disk(directory));
    findings
}

fn disk(directory: &Path) -> Option<Finding> {
    let about = rustix::fs::statvfs(directory).ok()?;
    let (free, total) = (about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize);
    Some(disk_of(free, total))
}

fn disk_of(free: u64, total: u64) -> Finding {
    let text = format!("{} of {} are free", bytes(free), bytes(total));
    if free < DISK_FEW_BYTES {
        return found(Grade::Error, "disk", format!("{text}; make room, or changes are refused"));
    }
    if free / DISK_FEW_PERCENT < total / 100 {
        return found(Grade::Warning, "disk", format!("{text}; make room"));
    }
    found(Grade::Ok, "disk", text)
}

/// Whether the master is found, answers, takes the key, and is of this version.
async fn master(options: &Options) -> Vec<Finding> {
    let api = match Place::find(options).and_then(Api::new) {
        Ok(api) => api,
        Err(failure) => return vec![found(Grade::Error, "master", failure.to_string())],
    };
    let (info, health, instances) = tokio::join!(api.get("/info"), api.health(), api.instances());
    let info = match info {
        Ok(info) => info,
        Err(failure) => return vec![found(Grade::Error, "master", failure.to_string())],
    };
    let mut findings = vec![found(Grade::Ok, "master", format!("{} answers", api.shown()))];
    let version = info.at("ver").text();
    findings.push(if version == VERSION {
        found(Grade::Ok, "version", format!("program and master are {VERSION}"))
    } else {
        let version = plain(version);
        let text = format!("the master is {version}, this program {VERSION}; restart the master");
        found(Grade::Warning, "version", text)
    });
    if let Ok(health) = &health {
        findings.extend(of_health(health));
    }
    if let Ok(instances) = instances {
        let failed = instances.iter().filter(|one| one.status() == "error").count();
        findings.push(match failed {
            0 => found(Grade::Ok, "instances", format!("none of {} is in error", instances.len())),
            failed => {
                let text = format!("{failed} in error; see openctrl list --status error");
                found(Grade::Warning, "instances", text)
            }
        });
    }
    findings
}

/// What the master says of itself that is not well.
fn of_health(health: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    if health.at("disk").text() == "failing" {
        let text = "the master cannot store changes and refuses them; see its log, and make room";
        findings.push(found(Grade::Error, "storage", text));
    }
    if health.at("draining") == &Document::Bool(true) {
        findings.push(found(Grade::Warning, "master", "it is shutting down"));
    }
    if health.at("webhooks").text() == "failing" {
        let text = "a webhook does not take reports; see the log of the master";
        findings.push(found(Grade::Warning, "webhooks", text));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_that_cannot_store_changes_is_an_error() {
        let grades = |json: &str| {
            let health = Document::parse(json.as_bytes()).expect("JSON");
            of_health(&health).iter().map(|one| (one.what, one.grade)).collect::<Vec<_>>()
        };
        assert_eq!(grades(r#"{"status":"ready","disk":"ok","draining":false}"#), []);
        assert_eq!(
            grades(r#"{"disk":"failing","draining":true,"webhooks":"failing"}"#),
            [("storage", Grade::Error), ("master", Grade::Warning), ("webhooks", Grade::Warning)]
        );
    }

    #[test]
    fn a_unit_is_judged_by_what_systemd_says() {
        assert_eq!(unit_of("LoadState=not-found\nActiveState=inactive\n"), None);
        let grade = |shown: &str| unit_of(shown).expect("there is a unit").grade;
        assert_eq!(grade("LoadState=loaded\nActiveState=active\nResult=success"), Grade::Ok);
        assert_eq!(grade("LoadState=loaded\nActiveState=failed\nResult=exit-code"), Grade::Error);
        assert_eq!(grade("LoadState=bad-setting\nActiveState=inactive"), Grade::Error);
        let active =
            |fields: &str| grade(&format!("LoadState=loaded\nActiveState=active\n{fields}"));
        assert_eq!(active("KillMode=process\nPrivateTmp=no"), Grade::Ok);
        assert_eq!(active("KillMode=control-group\nPrivateTmp=no"), Grade::Warning);
        assert_eq!(active("KillMode=mixed\nPrivateTmp=no"), Grade::Warning);
        assert_eq!(active("KillMode=process\nPrivateTmp=yes"), Grade::Warning);
    }

    #[test]
    fn a_unit_without_control_groups_is_a_warning_with_the_remedy() {
        let shown = |delegate: &str| {
            let shown = format!("LoadState=loaded\nActiveState=active\nDelegate={delegate}\n");
            unit_of(&shown).expect("there is a unit")
        };
        assert_eq!(shown("yes").grade, Grade::Ok);
        let finding = shown("no");
        assert_eq!(finding.grade, Grade::Warning);
        assert!(finding.text.contains("set Delegate=yes"), "{}", finding.text);
    }

    #[test]
    fn a_disk_should_have_room() {
        let gib = 1 << 30;
        assert_eq!(disk_of(50 * gib, 100 * gib).grade, Grade::Ok);
        assert_eq!(disk_of(4 * gib, 100 * gib).grade, Grade::Warning);
        assert_eq!(disk_of(1 << 20, 100 * gib).grade, Grade::Error);
    }

    #[test]
    fn a_clock_that_was_never_set_is_an_error() {
        assert_eq!(clock(UNIX_EPOCH).grade, Grade::Error);
        assert_eq!(clock(SystemTime::now()).grade, Grade::Ok);
    }
}
