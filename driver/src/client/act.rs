//! Actions on one or several instances: `start`, `stop`, `restart`, `reset`, `delete`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::api::{Api, array, object};
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

/// Requests under way at a time, where each instance has its own: enough that many share one sync of
/// the master's disk.
const AT_A_TIME: usize = 32;

/// How long the reasons of what has timed out may take.
const REASONS: Duration = Duration::from_secs(2);

/// Maximum length of a list of names in a question.
const NAMES_MAX: usize = 3;

/// The action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Starts stopped instances.
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
    let request = Request { method: Method::PATCH, word, action: Some(word) };
    let outcomes = carry_out(api, &instances, &request, goal, &act.waiting).await?;
    let is_over = act.waiting.wait;
    report(out, &instances, outcomes, |after| {
        if is_over { after.status().to_owned() } else { format!("{word} requested") }
    })
}

/// Sets byte counters to 0.
pub(crate) async fn reset(api: &Arc<Api>, out: &Outlet, which: &Which) -> Result<(), Failure> {
    let instances = resolve(api, which).await?;
    let request = Request { method: Method::PATCH, word: "reset", action: Some("reset") };
    let waiting = no_wait(Duration::from_secs(60));
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
    let request = Request { method: Method::DELETE, word: "delete", action: None };
    let waiting = no_wait(question.timeout);
    let outcomes = carry_out(api, &instances, &request, None, &waiting).await?;
    report(out, &instances, outcomes, |_| "deleted".to_owned())
}

/// Waits until new instances run and stay alive; `stream` was opened before they were created.
/// Returns the instances as they are then, or why the first one that failed did.
pub(crate) async fn wait_for_start(
    api: &Api,
    stream: EventStream,
    instances: &[Instance],
    waiting: &Waiting,
) -> Result<Vec<Instance>, Failure> {
    let waiter = |one| (one, Waiter::new(Goal::Running, one));
    wait_for_runs(api, stream, instances.iter().map(waiter).collect(), waiting).await
}

/// As [`wait_for_start`], for instances with waiters of their own.
pub(crate) async fn wait_for_runs(
    api: &Api,
    mut stream: EventStream,
    waiters: Vec<(&Instance, Waiter)>,
    waiting: &Waiting,
) -> Result<Vec<Instance>, Failure> {
    let instances: Vec<&Instance> = waiters.iter().map(|(instance, _)| *instance).collect();
    let mut waits = Waits::new(waiters.into_iter(), waiting.steady);
    let deadline = Instant::now() + waiting.timeout;
    let mut started = Vec::new();
    while started.len() < instances.len() {
        let until = waits.next_steady().unwrap_or(deadline).min(deadline);
        let decided = match timeout_at(until, stream.next()).await {
            Ok(Some(event)) => {
                let mut decided: Vec<_> = waits.hear(&event).into_iter().collect();
                decided.extend(waits.ask_ready(api).await?);
                decided
            }
            Ok(None) => return Err(stream_ended()),
            Err(_) if Instant::now() >= deadline => {
                let late = waits.waiters.keys().min().cloned().unwrap_or_default();
                let reasons = reasons(api).await;
                return Err(not_in_time(waiting.timeout, reasons.get(&late)));
            }
            Err(_) => waits.steady_by(Instant::now()),
        };
        for (id, outcome) in decided {
            match outcome {
                Outcome::Done(after) => started.push(after),
                Outcome::Failed(failure) => {
                    let found = instances.iter().find(|one| one.id() == id);
                    let name = found.map(|instance| instance.name());
                    return Err(failure.of(&plain(&name.unwrap_or(id))));
                }
            }
        }
    }
    Ok(started)
}

const fn no_wait(timeout: Duration) -> Waiting {
    Waiting { wait: false, steady: Duration::ZERO, timeout }
}

fn stream_ended() -> Failure {
    Failure::Unreachable(
        "the master closed the event stream; the request is still being carried out".to_owned(),
    )
}

/// Why each instance is in its status, by id. Empty on older masters, and if the master does not
/// answer soon: the time is over already.
async fn reasons(api: &Api) -> HashMap<String, String> {
    let asked = timeout(REASONS, api.rows_if_known("/processes", &["id", "reason"])).await;
    let processes = asked.ok().and_then(Result::ok).flatten().unwrap_or_default();
    let reason =
        |one: &Document| (one.at("id").text().to_owned(), one.at("reason").text().to_owned());
    processes.iter().map(reason).collect()
}

fn not_in_time(patience: Duration, reason: Option<&String>) -> Failure {
    let seconds = patience.as_secs_f32();
    let reason = reason.filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
    Failure::TimedOut(format!(
        "timed out after {seconds} s{reason}; the request is still being carried out (see --timeout)"
    ))
}

/// The request for each instance.
struct Request {
    method: Method,
    word: &'static str,
    action: Option<&'static str>,
}

impl Request {
    /// The action for an instance. `start` has no effect on one in error, but a user who writes it
    /// means "retry now".
    fn body(&self, instance: &Instance) -> Option<String> {
        let action = match self.action? {
            "start" if instance.status() == "error" => "restart",
            action => action,
        };
        Some(object(&[("action", Some(action))]))
    }

    /// The condition to wait for.
    fn goal(goal: Goal, instance: &Instance) -> Goal {
        let is_again = goal == Goal::Running && instance.status() == "error";
        if is_again { Goal::RunningAgain } else { goal }
    }
}

/// The instances that are waited for.
struct Waits {
    waiters: HashMap<String, Waiter>,
    /// Those that run, with the time until which they have to.
    steady: HashMap<String, (Instant, Instance)>,
    /// Those that run and are not known to be ready by their rule.
    unready: HashMap<String, Instance>,
    /// Those of them of which there is news.
    news: Vec<String>,
    hold: Duration,
}

impl Waits {
    fn new<'a>(waiters: impl Iterator<Item = (&'a Instance, Waiter)>, hold: Duration) -> Self {
        Self {
            waiters: waiters.map(|(one, waiter)| (one.id().to_owned(), waiter)).collect(),
            steady: HashMap::new(),
            unready: HashMap::new(),
            news: Vec::new(),
            hold,
        }
    }

    /// Asks whether instances are ready of which there is news; those that are, are decided.
    async fn ask_ready(&mut self, api: &Api) -> Result<Vec<(String, Outcome)>, Failure> {
        let mut decided = Vec::new();
        for id in std::mem::take(&mut self.news) {
            let process = api.get_if_known(&format!("/instances/{id}/process")).await?;
            // A master that does not know of readiness has no rule for it either.
            let is_ready = process.is_none_or(|it| it.at("ready") != &Document::Bool(false));
            if is_ready && let Some(instance) = self.unready.remove(&id) {
                self.forget(&id);
                decided.push((id, Outcome::Done(instance)));
            }
        }
        Ok(decided)
    }

    /// The id of an instance that is decided by an event.
    fn hear(&mut self, event: &Event) -> Option<(String, Outcome)> {
        if event.is_gap() {
            self.waiters.values_mut().for_each(Waiter::forgive);
            return None;
        }
        let word = event.word()?;
        let id = word.instance.id().to_owned();
        let waiter = self.waiters.get_mut(&id)?;
        if self.unready.contains_key(&id) {
            let Some(reason) = waiter.falls(&word) else {
                let is_update = word.kind != "log";
                self.news.extend(is_update.then_some(id));
                return None;
            };
            self.forget(&id);
            return Some((id, Outcome::Failed(Failure::Refused(reason))));
        }
        if self.steady.contains_key(&id) {
            let reason = waiter.falls(&word)?;
            self.forget(&id);
            return Some((id, Outcome::Failed(Failure::Refused(reason))));
        }
        match waiter.hear(&word)? {
            Verdict::Reached if waiter.is_start() && word.instance.has_ready_rule() => {
                self.news.push(id.clone());
                self.unready.insert(id, word.instance);
                None
            }
            Verdict::Reached if waiter.is_start() && !self.hold.is_zero() => {
                self.steady.insert(id, (Instant::now() + self.hold, word.instance));
                None
            }
            Verdict::Reached => {
                self.forget(&id);
                Some((id, Outcome::Done(word.instance)))
            }
            Verdict::Failed(reason) => {
                self.forget(&id);
                Some((id, Outcome::Failed(Failure::Refused(reason))))
            }
        }
    }

    /// When the next instance has run for long enough.
    fn next_steady(&self) -> Option<Instant> {
        self.steady.values().map(|(until, _)| *until).min()
    }

    /// The instances that have run for long enough.
    fn steady_by(&mut self, now: Instant) -> Vec<(String, Outcome)> {
        let due = self.steady.extract_if(|_, (until, _)| *until <= now);
        let due: Vec<(String, Outcome)> =
            due.map(|(id, (_, instance))| (id, Outcome::Done(instance))).collect();
        for (id, _) in &due {
            self.waiters.remove(id);
        }
        due
    }

    fn forget(&mut self, id: &str) {
        self.waiters.remove(id);
        self.steady.remove(id);
        self.unready.remove(id);
    }
}

/// Asks for all, some at a time, and waits for the goal.
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
    let waiters =
        |goal| instances.iter().map(move |one| (one, Waiter::new(Request::goal(goal, one), one)));
    let mut waits = goal.map(|goal| Waits::new(waiters(goal), waiting.steady));
    let mut answers = ask(api, instances, request, waiting.timeout).await?;
    let mut outcomes = HashMap::new();
    let mut progress = Progress::new(request.word, instances.len());
    let mut answered = 0;
    while outcomes.len() < instances.len() {
        progress.at(if goal.is_some() { outcomes.len() } else { answered });
        let next = waits.as_ref().and_then(Waits::next_steady).unwrap_or(deadline).min(deadline);
        tokio::select! {
            Some(joined) = answers.join_next() => {
                for (id, result) in joined.expect("no request panics")? {
                    answered += 1;
                    match result {
                        Ok(_) if waits.is_some() => {}
                        Ok(after) => {
                            outcomes.insert(id, Outcome::Done(Instance::new(after)));
                        }
                        // The others would fail in the same way.
                        Err(failure @ (Failure::Unreachable(_) | Failure::Key(_))) => {
                            return Err(failure);
                        }
                        Err(failure) => { outcomes.insert(id, Outcome::Failed(failure)); }
                    }
                }
            }
            event = next_of(&mut stream), if stream.is_some() => match (event, &mut waits) {
                (Some(event), Some(waits)) => {
                    let decided = waits.hear(&event);
                    for (id, outcome) in decided.into_iter().chain(waits.ask_ready(api).await?) {
                        outcomes.entry(id).or_insert(outcome);
                    }
                }
                (Some(_), None) => {}
                (None, _) => return Err(stream_ended()),
            },
            () = tokio::time::sleep_until(next), if goal.is_some() && Instant::now() < deadline => {
                let steady = waits.as_mut().map(|waits| waits.steady_by(Instant::now()));
                for (id, outcome) in steady.into_iter().flatten() {
                    outcomes.entry(id).or_insert(outcome);
                }
            }
            () = tokio::time::sleep_until(deadline), if goal.is_some() => {
                let reasons = reasons(api).await;
                for instance in instances {
                    let reason = reasons.get(instance.id());
                    let late = || Outcome::Failed(not_in_time(waiting.timeout, reason));
                    outcomes.entry(instance.id().to_owned()).or_insert_with(late);
                }
            }
        }
    }
    // A verdict may come before the answer to its request; none is left unasked.
    while let Some(joined) = answers.join_next().await {
        for (id, result) in joined.expect("no request panics")? {
            if let Err(failure) = result {
                outcomes.insert(id, Outcome::Failed(failure));
            }
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

/// The answer for each instance that a request was about.
type Answered = Vec<(String, Result<Document, Failure>)>;
type Answers = JoinSet<Result<Answered, Failure>>;

/// Asks for several with one request, which the master carries out whether or not this program goes
/// on; for one alone, and on older masters, with a request for each.
async fn ask(
    api: &Arc<Api>,
    instances: &[Instance],
    request: &Request,
    patience: Duration,
) -> Result<Answers, Failure> {
    let mut answers = JoinSet::new();
    if let Some(word) = request.action.filter(|_| instances.len() > 1)
        && let Some(answered) = ask_together(api, instances, word, patience).await?
    {
        answers.spawn(async move { Ok(answered) });
        return Ok(answers);
    }
    ask_each(&mut answers, api, instances, request, patience);
    Ok(answers)
}

/// `None` on a master that has no such request.
async fn ask_together(
    api: &Api,
    instances: &[Instance],
    word: &'static str,
    patience: Duration,
) -> Result<Option<Answered>, Failure> {
    let ids = array(instances.iter().map(Instance::id));
    let body = format!(r#"{{"action":"{word}","ids":{ids}}}"#);
    let answer = api.change_if_known(Method::POST, "/actions", &body, patience).await?;
    let Some(answer) = answer else { return Ok(None) };
    let now = api.instances().await?.into_iter();
    let mut now: HashMap<String, Document> =
        now.map(|one| (one.id().to_owned(), one.into_document())).collect();
    let answered = answer.at("results").items().iter().map(|result| {
        let id = result.at("id").text().to_owned();
        let after = match result.at("error").text() {
            "" => Ok(now.remove(&id).unwrap_or(Document::Null)),
            error => Err(Failure::Refused(error.to_owned())),
        };
        (id, after)
    });
    Ok(Some(answered.collect()))
}

fn ask_each(
    answers: &mut Answers,
    api: &Arc<Api>,
    instances: &[Instance],
    request: &Request,
    patience: Duration,
) {
    let gate = Arc::new(Semaphore::new(AT_A_TIME));
    for instance in instances {
        let (api, gate, id) = (Arc::clone(api), Arc::clone(&gate), instance.id().to_owned());
        let (method, body) = (request.method.clone(), request.body(instance));
        answers.spawn(async move {
            let _permit = gate.acquire().await;
            let path = format!("/instances/{id}");
            let answer = api.change_slowly(method, &path, body.as_deref(), patience).await;
            Ok(vec![(id, answer)])
        });
    }
}

/// Reports the result of each instance, in order.
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
