//! Contract §9: what the master says about itself and its host, and TCP ping.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use openctrl_tests::json::{INFO_FIELDS, is_hex};
use openctrl_tests::master::run_to_end;
use openctrl_tests::{Api, Master, until};
use serde_json::{Value, json};

fn info(api: &Api) -> Value {
    api.get("/info").expect(200).json()
}

#[test]
fn info_has_its_22_fields() {
    let master = Master::start();
    let info = info(&master.api());
    let mut fields: Vec<&str> = info.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = INFO_FIELDS.to_vec();
    fields.sort_unstable();
    expected.sort_unstable();
    assert_eq!(fields, expected);
    for field in ["mid", "alias", "os", "arch", "ver", "name", "log", "tls", "crt", "key"] {
        assert!(info[field].is_string(), "{field} is {}", info[field]);
    }
    for field in
        ["noc", "mem_total", "mem_used", "swap_total", "swap_used", "netrx", "nettx", "diskr"]
            .iter()
            .chain(&["diskw", "sysup", "uptime"])
    {
        assert!(info[*field].as_i64().is_some_and(|n| n >= 0), "{field} is {}", info[*field]);
    }
    let os = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    assert_eq!(info["os"], os);
    assert!(is_hex(info["mid"].as_str().unwrap(), 16));
    assert_eq!(info["name"], "127.0.0.1");
    assert_eq!(info["log"], "default");
    assert_eq!((&info["tls"], &info["crt"], &info["key"]), (&json!("0"), &json!(""), &json!("")));
    let version = run_to_end(&["version"]).stdout;
    let arch = info["arch"].as_str().unwrap();
    let line = format!("openctrl-{} {os}/{arch}\n", info["ver"].as_str().unwrap());
    assert_eq!(version, line, "ver, os and arch are those of the version line");
}

#[test]
fn dashboards_accept_the_version() {
    assert!(!is_accepted("0.1.0") && !is_accepted("1.9.12") && !is_accepted("v1.9.0-beta"));
    assert!(is_accepted("1.10.0") && is_accepted("v1.10.0-rc.1") && is_accepted("2.0"));
    let version = info(&Master::start().api())["ver"].as_str().unwrap().to_owned();
    assert!(is_accepted(&version), "dashboards refuse to add a master of version {version}");
    assert!(version.starts_with(|first: char| first.is_ascii_digit()), "no prefix: {version}");
}

/// Whether dashboards add a master of this version: they drop a leading `v` and everything from
/// the first `-` or `+`, and compare the dotted numbers with 1.10.0. Missing parts, and parts that
/// are not numbers, are 0.
fn is_accepted(version: &str) -> bool {
    let core = version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    let mut parts = core.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
    let numbers: [u64; 3] = std::array::from_fn(|_| parts.next().unwrap_or(0));
    numbers >= [1, 10, 0]
}

#[test]
fn the_name_is_the_host_of_the_url() {
    let mut hosts = vec![("localhost:0", "localhost"), (":0", "")];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        hosts.push(("[::1]:0", "::1"));
    }
    for (authority, name) in hosts {
        let master = Master::builder().authority(authority).start();
        assert_eq!(info(&master.api())["name"], name, "{authority}");
    }
}

#[test]
fn the_alias_is_set_and_kept() {
    let mut master = Master::start();
    let api = master.api();
    let before = info(&api);
    assert_eq!(before["alias"], "");
    let answer = api.post("/info", &json!({"alias": "prod-master-1"})).expect(200).json();
    assert_eq!(answer["alias"], "prod-master-1");
    assert_eq!(answer["mid"], before["mid"]);
    assert_eq!(answer.as_object().unwrap().len(), INFO_FIELDS.len());
    master.stop();
    master.restart();
    let after = info(&master.api());
    assert_eq!((&after["alias"], &after["mid"]), (&answer["alias"], &before["mid"]));
}

#[test]
fn uptime_counts_seconds_since_the_start() {
    let start = Instant::now();
    let mut master = Master::start();
    let api = master.api();
    until("the uptime to move", || info(&api)["uptime"].as_u64().unwrap() >= 1);
    assert!(info(&api)["uptime"].as_u64().unwrap() <= start.elapsed().as_secs() + 1);
    master.stop();
    let start = Instant::now();
    master.restart();
    assert!(info(&master.api())["uptime"].as_u64().unwrap() <= start.elapsed().as_secs() + 1);
}

#[test]
fn info_answers_at_once() {
    let master = Master::start();
    let api = master.api();
    // A sample taken while the client waits would slow down every one of these.
    let quickest = (0..10).map(|_| {
        let start = Instant::now();
        info(&api);
        start.elapsed()
    });
    assert!(quickest.min().unwrap() < Duration::from_millis(50));
    until("a CPU sample", || {
        let cpu = info(&api)["cpu"].as_i64().expect("cpu is an integer");
        assert!((-1..=100).contains(&cpu), "{cpu}");
        !cfg!(target_os = "linux") || cpu >= 0
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;

    /// The figure the master shows lies between what the kernel said before and after.
    fn assert_between(before: u64, shown: &Value, after: u64, what: &str) {
        let shown = shown.as_u64().expect("an integer");
        assert!((before..=after).contains(&shown), "{what}: {before} <= {shown} <= {after}");
    }

    fn meminfo(name: &str) -> u64 {
        let text = fs::read_to_string("/proc/meminfo").unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Bytes received and sent over what is neither loopback nor a container's.
    fn network() -> [u64; 2] {
        let text = fs::read_to_string("/proc/net/dev").unwrap();
        let mut sums = [0, 0];
        for line in text.lines().skip(2) {
            let (name, figures) = line.split_once(':').unwrap();
            let prefixes = ["lo", "veth", "docker", "podman", "br-", "virbr"];
            if prefixes.iter().any(|prefix| name.trim().starts_with(prefix)) {
                continue;
            }
            let figures: Vec<u64> =
                figures.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
            sums[0] += figures[0];
            sums[1] += figures[8];
        }
        sums
    }

    /// Bytes read and written on whole disks.
    fn disks() -> [u64; 2] {
        let text = fs::read_to_string("/proc/diskstats").unwrap();
        let mut sums = [0, 0];
        for line in text.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let name = fields[2];
            let skipped = ["loop", "ram", "dm-", "md"].iter().any(|p| name.starts_with(p));
            if skipped || is_partition(name, &text) {
                continue;
            }
            sums[0] += fields[5].parse::<u64>().unwrap() * 512;
            sums[1] += fields[9].parse::<u64>().unwrap() * 512;
        }
        sums
    }

    fn is_partition(name: &str, diskstats: &str) -> bool {
        if Path::new("/sys/class/block").join(name).join("partition").exists() {
            return true;
        }
        // Without sysfs: `sda1` of `sda`, `nvme0n1p1` of `nvme0n1`.
        let disk = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let disk = disk.strip_suffix('p').filter(|d| d.ends_with(char::is_numeric)).unwrap_or(disk);
        disk != name && diskstats.lines().any(|line| line.split_whitespace().nth(2) == Some(disk))
    }

    #[test]
    fn figures_of_the_host_are_the_kernels() {
        let master = Master::start();
        let api = master.api();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let count = list.unwrap().trim().split(',').map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            last.parse::<u64>().unwrap() - first.parse::<u64>().unwrap() + 1
        });
        let (cpus, now) = (count.sum::<u64>(), info(&api));
        assert_eq!(now["noc"], cpus);
        assert_eq!(now["mem_total"], meminfo("MemTotal"));
        assert_eq!(now["swap_total"], meminfo("SwapTotal"));
        let used = meminfo("MemTotal") - meminfo("MemAvailable");
        let shown = now["mem_used"].as_u64().unwrap();
        let slack = meminfo("MemTotal") / 5;
        assert!(shown.abs_diff(used) < slack, "mem_used is {shown}, the kernel says {used}");
        assert!(now["swap_used"].as_u64() <= now["swap_total"].as_u64());

        let uptime = || {
            let text = fs::read_to_string("/proc/uptime").unwrap();
            text.split('.').next().unwrap().parse::<u64>().unwrap()
        };
        // The background sample may be a little old, so the figures of before are taken first
        // and the answer waited for until it has caught up.
        let before = (uptime(), network(), disks());
        let caught_up = || {
            let now = info(&api);
            (now["sysup"].as_u64().unwrap() >= before.0).then_some(now)
        };
        let shown = openctrl_tests::eventually("a fresh sample", caught_up);
        let after = (uptime(), network(), disks());
        assert_between(before.0, &shown["sysup"], after.0, "sysup");
        assert_near(before.1[0], &shown["netrx"], after.1[0], "netrx");
        assert_near(before.1[1], &shown["nettx"], after.1[1], "nettx");
        assert_near(before.2[0], &shown["diskr"], after.2[0], "diskr");
        assert_near(before.2[1], &shown["diskw"], after.2[1], "diskw");
    }

    /// As [`assert_between`] with room for a sample taken a moment before.
    fn assert_near(before: u64, shown: &Value, after: u64, what: &str) {
        let room = before / 20 + (64 << 20);
        assert_between(before.saturating_sub(room), shown, after, what);
    }
}

fn ping(api: &Api, target: &str) -> Value {
    let result = api.get(&format!("/tcping?target={target}")).expect(200).json();
    let mut fields: Vec<&String> = result.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["connected", "error", "latency", "target"]);
    assert!(result["connected"].is_boolean(), "{result}");
    assert!(result["latency"].as_i64().is_some_and(|ms| ms >= 0), "{result}");
    assert_eq!(result["connected"] == true, result["error"].is_null(), "{result}");
    assert!(result["error"].is_null() || result["error"].is_string(), "{result}");
    result
}

#[test]
fn a_ping_without_a_target_is_refused() {
    let master = Master::start();
    let api = master.api();
    for path in ["/tcping", "/tcping?", "/tcping?target=", "/tcping?other=127.0.0.1:80"] {
        api.get(path).expect_error(400);
    }
}

#[test]
fn a_ping_tells_whether_it_connected() {
    let master = Master::start();
    let api = master.api();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for target in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        let result = ping(&api, &target);
        assert_eq!((&result["target"], &result["connected"]), (&json!(target), &json!(true)));
        assert!(result["latency"].as_u64().unwrap() < 5_000, "{result}");
    }
    let escaped = ping(&api, &format!("127.0.0.1%3A{port}"));
    assert_eq!(escaped["target"], format!("127.0.0.1:{port}"));
    assert_eq!(escaped["connected"], true);
    drop(listener);
    assert_eq!(ping(&api, &format!("127.0.0.1:{port}"))["connected"], false);
    if let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        let target = format!("[::1]:{}", listener.local_addr().unwrap().port());
        let result = ping(&api, &target);
        assert_eq!((&result["target"], &result["connected"]), (&json!(target), &json!(true)));
    }
}

#[test]
fn a_ping_of_nonsense_is_a_result_too() {
    let master = Master::start();
    let api = master.api();
    for target in
        ["nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", ":x", "no.invalid:80", "%20"]
    {
        assert_eq!(ping(&api, target)["connected"], false, "{target}");
    }
}

#[test]
fn pings_side_by_side_all_get_an_answer() {
    let master = Master::start();
    let api = master.api();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| assert_eq!(ping(&api, &target)["connected"], true));
        }
    });
}
