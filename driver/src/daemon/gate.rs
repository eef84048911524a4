//! A gate for what must pause while the program of the master is replaced: listeners,
//! connections, and readers of output.
//!
//! Whoever works holds a [`Passage`]. A gate that closes asks for the passages back and knows when
//! it has them all; it can be opened again.

use std::sync::Arc;

use tokio::sync::watch;

/// The gate; open at first.
#[derive(Debug)]
pub(crate) struct Gate {
    phase: watch::Sender<Phase>,
}

#[derive(Clone, Debug)]
struct Phase {
    number: u64,
    is_open: bool,
    /// Passages are receivers of this: their number is known.
    passages: Arc<watch::Sender<()>>,
}

/// The right to work until the gate closes.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    phase: watch::Receiver<Phase>,
    number: u64,
    _counted: watch::Receiver<()>,
}

impl Gate {
    /// An open gate.
    pub(crate) fn new() -> Arc<Self> {
        let (phase, _) = watch::channel(Phase {
            number: 0,
            is_open: true,
            passages: Arc::new(watch::channel(()).0),
        });
        Arc::new(Self { phase })
    }

    /// Waits until the gate is open.
    pub(crate) async fn pass(&self) -> Passage {
        let mut phase = self.phase.subscribe();
        let open = phase.wait_for(|phase| phase.is_open).await;
        let open = open.expect("the gate has the other end");
        // Counted before the gate can close: it waits while this is borrowed.
        let (number, counted) = (open.number, open.passages.subscribe());
        drop(open);
        Passage { phase, number, _counted: counted }
    }

    /// Asks for the passages back.
    pub(crate) fn close(&self) {
        self.phase.send_modify(|phase| phase.is_open = false);
    }

    /// Waits until all passages were given back. None is given out while the gate is closed.
    pub(crate) async fn is_clear(&self) {
        let passages = Arc::clone(&self.phase.borrow().passages);
        passages.closed().await;
    }

    /// Lets everyone pass again.
    pub(crate) fn open(&self) {
        self.phase.send_modify(|phase| {
            phase.number += 1;
            phase.is_open = true;
        });
    }
}

impl Passage {
    /// Returns once the gate has closed.
    pub(crate) async fn closed(&mut self) {
        let number = self.number;
        // An error means that the gate is no more.
        let _ = self.phase.wait_for(|phase| !phase.is_open || phase.number != number).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SHORT: Duration = Duration::from_millis(10);

    #[tokio::test(start_paused = true)]
    async fn a_closed_gate_gets_its_passages_back_and_can_be_opened_again() {
        let gate = Gate::new();
        let mut first = gate.pass().await;
        let second = first.clone();
        assert!(timeout(SHORT, first.closed()).await.is_err());
        gate.close();
        first.closed().await;
        drop(first);
        assert!(timeout(SHORT, gate.is_clear()).await.is_err(), "one is out");
        assert!(timeout(SHORT, gate.pass()).await.is_err());
        drop(second);
        gate.is_clear().await;
        gate.open();
        let mut third = gate.pass().await;
        assert!(timeout(SHORT, third.closed()).await.is_err());
        gate.close();
        gate.open();
        third.closed().await;
    }
}
