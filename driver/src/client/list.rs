//! `openctrl list`: instances as a table, with what their processes do.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use super::api::Api;
use super::document::Document;
use super::failure::Failure;
use super::instance::Instance;
use super::outlet::Outlet;
use super::select::choose;
use super::table::{Cell, Column, Tone};
use super::units::{bytes, rate, span};
use crate::counted::counted;
use crate::grammar::{Format, List, Sort, Status, Which};

/// The fields of a process that a table shows or is sorted by.
pub(crate) const OF_PROCESS: [&str; 9] = [
    "id",
    "pid",
    "uptime",
    "restarts",
    "reason",
    "lastExit",
    "nextRestart",
    "cpuPercent",
    "memoryBytes",
];

/// The fields of an instance that every table shows or is sorted by.
const OF_INSTANCE: [&str; 12] = [
    "id", "alias", "status", "mode", "ping", "pool", "tcps", "udps", "tcprx", "tcptx", "udprx",
    "udptx",
];

/// Columns of the widest table.
const COLUMNS_MAX: usize = 22;

/// Lists instances.
pub(crate) async fn list(api: &Arc<Api>, out: &Outlet, question: &List) -> Result<(), Failure> {
    let is_wanted =
        |one: &Instance| one.has_tags(&question.tag) && has_status(one, question.status);
    let which = Which { names: question.names.clone(), tag: Vec::new(), all: false };
    let named = |all: Vec<Instance>| match which.names[..] {
        [] => Ok(all),
        [..] => choose(&all, &which),
    };
    if out.is_for_programs() {
        let (instances, processes) = both(api, None, None).await?;
        let mut instances = named(instances)?;
        instances.retain(is_wanted);
        let mut lines = lines(&instances, &processes);
        lines.sort_by(|a, b| compare(question.sort, a, b));
        let whole = |line: &Line<'_>| line.instance.with_process(processes.get(line.instance.id()));
        return out.documents(lines.iter().map(whole).collect());
    }
    let is_narrow = question.tag.is_empty() && out.format != Format::Wide;
    let (instances, processes) =
        both(api, is_narrow.then_some(&OF_INSTANCE[..]), Some(&OF_PROCESS)).await?;
    let instances = named(instances)?;
    let mut lines = lines(&instances, &processes);
    lines.retain(|line| is_wanted(line.instance));
    // They are in the order of their names already.
    if question.sort != Sort::Name {
        lines.sort_by(|a, b| compare(question.sort, a, b));
    }
    print(out, &lines)?;
    // The program ends now; to take a thousand documents apart first would only take time.
    std::mem::forget((instances, processes));
    Ok(())
}

/// Writes a table.
pub(crate) fn print(out: &Outlet, lines: &[Line<'_>]) -> Result<(), Failure> {
    let shape = Shape::of(lines, out.format == Format::Wide, false);
    let rows: Vec<Vec<Cell>> = lines.iter().map(|line| shape.row(line)).collect();
    out.table(&shape.columns(), &rows)
}

/// Instances and the facts about their processes by id, each with these fields or with all of them.
/// Older masters do not have the latter.
pub(crate) async fn both(
    api: &Arc<Api>,
    fields: Option<&[&'static str]>,
    of_process: Option<&'static [&'static str]>,
) -> Result<(Vec<Instance>, HashMap<String, Document>), Failure> {
    // A task of its own: while one answer is parsed, the other has to be read, or the master takes its
    // reader for stalled.
    let second = Arc::clone(api);
    let processes = tokio::spawn(async move {
        match of_process {
            Some(fields) => second.rows_if_known("/processes", fields).await,
            None => Ok(second.get_if_known("/processes").await?.map(Document::into_list)),
        }
    });
    let instances = match fields {
        Some(fields) => api.instances_with(fields).await,
        None => api.instances().await,
    };
    let processes = processes.await.expect("no request panics")?.unwrap_or_default();
    let by_id = processes.into_iter().map(|one| (one.at("id").text().to_owned(), one)).collect();
    Ok((instances?, by_id))
}

/// Each instance with its process.
pub(crate) fn lines<'a>(
    instances: &'a [Instance],
    processes: &'a HashMap<String, Document>,
) -> Vec<Line<'a>> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    for instance in instances {
        *count.entry(instance.alias()).or_default() += 1;
    }
    let line = |instance: &'a Instance| Line {
        process: processes.get(instance.id()).unwrap_or(&Document::Null),
        is_twin: count.get(instance.alias()).is_some_and(|count| *count > 1),
        ..Line::alone(instance)
    };
    instances.iter().map(line).collect()
}

/// One line of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// The instance.
    pub(crate) instance: &'a Instance,
    /// What its process does; null if that is not known.
    pub(crate) process: &'a Document,
    /// Bytes a second, received and sent, where they are measured.
    pub(crate) rates: (f64, f64),
    /// Whether another instance has its alias.
    pub(crate) is_twin: bool,
}

impl<'a> Line<'a> {
    /// An instance of whose process nothing is known.
    pub(crate) const fn alone(instance: &'a Instance) -> Self {
        Self { instance, process: &Document::Null, rates: (0.0, 0.0), is_twin: false }
    }

    fn name(&self) -> Cow<'a, str> {
        match self.instance.alias() {
            "" => self.instance.id().into(),
            _ if self.is_twin => self.instance.name().into(),
            alias => alias.into(),
        }
    }

    /// The reason of its status: that of the master, or how its last process exited.
    pub(crate) fn reason(&self) -> Cow<'a, str> {
        let given = self.process.at("reason").text();
        if !given.is_empty() || self.instance.status() == "running" {
            return given.into();
        }
        let ended = self.process.at("lastExit").at("reason").text();
        match self.process.at("nextRestart").text() {
            "" => ended.into(),
            // The time of day is enough: restarts are at most minutes away.
            time => format!("{ended}, restart at {}", time.get(11..19).unwrap_or(time)).into(),
        }
    }

    fn has_tunnel(&self) -> bool {
        let one = self.instance;
        one.number("ping") > 0 || one.sessions() > 0 || one.rx() > 0 || one.tx() > 0
    }
}

/// Which columns a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    is_wide: bool,
    /// Whether any instance counts traffic.
    has_tunnel: bool,
    has_rates: bool,
}

impl Shape {
    /// The shape of a table of these lines.
    pub(crate) fn of(lines: &[Line<'_>], is_wide: bool, has_rates: bool) -> Self {
        Self { is_wide, has_tunnel: lines.iter().any(Line::has_tunnel), has_rates }
    }

    /// The columns.
    pub(crate) fn columns(self) -> Vec<Column> {
        let mut columns = vec![Column::flexible("NAME", 8)];
        if self.is_wide {
            columns.push(Column::text("ID"));
        }
        columns.extend([
            Column::text("STATUS"),
            Column::wrapping("REASON", 10),
            Column::number("PID"),
            Column::number("UPTIME"),
            Column::number("RESTARTS"),
            Column::number("CPU"),
            Column::number("MEM"),
        ]);
        match (self.has_tunnel, self.is_wide, self.has_rates) {
            (false, _, _) => {}
            (true, true, _) => columns.extend(
                ["MODE", "PING", "POOL", "TCPS", "UDPS", "TCPRX", "TCPTX", "UDPRX", "UDPTX"]
                    .map(Column::number),
            ),
            (true, false, true) => {
                columns.extend(["PING", "SESSIONS", "RX/s", "TX/s"].map(Column::number));
            }
            (true, false, false) => {
                columns.extend(["PING", "SESSIONS", "RX", "TX"].map(Column::number));
            }
        }
        if self.is_wide {
            columns.extend([
                Column::text("RESTART"),
                Column::flexible("PEER", 6),
                Column::flexible("TAGS", 8),
                Column::flexible("URL", 12),
            ]);
        }
        columns
    }

    /// A line in these columns.
    pub(crate) fn row(self, line: &Line<'_>) -> Vec<Cell> {
        let Line { instance, process, rates, .. } = *line;
        let known = |text: Option<String>| text.map_or_else(|| Cell::own("-"), Cell::own);
        let whole = |name: &str| process.at(name).whole();
        let number = |name| Cell::own(instance.number(name).to_string());
        let size = |name| Cell::own(bytes(instance.number(name)));
        let mut row = Vec::with_capacity(COLUMNS_MAX);
        row.push(Cell::new(&line.name()));
        if self.is_wide {
            row.push(Cell::toned(instance.id(), Tone::Dim));
        }
        row.extend([
            status(instance),
            Cell::new(&line.reason()),
            known(whole("pid").map(|pid| pid.to_string())),
            known(whole("uptime").map(span)),
            known(whole("restarts").map(|count| count.to_string())),
            known(cpu_percent(process).map(|percent| format!("{percent:.1}%"))),
            known(whole("memoryBytes").map(bytes)),
        ]);
        match (self.has_tunnel, self.is_wide) {
            (false, _) => {}
            (true, true) => {
                row.extend(["mode", "ping", "pool", "tcps", "udps"].map(number));
                row.extend(["tcprx", "tcptx", "udprx", "udptx"].map(size));
            }
            (true, false) => {
                row.push(number("ping"));
                row.push(Cell::own(instance.sessions().to_string()));
                let (rx, tx) = if self.has_rates {
                    (rate(rates.0), rate(rates.1))
                } else {
                    (bytes(instance.rx()), bytes(instance.tx()))
                };
                row.extend([Cell::own(rx), Cell::own(tx)]);
            }
        }
        if self.is_wide {
            row.extend([
                Cell::new(if instance.restart() { "on" } else { "off" }),
                Cell::new(&peer(instance)),
                Cell::new(&tags(instance)),
                Cell::new(instance.url()),
            ]);
        }
        row
    }
}

/// Whether an instance is in this status.
pub(crate) fn has_status(instance: &Instance, wanted: Option<Status>) -> bool {
    let word = match wanted {
        None => return true,
        Some(Status::Running) => "running",
        Some(Status::Stopped) => "stopped",
        Some(Status::Error) => "error",
    };
    instance.status() == word
}

/// The order: names ascending, numbers descending, ties by name and id.
pub(crate) fn compare(sort: Sort, a: &Line<'_>, b: &Line<'_>) -> Ordering {
    let down = |number: &dyn Fn(&Line<'_>) -> f64| number(b).total_cmp(&number(a));
    let of_process =
        |name: &'static str| down(&move |line| line.process.at(name).number().unwrap_or(-1.0));
    let has_rates = |line: &Line<'_>| line.rates != (0.0, 0.0);
    let is_measured = has_rates(a) || has_rates(b);
    let first = match sort {
        Sort::Name => Ordering::Equal,
        Sort::Id => a.instance.id().cmp(b.instance.id()),
        Sort::Status => rank(a.instance).cmp(&rank(b.instance)),
        Sort::Uptime => of_process("uptime"),
        Sort::Restarts => of_process("restarts"),
        Sort::Cpu => of_process("cpuPercent"),
        Sort::Memory => of_process("memoryBytes"),
        Sort::Ping => b.instance.number("ping").cmp(&a.instance.number("ping")),
        Sort::Sessions => b.instance.sessions().cmp(&a.instance.sessions()),
        Sort::Rx if is_measured => down(&|line| line.rates.0),
        Sort::Tx if is_measured => down(&|line| line.rates.1),
        Sort::Rx => b.instance.rx().cmp(&a.instance.rx()),
        Sort::Tx => b.instance.tx().cmp(&a.instance.tx()),
    };
    first.then_with(|| a.instance.order().cmp(&b.instance.order()))
}

/// `3 instances: 1 running, 2 error, 0 stopped`.
pub(crate) fn status_counts<'a>(instances: impl Iterator<Item = &'a Instance>) -> String {
    let [mut total, mut running, mut failed, mut stopped] = [0_u64; 4];
    for instance in instances {
        total += 1;
        match instance.status() {
            "running" => running += 1,
            "error" => failed += 1,
            "stopped" => stopped += 1,
            _ => {}
        }
    }
    let total = counted(total, "instance");
    format!("{total}: {running} running, {failed} error, {stopped} stopped")
}

/// The status, in its color.
pub(crate) fn status(instance: &Instance) -> Cell {
    let tone = match instance.status() {
        "running" => Tone::Good,
        "error" => Tone::Bad,
        _ => Tone::Dim,
    };
    Cell::toned(instance.status(), tone)
}

/// Per cent of one CPU.
pub(crate) fn cpu_percent(process: &Document) -> Option<f64> {
    process.at("cpuPercent").number()
}

/// The tags as `a=1,b=2`.
pub(crate) fn tags(instance: &Instance) -> String {
    let tags: Vec<String> =
        instance.tags().iter().map(|(name, value)| format!("{name}={}", value.text())).collect();
    tags.join(",")
}

/// The peer's name, or its id.
pub(crate) fn peer(instance: &Instance) -> String {
    let [alias, sid] = [instance.peer("alias"), instance.peer("sid")];
    if alias.is_empty() { sid.to_owned() } else { alias.to_owned() }
}

/// Errors come first.
fn rank(instance: &Instance) -> u8 {
    match instance.status() {
        "error" => 0,
        "running" => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::table;
    use crate::client::table::Canvas;

    fn parse(json: &str) -> Document {
        Document::parse(json.as_bytes()).expect("JSON")
    }

    fn instances() -> Vec<Instance> {
        [
            r#"{"id":"1ff8a0e8","alias":"edge-a","status":"running","restart":true,"ping":12,
                "url":"demo://edge-a","meta":{"peer":{"alias":"hub"},"tags":{"site":"x","n":"1"}},
                "tcps":2,"udps":2,"tcprx":2048,"tcptx":8192000,"udprx":512,"udptx":1024,"mode":1}"#,
            r#"{"id":"20000000","alias":"\u001b[31mred\u202e","status":"error",
                "url":"exec:/usr/bin/env?arg=a-very-long-argument&arg=another-one&arg=and-more"}"#,
            r#"{"id":"30000000","alias":"","status":"stopped","url":"demo://a"}"#,
            r#"{"id":"40000000","alias":"twin","status":"stopped","url":"demo://a"}"#,
            r#"{"id":"50000000","alias":"twin","status":"error","url":"demo://a"}"#,
        ]
        .map(|json| Instance::new(parse(json)))
        .to_vec()
    }

    fn processes() -> HashMap<String, Document> {
        [
            (
                "1ff8a0e8",
                r#"{"pid":77,"uptime":65,"restarts":2,"cpuPercent":12.34,"memoryBytes":2097152}"#,
            ),
            (
                "20000000",
                r#"{"pid":null,"restarts":4,"nextRestart":"2026-06-08T12:00:07Z",
                "lastExit":{"reason":"exited with code 9"}}"#,
            ),
            ("50000000", r#"{"restarts":0,"reason":"waits for db","lastExit":{"reason":"x"}}"#),
        ]
        .map(|(id, json)| (id.to_owned(), parse(json)))
        .into()
    }

    fn shown(instances: &[Instance], is_wide: bool, width: Option<usize>) -> String {
        let processes = processes();
        let lines = lines(instances, &processes);
        let shape = Shape::of(&lines, is_wide, false);
        let rows: Vec<Vec<Cell>> = lines.iter().map(|line| shape.row(line)).collect();
        table::lines(&shape.columns(), &rows, Canvas { width, has_colours: false }).join("\n")
    }

    #[test]
    fn a_list_in_100_columns() {
        insta::assert_snapshot!(shown(&instances(), false, Some(100)));
    }

    #[test]
    fn a_list_without_tunnels() {
        insta::assert_snapshot!(shown(&instances()[1..], false, None));
    }

    #[test]
    fn a_wide_list() {
        insta::assert_snapshot!(shown(&instances(), true, None));
    }

    #[test]
    fn the_order_is_that_which_was_asked_for() {
        let (instances, processes) = (instances(), processes());
        let first = |sort| {
            let mut sorted = lines(&instances, &processes);
            sorted.sort_by(|a, b| compare(sort, a, b));
            sorted[0].instance.id().to_owned()
        };
        assert_eq!(first(Sort::Rx), "1ff8a0e8");
        assert_eq!(first(Sort::Cpu), "1ff8a0e8");
        assert_eq!(first(Sort::Restarts), "20000000");
        assert_eq!(first(Sort::Status), "20000000");
        assert_eq!(first(Sort::Id), "1ff8a0e8");
        assert_eq!(first(Sort::Name), "20000000");
    }
}
