//! An event stream that reconnects and resumes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::api::Api;
use super::failure::Failure;
use super::stream::{Event, EventStream};

/// The delay before each attempt; the last one repeats.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// An item of the stream.
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
    /// Failed attempts since the stream was open, including its end.
    failures: usize,
}

impl Follower {
    /// A follower of the events after an event, or of all new events.
    pub(crate) fn new(api: &Arc<Api>, last_id: Option<String>) -> Self {
        Self { api: Arc::clone(api), stream: None, last_id, failures: 0 }
    }

    /// The next item. Only errors that a retry cannot solve, such as a wrong key, are failures. The
    /// follower has reached the master before, so an unreachable master is expected to come back.
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
