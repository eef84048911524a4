//! `openctrl list`.

use std::cmp::Ordering;

use super::api::Api;
use super::failure::Failure;
use super::instance::Instance;
use super::outlet::Outlet;
use super::table::{Cell, Column, Tone};
use super::units::bytes;
use crate::grammar::{Format, List, Sort, Status};

/// Lists instances.
pub(crate) async fn list(api: &Api, out: &Outlet, question: &List) -> Result<(), Failure> {
    let mut instances = api.instances().await?;
    instances.retain(|one| one.has_tags(&question.tag) && has_status(one, question.status));
    instances.sort_by(|a, b| compare(question.sort, a, b));
    if out.is_for_programs() {
        return out.documents(instances.into_iter().map(Instance::into_document).collect());
    }
    let is_wide = out.format == Format::Wide;
    let rows: Vec<Vec<Cell>> = instances.iter().map(|one| row(one, is_wide)).collect();
    out.table(columns(is_wide), &rows)
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

/// What comes first: names upwards, numbers downwards, equals by alias and id.
pub(crate) fn compare(sort: Sort, a: &Instance, b: &Instance) -> Ordering {
    let down = |number: fn(&Instance) -> u64| number(b).cmp(&number(a));
    let first = match sort {
        // The facts of processes are not in the object.
        Sort::Alias | Sort::Cpu | Sort::Memory => Ordering::Equal,
        Sort::Id => a.id().cmp(b.id()),
        Sort::Status => rank(a).cmp(&rank(b)),
        Sort::Ping => down(|one| one.number("ping")),
        Sort::Sessions => down(Instance::sessions),
        Sort::Rx => down(Instance::rx),
        Sort::Tx => down(Instance::tx),
    };
    first.then_with(|| a.order().cmp(&b.order()))
}

/// The columns of a list.
pub(crate) const fn columns(is_wide: bool) -> &'static [Column] {
    const NARROW: &[Column] = &[
        Column::flexible("ALIAS", 8),
        Column::text("ID"),
        Column::text("STATUS"),
        Column::number("PING"),
        Column::number("SESSIONS"),
        Column::number("RX"),
        Column::number("TX"),
        Column::flexible("URL", 12),
    ];
    const WIDE: &[Column] = &[
        Column::flexible("ALIAS", 8),
        Column::text("ID"),
        Column::text("STATUS"),
        Column::text("RESTART"),
        Column::number("MODE"),
        Column::number("PING"),
        Column::number("POOL"),
        Column::number("TCPS"),
        Column::number("UDPS"),
        Column::number("TCPRX"),
        Column::number("TCPTX"),
        Column::number("UDPRX"),
        Column::number("UDPTX"),
        Column::flexible("PEER", 6),
        Column::flexible("TAGS", 8),
        Column::flexible("URL", 12),
    ];
    if is_wide { WIDE } else { NARROW }
}

/// An instance in these columns.
pub(crate) fn row(instance: &Instance, is_wide: bool) -> Vec<Cell> {
    let number = |name| Cell::new(&instance.number(name).to_string());
    let size = |name| Cell::new(&bytes(instance.number(name)));
    let [alias, id] = [Cell::new(instance.alias()), Cell::toned(instance.id(), Tone::Dim)];
    if !is_wide {
        return vec![
            alias,
            id,
            status(instance),
            number("ping"),
            Cell::new(&instance.sessions().to_string()),
            Cell::new(&bytes(instance.rx())),
            Cell::new(&bytes(instance.tx())),
            Cell::new(instance.url()),
        ];
    }
    vec![
        alias,
        id,
        status(instance),
        Cell::new(if instance.restart() { "on" } else { "off" }),
        number("mode"),
        number("ping"),
        number("pool"),
        number("tcps"),
        number("udps"),
        size("tcprx"),
        size("tcptx"),
        size("udprx"),
        size("udptx"),
        Cell::new(&peer(instance)),
        Cell::new(&tags(instance)),
        Cell::new(instance.url()),
    ]
}

/// The status, in its colour.
pub(crate) fn status(instance: &Instance) -> Cell {
    let tone = match instance.status() {
        "running" => Tone::Good,
        "error" => Tone::Bad,
        _ => Tone::Dim,
    };
    Cell::toned(instance.status(), tone)
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

/// What needs a look comes first.
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
    use crate::client::document::Document;
    use crate::client::table::{Canvas, lines};

    fn instances() -> Vec<Instance> {
        let one = |json: &str| Instance::new(Document::parse(json.as_bytes()).expect("JSON"));
        vec![
            one(r#"{"id":"1ff8a0e8","alias":"edge-a","status":"running","restart":true,"ping":12,
                "url":"demo://edge-a","meta":{"peer":{"alias":"hub"},"tags":{"site":"x","n":"1"}},
                "tcps":2,"udps":2,"tcprx":2048,"tcptx":8192000,"udprx":512,"udptx":1024,"mode":1}"#),
            one(r#"{"id":"20000000","alias":"\u001b[31mred\u202e","status":"error",
                "url":"exec:/usr/bin/env?arg=a-very-long-argument&arg=another-one&arg=and-more"}"#),
        ]
    }

    fn shown(is_wide: bool, width: Option<usize>) -> String {
        let rows: Vec<Vec<Cell>> = instances().iter().map(|one| row(one, is_wide)).collect();
        lines(columns(is_wide), &rows, Canvas { width, has_colours: false }).join("\n")
    }

    #[test]
    fn a_list_in_80_columns() {
        insta::assert_snapshot!(shown(false, Some(80)));
    }

    #[test]
    fn a_wide_list() {
        insta::assert_snapshot!(shown(true, None));
    }

    #[test]
    fn the_order_is_that_which_was_asked_for() {
        let first = |sort| {
            let mut sorted = instances();
            sorted.sort_by(|a, b| compare(sort, a, b));
            sorted[0].id().to_owned()
        };
        assert_eq!(first(Sort::Rx), "1ff8a0e8");
        assert_eq!(first(Sort::Status), "20000000");
        assert_eq!(first(Sort::Id), "1ff8a0e8");
        assert_eq!(first(Sort::Alias), "20000000");
    }
}
