//! Actions on one or several instances: `start`, `stop`, `restart`, `reset`, `delete`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::api::{Api, object};
use super::confirm::confirm;
use super::document::Document;
use super::failure::Failure;
use super::instance::Instance;
use super::outlet::{Outlet, note};
use super::progress::Progress;
use super::select::resolve;
use super::stream::{Event, EventStream};
use super::text::plain;
use super::wait::{Goal, Verdict, Waiter};
use crate::grammar::{Act, Delete, Waiting, Which};

/// Requests under way at a time: enough that many share one sync of the master's disk.
const AT_A_TIME: usize = 32;

/// Lists of names in a question end here.
const NAMES_MAX: usize = 3;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Starts what is stopped.
    Start,
    /// Stops.
    Stop,
    /// Stops and starts.
    Restart,
}

/// What became of one instance.
enum Outcome {
    /// The object after it.
    Done(Instance),
    Failed(Failure),
}

/// Starts, stops or restarts instances.
pub(crate) async fn change(
    api: &Arc<Api>,
    out: &Outlet,
    action: Action,
    act: &Act,
) -> Result<(), Failure> {
    let instances = resolve(api, &act.which).await?;
    let (word, goal) = match action {
        Action::Start => ("start", Goal::Running),
        Action::Stop => ("stop", Goal::Stopped),
        Action::Restart => ("restart", Goal::RunningAgain),
    };
    let goal = act.waiting.wait.then_some(goal);
    let request = Request { method: Method::PATCH, body: Some(action_body(word)), word };
    let outcomes = carry_out(api, &instances, &request, goal, &act.waiting).await?;
    let is_over = act.waiting.wait;
    report(out, &instances, outcomes, |after| {
        if is_over { after.status().to_owned() } else { format!("{word} requested") }
    })
}

/// Sets byte counters to 0.
pub(crate) async fn reset(api: &Arc<Api>, out: &Outlet, which: &Which) -> Result<(), Failure> {
    let instances = resolve(api, which).await?;
    let request =
        Request { method: Method::PATCH, body: Some(action_body("reset")), word: "reset" };
    let waiting = Waiting { wait: false, timeout: Duration::from_secs(60) };
    let outcomes = carry_out(api, &instances, &request, None, &waiting).await?;
    report(out, &instances, outcomes, |_| "counters are 0".to_owned())
}

/// Removes instances; asks before more than one is.
pub(crate) async fn delete(api: &Arc<Api>, out: &Outlet, question: &Delete) -> Result<(), Failure> {
    let instances = resolve(api, &question.which).await?;
    if instances.len() > 1 && !question.yes {
        let mut names: Vec<String> =
            instances.iter().take(NAMES_MAX).map(|one| plain(&one.name()).into_owned()).collect();
        if instances.len() > NAMES_MAX {
            names.push("…".to_owned());
        }
        confirm(&format!("Delete {} instances, {}?", instances.len(), names.join(", ")))?;
    }
    let request = Request { method: Method::DELETE, body: None, word: "delete" };
    let waiting = Waiting { wait: true, timeout: question.timeout };
    let outcomes = carry_out(api, &instances, &request, None, &waiting).await?;
    report(out, &instances, outcomes, |_| "deleted".to_owned())
}

/// Waits until a new instance runs; `stream` was opened before it was created.
pub(crate) async fn wait_for_first_run(
    mut stream: EventStream,
    instance: &Instance,
    patience: Duration,
) -> Result<Instance, Failure> {
    let mut waits = Waits::new(Goal::Running, std::slice::from_ref(instance));
    let deadline = Instant::now() + patience;
    loop {
        match timeout_at(deadline, stream.next()).await {
            Ok(Some(event)) => {
                if let Some((_, outcome)) = waits.hear(&event) {
                    return match outcome {
                        Outcome::Done(after) => Ok(after),
                        Outcome::Failed(failure) => Err(failure.of(&plain(&instance.name()))),
                    };
                }
            }
            Ok(None) => return Err(stream_ended()),
            Err(_) => return Err(not_in_time(patience)),
        }
    }
}

fn stream_ended() -> Failure {
    Failure::Unreachable("the master ended the event stream; what was asked for goes on".to_owned())
}

fn not_in_time(patience: Duration) -> Failure {
    let seconds = patience.as_secs_f32();
    Failure::TimedOut(format!("not in {seconds} s; what was asked for goes on (see --timeout)"))
}

fn action_body(word: &str) -> String {
    object(&[("action", Some(word))])
}

/// What is asked of each instance.
struct Request {
    method: Method,
    body: Option<String>,
    word: &'static str,
}

/// The instances that are waited for.
struct Waits {
    waiters: HashMap<String, Waiter>,
}

impl Waits {
    fn new(goal: Goal, instances: &[Instance]) -> Self {
        let waiter = |one: &Instance| (one.id().to_owned(), Waiter::new(goal, one));
        Self { waiters: instances.iter().map(waiter).collect() }
    }

    /// The id of an instance that is decided by an event.
    fn hear(&mut self, event: &Event) -> Option<(String, Outcome)> {
        if event.is_gap() {
            self.waiters.values_mut().for_each(Waiter::forgive);
            return None;
        }
        let word = event.word()?;
        let id = word.instance.id().to_owned();
        let outcome = match self.waiters.get_mut(&id)?.hear(&word)? {
            Verdict::Reached => Outcome::Done(word.instance),
            Verdict::Failed(reason) => Outcome::Failed(Failure::Refused(reason)),
        };
        self.waiters.remove(&id);
        Some((id, outcome))
    }
}

/// Asks for all, some at a time, and waits for what is to be waited for.
async fn carry_out(
    api: &Arc<Api>,
    instances: &[Instance],
    request: &Request,
    goal: Option<Goal>,
    waiting: &Waiting,
) -> Result<HashMap<String, Outcome>, Failure> {
    let deadline = Instant::now() + waiting.timeout;
    // Opened before anything is asked, so that nothing is missed.
    let mut stream = match goal {
        Some(_) => Some(api.events(None).await?),
        None => None,
    };
    let mut waits = goal.map(|goal| Waits::new(goal, instances));
    let mut answers = ask(api, instances, request, waiting.timeout);
    let mut outcomes = HashMap::new();
    let mut progress = Progress::new(request.word, instances.len());
    let mut answered = 0;
    while outcomes.len() < instances.len() {
        progress.at(if goal.is_some() { outcomes.len() } else { answered });
        tokio::select! {
            Some(joined) = answers.join_next() => {
                let (id, result) = joined.expect("no request panics");
                answered += 1;
                match result {
                    Ok(_) if waits.is_some() => {}
                    Ok(after) => { outcomes.insert(id, Outcome::Done(Instance::new(after))); }
                    // The others will not fare better.
                    Err(failure @ (Failure::Unreachable(_) | Failure::Key(_))) => return Err(failure),
                    Err(failure) => { outcomes.insert(id, Outcome::Failed(failure)); }
                }
            }
            event = next_of(&mut stream), if stream.is_some() => match (event, &mut waits) {
                (Some(event), Some(waits)) => {
                    if let Some((id, outcome)) = waits.hear(&event) {
                        outcomes.entry(id).or_insert(outcome);
                    }
                }
                (Some(_), None) => {}
                (None, _) => return Err(stream_ended()),
            },
            () = tokio::time::sleep_until(deadline), if goal.is_some() => {
                for instance in instances {
                    let late = || Outcome::Failed(not_in_time(waiting.timeout));
                    outcomes.entry(instance.id().to_owned()).or_insert_with(late);
                }
            }
        }
    }
    // A verdict may come before the answer to its request; none is left unasked.
    while let Some(joined) = answers.join_next().await {
        let (id, result) = joined.expect("no request panics");
        if let Err(failure) = result {
            outcomes.insert(id, Outcome::Failed(failure));
        }
    }
    Ok(outcomes)
}

async fn next_of(stream: &mut Option<EventStream>) -> Option<Event> {
    match stream {
        Some(stream) => stream.next().await,
        None => None,
    }
}

type Answers = JoinSet<(String, Result<Document, Failure>)>;

fn ask(api: &Arc<Api>, instances: &[Instance], request: &Request, patience: Duration) -> Answers {
    let gate = Arc::new(Semaphore::new(AT_A_TIME));
    let mut answers = JoinSet::new();
    for instance in instances {
        let (api, gate, id) = (Arc::clone(api), Arc::clone(&gate), instance.id().to_owned());
        let (method, body) = (request.method.clone(), request.body.clone());
        answers.spawn(async move {
            let _permit = gate.acquire().await;
            let path = format!("/instances/{id}");
            let answer = api.change_slowly(method, &path, body.as_deref(), patience).await;
            (id, answer)
        });
    }
    answers
}

/// Tells what became of each instance, in their order.
fn report(
    out: &Outlet,
    instances: &[Instance],
    mut outcomes: HashMap<String, Outcome>,
    say: impl Fn(&Instance) -> String,
) -> Result<(), Failure> {
    let mut failures = Vec::new();
    let mut documents = Vec::new();
    let mut text = String::new();
    for instance in instances {
        let name = instance.name();
        let name = plain(&name);
        match outcomes.remove(instance.id()) {
            Some(Outcome::Done(after)) => {
                text.push_str(&format!("{name}: {}\n", say(&after)));
                documents.push(after.into_document());
            }
            Some(Outcome::Failed(failure)) => failures.push((name.into_owned(), failure)),
            None => {}
        }
    }
    if out.is_for_programs() {
        documents.retain(|document| document != &Document::Null);
        out.documents(documents)?;
    } else {
        out.print(&text)?;
    }
    if instances.len() == 1 && failures.len() == 1 {
        let (name, failure) = failures.swap_remove(0);
        return Err(failure.of(&name));
    }
    for (name, failure) in &failures {
        note(&format!("{name}: {}", plain(&failure.to_string())));
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::Partial) }
}
