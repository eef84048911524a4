//! The output of a demo and its exit. Owns the timeline and the counters; output and signals are
//! parameters, and time is tokio's, so that a test can play a minute at once.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::signals::Stop;
use super::spec::Spec;

/// Plays `spec` into `out` and returns the exit status; an error is one of `out`.
pub(super) async fn play(
    spec: &Spec,
    out: &mut impl Write,
    mut next_stop: impl AsyncFnMut() -> Stop,
) -> io::Result<u8> {
    let mut player = Player::new(spec, out);
    loop {
        let step = tokio::select! {
            // In this order, so that what falls on one instant has one outcome.
            biased;
            stop = next_stop() => Step::Stop(stop),
            step = player.timeline.next() => step,
        };
        if let Some(code) = player.take(step)? {
            return Ok(code);
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Stop(Stop),
    Exit,
    Silence,
    Error,
    Tick,
}

/// The moments still to come.
struct Timeline {
    exit_at: Option<Instant>,
    silent_at: Option<Instant>,
    error_at: Option<Instant>,
    ticks: Interval,
}

impl Timeline {
    fn new(spec: &Spec) -> Self {
        let ready = Instant::now() + spec.start_delay;
        let at = |after: Option<Duration>| after.map(|after| ready + after);
        let mut ticks = interval_at(ready, spec.every);
        // After a wait on a full pipe: carry on, do not make up for it.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            exit_at: at(spec.exit_after),
            silent_at: at(spec.silent_after),
            error_at: at(spec.error_after),
            ticks,
        }
    }

    async fn next(&mut self) -> Step {
        tokio::select! {
            biased;
            () = due(self.exit_at) => Step::Exit,
            () = due(self.silent_at) => { self.silent_at = None; Step::Silence }
            _ = self.ticks.tick() => Step::Tick,
            // Last: a checkpoint of the same instant would take the error back at once.
            () = due(self.error_at) => { self.error_at = None; Step::Error }
        }
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Player<'a, W> {
    spec: &'a Spec,
    out: &'a mut W,
    timeline: Timeline,
    silent: bool,
    ticks_done: u64,
}

impl<'a, W: Write> Player<'a, W> {
    fn new(spec: &'a Spec, out: &'a mut W) -> Self {
        Self { spec, out, timeline: Timeline::new(spec), silent: false, ticks_done: 0 }
    }

    /// Carries one step out; `Some` is the exit status of the last one.
    fn take(&mut self, step: Step) -> io::Result<Option<u8>> {
        match step {
            Step::Stop(Stop::Terminate) if self.spec.ignore_term => {
                self.print(&self.line("TERM ignored"), false)?;
                Ok(None)
            }
            Step::Stop(Stop::Terminate) => self.finish("ending on TERM", 0).map(Some),
            Step::Stop(Stop::Interrupt) => self.finish("ending on interrupt", 0).map(Some),
            Step::Exit => {
                let code = self.spec.exit;
                self.finish(&format!("exiting with status {code}"), code).map(Some)
            }
            Step::Silence => {
                self.print(&self.line("silent from now on"), false)?;
                self.silent = true;
                Ok(None)
            }
            Step::Error => {
                self.print(&self.line("ERROR, as error_after asked"), false)?;
                Ok(None)
            }
            Step::Tick => {
                let text = match &self.spec.log {
                    Some(log) => log.clone(),
                    None => self.line(&format!("tick {}", self.ticks_done)),
                };
                self.print(&text, true)?;
                self.ticks_done += 1;
                Ok(None)
            }
        }
    }

    fn line(&self, what: &str) -> String {
        format!("demo {}: {what}", self.spec.name)
    }

    /// The last words come even from a silent demo: they show that the stop was heard.
    fn finish(&mut self, what: &str, code: u8) -> io::Result<u8> {
        self.silent = false;
        self.print(&self.line(what), true)?;
        Ok(code)
    }

    /// Prints a line, and the checkpoint that goes with it, in one write so that nothing tears them.
    fn print(&mut self, line: &str, with_checkpoint: bool) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let mut text = format!("{line}\n");
        if with_checkpoint && self.spec.checkpoints {
            let checkpoint = Checkpoint(self.ticks_done);
            writeln!(text, "{checkpoint}").expect("a string takes any text");
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// The n-th checkpoint, in the exact form of Contract §7: gauges that move, counters that grow.
struct Checkpoint(u64);

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n = self.0;
        let bytes = |each: u64| n.saturating_mul(each);
        write!(f, "CHECK_POINT|MODE=1|PING={}ms|POOL=4", 10 + n % 5)?;
        write!(f, "|TCPS={}|UDPS={}", n % 8, n % 3)?;
        write!(f, "|TCPRX={}|TCPTX={}", bytes(1024), bytes(4096))?;
        write!(f, "|UDPRX={}|UDPTX={}", bytes(256), bytes(512))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    fn spec(query: &str) -> Spec {
        let url = format!("demo://web?{query}");
        Spec::parse(&super::super::super::parse(&url).expect("a URL")).expect("a valid demo")
    }

    /// Plays in paused time: only the timers move the clock.
    async fn played(query: &str) -> (String, u8) {
        let mut out = Vec::new();
        let code = play(&spec(query), &mut out, pending).await.expect("memory takes all output");
        (String::from_utf8(out).expect("text"), code)
    }

    #[tokio::test(start_paused = true)]
    async fn counters_grow_from_zero_until_the_exit() {
        let (out, code) = played("exit_after=1500ms&exit=3&start_delay=5s").await;
        assert_eq!(code, 3);
        assert_eq!(
            out,
            "demo web: tick 0\n\
             CHECK_POINT|MODE=1|PING=10ms|POOL=4|TCPS=0|UDPS=0|TCPRX=0|TCPTX=0|UDPRX=0|UDPTX=0\n\
             demo web: tick 1\n\
             CHECK_POINT|MODE=1|PING=11ms|POOL=4|TCPS=1|UDPS=1|TCPRX=1024|TCPTX=4096|UDPRX=256|UDPTX=512\n\
             demo web: exiting with status 3\n\
             CHECK_POINT|MODE=1|PING=12ms|POOL=4|TCPS=2|UDPS=2|TCPRX=2048|TCPTX=8192|UDPRX=512|UDPTX=1024\n"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_comes_once_and_after_the_tick_of_its_instant() {
        let (out, code) =
            played("checkpoints=off&log=x&error_after=1s&exit_after=2500ms&every=1s").await;
        assert_eq!(code, 0);
        let error = "demo web: ERROR, as error_after asked\n";
        assert_eq!(out, format!("x\nx\n{error}x\ndemo web: exiting with status 0\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_demo_lives_on_and_says_only_the_last_words() {
        let start = Instant::now();
        let (out, _) =
            played("checkpoints=off&silent_after=1s&error_after=3s&exit_after=1m&every=400ms")
                .await;
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        let lines = ["tick 0", "tick 1", "tick 2", "silent from now on", "exiting with status 0"];
        assert_eq!(out, lines.map(|line| format!("demo web: {line}\n")).concat());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_it_at_once_unless_ignored() {
        let stops = |query: &'static str, stops: &'static [Stop]| async move {
            let (mut out, mut stops) = (Vec::new(), stops.iter());
            let next = async || match stops.next() {
                Some(stop) => *stop,
                None => pending().await,
            };
            let code = play(&spec(query), &mut out, next).await.expect("memory takes all output");
            (String::from_utf8(out).expect("text"), code)
        };
        let plain = stops("checkpoints=off", &[Stop::Terminate]).await;
        assert_eq!(plain, ("demo web: ending on TERM\n".to_owned(), 0));
        let stubborn = stops("checkpoints=off&ignore_term=1", &[Stop::Terminate, Stop::Interrupt]);
        let want = "demo web: TERM ignored\ndemo web: ending on interrupt\n";
        assert_eq!(stubborn.await, (want.to_owned(), 0));
    }

    #[tokio::test]
    async fn a_closed_output_is_an_error_of_the_output() {
        let mut closed: &mut [u8] = &mut [];
        let got = play(&spec("every=1ms"), &mut closed, pending).await;
        assert_eq!(got.expect_err("nothing fits").kind(), io::ErrorKind::WriteZero);
    }
}
