//! `openctrl show`: all details of instances and their processes.

use super::api::Api;
use super::document::Document;
use super::failure::Failure;
use super::instance::Instance;
use super::list::{cpu_percent, tags};
use super::outlet::Outlet;
use super::select::resolve;
use super::units::{bytes, span};
use crate::counted::counted;
use crate::grammar::Which;

/// Shows instances.
pub(crate) async fn show(api: &Api, out: &Outlet, which: &Which) -> Result<(), Failure> {
    let instances = resolve(api, which).await?;
    if out.is_for_programs() {
        let mut whole = Vec::new();
        for instance in &instances {
            let process = api.get_if_known(&path_of_process(instance)).await?;
            whole.push(instance.with_process(process.as_ref()));
        }
        return out.documents(whole);
    }
    for (index, instance) in instances.iter().enumerate() {
        if index > 0 {
            out.print("\n")?;
        }
        let process = api.get_if_known(&path_of_process(instance)).await?;
        let mut pairs = pairs(instance);
        pairs.extend(process.iter().flat_map(facts));
        out.pairs(&pairs)?;
    }
    Ok(())
}

fn path_of_process(instance: &Instance) -> String {
    format!("/instances/{}/process", instance.id())
}

/// The fields of an instance, for reading.
pub(crate) fn pairs(instance: &Instance) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            pairs.push((name.to_owned(), value.to_owned()));
        }
    };
    add("id", instance.id());
    add("alias", instance.alias());
    add("status", instance.status());
    add("url", instance.url());
    add("restart", if instance.restart() { "on" } else { "off" });
    add("tags", &tags(instance));
    let peer = ["alias", "sid", "type"].map(|name| instance.peer(name));
    add("peer", peer.join(" ").trim());
    let number = |name| instance.number(name);
    add("mode", &number("mode").to_string());
    add("ping", &format!("{} ms", number("ping")));
    add("pool", &number("pool").to_string());
    add("sessions", &format!("{} TCP, {} UDP", number("tcps"), number("udps")));
    let total = |rx, tx| format!("{} in, {} out", bytes(number(rx)), bytes(number(tx)));
    add("tcp bytes", &total("tcprx", "tcptx"));
    add("udp bytes", &total("udprx", "udptx"));
    pairs
}

fn facts(process: &Document) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            facts.push((name.to_owned(), value));
        }
    };
    let count = |name: &str| process.at(name).whole().unwrap_or(0);
    let up = process.at("uptime").whole().map(span);
    add("reason", Some(process.at("reason").text().to_owned()));
    add("pid", process.at("pid").whole().map(|pid| pid.to_string()));
    add("started", up.map(|up| format!("{}, {up} ago", process.at("started").text())));
    add(
        "starts",
        Some(format!(
            "{}, {} failed, {} by the restart policy",
            count("starts"),
            count("failures"),
            count("restarts")
        )),
    );
    let last = process.at("lastExit");
    let exit = (last != &Document::Null)
        .then(|| format!("{} at {}", last.at("reason").text(), last.at("time").text()));
    add("last exit", exit);
    add("next restart", Some(process.at("nextRestart").text().to_owned()));
    let cpu = process.at("cpuSeconds").number().map(|seconds| match cpu_percent(process) {
        Some(percent) => format!("{percent:.1}%, {seconds:.1} s in all"),
        None => format!("{seconds:.1} s in all"),
    });
    add("cpu", cpu);
    let memory = process
        .at("memoryBytes")
        .whole()
        .map(|memory| format!("{} in {}", bytes(memory), counted(count("processes"), "process")));
    add("memory", memory);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_known_is_shown() {
        let instance = r#"{"id":"1ff8a0e8","alias":"a","status":"running","url":"demo://a",
            "restart":false,"meta":{"peer":{"sid":"7","type":"","alias":"hub"},"tags":{"k":"v"}},
            "mode":1,"ping":3,"pool":4,"tcps":1,"udps":2,"tcprx":2048,"tcptx":1,"udprx":0,"udptx":0}"#;
        let process = r#"{"id":"1ff8a0e8","pid":77,"started":"2026-06-08T12:00:00Z","uptime":65,
            "starts":3,"failures":1,"restarts":2,"lastExit":{"code":1,"time":"2026-06-08T11:59:58Z",
            "reason":"exited with code 1"},"nextRestart":null,"cpuSeconds":1.25,"cpuPercent":12.5,
            "memoryBytes":1048576,"processes":2}"#;
        let parse = |json: &str| Document::parse(json.as_bytes()).expect("JSON");
        let mut all = pairs(&Instance::new(parse(instance)));
        all.extend(facts(&parse(process)));
        let lines: Vec<String> =
            all.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        id: 1ff8a0e8
        alias: a
        status: running
        url: demo://a
        restart: off
        tags: k=v
        peer: hub 7
        mode: 1
        ping: 3 ms
        pool: 4
        sessions: 1 TCP, 2 UDP
        tcp bytes: 2.0K in, 1 out
        udp bytes: 0 in, 0 out
        pid: 77
        started: 2026-06-08T12:00:00Z, 1m05s ago
        starts: 3, 1 failed, 2 by the restart policy
        last exit: exited with code 1 at 2026-06-08T11:59:58Z
        cpu: 12.5%, 1.2 s in all
        memory: 1.0M in 2 processes
        ");
    }
}
