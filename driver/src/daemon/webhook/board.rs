//! What operators see of webhooks: counts for metrics, whether one fails, and lines of the log.

use std::sync::{Mutex, PoisonError};

use openctrl_core::webhook::HookShown;

/// All webhooks of the master.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Each with what is shown of its URL.
    hooks: Mutex<Vec<(String, HookShown)>>,
}

impl Board {
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        Self { hooks: Mutex::new(names.map(|name| (name, HookShown::default())).collect()) }
    }

    /// Takes what is shown of a webhook now, and logs what an operator should know.
    pub(super) fn show(&self, place: usize, shown: HookShown) {
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((name, before)) = hooks.get_mut(place) else { return };
        let before = std::mem::replace(before, shown.clone());
        if let Some(news) = news(&before, &shown) {
            let number = place + 1;
            match news {
                News::Bad(text) => {
                    tracing::warn!("Master.webhook: webhook {number} ({name}): {text}")
                }
                News::Good(text) => {
                    tracing::info!("Master.webhook: webhook {number} ({name}): {text}");
                }
            }
        }
    }

    /// What is shown of each.
    pub(crate) fn all(&self) -> Vec<HookShown> {
        let hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.iter().map(|(_, shown)| shown.clone()).collect()
    }

    /// Whether one fails; `None` without webhooks.
    pub(crate) fn fails(&self) -> Option<bool> {
        let hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        let has_failed = hooks.iter().any(|(_, shown)| shown.failure.is_some());
        (!hooks.is_empty()).then_some(has_failed)
    }
}

enum News {
    Good(String),
    Bad(String),
}

/// What an operator should know: each fact once, not each try.
fn news(before: &HookShown, now: &HookShown) -> Option<News> {
    let HookShown { failed, discarded, failure, .. } = now;
    match (&before.failure, failure) {
        (_, Some(reason)) if *failed > before.failed => {
            let text = format!("a report was not delivered: {reason}; {failed} so far");
            return Some(News::Bad(text));
        }
        (None, Some(reason)) => {
            let text = format!("cannot deliver a report: {reason}; it is tried again");
            return Some(News::Bad(text));
        }
        (Some(_), None) => {
            let text = format!(
                "reports are delivered again; {failed} were not delivered and {discarded} discarded \
                 since the master started"
            );
            return Some(News::Good(text));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    // The first one, and then as often as their number doubles.
    let is_told = *discarded > before.discarded && discarded.is_power_of_two();
    is_told.then(|| {
        News::Bad(format!("too many reports wait, the oldest are discarded; {discarded} so far"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &HookShown, now: &HookShown) -> String {
        match news(before, now) {
            None => String::new(),
            Some(News::Good(text)) => format!("good: {text}"),
            Some(News::Bad(text)) => format!("bad: {text}"),
        }
    }

    #[test]
    fn each_fact_is_told_once() {
        let good = HookShown { delivered: 1, ..HookShown::default() };
        let failing = HookShown { failure: Some("refused".into()), ..good.clone() };
        let given_up = HookShown { failed: 1, ..failing.clone() };
        assert_eq!(told(&HookShown::default(), &good), "");
        assert_eq!(
            told(&good, &failing),
            "bad: cannot deliver a report: refused; it is tried again"
        );
        assert_eq!(told(&failing, &failing), "");
        assert!(told(&failing, &given_up).starts_with("bad: a report was not delivered: refused;"));
        let again = HookShown { failed: 1, delivered: 2, discarded: 3, ..HookShown::default() };
        assert!(told(&given_up, &again).starts_with("good: reports are delivered again; 1 were"));
        let full = |discarded| HookShown { discarded, ..failing.clone() };
        let said = (1..=8).map(|count| told(&full(count - 1), &full(count)).is_empty());
        assert_eq!(said.collect::<Vec<_>>(), [false, false, true, false, true, true, true, false]);
    }
}
