//! `openctrl create`.

use std::sync::Arc;

use hyper::Method;

use super::act::wait_for_first_run;
use super::api::{Api, object};
use super::failure::Failure;
use super::instance::Instance;
use super::outlet::Outlet;
use super::tags::{at_word, check_tags, tags_json};
use super::text::plain;
use crate::grammar::Create;

/// Creates an instance and prints its id.
pub(crate) async fn create(api: &Arc<Api>, out: &Outlet, question: &Create) -> Result<(), Failure> {
    check_tags(&question.tag)?;
    // Opened before it is created, so that its start is not missed.
    let stream = match question.waiting.wait {
        true => Some(api.events(None).await?),
        false => None,
    };
    let body = object(&[("url", Some(&question.url)), ("alias", question.alias.as_deref())]);
    let created = api.change(Method::POST, "/instances", &body).await;
    let mut instance = Instance::new(created.map_err(at_word)?);
    if let Some(body) = rest(question) {
        let path = format!("/instances/{}", instance.id());
        match api.change(Method::PATCH, &path, &body).await {
            Ok(after) => instance = Instance::new(after),
            Err(failure) => {
                return Err(Failure::Refused(format!(
                    "{} is created, but its tags and policy are not set: {failure}; use 'openctrl \
                     set' or 'openctrl delete'",
                    plain(&instance.name())
                )));
            }
        }
    }
    if let Some(stream) = stream {
        instance = wait_for_first_run(stream, &instance, question.waiting.timeout).await?;
    }
    if out.is_for_programs() {
        return out.document(instance.document());
    }
    out.print(&format!("{}\n", plain(instance.id())))
}

/// What the API takes only after the creation.
fn rest(question: &Create) -> Option<String> {
    let mut fields = Vec::new();
    if question.no_restart {
        fields.push("\"restart\":false".to_owned());
    }
    if !question.tag.is_empty() {
        fields.push(format!("\"meta\":{{\"tags\":{}}}", tags_json(&question.tag)));
    }
    (!fields.is_empty()).then(|| format!("{{{}}}", fields.join(",")))
}
