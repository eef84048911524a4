//! An event stream that is opened again when it breaks, and goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::api::Api;
use super::failure::Failure;
use super::stream::{Event, EventStream};

/// How long to wait before each attempt; the last one for ever.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// What a follower hears.
#[derive(Debug)]
pub(crate) enum Item {
    /// The stream is open, also again.
    Opened,
    /// An event.
    Event(Event),
    /// The stream is not open; it is tried again.
    Lost(String),
}

/// Follows the events of a master.
pub(crate) struct Follower {
    api: Arc<Api>,
    stream: Option<EventStream>,
    last_id: Option<String>,
    /// Attempts that failed since it was open, the end of it included.
    failures: usize,
}

impl Follower {
    /// A follower of what comes after an event, or of everything from now on.
    pub(crate) fn new(api: &Arc<Api>, last_id: Option<String>) -> Self {
        Self { api: Arc::clone(api), stream: None, last_id, failures: 0 }
    }

    /// What comes next. A failure is one that waiting does not mend: of the key. Whoever follows has
    /// reached the master before, so one that cannot be reached is on its way back.
    pub(crate) async fn next(&mut self) -> Result<Item, Failure> {
        if let Some(stream) = &mut self.stream {
            if let Some(event) = stream.next().await {
                if event.id.is_some() {
                    self.last_id.clone_from(&event.id);
                }
                return Ok(Item::Event(event));
            }
            self.stream = None;
            self.failures = 1;
            return Ok(Item::Lost("the connection ended".to_owned()));
        }
        if let Some(last) = self.failures.checked_sub(1) {
            sleep(PAUSES[last.min(PAUSES.len() - 1)]).await;
        }
        match self.api.events(self.last_id.as_deref()).await {
            Ok(stream) => {
                self.stream = Some(stream);
                self.failures = 0;
                Ok(Item::Opened)
            }
            Err(Failure::Unreachable(reason)) => {
                self.failures += 1;
                Ok(Item::Lost(reason))
            }
            Err(failure) => Err(failure),
        }
    }

    /// An event that has come already.
    pub(crate) fn waiting(&mut self) -> Option<Event> {
        let event = self.stream.as_mut()?.waiting()?;
        if event.id.is_some() {
            self.last_id.clone_from(&event.id);
        }
        Some(event)
    }

    /// Follows in a task of its own.
    pub(crate) fn spawn(mut self) -> mpsc::Receiver<Result<Item, Failure>> {
        let (sender, receiver) = mpsc::channel(1024);
        tokio::spawn(async move {
            loop {
                let item = self.next().await;
                let is_last = item.is_err();
                if sender.send(item).await.is_err() || is_last {
                    return;
                }
            }
        });
        receiver
    }
}
