//! `openctrl audit`: who changed what.

use super::api::Api;
use super::document::Document;
use super::failure::Failure;
use super::outlet::Outlet;
use super::table::{Cell, Column, Tone};

/// Prints the newest entries, the oldest of them first.
pub(crate) async fn audit(api: &Api, out: &Outlet, count: u32) -> Result<(), Failure> {
    let entries = api.get(&format!("/audit?limit={count}")).await?;
    if out.is_for_programs() {
        return out.document(&entries);
    }
    const COLUMNS: [Column; 7] = [
        Column::text("TIME"),
        Column::flexible("WHO", 8),
        Column::text("FROM"),
        Column::text("METHOD"),
        Column::flexible("PATH", 12),
        Column::number("STATUS"),
        Column::flexible("DETAIL", 8),
    ];
    let row = |entry: &Document| {
        let text = |name: &str| Cell::new(&entry.at(name).bare());
        let status = entry.at("status").bare();
        let tone = if status.starts_with('2') { Tone::Plain } else { Tone::Bad };
        let time = entry.at("time").text().get(..19).unwrap_or_default().to_owned();
        vec![
            Cell::new(&time),
            text("who"),
            text("from"),
            text("method"),
            text("path"),
            Cell::toned(&status, tone),
            text("detail"),
        ]
    };
    out.table(&COLUMNS, &entries.into_list().iter().map(row).collect::<Vec<_>>())
}
