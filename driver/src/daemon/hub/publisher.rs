//! The interface of the loop to the hub: collects what a step publishes, and passes it on at once.

use std::sync::Arc;

use openctrl_core::doors::v2::{Secrets, Templates, render_key_instance};
use openctrl_core::event::{self, EventKind, LogRun};
use openctrl_core::ids::{InstanceId, KeyEpoch};
use openctrl_core::instance::InstanceView;
use openctrl_core::master::MasterFace;
use openctrl_core::stream::Stream;
use openctrl_core::time::{Now, Time, Wall};

use super::Hub;
use super::block::{Event, Item, Lines, Object};

/// How long events wait for others to be written with them while there are many. A write costs as
/// much as encoding a dozen events, and this is far below what anybody notices.
const PACE_MS: u64 = 4;

/// How many wakes do not wait after a pause: in a quiet stream, none does.
const BURST: u64 = 8;

/// The publisher of the loop. Clients see published data at the latest at the next
/// [`Publisher::flush`].
#[derive(Debug)]
pub(crate) struct Publisher {
    hub: Arc<Hub>,
    /// The parts that are rendered once for each definition, not for each event.
    templates: Templates,
    pending: Vec<Item>,
    /// Each wake moves this by the pace, and the next one waits while it is a burst ahead.
    paced_to: Time,
}

impl Publisher {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, templates: Templates::default(), pending: Vec::new(), paced_to: Time::ZERO }
    }

    /// Takes the wall clock in and holds it where it stepped back, so that neither events nor
    /// pictures ever show an earlier time than one before.
    pub(crate) fn advance(&self, now: Now) -> Now {
        Now { wall: self.hub.lock().advance(now.wall), ..now }
    }

    pub(crate) fn show_master(&mut self, face: MasterFace) {
        self.flush();
        self.hub.lock().set_face(face);
    }

    pub(crate) fn show_instance(&mut self, view: InstanceView) {
        self.flush();
        let object = self.templates.object(view);
        self.hub.lock().set_instance(object);
    }

    /// Adds an event to the stream and applies it to the data for reads.
    pub(crate) fn publish(&mut self, event: event::Event) {
        let event::Event { id, time, kind, object } = event;
        let object = match object {
            event::Object::Key(master) => Object::Key {
                json: render_key_instance(&master, Secrets::Shown),
                masked: render_key_instance(&master, Secrets::Masked),
            },
            event::Object::Instance(view) => {
                let id = view.definition.id;
                let object = self.templates.object(view);
                if kind == EventKind::Delete {
                    self.templates.forget(id);
                }
                Object::Instance(object)
            }
        };
        self.pending.push(Item::Event(Event { id, time, kind, object }));
    }

    /// Adds lines of output to the stream.
    pub(crate) fn publish_logs(&mut self, run: LogRun) {
        let object = self.templates.object(run.view.clone());
        Item::Logs(Lines::new(run, object)).split(|piece| self.pending.push(piece));
    }

    /// Shows the unfinished line of a stream of an instance; an empty text means that there is none
    /// any more.
    pub(crate) fn show_unfinished(&mut self, of: (InstanceId, Stream), time: Wall, text: &str) {
        self.flush();
        self.hub.lock().asides.set(of, time, text);
    }

    /// Ends streams opened before `keep_from`, or all; each receives a `shutdown` event.
    pub(crate) fn close_streams(&mut self, keep_from: Option<KeyEpoch>, time: Wall) {
        self.flush();
        self.hub.lock().close(keep_from, time);
    }

    /// Makes published data visible. An answer comes after it, so that a client reads its own
    /// writes.
    pub(crate) fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.hub.lock().take_in(&mut self.pending);
        }
    }

    /// Wakes the streams for new data; returns when to do so again if it is too early.
    pub(crate) fn wake(&mut self, now: Time) -> Option<Time> {
        self.flush();
        let mut state = self.hub.lock();
        if !state.has_news() {
            return None;
        }
        let paid = now.after_ms((BURST - 1) * PACE_MS);
        let early = self.paced_to.as_micros().saturating_sub(paid.as_micros());
        if early > 0 && !state.is_closing() {
            return Some(Time::from_micros(now.as_micros() + early));
        }
        self.paced_to = self.paced_to.max(now).after_ms(PACE_MS);
        let wakers = state.take_wakers();
        drop(state);
        wakers.into_iter().for_each(std::task::Waker::wake);
        None
    }
}
