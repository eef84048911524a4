//! `GET /metrics`: counters and figures of the master, in the text format of Prometheus.
//!
//! A few dozen series, however many instances there are; with `metrics_instances=on` some more
//! for each of them.

mod instances;
mod own;
mod text;

use std::time::Duration;

use self::text::Kind::{Counter, Gauge, Summary};
use self::text::{Exposition, Value};
use openctrl_core::instance::Status;
use openctrl_core::webhook::HookShown;
pub(crate) use text::METRICS_TYPE;

use crate::counters::{Answered, COUNTERS, Counters};
use crate::daemon::hub::Hub;
use crate::daemon::inbox::Mailbox;
use crate::daemon::logs::Logs;
use crate::daemon::sysinfo::{go_arch, go_os};
use crate::daemon::usage::Processes;
use crate::daemon::webhook::Board;

/// The sources of figures that are sampled instead of counted.
pub(crate) struct Sources<'a> {
    pub(crate) version: &'a str,
    pub(crate) uptime: Duration,
    pub(crate) hub: &'a Hub,
    pub(crate) mailbox: &'a Mailbox,
    pub(crate) logs: &'a Logs,
    pub(crate) processes: &'a Processes,
    pub(crate) webhooks: &'a Board,
    /// Whether each instance has series of its own.
    pub(crate) per_instance: bool,
}

/// The whole text. Reads a little of `/proc`, so not for an async worker.
pub(crate) fn render(sources: &Sources<'_>) -> String {
    let mut text = Exposition::default();
    master(&mut text, sources);
    instances_by_status(&mut text, sources.processes);
    events(&mut text, sources.hub);
    history(&mut text, sources.logs);
    journal(&mut text, &COUNTERS);
    requests(&mut text, &COUNTERS);
    queues(&mut text, sources.mailbox);
    webhooks(&mut text, &sources.webhooks.all());
    own::write(&mut text, sources.uptime);
    if sources.per_instance {
        instances::write(&mut text, sources.hub);
        instances::write_processes(&mut text, sources.processes);
    }
    text.finish()
}

fn master(text: &mut Exposition, sources: &Sources<'_>) {
    let labels = [("version", sources.version), ("os", go_os()), ("arch", go_arch())];
    text.family("openctrl_build_info", Gauge, "What this master is; always 1.")
        .sample(&labels, Value::Count(1));
    let uptime = Value::Micros(u64::try_from(sources.uptime.as_micros()).unwrap_or(u64::MAX));
    text.single("openctrl_uptime_seconds", Gauge, "Time since the master started.", uptime);
}

fn instances_by_status(text: &mut Exposition, processes: &Processes) {
    let counts = processes.statuses();
    let mut family = text.family("openctrl_instances", Gauge, "Instances by status.");
    for status in Status::ALL {
        let count = counts.iter().filter(|shown| **shown == status).count() as u64;
        family.sample(&[("status", status.as_str())], Value::Count(count));
    }
    for (name, help, counter) in [
        ("openctrl_process_starts_total", "Processes that came to life.", &COUNTERS.starts),
        (
            "openctrl_process_start_failures_total",
            "Processes that could not be started.",
            &COUNTERS.start_failures,
        ),
        ("openctrl_process_restarts_total", "Restarts by the restart policy.", &COUNTERS.restarts),
        ("openctrl_process_exits_total", "Processes that exited.", &COUNTERS.exits),
    ] {
        text.single(name, Counter, help, Value::Count(counter.get()));
    }
}

fn events(text: &mut Exposition, hub: &Hub) {
    let (events, subscribers) = hub.figures();
    text.single("openctrl_events_total", Counter, "Events of the stream.", Value::Count(events));
    let subscribers = Value::Count(subscribers as u64);
    text.single("openctrl_subscribers", Gauge, "Event streams that are open.", subscribers);
    let gaps = Value::Count(COUNTERS.subscriber_gaps.get());
    let help = "Times that a reader of the stream fell out of the replay window.";
    text.single("openctrl_subscriber_gaps_total", Counter, help, gaps);
}

fn history(text: &mut Exposition, logs: &Logs) {
    let lines = Value::Count(COUNTERS.log_lines.get());
    text.single("openctrl_log_lines_total", Counter, "Lines that instances printed.", lines);
    let cut = Value::Count(COUNTERS.log_lines_cut.get());
    text.single("openctrl_log_lines_cut_total", Counter, "Lines cut for their length.", cut);
    let missing = Value::Count(COUNTERS.log_file_lines_missing.get());
    let help = "Lines left out of log files, as the disk was slow or full.";
    text.single("openctrl_log_file_lines_missing_total", Counter, help, missing);
    let missing = Value::Count(COUNTERS.stdout_lines_missing.get());
    let help = "Lines not written to standard output: it was full, closed or not read.";
    text.single("openctrl_stdout_lines_missing_total", Counter, help, missing);
    let (lines, bytes) = logs.kept();
    let (lines, bytes) = (Value::Count(lines as u64), Value::Count(bytes as u64));
    text.single("openctrl_history_lines", Gauge, "Lines kept in memory.", lines);
    text.single("openctrl_history_bytes", Gauge, "Memory that kept lines take.", bytes);
}

fn journal(text: &mut Exposition, counters: &Counters) {
    let bytes = Value::Count(counters.journal_bytes.get());
    text.single("openctrl_journal_bytes_total", Counter, "Bytes appended to the journal.", bytes);
    let records = Value::Count(counters.journal_records.get());
    text.single("openctrl_journal_records_total", Counter, "Records appended to it.", records);
    let (sum, count) = (counters.journal_sync_micros.get(), counters.journal_syncs.get());
    let help = "Time to write an append to the journal and make it durable.";
    text.family("openctrl_journal_sync_seconds", Summary, help).summary(
        &[],
        Value::Micros(sum),
        count,
    );
}

fn requests(text: &mut Exposition, counters: &Counters) {
    let requests = counters.requests();
    let help = "Requests by route and class of status.";
    let mut family = text.family("openctrl_http_requests_total", Counter, help);
    for ((route, class), answered) in &requests {
        let code = format!("{class}xx");
        family.sample(&[("route", route), ("code", &code)], Value::Count(answered.count));
    }
    let help = "Time from the head of a request to that of its answer.";
    let mut family = text.family("openctrl_http_request_seconds", Summary, help);
    let mut by_route: std::collections::BTreeMap<&str, Answered> = Default::default();
    for ((route, _), answered) in &requests {
        let sum = by_route.entry(route).or_default();
        sum.count += answered.count;
        sum.micros += answered.micros;
    }
    for (route, sum) in by_route {
        family.summary(&[("route", route)], Value::Micros(sum.micros), sum.count);
    }
}

/// Nothing without webhooks.
fn webhooks(text: &mut Exposition, hooks: &[HookShown]) {
    if hooks.is_empty() {
        return;
    }
    let numbered =
        || hooks.iter().enumerate().map(|(place, shown)| ((place + 1).to_string(), shown));
    let help = "Reports to webhooks by what became of them.";
    let mut family = text.family("openctrl_webhook_reports_total", Counter, help);
    for (number, HookShown { delivered, failed, discarded, .. }) in numbered() {
        let results = [("delivered", delivered), ("failed", failed), ("discarded", discarded)];
        for (result, count) in results {
            family.sample(&[("webhook", &number), ("result", result)], Value::Count(*count));
        }
    }
    let help = "Whether the last try to deliver a report failed.";
    let mut family = text.family("openctrl_webhook_failing", Gauge, help);
    for (number, shown) in numbered() {
        let is_failing = u64::from(shown.failure.is_some());
        family.sample(&[("webhook", &number)], Value::Count(is_failing));
    }
}

fn queues(text: &mut Exposition, mailbox: &Mailbox) {
    let mut family = text.family("openctrl_queue_length", Gauge, "What waits for the loop.");
    for (queue, length) in mailbox.waiting() {
        family.sample(&[("queue", queue)], Value::Count(length as u64));
    }
}
