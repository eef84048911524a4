//! The same on systems without epoll: a task for each listener.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use openctrl_core::ids::InstanceId;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

type Accepted = io::Result<(InstanceId, UnixStream)>;

#[derive(Debug)]
pub(super) struct Listeners {
    runtime: Handle,
    accepted: Mutex<Receiver<Accepted>>,
    to: Sender<Accepted>,
}

#[derive(Debug)]
pub(super) struct Listening(JoinHandle<()>);

impl Listeners {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let (to, accepted) = mpsc::channel(1);
        let (runtime, accepted) = (Handle::current(), Mutex::new(accepted));
        Ok(Arc::new(Self { runtime, accepted, to }))
    }

    pub(super) fn add(
        self: &Arc<Self>,
        instance: InstanceId,
        listener: UnixListener,
    ) -> io::Result<Listening> {
        let _entered = self.runtime.enter();
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let to = self.to.clone();
        Ok(Listening(self.runtime.spawn(async move {
            loop {
                let accepted = listener.accept().await.map(|(stream, _)| (instance, stream));
                if to.send(accepted).await.is_err() {
                    return;
                }
            }
        })))
    }

    pub(super) async fn accept(&self) -> Accepted {
        let accepted = self.accepted.lock().await.recv().await;
        accepted.expect("this has the other end")
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}
