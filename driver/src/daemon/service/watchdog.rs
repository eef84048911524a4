//! The watchdog of the service manager, fed while the loop works.
//!
//! Only an answer of the loop feeds the watchdog. A loop that hangs or has ended does not answer,
//! and the service manager acts as configured.

use std::time::Duration;
use std::{env, process};

use tokio::time::sleep;

use super::notify::Notifier;
use crate::daemon::inbox::Mailbox;

/// How often the service manager expects a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watchdog {
    interval: Duration,
}

impl Watchdog {
    /// The configuration in the environment; `None` without one for this process.
    pub(crate) fn from_environment() -> Option<Self> {
        let text = |name| env::var(name).ok();
        Self::parse(text("WATCHDOG_USEC").as_deref(), text("WATCHDOG_PID").as_deref())
    }

    fn parse(micros: Option<&str>, pid: Option<&str>) -> Option<Self> {
        if pid.is_some_and(|pid| pid != process::id().to_string()) {
            return None;
        }
        let micros: u64 = micros?.parse().ok().filter(|micros| *micros > 0)?;
        // Half the time, as the protocol recommends: one late answer is no failure.
        Some(Self { interval: Duration::from_micros(micros) / 2 })
    }

    /// Feeds it until the loop has ended.
    pub(crate) async fn feed(self, mailbox: Mailbox, notifier: Notifier) {
        while mailbox.ping().await {
            notifier.alive();
            sleep(self.interval).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::inbox::{Inbox, Notice, inbox};
    use std::os::unix::net::UnixDatagram;
    use tempfile::TempDir;

    /// Handles the inbox as the loop does, once.
    async fn answer(inbox: &mut Inbox) {
        let mut batch = Vec::new();
        inbox.fill(&mut batch).await;
        for notice in batch {
            let Notice::Ping(answer) = notice else { panic!("nothing else is sent") };
            answer.send(()).expect("it is waited for");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_loop_that_answers_feeds_it() {
        let folder = TempDir::new().expect("a temporary directory");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        manager.set_nonblocking(true).expect("set");
        let signs = || {
            let mut bytes = [0; 64];
            std::iter::from_fn(|| manager.recv(&mut bytes).ok()).count()
        };
        let (mailbox, mut inbox) = inbox();
        let watchdog = Watchdog::parse(Some("20000000"), None).expect("20 s");
        let feeding = tokio::spawn(watchdog.feed(mailbox, Notifier::at(&path)));

        sleep(Duration::from_secs(60)).await;
        assert_eq!(signs(), 0, "the loop has not answered yet");
        answer(&mut inbox).await;
        sleep(Duration::from_secs(9)).await;
        assert_eq!(signs(), 1);
        sleep(Duration::from_secs(2)).await;
        answer(&mut inbox).await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(signs(), 1, "again after half the time");
        sleep(Duration::from_secs(600)).await;
        assert_eq!(signs(), 0, "a loop that hangs");
        let mut batch = Vec::new();
        inbox.fill(&mut batch).await;
        assert_eq!(batch.len(), 1, "a loop that hangs is asked once");
        drop((batch, inbox));
        feeding.await.expect("it ends with the loop");
    }

    #[test]
    fn it_is_asked_for_in_microseconds_and_of_one_process() {
        let own = process::id().to_string();
        let want = Some(Watchdog { interval: Duration::from_millis(1500) });
        assert_eq!(Watchdog::parse(Some("3000000"), None), want);
        assert_eq!(Watchdog::parse(Some("3000000"), Some(&own)), want);
        assert_eq!(Watchdog::parse(Some("3000000"), Some("1")), None, "of another process");
        for odd in [None, Some(""), Some("0"), Some("3s"), Some("-1")] {
            assert_eq!(Watchdog::parse(odd, None), None, "{odd:?}");
        }
    }
}
