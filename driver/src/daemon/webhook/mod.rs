//! Sends reports to webhooks. What is reported, when, and when it is tried again, is the engine's
//! decision.

mod board;
mod send;
mod signature;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openctrl_core::doors::webhook_body;
use openctrl_core::engine::Input;
use openctrl_core::occasion::Occasions;
use openctrl_core::url::WebhookOptions;
use openctrl_core::webhook::{Delivery, DeliveryResult, HookId, HookShown};
use tokio::time::timeout;

pub(crate) use self::board::Board;
use self::send::{Target, post};
use self::signature::{Key, SIGNATURE};
use crate::daemon::inbox::{Mailbox, Notice};
use crate::runtime::SecretSource;

/// How long a try may take, from the look-up of the name to the head of the answer.
const TRY: Duration = Duration::from_secs(10);

/// The receivers of reports.
#[derive(Debug)]
pub(crate) struct Webhooks {
    targets: Vec<Arc<Target>>,
    key: Option<Arc<Key>>,
    events: Occasions,
    board: Arc<Board>,
}

/// Why the master cannot report to its webhooks.
#[derive(Debug)]
pub(crate) enum WebhookError {
    /// The secret at this place cannot be read, for this reason.
    Secret(String, String),
    /// The machine has no certificate authorities, so no certificate of a receiver can be verified.
    NoAuthorities,
    /// No request can be sent to the URL with this number, for this reason.
    Url(usize, String),
}

impl Webhooks {
    /// Reads the secret and, if a receiver needs them, the certificate authorities of the system.
    ///
    /// # Errors
    /// What cannot be read.
    pub(crate) fn new(options: &WebhookOptions) -> Result<Self, WebhookError> {
        let key = options.secret.as_deref().map(read_key).transpose()?.map(Arc::new);
        let is_secure =
            |url: &str| url.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("https:"));
        let config = if options.urls.iter().any(|url| is_secure(url.reveal())) {
            Some(send::authorities().ok_or(WebhookError::NoAuthorities)?)
        } else {
            None
        };
        let target = |(place, url)| {
            Target::new(url, config.clone())
                .map(Arc::new)
                .map_err(|reason| WebhookError::Url(place + 1, reason))
        };
        let targets = options.urls.iter().enumerate().map(target).collect::<Result<Vec<_>, _>>()?;
        let board = Arc::new(Board::new(targets.iter().map(|target| target.to_string())));
        Ok(Self { targets, key, events: options.events, board })
    }

    /// The webhooks as an input of the engine.
    pub(crate) fn configured(&self) -> Input {
        Input::WebhooksConfigured { hooks: vec![self.events; self.targets.len()] }
    }

    /// Their states, as operators see them.
    pub(crate) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Shows operators the state of one.
    pub(crate) fn show(&self, hook: HookId, shown: HookShown) {
        self.board.show(usize::from(hook.0), shown);
    }

    /// Tries to deliver a report, and reports how that ended.
    pub(crate) fn deliver(&self, hook: HookId, delivery: &Delivery, mailbox: Mailbox) {
        let (target, key) = (self.targets.get(usize::from(hook.0)).cloned(), self.key.clone());
        let (id, event, body) = (delivery.id, delivery.occasion, webhook_body(delivery));
        tokio::spawn(async move {
            let result = match target {
                None => DeliveryResult::Failed("the master has no such webhook".to_owned()),
                Some(target) => {
                    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
                    let seconds = seconds.map_or(0, |time| time.as_secs());
                    let signature = key.map(|key| key.sign(seconds, &body));
                    let mut headers = vec![
                        ("x-openctrl-event", event.as_str().to_owned()),
                        ("x-openctrl-delivery", id.to_string()),
                    ];
                    headers.extend(signature.map(|signature| (SIGNATURE, signature)));
                    match timeout(TRY, post(&target, &headers, body)).await {
                        Ok(Ok(status)) => DeliveryResult::Answered(status),
                        Ok(Err(reason)) => DeliveryResult::Failed(reason),
                        Err(_) => {
                            let seconds = TRY.as_secs();
                            DeliveryResult::Failed(format!("no answer within {seconds} s"))
                        }
                    }
                }
            };
            mailbox.fact(Notice::Fact(Input::DeliveryEnded { hook, delivery: id, result }));
        });
    }
}

fn read_key(place: &str) -> Result<Key, WebhookError> {
    let failed = |reason: String| WebhookError::Secret(place.to_owned(), reason);
    let source = SecretSource::parse(place).ok_or_else(|| failed("not a place".to_owned()))?;
    let secret = source.read().map_err(failed)?;
    if secret.is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    Ok(Key::new(secret.as_encoded_bytes()))
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(place, reason) => {
                write!(f, "webhook_secret: cannot read {place}: {reason}")
            }
            Self::NoAuthorities => f.write_str(
                "webhook: this machine has no certificate authorities, so https:// cannot be \
                 verified; install ca-certificates or set SSL_CERT_FILE",
            ),
            Self::Url(place, reason) => write!(f, "bad webhook {place}: {reason}"),
        }
    }
}

impl std::error::Error for WebhookError {}
