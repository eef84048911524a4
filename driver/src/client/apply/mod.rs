//! `openctrl plan` and `openctrl apply`: the instances that a file declares.

mod changes;
mod fields;
mod ledger;
mod steps;
mod wanted;

use std::path::Path;
use std::sync::Arc;

use super::act::wait_for_runs;
use super::api::Api;
use super::confirm::confirm;
use super::document::Document;
use super::failure::Failure;
use super::instance::Instance;
use super::outlet::Outlet;
use super::text::plain;
use super::wait::{Goal, Waiter};
use crate::grammar::{Apply, Plan as Question};
use crate::manifest::{Entry, Manifest, ManifestError, Program, read, read_text};
use crate::runtime::check_command;
use changes::{Action, Change, Plan, plan};
use ledger::{Hold, Ledger, Owned};
use openctrl_core::instance::Setup;
use openctrl_core::url::{MASK, masked_part};
use steps::Done;
use wanted::Wanted;

/// Shows the changes that an apply would make.
pub(crate) async fn show_plan(
    api: &Arc<Api>,
    out: &Outlet,
    question: &Question,
) -> Result<(), Failure> {
    let prepared = prepare(api, question, false).await?;
    print_plan(out, &prepared.plan)?;
    if prepared.plan.has_changes() { Err(Failure::Changes) } else { Ok(()) }
}

/// Creates, changes and deletes instances as the file declares.
pub(crate) async fn apply(api: &Arc<Api>, out: &Outlet, question: &Apply) -> Result<(), Failure> {
    let mut prepared = prepare(api, &question.plan, question.force).await?;
    print_plan(out, &prepared.plan)?;
    let has_changes = prepared.plan.has_changes();
    if has_changes && !question.dry_run {
        if !question.yes {
            confirm(&format!("Apply these changes ({})?", prepared.plan.summary()))?;
        }
        carry_out(api, out, question, &mut prepared).await?;
    } else if !question.dry_run {
        // Instances that are as declared already are owned from now on.
        prepared.ledger.own(&prepared.owner, prepared.plan.owned())?;
    }
    if has_changes && question.detailed_exitcode { Err(Failure::Changes) } else { Ok(()) }
}

/// All that is known before anything is changed.
struct Prepared {
    owner: String,
    ledger: Ledger,
    plan: Plan,
}

async fn prepare(api: &Arc<Api>, question: &Question, force: bool) -> Result<Prepared, Failure> {
    // Not an error of the command line: status 2 of a plan says that there are changes.
    let loaded = load(&question.file, api.is_local());
    let (owner, wanted) = loaded.map_err(|error| Failure::Refused(error.to_string()))?;
    let (info, instances) = tokio::join!(api.get("/info"), api.instances());
    let ledger = Ledger::open(info?.at("mid").text())?;
    let plan = plan(&wanted, &instances?, &ledger.owners(), &owner, question.prune);
    let mut plan = plan.map_err(Failure::Refused)?;
    if api.is_local() && !force {
        // The master checks it again, with its own PATH.
        plan.warn(|url| check_command(url, &Setup::default()));
    }
    Ok(Prepared { owner, ledger, plan })
}

/// The owner that a file represents, and the declared instances. The master of this machine sees
/// the folder of the file.
fn load(file: &Path, is_local: bool) -> Result<(String, Vec<Wanted>), ManifestError> {
    let shown = file.display().to_string();
    let wrong = |reason: String| ManifestError::new(&shown, reason);
    let path = std::path::absolute(file).map_err(|error| wrong(error.to_string()))?;
    let text = read_text(&path).map_err(wrong)?;
    let environment = |name: &str| std::env::var(name).ok();
    let manifest = read(&path, &text, &environment).map_err(|error| error.of(&shown))?;
    let base = path.parent().unwrap_or(Path::new("/"));
    let wanted = wanted(&manifest, base, is_local).map_err(|error| error.of(&shown))?;
    let whole = path.canonicalize().unwrap_or(path);
    Ok((manifest.name.unwrap_or_else(|| whole.display().to_string()), wanted))
}

fn wanted(manifest: &Manifest, base: &Path, is_local: bool) -> Result<Vec<Wanted>, ManifestError> {
    let one = |(name, entry): (&String, &Entry)| {
        let url = |entry: &Entry| {
            entry.url(base).map_err(|(key, reason)| {
                ManifestError::new(format!("instance {name:?}, {key}"), reason)
            })
        };
        let wanted = Wanted::new(name, url(entry)?, entry);
        if let Some(part) = masked_part(&wanted.url) {
            let reason =
                format!("{part} is the mask {MASK}, as a token sees it; give the real value");
            return Err(ManifestError::new(format!("instance {name:?}"), reason));
        }
        let is_command = !matches!(entry.program, Program::Url(_));
        if is_local && is_command && entry.cwd.is_none() {
            let here = Entry { cwd: Some(base.to_owned()), ..entry.clone() };
            return Ok(wanted.with_default_cwd(url(&here)?));
        }
        Ok(wanted)
    };
    manifest.instances.iter().map(one).collect()
}

fn print_plan(out: &Outlet, plan: &Plan) -> Result<(), Failure> {
    if out.is_for_programs() {
        return out.document(&plan.document());
    }
    out.print(&plan.text(out.canvas))
}

/// Makes the changes, each instance separately, and reports each.
async fn carry_out(
    api: &Arc<Api>,
    out: &Outlet,
    question: &Apply,
    prepared: &mut Prepared,
) -> Result<(), Failure> {
    // Written before and after: an apply that is cut short has forgotten nothing it made.
    prepared.ledger.own(&prepared.owner, prepared.plan.owned())?;
    let stream = if question.waiting.wait { Some(api.events(None).await?) } else { None };
    let outcomes =
        steps::carry_out(api, &prepared.plan, question.waiting.timeout, question.force).await;
    let mut owned: Owned = prepared.plan.owned();
    let (mut started, mut failures, mut text) = (Vec::new(), 0, String::new());
    for (change, outcome) in prepared.plan.changes().zip(outcomes) {
        let name = plain(&change.name);
        match outcome {
            Ok(Done { after, is_same }) => {
                let action = if is_same { Action::Keep } else { change.action };
                text.push_str(&format!("{name}: {}\n", action.done()));
                match after {
                    Some(after) => {
                        let hold = Hold::Declared(after.id().to_owned());
                        owned.insert(change.name.clone(), hold);
                        if !is_same {
                            started.push((change, after));
                        }
                    }
                    None => drop(owned.remove(&change.name)),
                }
            }
            Err(failure) => {
                failures += 1;
                super::outlet::note(&format!("{name}: {}", plain(&failure.to_string())));
                // What could not be deleted is still this file's.
                if change.action == Action::Create {
                    owned.remove(&change.name);
                }
            }
        }
    }
    prepared.ledger.own(&prepared.owner, owned)?;
    if !out.is_for_programs() {
        out.print(&text)?;
    }
    if let Some(stream) = stream {
        let begun = started.iter().filter(|(change, _)| change.starts());
        let waiter = |(change, after): &(&Change, Instance)| match change.action {
            Action::Change => Waiter::of_replaced(),
            Action::Create | Action::Delete | Action::Keep | Action::Leave => {
                Waiter::new(Goal::Running, after)
            }
        };
        let waiters = begun.map(|one| (&one.1, waiter(one))).collect();
        wait_for_runs(api, stream, waiters, &question.waiting).await?;
    }
    if failures > 0 { Err(Failure::Partial) } else { Ok(()) }
}

impl Plan {
    /// The plan for programs.
    fn document(&self) -> Document {
        let text = |text: &str| Document::Text(text.to_owned());
        let one = |change: &Change| {
            Document::Object(vec![
                ("name".into(), text(&change.name)),
                ("id".into(), text(change.id.as_deref().unwrap_or_default())),
                ("action".into(), text(change.action.word())),
                (
                    "fields".into(),
                    Document::List(change.fields.iter().map(|field| text(field.name)).collect()),
                ),
                ("note".into(), text(&change.note())),
                ("warning".into(), text(change.warning.as_deref().unwrap_or_default())),
            ])
        };
        let changes = self.all.iter().map(one).collect();
        Document::Object(vec![("changes".into(), Document::List(changes))])
    }
}
