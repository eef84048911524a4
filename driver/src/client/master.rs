//! Questions about the master itself: `info`, `alias`, `key rotate`, `ping`.

use hyper::Method;

use super::api::{Api, KEY_ID, escape, object};
use super::confirm::confirm;
use super::document::Document;
use super::failure::Failure;
use super::outlet::{Outlet, note};
use super::text::plain;
use super::units::{bytes, span};
use crate::grammar::Alias;

/// Shows the master and its machine.
pub(crate) async fn info(api: &Api, out: &Outlet) -> Result<(), Failure> {
    let info = api.get("/info").await?;
    if out.is_for_programs() {
        return out.document(&info);
    }
    let mut pairs = vec![("api".to_owned(), api.shown().to_owned())];
    if let Some(print) = api.fingerprint() {
        pairs.push(("certificate".to_owned(), format!("SHA-256 {print}")));
    }
    pairs.extend(figures(&info));
    out.pairs(&pairs)
}

/// Shows or sets the alias.
pub(crate) async fn alias(api: &Api, out: &Outlet, question: &Alias) -> Result<(), Failure> {
    let new = if question.clear { Some("") } else { question.alias.as_deref() };
    if new == Some("") && !question.clear {
        return Err(Failure::Usage("an empty alias is written --clear".to_owned()));
    }
    let info = match new {
        None => api.get("/info").await?,
        Some(_) => {
            let answer = api.change(Method::POST, "/info", &object(&[("alias", new)])).await;
            answer.map_err(|failure| failure.of("ALIAS"))?
        }
    };
    if out.is_for_programs() {
        return out.document(&info);
    }
    out.print(&format!("{}\n", plain(info.at("alias").text())))
}

/// Makes a new key and prints it.
pub(crate) async fn rotate(api: &Api, out: &Outlet, is_sure: bool) -> Result<(), Failure> {
    if !is_sure {
        confirm("Change the API key? Every client that has the old one is shut out.")?;
    }
    let path = format!("/instances/{}", KEY_ID.replace('*', "%2A"));
    let after = api.change(Method::PATCH, &path, &object(&[("action", Some("restart"))])).await?;
    if out.is_for_programs() {
        out.document(&after)?;
    } else {
        out.print(&format!("{}\n", plain(after.at("url").text())))?;
    }
    let source = api.key_source();
    if source != "the state directory" {
        note(&format!("the key from {source} is worth nothing any more: put the new one there"));
    }
    Ok(())
}

/// Has the master connect to a TCP address.
pub(crate) async fn ping(api: &Api, out: &Outlet, target: &str) -> Result<(), Failure> {
    let answer = api.get(&format!("/tcping?target={}", escape(target))).await?;
    let is_there = answer.at("connected") == &Document::Bool(true);
    let target = plain(target);
    if out.is_for_programs() {
        out.document(&answer)?;
        return if is_there { Ok(()) } else { Err(Failure::Partial) };
    }
    if is_there {
        return out.print(&format!("{target}: connected in {} ms\n", answer.at("latency").bare()));
    }
    let reason = plain(answer.at("error").text()).into_owned();
    Err(Failure::Refused(format!("{target}: the master cannot connect: {reason}")))
}

fn figures(info: &Document) -> Vec<(String, String)> {
    let text = |name: &str| info.at(name).text().to_owned();
    let size = |name: &str| bytes(info.at(name).whole().unwrap_or(0));
    let time = |name: &str| span(info.at(name).whole().unwrap_or(0));
    let cpu = info.at("cpu").whole().map_or("not known".to_owned(), |cpu| format!("{cpu}%"));
    let pairs = [
        ("alias", text("alias")),
        ("id", text("mid")),
        ("version", format!("{} for {}/{}", text("ver"), text("os"), text("arch"))),
        ("up", time("uptime")),
        ("tls", text("tls")),
        ("crt", text("crt")),
        ("key", text("key")),
        ("cpus", info.at("noc").bare()),
        ("cpu", cpu),
        ("memory", format!("{} of {}", size("mem_used"), size("mem_total"))),
        ("swap", format!("{} of {}", size("swap_used"), size("swap_total"))),
        ("network", format!("{} in, {} out", size("netrx"), size("nettx"))),
        ("disks", format!("{} read, {} written", size("diskr"), size("diskw"))),
        ("machine up", time("sysup")),
    ];
    let known = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    known.map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_for_reading() {
        let info = br#"{"mid":"d420d9cb5b3a8e65","alias":"","os":"linux","arch":"amd64","noc":2,
            "cpu":-1,"mem_total":8589934592,"mem_used":1073741824,"swap_total":0,"swap_used":0,
            "netrx":1,"nettx":2,"diskr":3,"diskw":4,"sysup":100000,"ver":"2.0.0","name":"h",
            "uptime":59,"log":"default","tls":"1","crt":"","key":""}"#;
        let figures = figures(&Document::parse(info).expect("JSON"));
        let lines: Vec<String> = figures.iter().map(|(name, v)| format!("{name}: {v}")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        id: d420d9cb5b3a8e65
        version: 2.0.0 for linux/amd64
        up: 59s
        tls: 1
        cpus: 2
        cpu: not known
        memory: 1.0G of 8.0G
        swap: 0 of 0
        network: 1 in, 2 out
        disks: 3 read, 4 written
        machine up: 1d03h
        ");
    }
}
