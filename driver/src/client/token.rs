//! `openctrl token`: the tokens of the master.

use hyper::Method;

use super::api::{Api, escape};
use super::document::{Document, quote};
use super::failure::Failure;
use super::outlet::Outlet;
use super::table::{Cell, Column, Tone};
use super::text::plain;
use crate::grammar::{CreateToken, TokenCommand};

/// Does what is asked.
pub(crate) async fn token(api: &Api, out: &Outlet, question: &TokenCommand) -> Result<(), Failure> {
    match question {
        TokenCommand::Create(question) => create(api, out, question).await,
        TokenCommand::List => list(api, out).await,
        TokenCommand::Revoke { name } => revoke(api, name).await,
    }
}

/// The token stands alone on standard output, for `$(…)` and files.
async fn create(api: &Api, out: &Outlet, question: &CreateToken) -> Result<(), Failure> {
    let CreateToken { name, role, expires } = question;
    let mut body = String::from("{\"name\":");
    quote(&mut body, name);
    body.push_str(&format!(",\"role\":\"{}\"", role.as_str()));
    if let Some(seconds) = expires {
        body.push_str(&format!(",\"expires_in\":{seconds}"));
    }
    body.push('}');
    let answer = api.change(Method::POST, "/tokens", &body).await;
    let answer = answer.map_err(|failure| failure.of(&plain(name)))?;
    if out.is_for_programs() {
        return out.document(&answer);
    }
    out.print(&format!("{}\n", plain(answer.at("token").text())))
}

async fn list(api: &Api, out: &Outlet) -> Result<(), Failure> {
    let tokens = api.get("/tokens").await?;
    if out.is_for_programs() {
        return out.document(&tokens);
    }
    const COLUMNS: [Column; 5] = [
        Column::flexible("NAME", 8),
        Column::text("ROLE"),
        Column::text("CREATED"),
        Column::text("EXPIRES"),
        Column::text("LAST USED"),
    ];
    let row = |token: &Document| {
        let time = |name: &str| token.at(name).text().get(..16).unwrap_or("never").to_owned();
        let is_expired = token.at("expired") == &Document::Bool(true);
        let tone = if is_expired { Tone::Bad } else { Tone::Plain };
        vec![
            Cell::new(token.at("name").text()),
            Cell::new(token.at("role").text()),
            Cell::new(&time("created")),
            Cell::toned(&time("expires"), tone),
            Cell::new(&time("last_used")),
        ]
    };
    out.table(&COLUMNS, &tokens.into_list().iter().map(row).collect::<Vec<_>>())
}

async fn revoke(api: &Api, name: &str) -> Result<(), Failure> {
    let path = format!("/tokens/{}", escape(name));
    api.change(Method::DELETE, &path, "")
        .await
        .map(drop)
        .map_err(|failure| failure.of(&plain(name)))
}
