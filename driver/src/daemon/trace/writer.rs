//! The thread that encodes inputs and writes them. Its errors do not affect the master: they are
//! reported once, and it retries later.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use openctrl_core::engine::{Contradiction, Input};
use openctrl_core::time::Now;
use openctrl_core::trace::{Digest, End, EndReason, Header};

use super::files;
use super::queue::{Begin, Message, Queue, Wish};
use super::segment::{Destination, Refused, Segment};

/// How long a directory that could not be written is left alone.
const RETRY: Duration = Duration::from_secs(60);

/// The thread's own.
pub(super) struct Writer {
    to: Destination,
    queue: Arc<Queue>,
    segment: Option<Segment>,
    sequence: u32,
    retry_at: Option<Instant>,
    has_warned: bool,
    /// Whether the next segment was requested.
    has_asked: bool,
}

impl Writer {
    /// A queue for what goes to `to`.
    pub(super) fn queue(to: &Destination) -> Arc<Queue> {
        // A quarter of a segment: the collected messages must fit in the rest of one.
        let wake_bytes = usize::try_from(to.total_bytes / 32).unwrap_or(usize::MAX);
        Arc::new(Queue::new(wake_bytes))
    }

    /// Starts the thread.
    pub(super) fn start(to: Destination, queue: Arc<Queue>) -> io::Result<()> {
        let writer = Self::new(to, queue);
        thread::Builder::new().name("trace".to_owned()).spawn(move || writer.run())?;
        Ok(())
    }

    fn new(to: Destination, queue: Arc<Queue>) -> Self {
        Self {
            to,
            queue,
            segment: None,
            sequence: 0,
            retry_at: None,
            has_warned: false,
            has_asked: false,
        }
    }

    fn run(mut self) {
        // Also if this panics: the loop stops passing inputs, and no thread waits.
        let _done = Done(Arc::clone(&self.queue));
        let mut messages = Vec::new();
        loop {
            let taken = self.queue.take(&mut messages, self.retry_at);
            for message in messages.drain(..) {
                self.record(message);
            }
            self.write();
            // The head of a block, or a fingerprint, may have been what filled it.
            self.ask_for_next();
            if taken.is_closed {
                return;
            }
            if taken.was_full || self.retry_at.is_some_and(|at| at <= Instant::now()) {
                self.retry_at = None;
                self.queue.wish_for(Wish::Segment);
            }
        }
    }

    fn record(&mut self, message: Message) {
        match (message, &mut self.segment) {
            (Message::Begin(begin), _) => self.begin(*begin),
            (Message::Keep(found), None) => report(&found),
            // Some may have been pending when a write failed.
            (_, None) => {}
            (Message::Output { now, effects, process, batch }, Some(_)) => {
                self.input(now, effects, &Input::OutputRead { process, batch });
            }
            (Message::Input { now, effects, input }, Some(_)) => self.input(now, effects, &input),
            (Message::State(fingerprint), Some(segment)) => segment.state(fingerprint),
            (Message::Control { now, effects, input }, Some(segment)) => {
                segment.control(now, effects, &input);
                self.ask_for_next();
            }
            (Message::Followed { effects, pids }, Some(segment)) => {
                segment.followed(effects, &pids);
            }
            (Message::ControlState(fingerprint), Some(segment)) => {
                segment.control_state(fingerprint);
            }
            (Message::Keep(found), Some(segment)) => keep(segment, &found),
            (Message::End(end), Some(_)) => self.end(*end),
        }
    }

    fn input(&mut self, now: Now, effects: Digest, input: &Input) {
        let Some(segment) = &mut self.segment else { return };
        segment.input(now, effects, input);
        self.ask_for_next();
    }

    /// Requests the next segment in time, once, whatever filled this one.
    fn ask_for_next(&mut self) {
        let is_nearly_full = self.segment.as_ref().is_some_and(Segment::is_nearly_full);
        if is_nearly_full && !std::mem::replace(&mut self.has_asked, true) {
            self.queue.wish_for(Wish::Segment);
        }
    }

    fn begin(&mut self, Begin { end, now, engine, control }: Begin) {
        let state = (end.why == EndReason::Continued).then(|| engine.fingerprint());
        self.end(End { state, ..end });
        self.sequence += 1;
        let header = Header {
            product: self.to.product.clone(),
            boot: self.to.boot,
            sequence: self.sequence,
            started: now,
            has_text: self.to.has_text,
        };
        match Segment::begin(&self.to, &header, &engine, control.as_ref()) {
            Ok(segment) => {
                self.queue.begun(segment.path.clone());
                self.has_asked = false;
                self.segment = Some(segment);
            }
            Err(Refused::Io(error)) => self.pause(&error),
            Err(Refused::TooLarge(bytes)) => {
                let size = self.to.total_bytes / (1024 * 1024);
                self.pause(&format_args!(
                    "the state alone takes {bytes} bytes; trace_size={size} is too small for it"
                ));
            }
        }
    }

    fn write(&mut self) {
        if let Some(segment) = self.segment.take_if(|segment| segment.is_displaced()) {
            let path = segment.path.display();
            tracing::warn!(
                "Master.trace: {path} was removed or renamed; recording continues in another file"
            );
            self.has_asked = true;
            self.queue.wish_for(Wish::Segment);
        }
        if let Some(Err(error)) = self.segment.as_mut().map(Segment::write) {
            self.pause(&error);
        }
    }

    fn end(&mut self, end: End) {
        if let Some(Err(error)) = self.segment.take().map(|segment| segment.end(end)) {
            self.pause(&error);
        }
    }

    /// Wants nothing for a while. Only the first time is worth a line in the log.
    fn pause(&mut self, reason: &dyn fmt::Display) {
        self.segment = None;
        self.queue.wish_for(Wish::Nothing);
        self.retry_at = Some(Instant::now() + RETRY);
        if !std::mem::replace(&mut self.has_warned, true) {
            let directory = self.to.directory.display();
            tracing::warn!(
                "Master.trace: cannot record in {directory}: {reason}; retrying; trace=off turns recording off"
            );
        }
    }
}

/// Keeps the segment that led to a contradiction, and reports that.
fn keep(segment: &Segment, found: &Contradiction) {
    match files::keep(&segment.path) {
        Ok(kept) => tracing::error!(
            "Master.check: {found}; the master continues. REPRODUCE: openctrl replay '{}'",
            kept.display()
        ),
        Err(error) => tracing::error!(
            "Master.check: {found}; the master continues. The trace cannot be kept ({error}): copy it before it is removed. REPRODUCE: openctrl replay '{}'",
            segment.path.display()
        ),
    }
}

/// Reports a contradiction of which no trace is left.
pub(super) fn report(found: &Contradiction) {
    tracing::error!("Master.check: {found}; the master continues. No trace was recorded");
}

/// Reports that the thread has ended, for any reason.
struct Done(Arc<Queue>);

impl Drop for Done {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!(
                "Master.trace: recording stopped after a panic; the master keeps running"
            );
        }
        self.0.done();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Loop, destination};
    use super::*;
    use crate::daemon::trace::Recorder;
    use openctrl_core::output::OutputParser;
    use openctrl_core::trace::Digest;
    use tempfile::TempDir;

    /// What fills a segment may be an input, and the head of the block that it is written in.
    #[test]
    fn the_next_segment_is_asked_for_whatever_fills_this_one() {
        let looped = Loop::new(Recorder::default());
        let process = looped.process.expect("it was spawned");
        for lines in 1..=60 {
            let home = TempDir::new().expect("a directory");
            let to = destination(home.path(), 64);
            let mut writer = Writer::new(to.clone(), Writer::queue(&to));
            let end = End { why: EndReason::Continued, effects: None, state: None };
            let (now, engine) = (looped.now, looped.engine.clone());
            let begin = Begin { end, now, engine, control: None };
            writer.record(Message::Begin(Box::new(begin)));
            writer.queue.granted();
            let batch = Arc::new(OutputParser::default().push(&b"x\n".repeat(lines)));
            while writer.segment.as_ref().is_some_and(|segment| !segment.is_nearly_full()) {
                assert!(writer.queue.wish() == Wish::Inputs, "it is not yet time");
                let (now, effects, batch) = (looped.now, Digest::default(), Arc::clone(&batch));
                writer.record(Message::Output { now, effects, process, batch });
                writer.write();
                writer.ask_for_next();
            }
            assert!(writer.queue.wish() == Wish::Segment, "{lines} lines an input");
        }
    }
}
